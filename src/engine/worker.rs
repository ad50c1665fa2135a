//! The engine's thread: `schedule -> run -> postprocess` until nobody can submit any more. Knows when things happen and
//! who is told; what is computed is the runner's, in which order the scheduler's.

use crate::engine::live::Live;
use crate::engine::recall::Kept;
use crate::engine::recall::Recall;
use crate::engine::request::EventKind;
use crate::engine::request::Failure;
use crate::engine::request::Finish;
use crate::engine::request::Request;
use crate::engine::request::Token;
use crate::engine::runner::Run;
use crate::engine::runner::StepOutput;
use crate::engine::runner::Yielded;
use crate::engine::sampler::all_finite;
use crate::engine::sampler::top_tokens;
use crate::engine::scheduler::Running;
use crate::engine::scheduler::Scheduler;
use crate::engine::sequence::Advanced;
use crate::engine::sequence::Outcome;
use crate::engine::sequence::RowKind;
use crate::engine::sequence::Segment;
use crate::engine::shared::EngineState;
use crate::engine::shared::Shared;
use crate::latent::program::Program;
use crate::metrics::Metrics;
use std::panic::AssertUnwindSafe;
use std::panic::catch_unwind;
use std::sync::Arc;
use std::sync::mpsc::Receiver;
use std::time::Instant;

/// A request on its way to the engine.
pub(crate) type Submission = (Request, Live);

/// The owner of scheduler and runner.
pub(crate) struct Worker<R> {
    pub(crate) submissions: Receiver<Submission>,
    pub(crate) scheduler: Scheduler<Live>,
    pub(crate) recall: Recall,
    pub(crate) runner: R,
    /// What the last step gave; kept for its memory.
    pub(crate) output: StepOutput,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) shared: Arc<Shared>,
}

/// How a request ended, for the metrics.
#[derive(Clone, Copy)]
enum End {
    Finished(Finish),
    Failed(Failure),
    Cancelled,
}

impl<R: Run> Worker<R> {
    /// Works until the submitting side is gone and everything accepted is done, or until a step fails.
    pub(crate) fn work(mut self) {
        while self.receive() {
            let segments = self.schedule();
            if segments.is_empty() {
                continue;
            }
            if !self.run(&segments) {
                return self.die();
            }
            self.postprocess(&segments);
        }
    }

    /// Takes in what was submitted; waits if there is nothing else to do. False when nothing can come any more.
    fn receive(&mut self) -> bool {
        if self.scheduler.is_idle() {
            match self.submissions.recv() {
                Ok((request, live)) => self.scheduler.enqueue(request.program, live),
                Err(_) => return false,
            }
        }
        while let Ok((request, live)) = self.submissions.try_recv() {
            self.scheduler.enqueue(request.program, live);
        }
        true
    }

    /// Drops who is gone or late, admits who fits, and plans the step.
    fn schedule(&mut self) -> Vec<Segment> {
        let now = Instant::now();
        let aborting = self.shared.is_aborting();
        let gone =
            self.scheduler.take_if(|live| aborting || live.is_abandoned() || live.deadline <= now);
        if !gone.is_empty() {
            // Before anybody hears of an end, the gauges know it.
            self.record_load();
        }
        for live in gone {
            let end = match (live.is_abandoned(), live.is_satisfied(), live.deadline <= now) {
                (true, true, _) => End::Finished(Finish::Stop),
                (true, false, _) => End::Cancelled,
                (false, _, true) => End::Failed(Failure::Deadline),
                (false, _, false) => End::Failed(Failure::Stopped),
            };
            self.end(live, end, now);
        }
        let recall = |program: &Program, live: &mut Live| {
            let shown = live.report.top_thought_tokens;
            live.thoughts = self.recall.thoughts(&program.prompt, program.latent_steps, shown);
            live.thoughts.iter().map(|thought| Arc::clone(&thought.vector)).collect()
        };
        self.scheduler.admit(recall, |running| admitted(running, now, &self.metrics));
        self.record_load();
        self.scheduler.plan()
    }

    /// One forward pass into `output`. False if it failed or panicked.
    fn run(&mut self, segments: &[Segment]) -> bool {
        let shown: Vec<bool> = segments
            .iter()
            .map(|segment| {
                let running = self.scheduler.get_mut(segment.sequence);
                running.is_some_and(|running| running.payload.report.top_thought_tokens > 0)
            })
            .collect();
        let start = Instant::now();
        let run = || self.runner.run(segments, &shown, &mut self.output);
        let result = catch_unwind(AssertUnwindSafe(run));
        self.record_step(segments, start);
        match result {
            Ok(Ok(())) => true,
            Ok(Err(error)) => {
                tracing::error!(%error, "a step failed");
                false
            }
            Err(_) => {
                tracing::error!("a step panicked");
                false
            }
        }
    }

