//! What all handlers share: settings, metrics, and the model once it is loaded. Does not load anything.

use crate::http::config::Config;
use crate::http::desk::Desk;
use crate::http::error::ApiError;
use crate::metrics::Metrics;
use crate::reason::reasoner::Reasoner;
use std::sync::Arc;
use std::sync::OnceLock;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering;
use std::time::SystemTime;
use tokio::sync::Semaphore;

/// How many large questions may wait to be read.
const MOST_QUESTIONS: usize = 256;

/// How many dialogues with tools may be under way: each holds what was said so far, and a connection.
const MOST_DIALOGUES: usize = 256;

/// Cheap to clone; all clones are the same state.
#[derive(Clone, Debug)]
pub struct AppState(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    config: Config,
    metrics: Arc<Metrics>,
    served: OnceLock<Served>,
    draining: AtomicBool,
    reading: Desk,
    writing: Desk,
    dialogues: Arc<Semaphore>,
}

/// A loaded model.
#[derive(Debug)]
pub(super) struct Served {
    pub(super) reasoner: Arc<Reasoner>,
    pub(super) since: SystemTime,
}

impl AppState {
    /// A server that is still loading its model.
    pub fn new(config: Config, metrics: Arc<Metrics>) -> Self {
        Self(Arc::new(Shared {
            config,
            metrics,
            served: OnceLock::new(),
            draining: AtomicBool::new(false),
            reading: Desk::new(MOST_QUESTIONS),
            writing: Desk::new(Semaphore::MAX_PERMITS),
            dialogues: Arc::new(Semaphore::new(MOST_DIALOGUES)),
        }))
    }

    /// From now on questions go to this reasoner. A server has one model: later calls change nothing.
    pub fn serve(&self, reasoner: Arc<Reasoner>) {
        self.0.served.get_or_init(|| Served { reasoner, since: SystemTime::now() });
    }

    /// From now on the server is not ready, so that questions go elsewhere; those that come are still answered.
    pub fn drain(&self) {
        self.0.draining.store(true, Ordering::Release);
    }

    pub(super) fn is_draining(&self) -> bool {
        self.0.draining.load(Ordering::Acquire)
    }

    pub(super) fn served(&self) -> Result<&Served, ApiError> {
        self.0.served.get().ok_or(ApiError::Loading)
    }

    /// Where large questions are read.
    pub(super) fn reading(&self) -> &Desk {
        &self.0.reading
    }

    /// Where large answers are written. Only questions that the engine accepted have answers: that is their bound.
    pub(super) fn writing(&self) -> &Desk {
        &self.0.writing
    }

    /// Places for dialogues with tools, which may wait for these as long as they like within their deadlines.
    pub(super) fn dialogues(&self) -> Arc<Semaphore> {
        Arc::clone(&self.0.dialogues)
    }

    pub(super) fn config(&self) -> &Config {
        &self.0.config
    }

    pub(super) fn metrics(&self) -> &Arc<Metrics> {
        &self.0.metrics
    }
}

/// Seconds since 1970, as clients of OpenAI expect `created`.
pub(super) fn unix_seconds(time: SystemTime) -> u64 {
    time.duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_secs())
}
