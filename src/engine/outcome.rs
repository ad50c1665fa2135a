//! What a step means for one branch of a request: its stamps, its thoughts, its tokens, its scores, what is told and counted
//! of them. Knows one running sequence at a time; not who else is in the step.

use crate::engine::live::Live;
use crate::engine::live::Voice;
use crate::engine::peek::is_finite;
use crate::engine::plan::Segment;
use crate::engine::recall::Kept;
use crate::engine::recall::Recall;
use crate::engine::request::EventKind;
use crate::engine::request::Failure;
use crate::engine::request::Given;
use crate::engine::request::InsideRow;
use crate::engine::request::Report;
use crate::engine::request::Thought;
use crate::engine::request::Token;
use crate::engine::request::TopToken;
use crate::engine::runner::StepOutput;
use crate::engine::runner::Yielded;
use crate::engine::sampler::Sampler;
use crate::engine::sampler::entropy;
use crate::engine::sampler::score;
use crate::engine::sampler::top_scored;
use crate::engine::sampler::top_tokens;
use crate::engine::scheduler::Running;
use crate::engine::sequence::Advanced;
use crate::engine::sequence::Outcome;
use crate::engine::sequence::Sequence;
use crate::latent::edits::length;
use crate::metrics::Metrics;
use coconut_kernels::vocabulary::all_finite;
use std::sync::Arc;
use std::time::Instant;

/// Who is told of an outcome: a branch, its request, those that ask the same later, and who counts.
pub(crate) struct Told<'a> {
    pub(crate) running: &'a mut Running<Voice>,
    pub(crate) live: &'a mut Live,
    pub(crate) recall: &'a mut Recall,
    pub(crate) metrics: &'a Metrics,
}

/// Tells a request that it takes part in steps, and what it need not compute.
pub(crate) fn admitted(sequence: &Sequence, live: &mut Live, now: Instant, metrics: &Metrics) {
    live.place = None;
    live.stamps.admitted = Some(now);
    metrics.queue_seconds.observe((now - live.stamps.submitted).as_secs_f64());
    let reused = sequence.reused();
    live.thoughts.truncate(reused.thoughts);
    live.spend(reused.positions as u64);
    live.send(now, 0, EventKind::Admitted(reused));
}

/// Counts what an admitted request asked of the cache. Where there is none, nobody asked.
pub(crate) fn looked_up(sequence: &Sequence, metrics: &Metrics) {
    let (opening, reused) = (sequence.opening(), sequence.reused());
    let positions = opening.prompt.len() + opening.thoughts + opening.after.len();
    metrics.prefix_cache_queries_total.inc_by(positions as u64);
    metrics.prefix_cache_hits_total.inc_by(reused.positions as u64);
    metrics.thought_cache_queries_total.inc_by(opening.thoughts as u64);
    metrics.thought_cache_hits_total.inc_by(reused.thoughts as u64);
}

/// Marks the end of prefill with the first thing that comes after it, and reports the thoughts that are known from
/// earlier requests.
pub(crate) fn prefilled(live: &mut Live, now: Instant, metrics: &Metrics) {
    if live.stamps.prefilled.is_none() {
        live.stamps.prefilled = Some(now);
        let since = live.stamps.admitted.unwrap_or(live.stamps.submitted);
        metrics.prefill_seconds.observe((now - since).as_secs_f64());
        live.send(now, 0, EventKind::Prefilled);
        let mut before = None;
        for (step, thought) in (1..).zip(&live.thoughts) {
            let told = thought.reported(step, before, &live.report);
            live.send(now, 0, EventKind::Thought(told));
            before = Some(&*thought.vector);
        }
    }
}

