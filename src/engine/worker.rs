//! The engine's thread: `schedule -> run -> postprocess` until nobody can submit any more, and what becomes of everybody
//! where one of these fails. Knows when things happen and who is told; what is computed is the runner's, in which order the
//! scheduler's.

use crate::engine::config::PrefixCache;
use crate::engine::live::Leaving;
use crate::engine::live::Live;
use crate::engine::live::Voice;
use crate::engine::outcome::Told;
use crate::engine::outcome::admitted;
use crate::engine::outcome::looked_up;
use crate::engine::outcome::prefilled;
use crate::engine::peek::Wish;
use crate::engine::plan::Plan;
use crate::engine::plan::RowKind;
use crate::engine::plan::Segment;
use crate::engine::plan::SequenceId;
use crate::engine::recall::Recall;
use crate::engine::request::EventKind;
use crate::engine::request::Failure;
use crate::engine::request::Finish;
use crate::engine::request::Request;
use crate::engine::restarts::Restarts;
use crate::engine::runner::Run;
use crate::engine::runner::StepOutput;
use crate::engine::scheduler::Left;
use crate::engine::scheduler::Scheduler;
use crate::engine::shared::EngineState;
use crate::engine::shared::Shared;
use crate::latent::script::Opening;
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
    pub(crate) scheduler: Scheduler<Live, Voice>,
    pub(crate) recall: Recall,
    pub(crate) runner: R,
    pub(crate) restarts: Restarts,
    /// What the last step gave; kept for its memory.
    pub(crate) output: StepOutput,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) shared: Arc<Shared>,
}

/// How a request ended, for the metrics.
#[derive(Clone, Copy)]
pub(crate) enum End {
    Finished(Finish),
    Failed(Failure),
    /// What it belongs to failed elsewhere.
    Dropped,
    Cancelled,
}

/// Why a step has no outcome.
enum Broken {
    /// The forward pass failed. Who waits has no part in it.
    Pass(String),
    /// The books of who runs and waits failed. What they say of anybody is not certain.
    Books(String),
}

impl<R: Run> Worker<R> {
    /// Works until the submitting side is gone and everything accepted is done, or until steps fail too often.
    pub(crate) fn work(mut self) {
        while self.receive() {
            if let Err(broken) = self.step()
                && !caught(|| self.recover(&broken)).unwrap_or(false)
            {
                return self.die();
            }
        }
    }

    fn step(&mut self) -> Result<(), Broken> {
        let plan = caught(|| self.schedule()).map_err(Broken::Books)?;
        if plan.segments.is_empty() {
            return Ok(());
        }
        caught(|| self.run(&plan)).flatten().map_err(Broken::Pass)?;
        caught(|| self.postprocess(&plan)).map_err(Broken::Books)
    }

    /// Takes in what was submitted; waits if there is nothing else to do. False when nothing can come any more.
    fn receive(&mut self) -> bool {
        if self.scheduler.is_idle() {
            match self.submissions.recv() {
                Ok((request, live)) => self.scheduler.enqueue(request.script, live),
                Err(_) => return false,
            }
        }
        while let Ok((request, live)) = self.submissions.try_recv() {
            self.scheduler.enqueue(request.script, live);
        }
        true
    }

