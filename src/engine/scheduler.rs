//! Which rows are computed next. Plain bookkeeping over sequences: admits in order of arrival while KV memory and
//! places are free, plans a step, and takes sequences out when they end. Touches no tensor and no clock, and does not
//! know what its entries carry.

use crate::engine::config::EngineConfig;
use crate::engine::config::PrefixCache;
use crate::engine::pages::PagePool;
use crate::engine::pages::Reservation;
use crate::engine::reuse::Shareable;
use crate::engine::sequence::Phase;
use crate::engine::sequence::Segment;
use crate::engine::sequence::Sequence;
use crate::engine::sequence::SequenceId;
use crate::latent::program::Program;
use std::collections::VecDeque;
use std::sync::Arc;

/// A prompt gets at least so many rows of a step, however many thoughts and answers there are: nobody starves.
const MIN_PREFILL_ROWS: usize = 16;

/// The waiting and the running, each with a payload `T` that is opaque here.
#[derive(Debug)]
pub(crate) struct Scheduler<T> {
    max_running: usize,
    rows_per_step: usize,
    pool: PagePool,
    prefix_cache: PrefixCache,
    waiting: VecDeque<(Program, T)>,
    running: Vec<Running<T>>,
    next_id: SequenceId,
}

/// A sequence that takes part in steps, with its payload.
#[derive(Debug)]
pub(crate) struct Running<T> {
    pub(crate) sequence: Sequence,
    pub(crate) payload: T,
}

impl<T> Scheduler<T> {
    pub(crate) fn new(config: EngineConfig, pages: usize) -> Self {
        Self {
            max_running: config.max_running.max(1),
            rows_per_step: config.rows_per_step,
            pool: PagePool::new(pages),
            prefix_cache: config.prefix_cache,
            waiting: VecDeque::new(),
            running: Vec::new(),
            next_id: 0,
        }
    }

    /// Puts a request at the end of the line. It must fit the memory: `program.positions() <= capacity`.
    pub(crate) fn enqueue(&mut self, program: Program, payload: T) {
        self.waiting.push_back((program, payload));
    }

    /// Moves requests from the head of the line to the running, while there is room. `recall` gives the first thoughts
    /// of a request as far as they are known; those that come in are shown to `admitted`. The head waits for room rather
    /// than being overtaken: first come, first served.
    pub(crate) fn admit(
        &mut self,
        mut recall: impl FnMut(&Program, &mut T) -> Vec<Arc<[f32]>>,
        mut admitted: impl FnMut(&mut Running<T>),
    ) {
        while self.running.len() < self.max_running {
            let Some((program, payload)) = self.waiting.front_mut() else { return };
            let known = recall(program, payload);
            let Some(reservation) = self.reserve(known.len()) else { return };
            let Some((program, payload)) = self.waiting.pop_front() else { return };
            self.next_id += 1;
            let sequence = Sequence::new(self.next_id, program, known, reservation);
            let mut running = Running { sequence, payload };
            admitted(&mut running);
            self.running.push(running);
        }
    }

    /// Memory for the head of the line, if there is room.
    fn reserve(&self, known: usize) -> Option<Reservation> {
        let (program, _) = self.waiting.front()?;
        let shareable = match self.prefix_cache {
            PrefixCache::On => Shareable::of(program, known),
            PrefixCache::Off => Shareable::default(),
        };
        self.pool.reserve(program.positions(), shareable)
    }

    /// The rows of the next step: every thought and answer token, then prompts in order of admission within the
    /// budget. Empty only if nothing runs.
    pub(crate) fn plan(&self) -> Vec<Segment> {
        let is_prefill =
            |running: &&Running<T>| matches!(running.sequence.phase(), Phase::Prefill { .. });
        let mut segments: Vec<Segment> = self
            .running
            .iter()
            .filter(|running| !is_prefill(running))
            .map(|running| running.sequence.next_segment(0))
            .collect();
        let taken: usize = segments.iter().map(Segment::rows).sum();
        let mut left = self.rows_per_step.saturating_sub(taken).max(MIN_PREFILL_ROWS);
        for running in self.running.iter().filter(is_prefill) {
            if left == 0 {
                break;
            }
            let segment = running.sequence.next_segment(left);
            left -= segment.rows();
            segments.push(segment);
        }
        segments
    }

    /// The running sequence of this number.
    pub(crate) fn get_mut(&mut self, id: SequenceId) -> Option<&mut Running<T>> {
        self.running.iter_mut().find(|running| running.sequence.id == id)
    }

    /// Takes a sequence out; its KV memory is free again.
    pub(crate) fn end(&mut self, id: SequenceId) -> Option<T> {
        let at = self.running.iter().position(|running| running.sequence.id == id)?;
        // Keeps the order of admission.
        Some(self.running.remove(at).payload)
    }

    /// Takes out all requests, waiting or running, whose payload is to go.
    pub(crate) fn take_if(&mut self, mut is_to_go: impl FnMut(&mut T) -> bool) -> Vec<T> {
        let mut gone = Vec::new();
        for _ in 0..self.waiting.len() {
            let Some((program, mut payload)) = self.waiting.pop_front() else { break };
            match is_to_go(&mut payload) {
                true => gone.push(payload),
                false => self.waiting.push_back((program, payload)),
            }
        }
        let running = self.running.extract_if(.., |running| is_to_go(&mut running.payload));
        gone.extend(running.map(|running| running.payload));
        gone
    }

    /// Starts anew with a memory that nobody holds. Gives back who ran; who waits goes on waiting.
    pub(crate) fn restart(&mut self) -> Vec<T> {
        // Reservations of the old pool are given back to that one, which goes with the last of them.
        self.pool = self.pool.anew();
        self.running.drain(..).map(|running| running.payload).collect()
    }

    /// Lets no later request reuse what is in KV memory now.
    pub(crate) fn forget(&self) {
        self.pool.forget();
    }

    /// Whether there is nothing to do.
    pub(crate) fn is_idle(&self) -> bool {
        self.running.is_empty() && self.waiting.is_empty()
    }

    /// Counts for the metrics.
    pub(crate) fn load(&self) -> Load {
        Load {
            waiting: self.waiting.len(),
            running: self.running.len(),
            used_positions: self.pool.used(),
            reserved_positions: self.pool.reserved(),
            cached_positions: self.pool.cached(),
            capacity_positions: self.pool.capacity(),
        }
    }
}

/// How full a scheduler is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Load {
    pub(crate) waiting: usize,
    pub(crate) running: usize,
    pub(crate) used_positions: usize,
    pub(crate) reserved_positions: usize,
    pub(crate) cached_positions: usize,
    pub(crate) capacity_positions: usize,
}