    /// Hands out what the step gave and takes out who is done.
    fn postprocess(&mut self, segments: &[Segment]) {
        let now = Instant::now();
        let output = &self.output;
        let mut ended = Vec::new();
        for (segment, &yielded) in segments.iter().zip(&output.yielded) {
            let Some(running) = self.scheduler.get_mut(segment.sequence) else { continue };
            running.payload.spend(segment.rows() as u64);
            let end = match yielded {
                Yielded::Nothing => {
                    running.sequence.advance(segment, Outcome::Nothing);
                    None
                }
                Yielded::Thought { thought, logits } => {
                    let logits = logits.map(|row| output.logits(row));
                    take_thought(running, segment, (output.thought(thought), logits), &self.metrics)
                }
                Yielded::Token { logits } => {
                    let logits = output.logits(logits);
                    let end = take_token(running, segment, logits, &self.metrics);
                    remember(running, &mut self.recall);
                    end
                }
            };
            if let Some(end) = end
                && let Some(live) = self.scheduler.end(segment.sequence)
            {
                ended.push((live, end));
            }
        }
        // Before anybody hears of an end, the gauges know it.
        self.record_load();
        for (live, end) in ended {
            self.end(live, end, now);
        }
    }

    /// Tells a request how it ended, and counts it.
    #[expect(clippy::needless_pass_by_value, reason = "the request ends here and frees its share")]
    fn end(&self, live: Live, end: End, now: Instant) {
        let reason = match end {
            End::Finished(Finish::Stop) => "stop",
            End::Finished(Finish::Length) => "length",
            End::Failed(Failure::Deadline) => "deadline",
            End::Failed(Failure::NonFinite) => "nonfinite",
            End::Failed(Failure::Engine) => "engine",
            End::Failed(Failure::Stopped) => "stopped",
            End::Cancelled => "cancelled",
        };
        self.metrics.finished_total.with_label_values(&[reason]).inc();
        self.metrics.request_seconds.observe((now - live.stamps.submitted).as_secs_f64());
        match end {
            End::Finished(finish) => live.send(now, EventKind::Finished(finish)),
            End::Failed(failure) => live.send(now, EventKind::Failed(failure)),
            End::Cancelled => self.metrics.cancelled_total.inc(),
        }
        if let End::Failed(Failure::NonFinite) = end {
            self.metrics.nonfinite_total.inc();
            // What made it so may be in a page that others would read.
            self.scheduler.forget();
        }
    }

    /// After a failed step nothing in KV memory can be trusted: everything accepted gets an error, nothing new is
    /// taken, and liveness turns red.
    fn die(mut self) {
        self.shared.advance_state(EngineState::Dead);
        let now = Instant::now();
        while let Ok((request, live)) = self.submissions.try_recv() {
            self.scheduler.enqueue(request.program, live);
        }
        let gone = self.scheduler.take_if(|_| true);
        self.record_load();
        for live in gone {
            self.end(live, End::Failed(Failure::Engine), now);
        }
    }

    fn record_load(&self) {
        let load = self.scheduler.load();
        self.metrics.queue_depth.set(load.waiting as i64);
        self.metrics.running.set(load.running as i64);
        self.metrics.kv_positions_used.set(load.used_positions as i64);
        self.metrics.kv_positions_reserved.set(load.reserved_positions as i64);
        self.metrics.kv_positions_cached.set(load.cached_positions as i64);
        let fraction = load.reserved_positions as f64 / load.capacity_positions.max(1) as f64;
        self.metrics.kv_reserved_fraction.set(fraction);
    }

    fn record_step(&self, segments: &[Segment], start: Instant) {
        let took = start.elapsed();
        let (mut prefill, mut forced, mut answer, mut latent) = (0, 0, 0, 0);
        for segment in segments {
            let thoughts = usize::from(segment.feeds_thought());
            latent += thoughts;
            match segment.kind {
                RowKind::Prefill => prefill += segment.rows(),
                RowKind::Forced => forced += segment.rows() - thoughts,
                RowKind::Answer => answer += segment.rows(),
            }
        }
        for (kind, rows) in
            [("prefill", prefill), ("latent", latent), ("forced", forced), ("answer", answer)]
        {
            self.metrics.step_rows.with_label_values(&[kind]).observe(rows as f64);
        }
        self.metrics.prompt_tokens_total.inc_by(prefill as u64);
        self.metrics.latent_steps_total.inc_by(latent as u64);
        self.metrics.step_seconds.observe(took.as_secs_f64());
        if latent > 0 {
            self.metrics.latent_step_seconds.observe(took.as_secs_f64());
        }
        self.shared.step_took(took, (prefill + latent + forced + answer) as u64);
    }
}

