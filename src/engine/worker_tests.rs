//! The engine's thread with a model of ten lines: cancellation, deadlines, full queues and stops.

use crate::engine::Engine;
use crate::engine::config::EngineConfig;
use crate::engine::inside::Sizes;
use crate::engine::limits::Limits;
use crate::engine::peek::Wish;
use crate::engine::plan::Plan;
use crate::engine::plan::Segment;
use crate::engine::plan::Yields;
use crate::engine::request::EventKind;
use crate::engine::request::Failure;
use crate::engine::request::Finish;
use crate::engine::request::Rejected;
use crate::engine::request::Report;
use crate::engine::request::Request;
use crate::engine::runner::Run;
use crate::engine::runner::StepOutput;
use crate::engine::runner::Yielded;
use crate::engine::shared::EngineState;
use crate::latent::program::Program;
use crate::latent::script::Sampling;
use crate::latent::script::StopRule;
use crate::metrics::Metrics;
use crate::model::pass::Output;
use std::sync::Arc;
use std::sync::mpsc::Receiver;
use std::sync::mpsc::SyncSender;
use std::sync::mpsc::sync_channel;
use std::time::Duration;
use std::time::Instant;

pub(super) const PANIC: u32 = 66;
pub(super) const NOT_A_NUMBER: u32 = 67;
/// The step fails without a panic.
pub(super) const ERROR: u32 = 68;
/// The step gives a row that is not there.
pub(super) const MISSING_ROW: u32 = 69;

/// Takes one step for each message; says token 3 for ever.
struct Stepwise {
    steps: Receiver<()>,
}

impl Run for Stepwise {
    fn run(
        &mut self,
        plan: &Plan,
        _wishes: &[Wish],
        output: &mut StepOutput,
    ) -> candle_core::Result<()> {
        let segments = &plan.segments;
        // A closed channel means: run freely.
        let _ = self.steps.recv_timeout(Duration::from_secs(30));
        assert!(!segments.iter().flat_map(Segment::ids).any(|id| id == PANIC), "asked to panic");
        if segments.iter().flat_map(Segment::ids).any(|id| id == ERROR) {
            candle_core::bail!("asked to fail");
        }
        let row = |segment: &Segment| match segment.ids().next() {
            Some(NOT_A_NUMBER) => 3,
            Some(MISSING_ROW) => 99,
            _ => 0,
        };
        let yielded = segments
            .iter()
            .map(|segment| match segment.yields {
                Yields::Nothing => Yielded::Nothing,
                Yields::Thought => Yielded::Thought { thought: row(segment), logits: None },
                Yields::Token => Yielded::Token { logits: row(segment) },
                Yields::Scores(count) => Yielded::Scores { logits: row(segment), count },
            })
            .collect();
        // Three rows of numbers, and one of none.
        let good = |row: &[f32]| [row.repeat(3), vec![f32::NAN; row.len()]].concat();
        let (thoughts, logits) = (good(&[3.0, 4.0]), good(&[0.0, 0.0, 0.0, 9.0]));
        let numbers = Output { thoughts, logits, ..Output::default() };
        *output = StepOutput { yielded, numbers, width: 2, vocab_size: 4, ..StepOutput::default() };
        Ok(())
    }

    fn reset(&mut self) {}
}

pub(super) struct Bench {
    pub(super) engine: Engine,
    pub(super) metrics: Arc<Metrics>,
    pub(super) steps: SyncSender<()>,
}

pub(super) fn bench(config: EngineConfig) -> Bench {
    let metrics = Arc::new(Metrics::new());
    let (steps, receiver) = sync_channel(1000);
    let inside = Sizes { layers: 2, heads: 4, vocab_size: 100 };
    let limits = Limits { positions: 64, pages: 16, vocab_size: 100, width: 2, inside };
    let runner = Stepwise { steps: receiver };
    let engine = Engine::start_with(runner, (config, limits), Arc::clone(&metrics)).unwrap();
    Bench { engine, metrics, steps }
}

