//! Properties of scheduler, admission and KV reservations over random arrivals, cancellations and lengths. No model.

use crate::engine::config::EngineConfig;
use crate::engine::config::KvBudget;
use crate::engine::scheduler::Scheduler;
use crate::engine::sequence::Advanced;
use crate::engine::sequence::Outcome;
use crate::engine::sequence::Phase;
use crate::engine::sequence::Yields;
use crate::latent::program::Program;
use crate::latent::program::StopRule;
use crate::model::attention::paged::PAGE_POSITIONS;
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::collections::BTreeSet;

const EOS: u32 = 1;
const WORD: u32 = 0;
const PAGES: usize = 12;

/// What happens to the scheduler.
#[derive(Clone, Debug)]
enum Happening {
    Arrival {
        prompt: usize,
        thoughts: usize,
        forced: usize,
        max_tokens: usize,
        eos_after: usize,
    },
    Step,
    /// The client of one of the live requests goes away.
    Cancellation(prop::sample::Index),
}

fn happenings() -> impl Strategy<Value = Vec<Happening>> {
    let arrival = (1..70usize, 0..7usize, 0..3usize, 1..9usize, 0..9usize).prop_map(
        |(prompt, thoughts, forced, max_tokens, eos_after)| Happening::Arrival {
            prompt,
            thoughts,
            forced,
            max_tokens,
            eos_after,
        },
    );
    let one = prop_oneof![
        3 => arrival,
        4 => Just(Happening::Step),
        1 => any::<prop::sample::Index>().prop_map(Happening::Cancellation),
    ];
    prop::collection::vec(one, 1..120)
}

/// A scheduler with the books that a test keeps about it.
struct Books {
    scheduler: Scheduler<usize>,
    config: EngineConfig,
    /// Requests by number: when they say EOS.
    eos_after: Vec<usize>,
    tokens: BTreeMap<usize, usize>,
    live: BTreeSet<usize>,
    ended: Vec<usize>,
    admitted: Vec<usize>,
}

impl Books {
    fn new(max_running: usize, rows_per_step: usize) -> Self {
        let kv = KvBudget::Positions(PAGES * PAGE_POSITIONS);
        let config = EngineConfig {
            max_running,
            max_queued: 1000,
            rows_per_step,
            kv,
            ..EngineConfig::default()
        };
        Self {
            scheduler: Scheduler::new(config, PAGES),
            config,
            eos_after: Vec::new(),
            tokens: BTreeMap::new(),
            live: BTreeSet::new(),
            ended: Vec::new(),
            admitted: Vec::new(),
        }
    }

    fn happen(&mut self, happening: &Happening) {
        match happening {
            Happening::Arrival { prompt, thoughts, forced, max_tokens, eos_after } => {
                let number = self.eos_after.len();
                self.eos_after.push(*eos_after);
                self.live.insert(number);
                let program = Program {
                    prompt: vec![WORD; *prompt],
                    latent_steps: *thoughts,
                    forced: vec![WORD; *forced],
                    max_tokens: *max_tokens,
                    stop: StopRule { eos: vec![EOS], eos_count: 1 },
                    masked: Vec::new(),
                };
                self.scheduler.enqueue(program, number);
            }
            Happening::Step => self.step(),
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

    fn step(&mut self) {
        let admitted = &mut self.admitted;
        self.scheduler.admit(|payload| admitted.push(*payload));
        self.check();
        let segments = self.scheduler.plan();
        let mut prefill_rows = 0;
        for segment in segments {
            let running = self.scheduler.get_mut(segment.sequence).unwrap();
            let number = running.payload;
            if matches!(running.sequence.phase(), Phase::Prefill { .. }) {
                prefill_rows += segment.rows();
            }
            assert!(segment.rows() > 0);
            assert_eq!(segment.start, running.sequence.filled(), "rows follow what is filled");
            let reserved = segment.table.len() * PAGE_POSITIONS;
            assert!(segment.start + segment.rows() <= reserved, "no row outside the reservation");
            let outcome = match segment.yields {
                Yields::Nothing => Outcome::Nothing,
                Yields::Thought => Outcome::Thought,
                Yields::Token => {
                    let count = self.tokens.entry(number).or_default();
                    *count += 1;
                    Outcome::Token(if *count > self.eos_after[number] { EOS } else { WORD })
                }
            };
            let advanced = running.sequence.advance(&segment, outcome);
            if let Advanced::LastToken(_) | Advanced::Ended(_) = advanced {
                assert_eq!(self.scheduler.end(segment.sequence), Some(number));
                self.end(number);
            }
        }
        assert!(prefill_rows <= self.config.rows_per_step.max(16), "prefill keeps to its budget");
    }

    fn end(&mut self, number: usize) {
        assert!(self.live.remove(&number), "request {number} ended twice");
        self.ended.push(number);
    }

    fn check(&self) {
        let load = self.scheduler.load();
        assert!(load.reserved_positions <= load.capacity_positions);
        assert!(load.used_positions <= load.reserved_positions);
        assert!(load.running <= self.config.max_running);
        assert_eq!(load.waiting + load.running, self.live.len());
        assert!(self.admitted.is_sorted(), "first come, first served");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn every_request_ends_once_and_nothing_leaks(
        happenings in happenings(),
        max_running in 1..6usize,
        rows_per_step in 1..90usize,
    ) {
        let mut books = Books::new(max_running, rows_per_step);
        for happening in &happenings {
            books.happen(happening);
        }
        // Nobody starves: the work left is bounded, and every step does some of it.
        let arrivals = books.eos_after.len();
        for _ in 0..arrivals * 100 {
            if books.scheduler.is_idle() {
                break;
            }
            books.happen(&Happening::Step);
        }
        prop_assert!(books.live.is_empty(), "left over: {:?}", books.live);
        prop_assert_eq!(books.ended.len(), arrivals);
        prop_assert_eq!(books.scheduler.load().reserved_positions, 0);
    }
}

/// The order of segments and what they feed, for one request from prompt to answer.
#[test]
fn a_request_is_prefilled_thinks_and_answers() {
    let mut scheduler =
        Scheduler::new(EngineConfig { rows_per_step: 16, ..EngineConfig::default() }, PAGES);
    let program = Program {
        prompt: vec![7; 20],
        latent_steps: 2,
        forced: vec![8],
        max_tokens: 2,
        stop: StopRule { eos: vec![EOS], eos_count: 1 },
        masked: Vec::new(),
    };
    assert_eq!(program.positions(), 24);
    scheduler.enqueue(program, ());
    scheduler.admit(|()| {});
    let mut seen = Vec::new();
    for outcome in
        [Outcome::Nothing, Outcome::Thought, Outcome::Thought, Outcome::Token(5), Outcome::Token(6)]
    {
        let segment = scheduler.plan().remove(0);
        seen.push((segment.start, segment.feeds_thought, segment.ids.clone(), segment.yields));
        scheduler.get_mut(segment.sequence).unwrap().sequence.advance(&segment, outcome);
    }
    let expected = [
        (0, false, vec![7; 16], Yields::Nothing),
        (16, false, vec![7; 4], Yields::Thought),
        (20, true, vec![], Yields::Thought),
        (21, true, vec![8], Yields::Token),
        (23, false, vec![5], Yields::Token),
    ];
    assert_eq!(seen, expected);
}
