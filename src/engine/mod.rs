//! Many sequences on one device: scheduler, KV memory, runner, sampler. One OS thread loops
//! `schedule -> run -> postprocess`; async code talks to it through bounded channels. Knows ids, no text, no HTTP.
//!
//! ```
//! # use coconut::latent::checkpoint::Checkpoint;
//! # use coconut::latent::checkpoint::Location;
//! # use coconut::metrics::Metrics;
//! # use coconut_kernels::packed::Format;
//! # use std::sync::Arc;
//! # use std::time::Duration;
//! # use std::time::Instant;
//! use coconut::engine::Engine;
//! use coconut::engine::config::EngineConfig;
//! use coconut::engine::request::EventKind;
//! use coconut::engine::request::Report;
//! use coconut::engine::request::Request;
//! use coconut::latent::program::Program;
//! use coconut::latent::script::Sampling;
//! use coconut::latent::script::StopRule;
//!
//! # #[tokio::main]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let checkpoint = Checkpoint::open(&Location::folder("models/prosqa"))?;
//! let model = checkpoint.host_model(Format::F32)?;
//! let engine = Engine::start(model, EngineConfig::default(), Arc::new(Metrics::new()))?;
//!
//! let program = Program {
//!     prompt: vec![5, 6, 7, 1],
//!     latent_steps: 3,
//!     forced: vec![2],
//!     max_tokens: 4,
//!     stop: StopRule::NEVER,
//!     masked: Vec::new(),
//! };
//! let script = program.script(Sampling::GREEDY);
//! let deadline = Instant::now() + Duration::from_secs(60);
//! let mut ticket = engine.submit(Request { script, report: Report::default(), deadline })?;
//! let (mut thoughts, mut ids) = (0, Vec::new());
//! while let Some(event) = ticket.next().await {
//!     match event.kind {
//!         EventKind::Thought(_) => thoughts += 1,
//!         EventKind::Token(token) => ids.push(token.id),
//!         EventKind::Failed(failure) => return Err(failure.into()),
//!         _ => {}
//!     }
//! }
//! assert_eq!((thoughts, ids.len()), (3, 4));
//! # Ok(())
//! # }
//! ```

#[cfg(test)]
mod books_tests;
pub mod config;
mod cursor;
#[cfg(test)]
mod expected_tests;
#[cfg(test)]
pub(crate) mod gated;
pub mod inside;
mod limits;
mod live;
mod need;
mod outcome;
mod pages;
mod peek;
mod plan;
mod recall;
pub mod request;
#[cfg(test)]
pub(crate) mod restart_tests;
mod restarts;
mod reuse;
mod runner;
mod sampler;
mod scheduler;
#[cfg(test)]
mod scheduler_tests;
#[cfg(test)]
mod script_tests;
mod sequence;
pub mod shared;
mod warm_up;
mod worker;
#[cfg(test)]
mod worker_tests;

use crate::engine::config::EngineConfig;
use crate::engine::config::MAX_SETTING;
use crate::engine::config::PrefixCache;
use crate::engine::inside::Sizes;
use crate::engine::limits::Limits;
use crate::engine::live::Enough;
use crate::engine::live::Leaving;
use crate::engine::live::Live;
use crate::engine::live::Stamps;
use crate::engine::recall::Recall;
use crate::engine::request::Event;
use crate::engine::request::Malformed;
use crate::engine::request::Rejected;
use crate::engine::request::Request;
use crate::engine::restarts::Restarts;
use crate::engine::runner::ModelRunner;
use crate::engine::runner::Run;
use crate::engine::runner::StepOutput;
use crate::engine::scheduler::Scheduler;
use crate::engine::shared::EngineState;
use crate::engine::shared::Shared;
use crate::engine::warm_up::warm_up;
use crate::engine::worker::Submission;
use crate::engine::worker::Worker;
use crate::metrics::Metrics;
use crate::model::attention::geometry::PAGE_POSITIONS;
use crate::model::serving::Served;
use std::sync::Arc;
use std::sync::mpsc::SyncSender;
use std::sync::mpsc::sync_channel;
use std::time::Instant;
use tokio::sync::Semaphore;
use tokio::sync::mpsc;

/// Events of a request beside those of its branches: admitted, prefilled, a failure; and one to spare.
const OTHER_EVENTS: usize = 4;

/// A single request may have so many ends, each with pages of its own, also where few run at once.
const USEFUL_ENDS: usize = 64;

/// Slots are numbered with 32 bits.
const MAX_PAGES: usize = u32::MAX as usize / PAGE_POSITIONS;

