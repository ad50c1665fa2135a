//! The books that tests keep about a scheduler: what each request must find in KV memory, who reads and writes which page.
//! No model: KV memory is one number a position, which stands for everything that was fed up to there.

use crate::engine::config::EngineConfig;
use crate::engine::config::KvBudget;
use crate::engine::config::PrefixCache;
use crate::engine::recall::Kept;
use crate::engine::recall::Recall;
use crate::engine::request::TopToken;
use crate::engine::scheduler::Running;
use crate::engine::scheduler::Scheduler;
use crate::engine::sequence::Advanced;
use crate::engine::sequence::Input;
use crate::engine::sequence::Outcome;
use crate::engine::sequence::Phase;
use crate::engine::sequence::Segment;
use crate::engine::sequence::SequenceId;
use crate::engine::sequence::Yields;
use crate::latent::program::Program;
use crate::latent::program::StopRule;
use crate::model::attention::geometry::PAGE_POSITIONS;
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::hash::DefaultHasher;
use std::hash::Hash as _;
use std::hash::Hasher as _;
use std::sync::Arc;

const EOS: u32 = 1;
const WORD: u32 = 0;
pub(crate) const PAGES: usize = 12;

/// A request, of few kinds, so that many begin alike.
#[derive(Clone, Debug)]
pub(crate) struct Arrival {
    pub(crate) prompt: usize,
    /// Prompts are the same up to here, and from here on those of one family.
    pub(crate) common: usize,
    pub(crate) family: u32,
    pub(crate) thoughts: usize,
    pub(crate) shown: usize,
    pub(crate) forced: usize,
    pub(crate) max_tokens: usize,
    pub(crate) eos_after: usize,
}

/// What happens to the scheduler.
#[derive(Clone, Debug)]
pub(crate) enum Happening {
    Arrival(Arrival),
    Step,
    /// Nothing may be reused that is there now.
    Forgetting,
    /// The client of one of the live requests goes away.
    Cancellation(prop::sample::Index),
}

impl Arrival {
    fn program(&self) -> Program {
        let id = |position: usize| match position < self.common {
            true => 10 + position as u32,
            // Of one family all pages look alike, and only what comes before tells them apart.
            false if self.family == 0 => 1000,
            false => 1000 * self.family + position as u32,
        };
        Program {
            prompt: (0..self.prompt).map(id).collect(),
            latent_steps: self.thoughts,
            forced: vec![WORD; self.forced],
            max_tokens: self.max_tokens,
            stop: StopRule { eos: vec![EOS], eos_count: 1 },
            masked: Vec::new(),
        }
    }
}

/// What stands in KV memory after `fed` was fed where `before` stood.
fn after(before: u64, fed: impl std::hash::Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    (before, fed).hash(&mut hasher);
    hasher.finish()
}

/// What a position becomes as a thought.
fn thought(history: u64, shown: usize) -> Kept {
    let halves = [(history >> 32) as u32, history as u32];
    let top_tokens = vec![TopToken { id: 0, probability: 0.0 }; shown];
    Kept { vector: Arc::new(halves.map(f32::from_bits)), norm: 0.0, top_tokens }
}

fn bits(vector: &[f32]) -> Vec<u32> {
    vector.iter().map(|x| x.to_bits()).collect()
}

/// A request as the books have it.
struct Entry {
    arrival: Arrival,
    program: Program,
    /// What must stand in KV memory, position by position.
    histories: Vec<u64>,
    thoughts: Vec<Kept>,
    tokens: usize,
}

/// A scheduler with the books that a test keeps about it.
pub(crate) struct Books {
    pub(crate) scheduler: Scheduler<usize>,
    config: EngineConfig,
    recall: Recall,
    memory: Vec<[u64; PAGE_POSITIONS]>,
    entries: Vec<Entry>,
    live: BTreeSet<usize>,
    running: BTreeMap<usize, (SequenceId, Arc<[u32]>)>,
    admitted: Vec<usize>,
    pub(crate) reused: usize,
}

