//! What the engine carries for each accepted request beside its sequence: where events go, when it must be done, how
//! tokens are chosen, and what it owes to the shared counts. Knows no rows.

use crate::engine::recall::Kept;
use crate::engine::request::Event;
use crate::engine::request::EventKind;
use crate::engine::request::Failure;
use crate::engine::request::Report;
use crate::engine::sampler::Sampler;
use crate::engine::shared::Shared;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::OnceLock;
use std::sync::PoisonError;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering;
use std::time::Instant;
use tokio::sync::OwnedSemaphorePermit;
use tokio::sync::mpsc;

/// An accepted request, from submission to its last event.
pub(crate) struct Live {
    pub(crate) events: mpsc::Sender<Event>,
    /// What the receiver has enough of (a stop string).
    pub(crate) enough: Arc<Enough>,
    /// Ids that are never chosen.
    pub(crate) masked: Arc<[u32]>,
    pub(crate) report: Report,
    pub(crate) deadline: Instant,
    pub(crate) stamps: Stamps,
    /// The place in the queue, given back at admission.
    pub(crate) place: Option<OwnedSemaphorePermit>,
    /// Rows not yet computed, as counted in `shared`.
    pub(crate) rows_left: u64,
    /// The first of its thoughts so far, those that other requests may have in common with it.
    pub(crate) thoughts: Vec<Kept>,
    /// Why one of its branches failed.
    pub(crate) failure: Option<Failure>,
    pub(crate) shared: Arc<Shared>,
}

/// What a receiver has enough of: said by it, looked at by the engine at every step.
#[derive(Debug, Default)]
pub(crate) struct Enough {
    /// Said before it goes away: then its going is no cancellation.
    all: OnceLock<Leaving>,
    /// Whether there are branches that it has enough of.
    some: AtomicBool,
    branches: Mutex<BTreeSet<usize>>,
}

/// Why a receiver goes away whose client did not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Leaving {
    /// What it has is all that it wants.
    Satisfied,
    /// What the request belongs to failed elsewhere.
    Useless,
}

impl Enough {
    pub(crate) fn say_all(&self, why: Leaving) {
        self.all.get_or_init(|| why);
    }

    pub(crate) fn say(&self, branch: usize) {
        self.branches.lock().unwrap_or_else(PoisonError::into_inner).insert(branch);
        self.some.store(true, Ordering::Release);
    }

    fn has(&self, branch: usize) -> bool {
        let branches = || self.branches.lock().unwrap_or_else(PoisonError::into_inner);
        self.some.load(Ordering::Acquire) && branches().contains(&branch)
    }
}

/// Moments in the life of a request.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stamps {
    pub(crate) submitted: Instant,
    pub(crate) admitted: Option<Instant>,
    pub(crate) prefilled: Option<Instant>,
    pub(crate) first_token: Option<Instant>,
}

/// What the engine carries for each running branch: how its tokens are chosen, and when the last one was.
#[derive(Default)]
pub(crate) struct Voice {
    pub(crate) sampler: Option<Sampler>,
    pub(crate) last_token: Option<Instant>,
}

impl Live {
    /// Sends what happened to a branch. The channel is as deep as the request's own answer, so a slow reader never makes it full; a
    /// reader that is gone is noticed at the next step.
    pub(crate) fn send(&self, at: Instant, branch: usize, kind: EventKind) {
        let event = Event { at, branch, kind };
        if let Err(mpsc::error::TrySendError::Full(event)) = self.events.try_send(event) {
            tracing::error!(?event, "an event did not fit its channel and is lost");
        }
    }

    /// Whether nobody reads the events any more.
    pub(crate) fn is_abandoned(&self) -> bool {
        self.events.is_closed()
    }

    /// Why the reader left, where it said so.
    pub(crate) fn leaving(&self) -> Option<Leaving> {
        self.enough.all.get().copied()
    }

    /// Whether the reader has enough of a branch.
    pub(crate) fn has_enough_of(&self, branch: usize) -> bool {
        self.enough.has(branch)
    }

    /// Counts rows as done.
    pub(crate) fn spend(&mut self, rows: u64) {
        let rows = rows.min(self.rows_left);
        self.rows_left -= rows;
        self.shared.rows_done(rows);
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        self.shared.rows_done(self.rows_left);
        self.shared.request_ended();
    }
}
