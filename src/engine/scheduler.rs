//! Which rows are computed next. Plain bookkeeping over requests and their branches: admits in order of arrival while KV
//! memory and places are free, plans a step, lets branches go on from each other, and takes them out when they end. Touches
//! no tensor and no clock, and does not know what its entries carry.

use crate::engine::config::EngineConfig;
use crate::engine::config::PrefixCache;
use crate::engine::need::below;
use crate::engine::need::own_pages;
use crate::engine::pages::PagePool;
use crate::engine::pages::Reservation;
use crate::engine::pages::Reserve;
use crate::engine::plan::Plan;
use crate::engine::plan::Segment;
use crate::engine::plan::SequenceId;
use crate::engine::request::Finish;
use crate::engine::reuse::Shareable;
use crate::engine::sequence::MIN_PREFILL_ROWS;
use crate::engine::sequence::Next;
use crate::engine::sequence::Sequence;
use crate::latent::script::Branch;
use crate::latent::script::Opening;
use crate::latent::script::Script;
use crate::model::attention::rows::PageCopy;
use std::collections::BTreeMap;
use std::collections::VecDeque;
use std::sync::Arc;

/// The number of an admitted request.
pub(crate) type RequestId = u64;

/// The waiting and the running. A request carries a `T`, each of its running branches a `B`; both are opaque here.
#[derive(Debug)]
pub(crate) struct Scheduler<T, B> {
    max_running: usize,
    rows_per_step: usize,
    pool: PagePool,
    prefix_cache: PrefixCache,
    waiting: VecDeque<(Branch, T)>,
    /// The admitted, with the ends that they still have.
    requests: BTreeMap<RequestId, (T, usize)>,
    running: Vec<Running<B>>,
    /// What stands in memory for branches that have not taken part in a step.
    copies: Vec<PageCopy>,
    last_request: RequestId,
    last_sequence: SequenceId,
}

/// A sequence that takes part in steps, with what it carries.
#[derive(Debug)]
pub(crate) struct Running<B> {
    pub(crate) sequence: Sequence,
    pub(crate) request: RequestId,
    pub(crate) carried: B,
}

/// A branch that ended by itself.
#[derive(Debug)]
pub(crate) struct Ended<T> {
    pub(crate) branch: usize,
    pub(crate) finish: Finish,
    pub(crate) left: Left<T>,
}

/// What is left of a request whose branch ended.
#[derive(Debug)]
pub(crate) enum Left<T> {
    /// Other branches, or those that go on from them.
    Branches(RequestId),
    /// Nothing: this was the last.
    Nothing(T),
}

impl<T, B: Default> Scheduler<T, B> {
    pub(crate) fn new(config: EngineConfig, pages: usize) -> Self {
        Self {
            max_running: config.max_running.max(1),
            rows_per_step: config.rows_per_step,
            pool: PagePool::new(pages),
            prefix_cache: config.prefix_cache,
            waiting: VecDeque::new(),
            requests: BTreeMap::new(),
            running: Vec::new(),
            copies: Vec::new(),
            last_request: 0,
            last_sequence: 0,
        }
    }

    /// Puts a request at the end of the line. It must fit: `Limits::check` has seen it.
    pub(crate) fn prefix_cache(&self) -> PrefixCache {
        self.prefix_cache
    }

    pub(crate) fn enqueue(&mut self, script: Script, payload: T) {
        self.waiting.push_back((script.root, payload));
    }

    /// Moves requests from the head of the line to the running, while there is room for all that they may become. `recall`
    /// gives the first thoughts of a request as far as they are known, and may change what counts as its opening; those that come in are shown to `admitted`. The head
    /// waits for room rather than being overtaken: first come, first served.
    pub(crate) fn admit(
        &mut self,
        mut recall: impl FnMut(&mut Opening, &mut T) -> Vec<Arc<[f32]>>,
        mut admitted: impl FnMut(&Sequence, &mut T),
    ) {
        while let Some((root, payload)) = self.waiting.front_mut() {
            let leaves = root.leaves();
            // One that has more ends than run at once runs by itself.
            let places = |leaves: usize| leaves.min(self.max_running);
            let taken: usize = self.requests.values().map(|(_, leaves)| places(*leaves)).sum();
            if taken + places(leaves) > self.max_running {
                return;
            }
            let mut opening = root.opening();
            let mut known = recall(&mut opening, payload);
            opening.settle(&mut known);
            let Some(memory) = self.reserve(&opening, known.len()) else { return };
            let Some((root, mut payload)) = self.waiting.pop_front() else { return };
            self.last_request += 1;
            self.last_sequence += 1;
            let sequence = Sequence::new(self.last_sequence, root, (opening, known), memory);
            admitted(&sequence, &mut payload);
            self.requests.insert(self.last_request, (payload, leaves));
            let (request, carried) = (self.last_request, B::default());
            self.running.push(Running { sequence, request, carried });
        }
    }

    /// Memory for the head of the line, if there is room.
    fn reserve(&self, opening: &Opening, known: usize) -> Option<(Reservation, Reserve)> {
        let (root, _) = self.waiting.front()?;
        let shareable = match self.prefix_cache {
            PrefixCache::On => Shareable::of(opening, known),
            PrefixCache::Off => Shareable::default(),
        };
        let start = Some(0);
        self.pool.reserve(own_pages(root, 0, start), below(root, 0, start), shareable)
    }

