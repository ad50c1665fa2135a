//! Steps that fail: who gets an error, who goes on waiting, what is forgotten, and when it is the end.

use crate::engine::config::EngineConfig;
use crate::engine::peek::Wish;
use crate::engine::plan::Plan;
use crate::engine::plan::Segment;
use crate::engine::request::EventKind;
use crate::engine::request::Failure;
use crate::engine::request::Finish;
use crate::engine::request::Rejected;
use crate::engine::request::Reused;
use crate::engine::runner::ModelRunner;
use crate::engine::runner::Run;
use crate::engine::runner::StepOutput;
use crate::engine::shared::EngineState;
use crate::engine::worker_tests::Bench;
use crate::engine::worker_tests::ERROR;
use crate::engine::worker_tests::MISSING_ROW;
use crate::engine::worker_tests::PANIC;
use crate::engine::worker_tests::bench;
use crate::engine::worker_tests::events;
use crate::engine::worker_tests::last_failure;
use crate::engine::worker_tests::of;
use crate::engine::worker_tests::program;
use crate::engine::worker_tests::request;
use crate::latent::program::Program;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering;

/// A model whose next steps, as many as the fuse says, break off midway: their rows belong to pages that are not there.
pub(crate) struct Breaking {
    pub(crate) runner: ModelRunner,
    pub(crate) fuse: Arc<AtomicUsize>,
}

impl Run for Breaking {
    fn run(
        &mut self,
        plan: &Plan,
        wishes: &[Wish],
        output: &mut StepOutput,
    ) -> candle_core::Result<()> {
        let lit =
            self.fuse.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1));
        if lit.is_err() {
            return self.runner.run(plan, wishes, output);
        }
        let nowhere = |segment: &Segment| Segment {
            table: vec![u32::MAX; segment.table.len()].into(),
            ..segment.clone()
        };
        let segments = plan.segments.iter().map(nowhere).collect();
        self.runner.run(&Plan { segments, ..plan.clone() }, wishes, output)
    }

    fn reset(&mut self) {
        self.runner.reset();
    }
}

fn one_at_a_time() -> EngineConfig {
    EngineConfig { max_running: 1, ..EngineConfig::default() }
}

fn reused(events: &[EventKind]) -> Option<Reused> {
    events.iter().find_map(|event| match event {
        EventKind::Admitted(reused) => Some(*reused),
        _ => None,
    })
}

fn is_finished(events: &[EventKind]) -> bool {
    matches!(events.last(), Some(EventKind::Finished(Finish::Length)))
}

#[tokio::test]
async fn a_failed_step_fails_who_took_part_and_the_engine_starts_anew() {
    for (id, restarts) in [(PANIC, 1), (ERROR, 1), (MISSING_ROW, 1)] {
        let Bench { engine, metrics, steps } = bench(EngineConfig::default());
        let mut bystander = engine.submit(request(1)).unwrap();
        let mut bad = engine.submit(request(id)).unwrap();
        drop(steps);
        assert_eq!(last_failure(&events(&mut bad).await), Some(Failure::Step), "{id}");
        assert_eq!(last_failure(&events(&mut bystander).await), Some(Failure::Step), "{id}");
        assert!(is_finished(&events(&mut engine.submit(request(1)).unwrap()).await), "{id}");
        assert_eq!(engine.state(), EngineState::Ready);
        assert_eq!(metrics.engine_restarts_total.get(), restarts);
        engine.drained().await;
        assert_eq!(metrics.kv_positions_reserved.get(), 0);
    }
}

#[tokio::test]
async fn who_waits_has_no_part_in_a_failed_step() {
    let Bench { engine, steps, .. } = bench(one_at_a_time());
    let mut bad = engine.submit(request(PANIC)).unwrap();
    let mut waiting: Vec<_> = (1..4).map(|id| engine.submit(request(id)).unwrap()).collect();
    drop(steps);
    assert_eq!(last_failure(&events(&mut bad).await), Some(Failure::Step));
    for ticket in &mut waiting {
        assert!(is_finished(&events(ticket).await));
    }
}

#[tokio::test]
async fn nothing_that_was_computed_before_a_failed_step_is_used_after_it() {
    let Bench { engine, steps, .. } = bench(one_at_a_time());
    drop(steps);
    let long = || of(&Program { prompt: vec![1; 40], ..program(1) });
    let thoughts = program(1).latent_steps;
    assert_eq!(reused(&events(&mut engine.submit(long()).unwrap()).await), Some(Reused::default()));
    let again = reused(&events(&mut engine.submit(long()).unwrap()).await).unwrap();
    assert!(again.positions > 0 && again.thoughts == thoughts, "{again:?}");
    let mut bad = engine.submit(request(PANIC)).unwrap();
    let mut waited = engine.submit(long()).unwrap();
    assert_eq!(last_failure(&events(&mut bad).await), Some(Failure::Step));
    assert_eq!(reused(&events(&mut waited).await), Some(Reused::default()));
}

#[tokio::test]
async fn steps_that_fail_again_and_again_are_the_end() {
    let Bench { engine, metrics, steps } = bench(one_at_a_time());
    let mut bad: Vec<_> = (0..3).map(|_| engine.submit(request(PANIC)).unwrap()).collect();
    let mut waiting = engine.submit(request(1)).unwrap();
    drop(steps);
    let mut ends = Vec::new();
    for ticket in &mut bad {
        ends.push(last_failure(&events(ticket).await));
    }
    assert_eq!(ends, [Some(Failure::Step), Some(Failure::Step), Some(Failure::Engine)]);
    assert_eq!(last_failure(&events(&mut waiting).await), Some(Failure::Engine));
    engine.drained().await;
    assert_eq!(engine.state(), EngineState::Dead);
    assert!(matches!(engine.submit(request(1)), Err(Rejected::Dead)));
    assert_eq!(metrics.engine_restarts_total.get(), 2);
}

#[tokio::test]
async fn a_draining_engine_finishes_what_waits_also_after_a_failed_step() {
    let Bench { engine, steps, .. } = bench(one_at_a_time());
    let mut bad = engine.submit(request(PANIC)).unwrap();
    let mut waiting = engine.submit(request(1)).unwrap();
    engine.drain();
    drop(steps);
    assert_eq!(last_failure(&events(&mut bad).await), Some(Failure::Step));
    assert!(is_finished(&events(&mut waiting).await));
    engine.drained().await;
    assert_eq!(engine.state(), EngineState::Draining);
}
