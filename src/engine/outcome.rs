//! What a step means for one request: its stamps, its thoughts, its tokens, what is told and counted of them. Knows one
//! running request at a time; not who else is in the step.

use crate::engine::live::Live;
use crate::engine::recall::Kept;
use crate::engine::recall::Recall;
use crate::engine::request::EventKind;
use crate::engine::request::Failure;
use crate::engine::request::Token;
use crate::engine::sampler::top_tokens;
use crate::engine::scheduler::Running;
use crate::engine::sequence::Advanced;
use crate::engine::sequence::Outcome;
use crate::engine::sequence::Segment;
use crate::engine::worker::End;
use crate::metrics::Metrics;
use coconut_kernels::vocabulary::all_finite;
use std::time::Instant;

/// Tells a request that it takes part in steps, and what it need not compute.
pub(crate) fn admitted(running: &mut Running<Live>, now: Instant, metrics: &Metrics) {
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
pub(crate) fn remember(running: &mut Running<Live>, recall: &mut Recall) {
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
pub(crate) fn take_thought(
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
    // In f64, where the squares of the largest numbers are numbers too.
    let norm = vector.iter().map(|&x| f64::from(x) * f64::from(x)).sum::<f64>().sqrt();
    metrics.thought_norm.observe(norm);
    let norm = norm.min(f64::from(f32::MAX)) as f32;
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
pub(crate) fn take_token(
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
