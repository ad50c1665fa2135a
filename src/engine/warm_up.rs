//! What requests will compute, computed before the first of them comes: threads are started, memory is touched, and what
//! cannot be computed at all is known before anybody is told that the engine is ready. Keeps books of its own, so nothing
//! of it is counted or found again.

use crate::engine::config::EngineConfig;
use crate::engine::config::PrefixCache;
use crate::engine::plan::Plan;
use crate::engine::runner::Run;
use crate::engine::runner::StepOutput;
use crate::engine::runner::Yielded;
use crate::engine::scheduler::Scheduler;
use crate::engine::sequence::Outcome;
use crate::latent::program::Program;
use crate::latent::script::Sampling;
use crate::latent::script::Script;
use crate::latent::script::StopRule;
use crate::model::attention::geometry::pages_for;
use candle_core::Result;

/// The most requests and rows of one step that are tried: a start must not take as long as a busy minute.
const MAX_REQUESTS: usize = 64;
const MAX_ROWS: usize = 512;

/// Positions of a request beside its prompt: one thought, and the first of two answer tokens.
const BEYOND_PROMPT: usize = 2;

/// Runs one request by itself, and then as many as run at once with as many rows as a step has. `positions` are those of
/// the longest sequence, `pages` those of the KV memory.
pub(crate) fn warm_up(
    runner: &mut impl Run,
    config: EngineConfig,
    (positions, pages): (usize, usize),
) -> Result<()> {
    let Some(longest) = positions.checked_sub(BEYOND_PROMPT).filter(|&longest| longest > 0) else {
        return Ok(());
    };
    let rows = config.rows_per_step.min(MAX_ROWS);
    for requests in [1, config.max_running.min(MAX_REQUESTS)] {
        let prompt = (rows / requests).clamp(1, longest);
        let requests = requests.min(pages / pages_for(prompt + BEYOND_PROMPT));
        let config =
            EngineConfig { max_running: requests, prefix_cache: PrefixCache::Off, ..config };
        let mut scheduler: Scheduler<(), ()> = Scheduler::new(config, pages);
        (0..requests).for_each(|_| scheduler.enqueue(script(prompt), ()));
        scheduler.admit(|_, ()| Vec::new(), |_, ()| {});
        while take_step(runner, &mut scheduler)? {}
    }
    Ok(())
}

/// With the one id that every vocabulary has.
fn script(prompt: usize) -> Script {
    let program = Program {
        prompt: vec![0; prompt],
        latent_steps: 1,
        forced: Vec::new(),
        max_tokens: 2,
        stop: StopRule::NEVER,
        masked: Vec::new(),
    };
    program.script(Sampling::GREEDY)
}

/// False once nothing is left to do.
fn take_step(runner: &mut impl Run, scheduler: &mut Scheduler<(), ()>) -> Result<bool> {
    let plan: Plan = scheduler.plan();
    let mut output = StepOutput::default();
    if plan.segments.is_empty() {
        return Ok(false);
    }
    runner.run(&plan, &vec![true; plan.segments.len()], &mut output)?;
    for (segment, yielded) in plan.segments.iter().zip(&output.yielded) {
        let Some((running, ())) = scheduler.get_mut(segment.sequence) else { continue };
        let outcome = match *yielded {
            Yielded::Nothing => Outcome::Nothing,
            Yielded::Thought { thought, .. } => Outcome::Thought(output.thought(thought).into()),
            Yielded::Token { .. } => Outcome::Token(0),
            Yielded::Scores { .. } => Outcome::Scores,
        };
        running.sequence.advance(segment, outcome);
        scheduler.settle(segment.sequence, |_, ()| {});
    }
    Ok(true)
}