/// A running engine. Dropping it lets the thread finish what was accepted and end.
#[derive(Debug)]
pub struct Engine {
    submissions: SyncSender<Submission>,
    places: Arc<Semaphore>,
    shared: Arc<Shared>,
    metrics: Arc<Metrics>,
    limits: Limits,
    share: usize,
}

/// Why an engine does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The budget holds not even one page.
    #[error(
        "the KV memory of {positions} positions is too small; at least {PAGE_POSITIONS} are needed"
    )]
    NoMemory {
        /// What the budget amounts to.
        positions: usize,
    },
    /// A setting is out of its bounds.
    #[error("{0} must be from 1 to {MAX_SETTING}")]
    Setting(&'static str),
    /// The system does not have the KV memory.
    #[error(
        "there is no KV memory for {positions} positions, {bytes_per_position} bytes each; ask for less of it, or for fewer requests at once: {reason}"
    )]
    KvMemory {
        /// How many were asked for.
        positions: usize,
        /// What each takes.
        bytes_per_position: usize,
        /// What the system said. Not called a source, which would be printed twice.
        reason: candle_core::Error,
    },
    /// The model computes nothing.
    #[error("the first step fails: {0}")]
    FirstStep(candle_core::Error),
    /// The system gives no thread.
    #[error("the engine's thread does not start: {0}")]
    Thread(std::io::Error),
}

impl Engine {
    /// Starts the thread that owns `model`, after a first pass of all that requests will compute.
    pub fn start(
        model: impl Into<Served>,
        config: EngineConfig,
        metrics: Arc<Metrics>,
    ) -> Result<Self, StartError> {
        Self::start_as(model.into(), config, metrics, |runner| runner)
    }