    /// Drops who is gone or late, admits who fits, and plans the step.
    fn schedule(&mut self) -> Plan {
        let now = Instant::now();
        let aborting = self.shared.is_aborting();
        let gone =
            self.scheduler.take_if(|live| aborting || live.is_abandoned() || live.deadline <= now);
        if !gone.is_empty() {
            // Before anybody hears of an end, the gauges know it.
            self.record_load();
        }
        for live in gone {
            let end = match (live.is_abandoned(), live.leaving(), live.deadline <= now) {
                (true, Some(Leaving::Satisfied), _) => End::Finished(Finish::Stop),
                (_, _, true) => End::Failed(Failure::Deadline),
                (true, Some(Leaving::Useless), false) => End::Dropped,
                (true, None, false) => End::Cancelled,
                (false, _, false) => End::Failed(Failure::Stopped),
            };
            self.end((live, 0), end, now);
        }
        self.end_enough(now);
        let recall = |opening: &mut Opening, live: &mut Live| {
            if live.report.inside.is_some() {
                // Whatever may be looked into is computed.
                opening.end_with_first_act();
            }
            let (prompt, report) = (&opening.prompt, &live.report);
            live.thoughts = self.recall.thoughts(prompt, opening.thoughts, report);
            live.thoughts.iter().map(|thought| Arc::clone(&thought.vector)).collect()
        };
        let (mut fresh, cache) = (Vec::new(), self.scheduler.prefix_cache());
        self.scheduler.admit(recall, |sequence, live| {
            admitted(sequence, live, now, &self.metrics);
            if cache == PrefixCache::On {
                looked_up(sequence, &self.metrics);
            }
            fresh.push(sequence.id);
        });
        let ended = fresh.into_iter().filter_map(|id| self.settle(id, now)).collect();
        self.end_all(ended, now);
        self.scheduler.plan()
    }

    /// Ends branches that their readers have enough of.
    fn end_enough(&mut self, now: Instant) {
        let found = self.scheduler.find(Live::has_enough_of).into_iter();
        let stop = End::Finished(Finish::Stop);
        let ended: Vec<_> = found.filter_map(|branch| self.end_branch(branch, stop, now)).collect();
        if !ended.is_empty() {
            self.end_all(ended, now);
        }
    }

    /// One forward pass into `output`.
    fn run(&mut self, plan: &Plan) -> Result<(), String> {
        let wish = |segment: &Segment| {
            let running = self.scheduler.get_mut(segment.sequence);
            running.map_or_else(Wish::default, |(running, live)| {
                Wish::of(&live.report, &running.sequence, segment)
            })
        };
        let wishes: Vec<Wish> = plan.segments.iter().map(wish).collect();
        let start = Instant::now();
        self.runner.run(plan, &wishes, &mut self.output).map_err(|error| error.to_string())?;
        self.record_step(&plan.segments, start);
        Ok(())
    }

    /// Hands out what the step gave, lets branches go on and takes out who is done.
    fn postprocess(&mut self, plan: &Plan) {
        let now = Instant::now();
        let mut output = std::mem::take(&mut self.output);
        let mut insides = std::mem::take(&mut output.insides);
        let mut ended = Vec::new();
        for (number, (segment, &yielded)) in plan.segments.iter().zip(&output.yielded).enumerate() {
            let Some((running, live)) = self.scheduler.get_mut(segment.sequence) else { continue };
            let (recall, metrics) = (&mut self.recall, &*self.metrics);
            let told = Told { running, live, recall, metrics };
            let insides = insides.remove(&number).unwrap_or_default();
            ended.extend(match told.take(segment, (yielded, insides), &output) {
                Ok(()) => self.settle(segment.sequence, now),
                Err(failure) => {
                    let branch = (segment.sequence, segment.branch);
                    self.end_branch(branch, End::Failed(failure), now)
                }
            });
        }
        // Its memory is used again.
        self.output = output;
        self.end_all(ended, now);
    }

    /// Lets a sequence do what needs no computing. Its request, if that is the end of it, with its last event.
    fn settle(&mut self, id: SequenceId, now: Instant) -> Option<(Live, usize, End)> {
        let metrics = &self.metrics;
        let ended = self.scheduler.settle(id, |live| prefilled(live, now, metrics));
        let mut last = None;
        for ended in ended {
            let branch = ended.branch;
            match ended.left {
                Left::Nothing(live) => last = Some((live, branch, End::Finished(ended.finish))),
                Left::Branches(request) => {
                    if let Some(live) = self.scheduler.payload_mut(request) {
                        live.send(now, branch, EventKind::Finished(ended.finish));
                    }
                }
            }
        }
        last
    }

    /// Ends a branch, and its request if that has no other.
    fn end_branch(
        &mut self,
        (id, branch): (SequenceId, usize),
        end: End,
        now: Instant,
    ) -> Option<(Live, usize, End)> {
        let request = match self.scheduler.end(id)? {
            Left::Nothing(live) => return Some((live, branch, end)),
            Left::Branches(request) => request,
        };
        let live = self.scheduler.payload_mut(request)?;
        match end {
            End::Finished(finish) => live.send(now, branch, EventKind::Finished(finish)),
            End::Failed(failure) => {
                live.failure = Some(failure);
                live.send(now, branch, EventKind::Failed(failure));
            }
            End::Dropped | End::Cancelled => {}
        }
        None
    }