    /// The rows of the next step: every thought and answer token, then prompts in order of admission within the
    /// budget. Without segments only if nothing runs.
    pub(crate) fn plan(&mut self) -> Plan {
        let (prefilling, others): (Vec<_>, Vec<_>) =
            self.running.iter().partition(|running| running.sequence.is_prefill());
        let segments = others.iter().map(|running| running.sequence.next_segment(0));
        let mut segments: Vec<Segment> = segments.collect();
        let taken: usize = segments.iter().map(Segment::rows).sum();
        let mut left = self.rows_per_step.saturating_sub(taken).max(MIN_PREFILL_ROWS);
        for running in prefilling {
            if left == 0 {
                break;
            }
            let segment = running.sequence.next_segment(left);
            left -= segment.rows();
            segments.push(segment);
        }
        if segments.is_empty() {
            return Plan::default();
        }
        Plan { copies: std::mem::take(&mut self.copies), segments }
    }

    /// The running sequence of this number, and what its request carries.
    pub(crate) fn get_mut(&mut self, id: SequenceId) -> Option<(&mut Running<B>, &mut T)> {
        let running = self.running.iter_mut().find(|running| running.sequence.id == id)?;
        let (payload, _) = self.requests.get_mut(&running.request)?;
        Some((running, payload))
    }

    /// Running sequences, by what their request carries and the number of their branch.
    pub(crate) fn find(&self, is_wanted: impl Fn(&T, usize) -> bool) -> Vec<(SequenceId, usize)> {
        let wanted = self.running.iter().filter(|running| {
            let request = self.requests.get(&running.request);
            request.is_some_and(|(payload, _)| is_wanted(payload, running.sequence.branch))
        });
        wanted.map(|running| (running.sequence.id, running.sequence.branch)).collect()
    }

    /// What an admitted request carries.
    pub(crate) fn payload_mut(&mut self, request: RequestId) -> Option<&mut T> {
        self.requests.get_mut(&request).map(|(payload, _)| payload)
    }

    /// Lets a sequence do all that needs no computing: branches take its place, and ends are taken out. `leaving` sees each
    /// of both before it goes.
    pub(crate) fn settle(
        &mut self,
        id: SequenceId,
        mut leaving: impl FnMut(&mut T),
    ) -> Vec<Ended<T>> {
        let mut ended = Vec::new();
        let mut open = vec![id];
        while let Some(id) = open.pop() {
            let Some((running, payload)) = self.get_mut(id) else { continue };
            match running.sequence.next() {
                Next::Rows => {}
                Next::Fork => {
                    leaving(payload);
                    open.extend(self.fork(id).into_iter().rev());
                }
                Next::End(finish) => {
                    leaving(payload);
                    let branch = running.sequence.branch;
                    let left = self.end(id);
                    ended.extend(left.map(|left| Ended { branch, finish, left }));
                }
            }
        }
        ended
    }

    /// Puts the branches of a sequence in its place.
    fn fork(&mut self, id: SequenceId) -> Vec<SequenceId> {
        let Some(at) = self.running.iter().position(|running| running.sequence.id == id) else {
            return Vec::new();
        };
        // Keeps the order of admission.
        let rest = self.running.split_off(at + 1);
        let Some(Running { sequence, request, .. }) = self.running.pop() else {
            return Vec::new();
        };
        let (sequences, copies) = sequence.fork(&mut self.last_sequence);
        self.copies.extend(copies);
        let ids = sequences.iter().map(|sequence| sequence.id).collect();
        let running = |sequence| Running { sequence, request, carried: B::default() };
        self.running.extend(sequences.into_iter().map(running));
        self.running.extend(rest);
        ids
    }

    /// Takes a sequence out, with all that would go on from it; its KV memory is free again.
    pub(crate) fn end(&mut self, id: SequenceId) -> Option<Left<T>> {
        let at = self.running.iter().position(|running| running.sequence.id == id)?;
        // Keeps the order of admission.
        let Running { sequence, request, .. } = self.running.remove(at);
        let (_, leaves) = self.requests.get_mut(&request)?;
        *leaves -= sequence.leaves();
        match *leaves {
            0 => self.requests.remove(&request).map(|(payload, _)| Left::Nothing(payload)),
            _ => Some(Left::Branches(request)),
        }
    }

    /// Takes out all requests, waiting or running, whose payload is to go, with all their branches.
    pub(crate) fn take_if(&mut self, mut is_to_go: impl FnMut(&mut T) -> bool) -> Vec<T> {
        let mut gone = Vec::new();
        for _ in 0..self.waiting.len() {
            let Some((root, mut payload)) = self.waiting.pop_front() else { break };
            match is_to_go(&mut payload) {
                true => gone.push(payload),
                false => self.waiting.push_back((root, payload)),
            }
        }
        let requests = self.requests.extract_if(.., |_, (payload, _)| is_to_go(payload));
        gone.extend(requests.map(|(_, (payload, _))| payload));
        let requests = &self.requests;
        self.running.retain(|running| requests.contains_key(&running.request));
        gone
    }

    /// Starts anew with a memory that nobody holds. Gives back who ran; who waits goes on waiting.
    pub(crate) fn restart(&mut self) -> Vec<T> {
        // Reservations of the old pool are given back to that one, which goes with the last of them.
        self.pool = self.pool.anew();
        self.running.clear();
        self.copies.clear();
        std::mem::take(&mut self.requests).into_values().map(|(payload, _)| payload).collect()
    }

    /// Lets no later request reuse what is in KV memory now.
    pub(crate) fn forget(&self) {
        self.pool.forget();
    }

    /// Whether there is nothing to do.
    pub(crate) fn is_idle(&self) -> bool {
        self.running.is_empty() && self.waiting.is_empty()
    }

    /// All that run.
    #[cfg(test)]
    pub(crate) fn running(&self) -> impl Iterator<Item = (&Sequence, &T)> {
        let payload = |running: &Running<B>| &self.requests[&running.request].0;
        self.running.iter().map(move |running| (&running.sequence, payload(running)))
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