    /// The same, with steps run by what becomes of the usual runner.
    pub(crate) fn start_as<R: Run + 'static>(
        model: Served,
        config: EngineConfig,
        metrics: Arc<Metrics>,
        become_runner: impl FnOnce(ModelRunner) -> R,
    ) -> Result<Self, StartError> {
        config.check().map_err(StartError::Setting)?;
        let sizes = model.config();
        let bytes_per_position = sizes.kv_floats_per_position() * config.kv_type.bytes();
        let budget = config.kv.positions(bytes_per_position);
        // More than every running sequence can fill is never used.
        let longest = sizes.max_positions.next_multiple_of(PAGE_POSITIONS);
        let useful = config.max_running.max(USEFUL_ENDS).saturating_mul(longest);
        let pages = (budget.min(useful) / PAGE_POSITIONS).min(MAX_PAGES);
        if pages == 0 {
            return Err(StartError::NoMemory { positions: budget });
        }
        let limits = Limits {
            positions: sizes.max_positions.min(pages * PAGE_POSITIONS),
            pages,
            vocab_size: sizes.vocab_size,
            width: sizes.width,
            inside: sizes.into(),
        };
        let memory = model.kv_memory(pages, config.kv_type).map_err(|reason| {
            StartError::KvMemory { positions: pages * PAGE_POSITIONS, bytes_per_position, reason }
        })?;
        let mut runner = ModelRunner::new(model, memory);
        warm_up(&mut runner, config, (limits.positions, pages), Instant::now)
            .map_err(StartError::FirstStep)?;
        Self::start_with(become_runner(runner), (config, limits), metrics)
    }

    fn start_with(
        runner: impl Run + 'static,
        (config, limits): (EngineConfig, Limits),
        metrics: Arc<Metrics>,
    ) -> Result<Self, StartError> {
        let shared = Arc::new(Shared::new());
        // As deep as the queue, so that whoever holds a place in the queue can also send.
        let (sender, receiver) = sync_channel(config.max_queued);
        let capacity = limits.pages * PAGE_POSITIONS;
        metrics.kv_positions_capacity.set(capacity as i64);
        // As many ids and thoughts as there are positions: a thought is far smaller than a position's keys and values.
        let kept = match config.prefix_cache {
            PrefixCache::On => capacity,
            PrefixCache::Off => 0,
        };
        let worker = Worker {
            submissions: receiver,
            scheduler: Scheduler::new(config, limits.pages),
            recall: Recall::new(kept),
            runner,
            restarts: Restarts::default(),
            output: StepOutput::default(),
            metrics: Arc::clone(&metrics),
            shared: Arc::clone(&shared),
        };
        std::thread::Builder::new()
            .name("engine".to_owned())
            .spawn(move || worker.work())
            .map_err(StartError::Thread)?;
        let places = Arc::new(Semaphore::new(config.max_queued));
        let share = config.share();
        Ok(Self { submissions: sender, places, shared, metrics, limits, share })
    }

    /// The longest sequence, in positions: the model's limit or the whole KV memory.
    pub fn max_positions(&self) -> usize {
        self.limits.positions
    }

    /// What can be seen of the inside of the model.
    pub fn sizes(&self) -> Sizes {
        self.limits.inside
    }

    /// How many requests that belong together may be accepted at a time.
    pub fn share(&self) -> usize {
        self.share
    }

    /// Accepts a request or says why not, at once.
    pub fn submit(&self, request: Request) -> Result<Ticket, Rejected> {
        self.try_submit(request).inspect_err(|rejected| {
            let reason = match rejected {
                // What a client hears of is counted where it does, once: it may be tried again before, or be one of many.
                Rejected::Full { .. }
                | Rejected::TooLong { .. }
                | Rejected::TooLarge { .. }
                | Rejected::UnknownId { .. }
                | Rejected::Empty
                | Rejected::TooManyBranches { .. }
                | Rejected::Malformed(_) => return,
                Rejected::Stopping => "stopping",
                Rejected::Dead => "dead",
            };
            self.metrics.rejected_total.with_label_values(&[reason]).inc();
        })
    }

    fn try_submit(&self, request: Request) -> Result<Ticket, Rejected> {
        self.limits.check(&request.script)?;
        let inside = request.report.inside.as_deref();
        inside
            .map_or(Ok(()), |inside| inside.check(self.limits.inside))
            .map_err(Malformed::from)?;
        let full = || Rejected::Full { retry_after: self.shared.retry_after() };
        let place = Arc::clone(&self.places).try_acquire_owned().map_err(|_| full())?;
        let script = &request.script;
        let positions = script.positions();
        // No row is told of more than once.
        let rows_told = inside.map_or(0, |_| positions);
        let (events, receiver) = mpsc::channel(script.root.events() + OTHER_EVENTS + rows_told);
        let enough = Arc::new(Enough::default());
        let rows_left = positions as u64;
        // Counted before the state is looked at, so that a drain sees this request or this request sees the drain.
        self.shared.request_accepted(rows_left);
        let live = Live {
            events,
            enough: Arc::clone(&enough),
            masked: script.masked.as_slice().into(),
            report: request.report.clone(),
            deadline: request.deadline,
            stamps: Stamps {
                submitted: Instant::now(),
                admitted: None,
                prefilled: None,
                first_token: None,
            },
            place: Some(place),
            rows_left,
            thoughts: Vec::new(),
            failure: None,
            shared: Arc::clone(&self.shared),
        };
        let submitted = live.stamps.submitted;
        match self.shared.state() {
            EngineState::Ready => {}
            EngineState::Draining => return Err(Rejected::Stopping),
            EngineState::Dead => return Err(Rejected::Dead),
        }
        self.submissions.try_send((request, live)).map_err(|_| Rejected::Dead)?;
        Ok(Ticket { events: receiver, enough, submitted })
    }

    /// Whether requests are taken.
    pub fn state(&self) -> EngineState {
        self.shared.state()
    }

    /// Takes no new requests from now on.
    pub fn drain(&self) {
        self.shared.advance_state(EngineState::Draining);
    }

    /// Returns once no accepted request is left.
    pub async fn drained(&self) {
        self.shared.drained().await;
    }

    /// Ends everything accepted with an error at the next step.
    pub fn abort(&self) {
        self.drain();
        self.shared.abort();
    }
}

/// The receiving end of one accepted request. Dropping it cancels the request: the engine looks at every step.
#[derive(Debug)]
pub struct Ticket {
    events: mpsc::Receiver<Event>,
    enough: Arc<Enough>,
    submitted: Instant,
}

impl Ticket {
    /// The next event; `None` after the last one, or if the engine is gone. Cancel-safe.
    pub async fn next(&mut self) -> Option<Event> {
        self.events.recv().await
    }

    /// When the request was accepted.
    pub fn submitted(&self) -> Instant {
        self.submitted
    }

    /// Ends the request because its answer is complete for the reader, which the engine cannot know (stop strings). It
    /// counts as finished, not as cancelled.
    pub fn satisfied(self) {
        self.enough.say_all(Leaving::Satisfied);
    }

    /// Ends the request because what it belongs to failed elsewhere. It counts as dropped, not as cancelled.
    pub fn useless(self) {
        self.enough.say_all(Leaving::Useless);
    }

    /// Ends one of its branches for the same reason: it finishes at the next step, as at an end-of-sequence token.
    pub fn enough_of(&self, branch: usize) {
        self.enough.say(branch);
    }
}