pub(super) fn request(first_id: u32) -> Request {
    of(&program(first_id))
}

pub(super) fn program(first_id: u32) -> Program {
    Program {
        prompt: vec![first_id, 1],
        latent_steps: 3,
        forced: vec![2],
        max_tokens: 4,
        stop: StopRule { eos: vec![0], eos_count: 1 },
        masked: Vec::new(),
    }
}

pub(super) fn of(program: &Program) -> Request {
    Request {
        script: program.script(Sampling::GREEDY),
        report: Report { thought_vectors: true, ..Report::default() },
        deadline: Instant::now() + Duration::from_secs(30),
    }
}

/// Every event of a request, each within ten seconds.
pub(super) async fn events(ticket: &mut crate::engine::Ticket) -> Vec<EventKind> {
    let mut all = Vec::new();
    while let Ok(Some(event)) = tokio::time::timeout(Duration::from_secs(10), ticket.next()).await {
        all.push(event.kind);
    }
    all
}

pub(super) fn last_failure(events: &[EventKind]) -> Option<Failure> {
    match events.last() {
        Some(EventKind::Failed(failure)) => Some(*failure),
        _ => None,
    }
}

#[tokio::test]
async fn a_request_thinks_and_then_answers() {
    let Bench { engine, metrics, steps } = bench(EngineConfig::default());
    drop(steps);
    let mut ticket = engine.submit(request(1)).unwrap();
    let events = events(&mut ticket).await;
    let thoughts: Vec<_> = events
        .iter()
        .filter_map(|event| match event {
            EventKind::Thought(thought) => {
                Some((thought.step, thought.norm, thought.vector.clone()))
            }
            _ => None,
        })
        .collect();
    let vector = Some(vec![3.0, 4.0]);
    assert_eq!(thoughts, [(1, 5.0, vector.clone()), (2, 5.0, vector.clone()), (3, 5.0, vector)]);
    let tokens = events.iter().filter(|event| matches!(event, EventKind::Token(_))).count();
    assert_eq!(tokens, 4);
    assert!(matches!(events.last(), Some(EventKind::Finished(Finish::Length))));
    engine.drained().await;
    assert_eq!(metrics.latent_steps_total.get(), 3);
    assert_eq!(metrics.kv_positions_reserved.get(), 0);
}

#[tokio::test]
async fn dropping_the_ticket_mid_thought_ends_the_sequence_at_the_next_step() {
    let Bench { engine, metrics, steps } = bench(EngineConfig::default());
    let mut ticket = engine.submit(request(1)).unwrap();
    steps.send(()).unwrap();
    while !matches!(ticket.next().await.unwrap().kind, EventKind::Thought(_)) {}
    drop(ticket);
    // The step that is under way is the last one that may include the sequence.
    steps.send(()).unwrap();
    engine.drained().await;
    assert_eq!(metrics.cancelled_total.get(), 1);
    assert!(metrics.latent_steps_total.get() <= 1);
}

/// Nobody's client went away: others of the same HTTP request failed.
#[tokio::test]
async fn what_nobody_wants_any_more_counts_as_dropped_and_not_as_cancelled() {
    let Bench { engine, metrics, steps } = bench(EngineConfig::default());
    engine.submit(request(1)).unwrap().useless();
    let mut late = request(1);
    late.deadline = Instant::now();
    drop(engine.submit(late).unwrap());
    drop(steps);
    engine.drained().await;
    let ended = |reason| metrics.finished_total.with_label_values(&[reason]).get();
    assert_eq!((ended("dropped"), ended("deadline"), ended("cancelled")), (1, 1, 0));
    assert_eq!(metrics.cancelled_total.get(), 0);
}