impl Told<'_> {
    /// Takes in what `segment` gave, and what was seen of its rows.
    pub(crate) fn take(
        mut self,
        segment: &Segment,
        (yielded, insides): (Yielded, Vec<InsideRow>),
        output: &StepOutput,
    ) -> Result<(), Failure> {
        self.live.spend(segment.rows() as u64);
        // No row before the end of the prompt is looked into.
        if yielded != Yielded::Nothing || !insides.is_empty() {
            prefilled(self.live, Instant::now(), self.metrics);
        }
        self.tell_insides(segment, insides)?;
        match yielded {
            Yielded::Nothing => {
                self.running.sequence.advance(segment, Outcome::Nothing);
                Ok(())
            }
            Yielded::Thought { thought, logits } => {
                let logits = logits.map(|row| output.logits(row));
                self.take_thought(segment, output.thought(thought), logits)
            }
            Yielded::Token { logits } => self.take_token(segment, output.logits(logits)),
            Yielded::Scores { logits, count } => {
                let rows = (logits..logits + count).map(|row| output.logits(row));
                self.take_scores(segment, rows)
            }
        }
    }

    fn tell_insides(&self, segment: &Segment, insides: Vec<InsideRow>) -> Result<(), Failure> {
        if !insides.iter().all(is_finite) {
            return Err(Failure::NonFinite);
        }
        for row in insides {
            self.live.send(Instant::now(), segment.branch, EventKind::Inside(row));
        }
        Ok(())
    }

    /// A thought and, where asked for, the head's view of it.
    fn take_thought(
        &mut self,
        segment: &Segment,
        computed: &[f32],
        logits: Option<&[f32]>,
    ) -> Result<(), Failure> {
        let (now, live, sequence) = (Instant::now(), &mut *self.live, &mut self.running.sequence);
        let is_opening = sequence.is_opening();
        let (vector, is_edited) = (sequence.edited(computed), sequence.is_edited());
        if !all_finite(computed) || !all_finite(&vector) {
            return Err(Failure::NonFinite);
        }
        let norm = length(&vector);
        self.metrics.thought_norm.observe(norm);
        let thought = Kept {
            vector: Arc::clone(&vector),
            norm: as_f32(norm),
            top_tokens: top_of(logits, &live.report),
            entropy: logits.filter(|_| live.report.entropy).map(entropy),
        };
        let before = sequence.before().filter(|_| live.report.cosine).cloned();
        if let Advanced::Thought { step } = sequence.advance(segment, Outcome::Thought(vector)) {
            let told = Thought {
                computed_norm: is_edited.then(|| as_f32(length(computed))),
                ..thought.reported(step, before.as_deref(), &live.report)
            };
            live.send(now, segment.branch, EventKind::Thought(told));
        }
        if is_opening {
            live.thoughts.push(thought);
            if !sequence.is_opening() {
                self.recall.keep(&sequence.opening().prompt, std::mem::take(&mut live.thoughts));
            }
        }
        Ok(())
    }

    /// An answer token chosen from `logits`.
    fn take_token(&mut self, segment: &Segment, logits: &[f32]) -> Result<(), Failure> {
        let (now, live, running) = (Instant::now(), &mut *self.live, &mut *self.running);
        if !all_finite(logits) {
            return Err(Failure::NonFinite);
        }
        let Some((say, tokens)) = running.sequence.answer() else { return Ok(()) };
        if tokens == 0 {
            running.carried.sampler = None;
        }
        let new = || Sampler::new(&say.sampling, Arc::clone(&live.masked));
        let sampler = running.carried.sampler.get_or_insert_with(new);
        let id = sampler.choose(logits);
        let logprob = live.report.logprobs.then(|| sampler.logprob(logits, id));
        let entropy = live.report.entropy.then(|| entropy(logits));
        let top = sampler.top(logits, live.report.top_logprobs);
        if tokens == 0 && live.report.first_logits {
            live.send(now, segment.branch, EventKind::FirstLogits(logits.to_vec()));
        }
        record_token(live, &mut running.carried, now, self.metrics);
        let is_shown = logprob.is_some();
        let token = Token { id, logprob, entropy, top };
        match running.sequence.advance(segment, Outcome::Token(id)) {
            Advanced::Token => live.send(now, segment.branch, EventKind::Token(token)),
            _ if is_shown => live.send(now, segment.branch, EventKind::Ended(token)),
            _ => {}
        }
        Ok(())
    }

    /// The scores of the next ids of a continuation, each from its row of logits.
    fn take_scores<'a>(
        &mut self,
        segment: &Segment,
        rows: impl Iterator<Item = &'a [f32]>,
    ) -> Result<(), Failure> {
        let sequence = &mut self.running.sequence;
        let scored = sequence.to_score(segment).iter().zip(rows).map(|(&id, logits)| {
            let top = self.live.report.top_logprobs;
            let given = || Given { scored: score(logits, id), top: top_scored(logits, top, &[]) };
            all_finite(logits).then(given).ok_or(Failure::NonFinite)
        });
        let scored: Vec<Given> = scored.collect::<Result<_, _>>()?;
        sequence.advance(segment, Outcome::Scores);
        self.live.send(Instant::now(), segment.branch, EventKind::Scored(scored));
        Ok(())
    }
}

/// The most likely tokens, if any were asked for.
fn top_of(logits: Option<&[f32]>, report: &Report) -> Vec<TopToken> {
    match (logits, report.top_thought_tokens) {
        (None, _) | (_, 0) => Vec::new(),
        (Some(logits), shown) => top_tokens(logits, shown),
    }
}

/// The largest number where it is larger than that.
fn as_f32(length: f64) -> f32 {
    length.min(f64::from(f32::MAX)) as f32
}

fn record_token(live: &mut Live, voice: &mut Voice, now: Instant, metrics: &Metrics) {
    metrics.completion_tokens_total.inc();
    if let Some(before) = voice.last_token.replace(now) {
        metrics.inter_token_seconds.observe((now - before).as_secs_f64());
    }
    if live.stamps.first_token.is_none() {
        live.stamps.first_token = Some(now);
        let since = live.stamps.prefilled.unwrap_or(now);
        metrics.latent_seconds.observe((now - since).as_secs_f64());
        metrics.time_to_first_token_seconds.observe((now - live.stamps.submitted).as_secs_f64());
    }
}
