//! The few numbers that the engine's thread and the submitting side share: the engine's state, the accepted requests,
//! and the work they still need, from which the wait of a refused client is computed.

use std::sync::atomic::AtomicBool;
use std::sync::atomic::AtomicU8;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::sync::watch;

/// Whether the engine takes requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EngineState {
    /// Yes.
    Ready,
    /// It finishes what it has.
    Draining,
    /// It failed.
    Dead,
}

/// How much one step's speed counts against the history: 1 in 8.
const SMOOTHING: u64 = 8;

/// The shortest and longest wait that a refused client is told, in seconds.
const RETRY_AFTER_SECONDS: (f64, f64) = (1.0, 120.0);

#[derive(Debug)]
pub(crate) struct Shared {
    state: AtomicU8,
    abort: AtomicBool,
    /// Rows that accepted requests still need.
    rows_left: AtomicU64,
    /// Smoothed time per row, in nanoseconds.
    row_nanos: AtomicU64,
    accepted: watch::Sender<usize>,
}

impl Shared {
    pub(crate) fn new() -> Self {
        Self {
            state: AtomicU8::new(0),
            abort: AtomicBool::new(false),
            rows_left: AtomicU64::new(0),
            row_nanos: AtomicU64::new(0),
            accepted: watch::Sender::new(0),
        }
    }

    pub(crate) fn state(&self) -> EngineState {
        match self.state.load(Ordering::SeqCst) {
            0 => EngineState::Ready,
            1 => EngineState::Draining,
            _ => EngineState::Dead,
        }
    }

    /// Ready -> Draining | Dead, Draining -> Dead; never back.
    pub(crate) fn advance_state(&self, state: EngineState) {
        let number = match state {
            EngineState::Ready => 0,
            EngineState::Draining => 1,
            EngineState::Dead => 2,
        };
        self.state.fetch_max(number, Ordering::SeqCst);
    }

    /// Asks the engine to end everything at its next step.
    pub(crate) fn abort(&self) {
        self.abort.store(true, Ordering::SeqCst);
    }

    pub(crate) fn is_aborting(&self) -> bool {
        self.abort.load(Ordering::SeqCst)
    }

    pub(crate) fn request_accepted(&self, rows: u64) {
        self.rows_left.fetch_add(rows, Ordering::Relaxed);
        self.accepted.send_modify(|count| *count += 1);
    }

    pub(crate) fn request_ended(&self) {
        self.accepted.send_modify(|count| *count -= 1);
    }

    pub(crate) fn rows_done(&self, rows: u64) {
        self.rows_left.fetch_sub(rows, Ordering::Relaxed);
    }

    /// Takes in the speed of a step.
    pub(crate) fn step_took(&self, took: Duration, rows: u64) {
        let nanos = took.as_nanos() as u64 / rows.max(1);
        let smoothed = match self.row_nanos.load(Ordering::Relaxed) {
            0 => nanos,
            before => (before * (SMOOTHING - 1) + nanos) / SMOOTHING,
        };
        self.row_nanos.store(smoothed, Ordering::Relaxed);
    }

    /// When the work accepted so far should be done.
    pub(crate) fn retry_after(&self) -> Duration {
        let nanos = self.rows_left.load(Ordering::Relaxed) as f64
            * self.row_nanos.load(Ordering::Relaxed) as f64;
        Duration::from_secs_f64((nanos / 1e9).clamp(RETRY_AFTER_SECONDS.0, RETRY_AFTER_SECONDS.1))
    }

    /// Returns once no accepted request is left.
    pub(crate) async fn drained(&self) {
        // The sender lives as long as `self`, so this cannot fail.
        let _ = self.accepted.subscribe().wait_for(|&count| count == 0).await;
    }
}
