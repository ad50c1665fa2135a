//! What requests will compute, computed before the first of them comes: threads are started, memory is touched, and what
//! cannot be computed at all is known before anybody is told that the engine is ready. Keeps books of its own, so nothing
//! of it is counted or found again.

use crate::engine::config::EngineConfig;
use crate::engine::config::PrefixCache;
use crate::engine::peek::Wish;
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
use std::time::Duration;
use std::time::Instant;

/// The most requests and rows of one step that are tried.
const MAX_REQUESTS: usize = 64;
const MAX_ROWS: usize = 512;

/// Rows that are computed first, whatever they take.
const FIRST_ROWS: usize = 16;

/// How long the larger steps may take, going by the first: of a large model they take seconds, and all they would add is memory
/// that a first long prompt touches in milliseconds.
const MOMENT: Duration = Duration::from_millis(300);

/// Positions of a request beside its prompt: one thought, and the first of two answer tokens.
const BEYOND_PROMPT: usize = 2;

/// Runs one request by itself, and then as many as run at once with as many rows as a step has, if that takes no longer than a
/// moment. `positions` are those of the longest sequence, `pages` those of the KV memory; `clock` tells the time.
pub(crate) fn warm_up(
    runner: &mut impl Run,
    config: EngineConfig,
    (positions, pages): (usize, usize),
    clock: impl Fn() -> Instant,
) -> Result<()> {
    let Some(longest) = positions.checked_sub(BEYOND_PROMPT).filter(|&longest| longest > 0) else {
        return Ok(());
    };
    let most = config.rows_per_step.min(MAX_ROWS);
    let first = most.min(FIRST_ROWS).min(longest);
    let before = clock();
    round(runner, config, pages, (1, first))?;
    let a_row = (clock() - before) / (first + BEYOND_PROMPT) as u32;
    let rows = MOMENT.as_nanos().checked_div(a_row.as_nanos()).unwrap_or(u128::MAX);
    let rows = usize::try_from(rows).unwrap_or(usize::MAX).min(most);
    let requests = config.max_running.min(MAX_REQUESTS).min(rows);
    if rows > first {
        round(runner, config, pages, (requests, (rows / requests).clamp(1, longest)))?;
    }
    Ok(())
}

/// So many requests with so long a prompt each, from their beginning to their end.
fn round(
    runner: &mut impl Run,
    config: EngineConfig,
    pages: usize,
    (requests, prompt): (usize, usize),
) -> Result<()> {
    let requests = requests.min(pages / pages_for(prompt + BEYOND_PROMPT));
    let config = EngineConfig { max_running: requests, prefix_cache: PrefixCache::Off, ..config };
    let mut scheduler: Scheduler<(), ()> = Scheduler::new(config, pages);
    (0..requests).for_each(|_| scheduler.enqueue(script(prompt), ()));
    scheduler.admit(|_, ()| Vec::new(), |_, ()| {});
    while take_step(runner, &mut scheduler)? {}
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
    let wish = Wish { shown: true, peek: None };
    runner.run(&plan, &vec![wish; plan.segments.len()], &mut output)?;
    for (segment, yielded) in plan.segments.iter().zip(&output.yielded) {
        let Some((running, ())) = scheduler.get_mut(segment.sequence) else { continue };
        let outcome = match *yielded {
            Yielded::Nothing => Outcome::Nothing,
            Yielded::Thought { thought, .. } => Outcome::Thought(output.thought(thought).into()),
            Yielded::Token { .. } => Outcome::Token(0),
            Yielded::Scores { .. } => Outcome::Scores,
        };
        running.sequence.advance(segment, outcome);
        scheduler.settle(segment.sequence, |()| {});
    }
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::plan::Segment;
    use crate::engine::plan::Yields;
    use std::cell::Cell;

    /// Notes rows and segments of each step.
    #[derive(Default)]
    struct Noting {
        steps: Vec<(usize, usize)>,
    }

    impl Run for Noting {
        fn run(&mut self, plan: &Plan, _: &[Wish], out: &mut StepOutput) -> Result<()> {
            let segments = &plan.segments;
            self.steps.push((segments.iter().map(Segment::rows).sum(), segments.len()));
            let yielded = |segment: &Segment| match segment.yields {
                Yields::Nothing => Yielded::Nothing,
                Yields::Thought => Yielded::Thought { thought: 0, logits: None },
                Yields::Token => Yielded::Token { logits: 0 },
                Yields::Scores(count) => Yielded::Scores { logits: 0, count },
            };
            out.numbers.thoughts.resize(out.width, 0.0);
            out.yielded = segments.iter().map(yielded).collect();
            Ok(())
        }

        fn reset(&mut self) {}
    }

    /// Where each look at the clock finds it so much later.
    fn steps_at(
        pace: Duration,
        config: EngineConfig,
        sizes: (usize, usize),
    ) -> Vec<(usize, usize)> {
        let (mut runner, now) = (Noting::default(), Cell::new(Instant::now()));
        let clock = || now.replace(now.get() + pace);
        warm_up(&mut runner, config, sizes, clock).unwrap();
        runner.steps
    }

    fn steps(config: EngineConfig, positions: usize, pages: usize) -> Vec<(usize, usize)> {
        steps_at(Duration::ZERO, config, (positions, pages))
    }

    #[test]
    fn a_request_alone_and_as_many_as_run_at_once_are_computed() {
        let config = EngineConfig { max_running: 8, rows_per_step: 64, ..EngineConfig::default() };
        let expected = [(16, 1), (1, 1), (1, 1), (64, 8), (8, 8), (8, 8)];
        assert_eq!(steps(config, 1000, 1000), expected);
    }

    #[test]
    fn of_a_large_model_no_more_is_computed_than_a_moment_allows() {
        let config = EngineConfig { max_running: 8, rows_per_step: 64, ..EngineConfig::default() };
        let at = |millis| steps_at(Duration::from_millis(millis), config, (1000, 1000));
        // 18 rows take so long.
        assert_eq!(at(18 * 10)[3..], [(24, 8), (8, 8), (8, 8)]);
        assert_eq!(at(18 * 20)[3..], []);
    }

    #[test]
    fn small_memories_and_models_are_warmed_as_far_as_they_go() {
        let config = EngineConfig::default();
        assert_eq!(steps(config, 2, 1), []);
        assert_eq!(steps(config, 3, 1), [(1, 1); 6]);
        assert_eq!(steps(config, 16, 1), [(14, 1), (1, 1), (1, 1), (8, 1), (1, 1), (1, 1)]);
        let huge = EngineConfig {
            max_running: 1 << 16,
            rows_per_step: 1 << 16,
            ..EngineConfig::default()
        };
        let rows = steps(huge, 1 << 20, 1 << 20).into_iter().map(|(rows, _)| rows).max();
        assert_eq!(rows, Some(MAX_ROWS));
    }
}