impl Books {
    pub(crate) fn new(max_running: usize, rows_per_step: usize, prefix_cache: PrefixCache) -> Self {
        let kv = KvBudget::Positions(PAGES * PAGE_POSITIONS);
        let config = EngineConfig {
            max_running,
            max_queued: 1000,
            rows_per_step,
            kv,
            prefix_cache,
            ..EngineConfig::default()
        };
        let kept = if prefix_cache == PrefixCache::On { 200 } else { 0 };
        Self {
            scheduler: Scheduler::new(config, PAGES),
            config,
            recall: Recall::new(kept),
            memory: vec![[0; PAGE_POSITIONS]; PAGES],
            entries: Vec::new(),
            live: BTreeSet::new(),
            running: BTreeMap::new(),
            admitted: Vec::new(),
            reused: 0,
        }
    }

    pub(crate) fn happen(&mut self, happening: &Happening) {
        match happening {
            Happening::Arrival(arrival) => self.arrive(arrival.clone()),
            Happening::Step => self.step(),
            Happening::Forgetting => self.forget(),
            Happening::Cancellation(which) => {
                if let Some(&number) = self.live.iter().nth(which.index(self.live.len().max(1))) {
                    let gone = self.scheduler.take_if(|payload| *payload == number);
                    assert_eq!(gone, [number], "a live request is there exactly once");
                    self.end(number);
                }
            }
        }
        self.check();
    }

    pub(crate) fn arrive(&mut self, arrival: Arrival) {
        let number = self.entries.len();
        let program = arrival.program();
        let ids = program.prompt.iter().map(|&id| Some(id));
        let fed = ids
            .chain(std::iter::repeat_n(None, program.latent_steps))
            .chain(program.forced.iter().map(|&id| Some(id)));
        let histories = fed
            .scan(0, |history, fed| {
                *history = after(*history, fed);
                Some(*history)
            })
            .collect();
        self.scheduler.enqueue(program.clone(), number);
        self.live.insert(number);
        self.entries.push(Entry { arrival, program, histories, thoughts: Vec::new(), tokens: 0 });
    }

    fn forget(&mut self) {
        self.scheduler.forget();
        assert_eq!(self.scheduler.load().cached_positions, 0);
    }

    pub(crate) fn step(&mut self) {
        self.admit();
        self.check();
        let mut prefill_rows = 0;
        for segment in self.scheduler.plan() {
            let running = self.scheduler.get_mut(segment.sequence).unwrap();
            let number = running.payload;
            if matches!(running.sequence.phase(), Phase::Prefill { .. }) {
                prefill_rows += segment.rows();
            }
            assert!(segment.rows() > 0);
            assert_eq!(segment.start, running.sequence.filled(), "rows follow what is filled");
            self.compute(number, &segment);
            let outcome = self.outcome(number, &segment);
            let running = self.scheduler.get_mut(segment.sequence).unwrap();
            let advanced = running.sequence.advance(&segment, outcome);
            // Pages computed twice at the same time become one.
            let table = running.sequence.next_segment(1).table;
            self.running.insert(number, (segment.sequence, table));
            if let Advanced::LastToken(_) | Advanced::Ended(_) = advanced {
                assert_eq!(self.scheduler.end(segment.sequence), Some(number));
                self.end(number);
            }
        }
        assert!(prefill_rows <= self.config.rows_per_step.max(16), "prefill keeps to its budget");
    }

    pub(crate) fn admit(&mut self) {
        let (recall, entries) = (&mut self.recall, &mut self.entries);
        let recall = |program: &Program, number: &mut usize| {
            let entry = &mut entries[*number];
            let shown = entry.arrival.shown;
            entry.thoughts = recall.thoughts(&program.prompt, program.latent_steps, shown);
            entry.thoughts.iter().map(|thought| Arc::clone(&thought.vector)).collect()
        };
        let admitted = |running: &mut Running<usize>| {
            self.admitted.push(running.payload);
            self.reused += running.sequence.reused().positions;
            let table = running.sequence.next_segment(1).table;
            self.running.insert(running.payload, (running.sequence.id, table));
        };
        self.scheduler.admit(recall, admitted);
    }

