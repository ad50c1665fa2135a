//! The books that tests keep about a scheduler: what each branch of a request must find in KV memory, who reads and writes
//! which page. No model: what must become of a script is in `expected_tests.rs`.

use crate::engine::config::EngineConfig;
use crate::engine::config::KvBudget;
use crate::engine::config::PrefixCache;
use crate::engine::expected_tests::EOS;
use crate::engine::expected_tests::Expected;
use crate::engine::expected_tests::WORD;
use crate::engine::expected_tests::after_id;
use crate::engine::expected_tests::after_vector;
use crate::engine::expected_tests::expected;
use crate::engine::expected_tests::thought;
use crate::engine::expected_tests::token;
use crate::engine::inside::Sizes;
use crate::engine::limits::Limits;
use crate::engine::plan::Input;
use crate::engine::plan::Plan;
use crate::engine::plan::Segment;
use crate::engine::plan::SequenceId;
use crate::engine::plan::Yields;
use crate::engine::recall::Kept;
use crate::engine::recall::Recall;
use crate::engine::request::Rejected;
use crate::engine::request::Report;
use crate::engine::request::TopToken;
use crate::engine::scheduler::Left;
use crate::engine::scheduler::Scheduler;
use crate::engine::sequence::Advanced;
use crate::engine::sequence::Outcome;
use crate::engine::sequence::Sequence;
use crate::latent::edits::Edits;
use crate::latent::script::Act;
use crate::latent::script::Branch;
use crate::latent::script::Opening;
use crate::latent::script::Sampling;
use crate::latent::script::Say;
use crate::latent::script::Script;
use crate::latent::script::StopRule;
use crate::latent::script::Think;
use crate::latent::script::Until;
use crate::latent::script::ids;
use crate::model::attention::geometry::PAGE_POSITIONS;
use crate::model::attention::rows::PageCopy;
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::sync::Arc;

pub(crate) const PAGES: usize = 12;

/// A request, of few kinds, so that many begin alike.
#[derive(Clone, Debug)]
pub(crate) struct Arrival {
    pub(crate) prompt: usize,
    /// Prompts are the same up to here, and from here on those of one family.
    pub(crate) common: usize,
    pub(crate) family: u32,
    pub(crate) until: Until,
    pub(crate) edits: Edits,
    pub(crate) shown: usize,
    pub(crate) forced: usize,
    /// None for a root that says nothing.
    pub(crate) max_tokens: usize,
    pub(crate) eos_after: usize,
    pub(crate) branches: Vec<Branch>,
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
    /// One of the running branches fails.
    Failure(prop::sample::Index),
}

impl Arrival {
    fn script(&self) -> Script {
        let id = |position: usize| match position < self.common {
            true => 10 + position as u32,
            // Of one family all pages look alike, and only what comes before tells them apart.
            false if self.family == 0 => 1000,
            false => 1000 * self.family + position as u32,
        };
        let prompt: Vec<u32> = (0..self.prompt).map(id).collect();
        let mut acts = vec![
            Act::Feed(ids(&prompt)),
            Act::Think(Think { until: self.until, edits: self.edits.clone() }),
            Act::Feed(ids(&vec![WORD; self.forced])),
        ];
        acts.extend((self.max_tokens > 0).then(|| say(self.max_tokens)));
        Script { root: Branch { acts, branches: self.branches.clone() }, masked: Vec::new() }
    }
}

pub(crate) fn say(max_tokens: usize) -> Act {
    let stop = StopRule { eos: vec![EOS], eos_count: 1 };
    Act::Say(Say { max_tokens, stop, sampling: Sampling::GREEDY })
}

/// A request as the books have it.
struct Entry {
    arrival: Arrival,
    expected: Vec<Expected>,
    /// What was told, branch by branch; of memory, how much was filled at the last step.
    told: Vec<Expected>,
    /// Branches that ended, and those that will not begin because another failed.
    ended: BTreeSet<usize>,
    thoughts: Vec<Kept>,
}