/// Tells a request that it takes part in steps, and what it need not compute.
fn admitted(running: &mut Running<Live>, now: Instant, metrics: &Metrics) {
    let (sequence, live) = (&running.sequence, &mut running.payload);
    live.place = None;
    live.stamps.admitted = Some(now);
    metrics.queue_seconds.observe((now - live.stamps.submitted).as_secs_f64());
    let (program, reused) = (sequence.program(), sequence.reused());
    let positions = program.prompt.len() + program.latent_steps;
    metrics.prefix_cache_queries_total.inc_by(positions as u64);
    metrics.prefix_cache_hits_total.inc_by(reused.positions as u64);
    metrics.thought_cache_queries_total.inc_by(program.latent_steps as u64);
    metrics.thought_cache_hits_total.inc_by(reused.thoughts as u64);
    live.spend(reused.positions as u64);
    live.send(now, EventKind::Admitted(reused));
}

/// Keeps the thoughts of a request whose latent steps are done, for those that ask the same.
fn remember(running: &mut Running<Live>, recall: &mut Recall) {
    let thoughts = std::mem::take(&mut running.payload.thoughts);
    if thoughts.len() > running.sequence.reused().thoughts {
        recall.keep(&running.sequence.program().prompt, thoughts);
    }
}

/// Marks the end of prefill with the first thing that comes after it, and reports the thoughts that are known from
/// earlier requests.
fn prefilled(live: &mut Live, now: Instant, metrics: &Metrics) {
    if live.stamps.prefilled.is_none() {
        live.stamps.prefilled = Some(now);
        let since = live.stamps.admitted.unwrap_or(live.stamps.submitted);
        metrics.prefill_seconds.observe((now - since).as_secs_f64());
        live.send(now, EventKind::Prefilled);
        for (step, thought) in (1..).zip(&live.thoughts) {
            live.send(now, EventKind::Thought(thought.reported(step, &live.report)));
        }
    }
}

/// A thought and, where asked for, the head's view of it.
fn take_thought(
    running: &mut Running<Live>,
    segment: &Segment,
    (vector, logits): (&[f32], Option<&[f32]>),
    metrics: &Metrics,
) -> Option<End> {
    let now = Instant::now();
    let live = &mut running.payload;
    prefilled(live, now, metrics);
    if !all_finite(vector) {
        return Some(End::Failed(Failure::NonFinite));
    }
    let norm = vector.iter().map(|x| x * x).sum::<f32>().sqrt();
    metrics.thought_norm.observe(f64::from(norm));
    if let Advanced::Thought { step } = running.sequence.advance(segment, Outcome::Thought) {
        let top_tokens = logits
            .map(|logits| top_tokens(logits, live.report.top_thought_tokens))
            .unwrap_or_default();
        let thought = Kept { vector: vector.into(), norm, top_tokens };
        live.send(now, EventKind::Thought(thought.reported(step, &live.report)));
        live.thoughts.push(thought);
    }
    None
}

/// An answer token chosen from `logits`.
fn take_token(
    running: &mut Running<Live>,
    segment: &Segment,
    logits: &[f32],
    metrics: &Metrics,
) -> Option<End> {
    let now = Instant::now();
    let live = &mut running.payload;
    prefilled(live, now, metrics);
    if !all_finite(logits) {
        return Some(End::Failed(Failure::NonFinite));
    }
    let id = live.sampler.choose(logits);
    if live.report.first_logits && !live.first_logits_sent {
        live.first_logits_sent = true;
        live.send(now, EventKind::FirstLogits(logits.to_vec()));
    }
    record_token(live, now, metrics);
    let logprob = live.report.logprobs.then(|| live.sampler.logprob(logits, id));
    let token = EventKind::Token(Token { id, logprob });
    match running.sequence.advance(segment, Outcome::Token(id)) {
        Advanced::On | Advanced::Thought { .. } => None,
        Advanced::Token => {
            live.send(now, token);
            None
        }
        Advanced::LastToken(finish) => {
            live.send(now, token);
            Some(End::Finished(finish))
        }
        Advanced::Ended(finish) => Some(End::Finished(finish)),
    }
}

fn record_token(live: &mut Live, now: Instant, metrics: &Metrics) {
    metrics.completion_tokens_total.inc();
    match live.stamps.last_token.replace(now) {
        Some(before) => metrics.inter_token_seconds.observe((now - before).as_secs_f64()),
        None => {
            let since = live.stamps.prefilled.unwrap_or(now);
            metrics.latent_seconds.observe((now - since).as_secs_f64());
            metrics
                .time_to_first_token_seconds
                .observe((now - live.stamps.submitted).as_secs_f64());
        }
    }
}