    /// Does to the numbers in KV memory what a forward pass does to keys and values, and checks all it reads and writes.
    fn compute(&mut self, number: usize, segment: &Segment) {
        let slot = |position: usize| {
            (segment.table[position / PAGE_POSITIONS] as usize, position % PAGE_POSITIONS)
        };
        let Entry { histories, program, .. } = &mut self.entries[number];
        for (position, history) in histories[..segment.start].iter().enumerate() {
            let (page, offset) = slot(position);
            assert_eq!(self.memory[page][offset], *history, "request {number} at {position}");
        }
        for (input, position) in segment.inputs.iter().zip(segment.start..) {
            let before = if position == 0 { 0 } else { histories[position - 1] };
            let is_thought = (program.prompt.len()..program.prompt.len() + program.latent_steps)
                .contains(&position);
            assert_eq!(is_thought, !matches!(input, Input::Id(_)), "at {position}");
            let history = match input {
                Input::Id(id) => after(before, Some(*id)),
                Input::Thought => after(before, None::<u32>),
                Input::Known(vector) => {
                    assert_eq!(bits(vector), bits(&thought(before, 0).vector), "at {position}");
                    after(before, None::<u32>)
                }
            };
            match histories.get(position) {
                Some(expected) => assert_eq!(history, *expected, "at {position}"),
                None => histories.push(history),
            }
            let (page, offset) = slot(position);
            let mut others = self.running.iter().filter(|(other, _)| **other != number);
            assert!(
                others.all(|(_, (_, table))| !table.contains(&(page as u32))),
                "request {number} writes to a page that another one reads"
            );
            self.memory[page][offset] = history;
        }
    }

    fn outcome(&mut self, number: usize, segment: &Segment) -> Outcome {
        let entry = &mut self.entries[number];
        let last = entry.histories[segment.start + segment.rows() - 1];
        match segment.yields {
            Yields::Nothing => Outcome::Nothing,
            Yields::Thought => {
                entry.thoughts.push(thought(last, entry.arrival.shown));
                Outcome::Thought
            }
            Yields::Token => {
                if entry.tokens == 0 {
                    let thoughts = &entry.thoughts;
                    assert_eq!(thoughts.len(), entry.program.latent_steps);
                    assert!(thoughts.iter().all(|t| t.top_tokens.len() >= entry.arrival.shown));
                    self.recall.keep(&entry.program.prompt, thoughts.clone());
                }
                entry.tokens += 1;
                let ends = entry.tokens > entry.arrival.eos_after;
                Outcome::Token(if ends { EOS } else { WORD })
            }
        }
    }

    fn end(&mut self, number: usize) {
        assert!(self.live.remove(&number), "request {number} ended twice");
        self.running.remove(&number);
    }

    fn check(&mut self) {
        let load = self.scheduler.load();
        assert!(load.reserved_positions + load.cached_positions <= load.capacity_positions);
        let mut filled = BTreeSet::new();
        let mut held = BTreeSet::<u32>::new();
        for (id, table) in self.running.values() {
            held.extend(table.iter());
            let positions = 0..self.scheduler.get_mut(*id).unwrap().sequence.filled();
            filled.extend(positions.map(|at| (table[at / PAGE_POSITIONS], at % PAGE_POSITIONS)));
        }
        assert_eq!(load.used_positions, filled.len(), "what is shared counts once");
        assert_eq!(load.reserved_positions, held.len() * PAGE_POSITIONS);
        assert!(load.running <= self.config.max_running);
        assert_eq!(load.waiting + load.running, self.live.len());
        assert!(self.admitted.is_sorted(), "first come, first served");
        if self.config.prefix_cache == PrefixCache::Off {
            assert_eq!((load.cached_positions, self.reused), (0, 0));
        }
    }

    /// Steps until nothing is left: nobody starves, because the work is bounded, and every step does some of it.
    pub(crate) fn drain(&mut self) {
        for _ in 0..self.entries.len() * 100 {
            if self.scheduler.is_idle() {
                break;
            }
            self.happen(&Happening::Step);
        }
        assert!(self.live.is_empty(), "left over: {:?}", self.live);
        assert_eq!(self.scheduler.load().reserved_positions, 0);
    }
}