/// A scheduler with the books that a test keeps about it.
pub(crate) struct Books {
    pub(crate) scheduler: Scheduler<usize, ()>,
    config: EngineConfig,
    recall: Recall,
    memory: Vec<[u64; PAGE_POSITIONS]>,
    entries: Vec<Entry>,
    live: BTreeSet<usize>,
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
            admitted: Vec::new(),
            reused: 0,
        }
    }

    pub(crate) fn happen(&mut self, happening: &Happening) {
        match happening {
            Happening::Arrival(arrival) => self.arrive(arrival.clone()),
            Happening::Step => drop(self.step()),
            Happening::Forgetting => self.forget(),
            Happening::Cancellation(which) => {
                if let Some(&number) = self.live.iter().nth(which.index(self.live.len().max(1))) {
                    let gone = self.scheduler.take_if(|payload| *payload == number);
                    assert_eq!(gone, [number], "a live request is there exactly once");
                    assert!(self.live.remove(&number));
                }
            }
            Happening::Failure(which) => self.fail(*which),
        }
        self.check();
    }

    /// Takes in a request, if it is one that can run at all.
    pub(crate) fn arrive(&mut self, arrival: Arrival) {
        let script = arrival.script();
        let positions = PAGES * PAGE_POSITIONS;
        let vocab_size = 10_000;
        let inside = Sizes { layers: 2, heads: 4, vocab_size };
        let limits = Limits { positions, pages: PAGES, vocab_size, width: 2, inside };
        match limits.check(&script) {
            Ok(()) => {}
            Err(
                Rejected::TooLong { .. }
                | Rejected::TooLarge { .. }
                | Rejected::TooManyBranches { .. },
            ) => return,
            Err(rejected) => panic!("{rejected}"),
        }
        let expected = expected(&script.root, arrival.eos_after);
        let number = self.entries.len();
        self.scheduler.enqueue(script, number);
        self.live.insert(number);
        let told = vec![Expected::default(); expected.len()];
        let (ended, thoughts) = (BTreeSet::new(), Vec::new());
        self.entries.push(Entry { arrival, expected, told, ended, thoughts });
    }

    fn forget(&mut self) {
        self.scheduler.forget();
        assert_eq!(self.scheduler.load().cached_positions, 0);
    }

    fn fail(&mut self, which: prop::sample::Index) {
        let running: Vec<_> = self.scheduler.running().collect();
        if running.is_empty() {
            return;
        }
        let (sequence, &number) = running[which.index(running.len())];
        let (id, branch, leaves) = (sequence.id, sequence.branch, sequence.leaves());
        let entry = &mut self.entries[number];
        let below = (branch..entry.expected.len()).filter(|&b| entry.expected[b].is_leaf);
        let lost: Vec<usize> = below.take(leaves).collect();
        lost.into_iter().for_each(|leaf| assert!(entry.ended.insert(leaf), "{leaf} ended twice"));
        let left = self.scheduler.end(id).unwrap();
        self.ended(left);
    }

    pub(crate) fn step(&mut self) -> Plan {
        self.admit();
        self.check();
        let plan = self.scheduler.plan();
        for PageCopy { from, to } in &plan.copies {
            self.memory[*to as usize] = self.memory[*from as usize];
        }
        let mut prefill_rows = 0;
        for segment in &plan.segments {
            let (running, _) = self.scheduler.get_mut(segment.sequence).unwrap();
            prefill_rows += if running.sequence.is_prefill() { segment.rows() } else { 0 };
            assert!(segment.rows() > 0);
            assert_eq!(segment.start, running.sequence.filled(), "rows follow what is filled");
            self.compute(segment);
        }
        for segment in &plan.segments {
            self.take(segment);
            self.settle(segment.sequence);
        }
        assert!(prefill_rows <= self.config.rows_per_step.max(16), "prefill keeps to its budget");
        plan
    }

    pub(crate) fn admit(&mut self) {
        let (recall, entries) = (&mut self.recall, std::cell::RefCell::new(&mut self.entries));
        let known = |opening: &mut Opening, number: &mut usize| {
            let entry = &mut entries.borrow_mut()[*number];
            let report = Report { top_thought_tokens: entry.arrival.shown, ..Report::default() };
            entry.thoughts = recall.thoughts(&opening.prompt, opening.thoughts, &report);
            entry.thoughts.iter().map(|thought| Arc::clone(&thought.vector)).collect()
        };
        let mut fresh = Vec::new();
        let admitted = |sequence: &Sequence, number: &mut usize| {
            let entry = &mut entries.borrow_mut()[*number];
            let reused = sequence.reused();
            entry.thoughts.truncate(reused.thoughts);
            entry.told[0].thoughts = reused.thoughts;
            self.admitted.push(*number);
            self.reused += reused.positions;
            fresh.push(sequence.id);
        };
        self.scheduler.admit(known, admitted);
        fresh.into_iter().for_each(|id| self.settle(id));
    }

    /// Does to the numbers in KV memory what a forward pass does to keys and values, and checks all it reads and writes.
    fn compute(&mut self, segment: &Segment) {
        let slot = |position: usize| {
            (segment.table[position / PAGE_POSITIONS] as usize, position % PAGE_POSITIONS)
        };
        let (_, &mut number) = self.scheduler.get_mut(segment.sequence).unwrap();
        let expected = &self.entries[number].expected[segment.branch].memory;
        for (position, history) in expected[..segment.start].iter().enumerate() {
            let (page, offset) = slot(position);
            assert_eq!(self.memory[page][offset], *history, "request {number} at {position}");
        }
        for (input, position) in segment.inputs.iter().zip(segment.start..) {
            let before = if position == 0 { 0 } else { expected[position - 1] };
            let history = match input {
                Input::Id(id) => after_id(before, *id),
                Input::Thought(vector) | Input::Known(vector) => after_vector(before, vector),
            };
            assert_eq!(Some(&history), expected.get(position), "request {number} at {position}");
            let (page, offset) = slot(position);
            let mut others = self.scheduler.running().filter(|(s, _)| s.id != segment.sequence);
            assert!(
                others.all(|(other, _)| !other.table().contains(&(page as u32))),
                "request {number} writes to a page that another one reads"
            );
            self.memory[page][offset] = history;
        }
    }

    /// Takes in what came of a segment.
    fn take(&mut self, segment: &Segment) {
        let (running, &mut number) = self.scheduler.get_mut(segment.sequence).unwrap();
        let sequence = &mut running.sequence;
        let Entry { arrival, expected, told, thoughts, .. } = &mut self.entries[number];
        let last = segment.start + segment.rows() - 1;
        let told = &mut told[segment.branch];
        let mut is_opening = false;
        let outcome = match segment.yields {
            Yields::Nothing => Outcome::Nothing,
            Yields::Thought => {
                let computed = thought(expected[segment.branch].memory[last]);
                let vector = sequence.edited(&computed);
                is_opening = sequence.is_opening();
                told.thoughts += 1;
                if is_opening {
                    let top_tokens = vec![TopToken { id: 0, probability: 0.0 }; arrival.shown];
                    let vector = Arc::clone(&vector);
                    thoughts.push(Kept { vector, norm: 0.0, top_tokens, entropy: None });
                }
                Outcome::Thought(vector)
            }
            Yields::Token => {
                let (_, tokens) = sequence.answer().unwrap();
                Outcome::Token(token(tokens, arrival.eos_after))
            }
            Yields::Scores(count) => {
                assert_eq!(sequence.to_score(segment).len(), count);
                told.scores += count;
                Outcome::Scores
            }
        };
        let advanced = sequence.advance(segment, outcome);
        told.tokens += usize::from(advanced == Advanced::Token);
        if is_opening && !sequence.is_opening() {
            assert!(thoughts.iter().all(|t| t.top_tokens.len() >= arrival.shown));
            self.recall.keep(&sequence.opening().prompt, thoughts.clone());
        }
    }

    fn settle(&mut self, id: SequenceId) {
        let Some((_, &mut number)) = self.scheduler.get_mut(id) else { return };
        for ended in self.scheduler.settle(id, |_| {}) {
            let entry = &mut self.entries[number];
            let (expected, told) = (&entry.expected[ended.branch], &entry.told[ended.branch]);
            assert!(expected.is_leaf && entry.ended.insert(ended.branch), "an end, once");
            let counts = |of: &Expected| [of.thoughts, of.tokens, of.scores];
            assert_eq!(counts(told), counts(expected), "{number}, branch {}", ended.branch);
            self.ended(ended.left);
        }
    }

    /// A request is over with the last of its branches.
    #[expect(clippy::needless_pass_by_value, reason = "what has ended is gone")]
    fn ended(&mut self, left: Left<usize>) {
        if let Left::Nothing(number) = left {
            assert!(self.live.remove(&number), "request {number} ended twice");
            let Entry { expected, ended, .. } = &self.entries[number];
            let leaves = (0..expected.len()).filter(|&branch| expected[branch].is_leaf);
            assert!(leaves.eq(ended.iter().copied()), "each branch ends");
        }
    }

    fn check(&mut self) {
        let load = self.scheduler.load();
        assert!(load.reserved_positions + load.cached_positions <= load.capacity_positions);
        let mut filled = BTreeSet::new();
        let mut held = BTreeSet::<u32>::new();
        let mut set_aside = 0;
        let mut branches = BTreeMap::new();
        for (sequence, number) in self.scheduler.running() {
            let table = sequence.table();
            held.extend(table.iter());
            set_aside += sequence.set_aside();
            let positions = 0..sequence.filled();
            filled.extend(positions.map(|at| (table[at / PAGE_POSITIONS], at % PAGE_POSITIONS)));
            *branches.entry(number).or_insert(0usize) += sequence.leaves();
        }
        assert_eq!(load.used_positions, filled.len(), "what is shared counts once");
        assert_eq!(load.reserved_positions, (held.len() + set_aside) * PAGE_POSITIONS);
        let most = self.config.max_running;
        let places: usize = branches.values().map(|&leaves| leaves.min(most)).sum();
        assert!(places <= most, "one that has more ends runs by itself");
        assert_eq!(load.waiting + branches.len(), self.live.len());
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