    /// Ends requests. Before anybody hears of an end, the gauges know it.
    fn end_all(&self, ended: Vec<(Live, usize, End)>, now: Instant) {
        self.record_load();
        for (live, branch, end) in ended {
            self.end((live, branch), end, now);
        }
    }

    /// Tells a request how it, or the last of its branches, ended, and counts it.
    fn end(&self, (live, branch): (Live, usize), end: End, now: Instant) {
        // What failed on the way counts more than how the rest of it ended.
        let counted = live.failure.map_or(end, End::Failed);
        let reason = match counted {
            End::Finished(Finish::Stop) => "stop",
            End::Finished(Finish::Length) => "length",
            End::Finished(Finish::Done) => "done",
            End::Failed(Failure::Deadline) => "deadline",
            End::Failed(Failure::NonFinite) => "nonfinite",
            End::Failed(Failure::Step) => "step",
            End::Failed(Failure::Engine) => "engine",
            End::Failed(Failure::Stopped) => "stopped",
            End::Dropped => "dropped",
            End::Cancelled => "cancelled",
        };
        self.metrics.finished_total.with_label_values(&[reason]).inc();
        self.metrics.request_seconds.observe((now - live.stamps.submitted).as_secs_f64());
        match end {
            End::Finished(finish) => live.send(now, branch, EventKind::Finished(finish)),
            End::Failed(failure) => live.send(now, branch, EventKind::Failed(failure)),
            End::Dropped => {}
            End::Cancelled => self.metrics.cancelled_total.inc(),
        }
        if let End::Failed(Failure::NonFinite) = counted {
            self.metrics.nonfinite_total.inc();
            // What made it so may be in a page that others would read.
            self.scheduler.forget();
        }
    }

    /// After a failed step nothing that was computed can be trusted: who runs gets an error, KV memory and thoughts are
    /// forgotten, and the runner starts anew. Who waits has not begun, and goes on waiting. False where steps fail too often
    /// for that.
    fn recover(&mut self, broken: &Broken) -> bool {
        let now = Instant::now();
        let (Broken::Pass(reason) | Broken::Books(reason)) = broken;
        if !self.restarts.allow(now) {
            tracing::error!(reason, "a step failed, once too often: the engine is dead");
            return false;
        }
        let mut gone = self.scheduler.restart();
        if let Broken::Books(_) = broken {
            gone.extend(self.scheduler.take_if(|_| true));
        }
        self.recall.clear();
        self.output = StepOutput::default();
        self.runner.reset();
        self.metrics.engine_restarts_total.inc();
        self.record_load();
        let waiting = self.scheduler.load().waiting;
        tracing::error!(
            reason,
            failed_requests = gone.len(),
            waiting_requests = waiting,
            "a step failed: the engine starts anew"
        );
        for live in gone {
            self.end((live, 0), End::Failed(Failure::Step), now);
        }
        true
    }

    /// Everything accepted gets an error, nothing new is taken, and liveness turns red.
    fn die(mut self) {
        self.shared.advance_state(EngineState::Dead);
        let now = Instant::now();
        while let Ok((request, live)) = self.submissions.try_recv() {
            self.scheduler.enqueue(request.script, live);
        }
        let gone = self.scheduler.take_if(|_| true);
        self.record_load();
        for live in gone {
            self.end((live, 0), End::Failed(Failure::Engine), now);
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
                RowKind::Prefill => prefill += segment.rows() - thoughts,
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

/// What `work` gives, or what it panicked with.
fn caught<T>(work: impl FnOnce() -> T) -> Result<T, String> {
    catch_unwind(AssertUnwindSafe(work)).map_err(|panic| {
        let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
        let text = text.or_else(|| panic.downcast_ref::<String>().cloned());
        format!("panic: {}", text.as_deref().unwrap_or("without a message"))
    })
}