#[tokio::test]
async fn a_full_queue_refuses_and_says_when_to_come_back() {
    let config = EngineConfig { max_running: 1, max_queued: 2, ..EngineConfig::default() };
    let Bench { engine, steps, .. } = bench(config);
    let mut first = engine.submit(request(1)).unwrap();
    assert!(matches!(first.next().await.unwrap().kind, EventKind::Admitted(_)));
    let waiting: Vec<_> = (0..2).map(|_| engine.submit(request(1)).unwrap()).collect();
    match engine.submit(request(1)) {
        Err(Rejected::Full { retry_after }) => assert!(retry_after >= Duration::from_secs(1)),
        other => panic!("{other:?}"),
    }
    drop(steps);
    for mut ticket in [first].into_iter().chain(waiting) {
        assert!(matches!(events(&mut ticket).await.last(), Some(EventKind::Finished(_))));
    }
    engine.submit(request(1)).unwrap();
}

#[tokio::test]
async fn a_deadline_ends_a_request_that_waits_and_one_that_runs() {
    let config = EngineConfig { max_running: 1, ..EngineConfig::default() };
    let Bench { engine, steps, .. } = bench(config);
    let mut late = request(1);
    late.deadline = Instant::now();
    let mut ticket = engine.submit(late).unwrap();
    drop(steps);
    assert_eq!(last_failure(&events(&mut ticket).await), Some(Failure::Deadline));
}

#[tokio::test]
async fn a_non_finite_hidden_state_ends_only_its_own_request() {
    let Bench { engine, metrics, steps } = bench(EngineConfig::default());
    let mut good = engine.submit(request(1)).unwrap();
    let mut bad = engine.submit(request(NOT_A_NUMBER)).unwrap();
    drop(steps);
    assert_eq!(last_failure(&events(&mut bad).await), Some(Failure::NonFinite));
    assert!(matches!(events(&mut good).await.last(), Some(EventKind::Finished(_))));
    assert_eq!(metrics.nonfinite_total.get(), 1);
    assert_eq!(engine.state(), EngineState::Ready);
}

#[tokio::test]
async fn draining_finishes_what_was_accepted_and_takes_nothing_new() {
    let Bench { engine, steps, .. } = bench(EngineConfig::default());
    let mut ticket = engine.submit(request(1)).unwrap();
    engine.drain();
    assert!(matches!(engine.submit(request(1)), Err(Rejected::Stopping)));
    drop(steps);
    assert!(matches!(events(&mut ticket).await.last(), Some(EventKind::Finished(_))));
    engine.drained().await;
}

#[tokio::test]
async fn aborting_ends_what_is_running_with_an_error() {
    let Bench { engine, steps, .. } = bench(EngineConfig::default());
    let mut ticket = engine.submit(request(1)).unwrap();
    assert!(matches!(ticket.next().await.unwrap().kind, EventKind::Admitted(_)));
    engine.abort();
    steps.send(()).unwrap();
    steps.send(()).unwrap();
    assert_eq!(last_failure(&events(&mut ticket).await), Some(Failure::Stopped));
}

#[tokio::test]
async fn what_cannot_run_is_refused_at_once() {
    let Bench { engine, .. } = bench(EngineConfig::default());
    let long = of(&Program { max_tokens: 60, ..program(1) });
    let refused = engine.submit(long).unwrap_err();
    assert_eq!(
        refused,
        Rejected::TooLong { prompt: 2, latent: 4, answer: 59, needed: 65, available: 64 }
    );
    for latent_steps in [3, 1 << 20, usize::MAX] {
        for max_tokens in [usize::MAX, usize::MAX - 5, usize::MAX - 12, 1 << 62] {
            let endless = Program { latent_steps, max_tokens, ..program(1) };
            let refused = engine.submit(of(&endless));
            assert!(
                matches!(refused, Err(Rejected::TooLong { .. })),
                "{latent_steps} {max_tokens}"
            );
        }
    }
    assert_eq!(engine.submit(request(100)).unwrap_err(), Rejected::UnknownId { id: 100 });
}
