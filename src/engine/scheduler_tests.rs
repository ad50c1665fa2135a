//! Properties of scheduler, admission, KV reservations and reuse over random arrivals, cancellations and lengths.

use crate::engine::books_tests::Arrival;
use crate::engine::books_tests::Books;
use crate::engine::books_tests::Happening;
use crate::engine::books_tests::PAGES;
use crate::engine::books_tests::say;
use crate::engine::config::PrefixCache;
use crate::engine::plan::RowKind;
use crate::engine::plan::Yields;
use crate::latent::edits::Edit;
use crate::latent::edits::Edits;
use crate::latent::edits::Steps;
use crate::latent::script::Act;
use crate::latent::script::Branch;
use crate::latent::script::Fed;
use crate::latent::script::ScoredAs;
use crate::latent::script::Think;
use crate::latent::script::Until;
use crate::model::attention::geometry::PAGE_POSITIONS;
use proptest::prelude::*;
use std::sync::Arc;

fn arrivals() -> impl Strategy<Value = Arrival> {
    let length = prop_oneof![1..70usize, prop::sample::select(vec![15, 16, 17, 32, 40, 48])];
    let common = prop::sample::select(vec![0, 16, 20, 100]);
    let latent = (untils(), edits(), 0..2usize, 0..3usize);
    let branches = prop_oneof![2 => Just(Vec::new()), 1 => branches()];
    (length, common, 0..3u32, latent, 0..9usize, 0..9usize, branches).prop_map(
        |(prompt, common, family, latent, max_tokens, eos_after, branches)| {
            let (until, edits, shown, forced) = latent;
            Arrival {
                prompt,
                common,
                family,
                until,
                edits,
                shown,
                forced,
                max_tokens,
                eos_after,
                branches,
            }
        },
    )
}

fn untils() -> impl Strategy<Value = Until> {
    let settled = (0.0..1.5f32, 0..7usize);
    prop_oneof![
        3 => (0..7usize).prop_map(Until::Steps),
        1 => settled.prop_map(|(tolerance, max)| Until::Settled { tolerance, max }),
    ]
}

/// None for most.
fn edits() -> impl Strategy<Value = Edits> {
    let steps = prop_oneof![Just(Steps::All), (1..8usize).prop_map(Steps::One)];
    let edit = prop_oneof![
        Just(Edit::Set(Arc::new([3.0, 4.0]))),
        Just(Edit::Scale(0.5)),
        Just(Edit::Skip),
    ];
    // Only where there is a thought before.
    let repeat = (3..8usize).prop_map(|step| (Steps::One(step), Edit::Repeat));
    let some = prop::collection::vec((steps, edit), 1..3).prop_map(Edits);
    prop_oneof![6 => Just(Edits::default()), 3 => some, 1 => repeat.prop_map(|one| Edits(vec![one]))]
}

/// Up to three that go on from the same place, some of them with more that go on from them.
fn branches() -> impl Strategy<Value = Vec<Branch>> {
    let acts = || prop::collection::vec(acts(), 0..4);
    let leaf = acts().prop_map(|acts| Branch { acts, branches: Vec::new() });
    let branch = leaf.prop_recursive(3, 12, 3, move |inner| {
        let branches = prop::collection::vec(inner, 0..4);
        (acts(), branches).prop_map(|(acts, branches)| Branch { acts, branches })
    });
    prop::collection::vec(branch, 1..4)
}

fn acts() -> impl Strategy<Value = Act> {
    let input = prop_oneof![
        4 => (0..20u32).prop_map(Fed::Id),
        1 => Just(Fed::Vector(Arc::new([1.0, 2.0]))),
    ];
    prop_oneof![
        2 => prop::collection::vec(input, 0..40).prop_map(Act::Feed),
        3 => untils().prop_map(|until| Act::Think(Think { until, edits: Edits::default() })),
        2 => (1..9usize).prop_map(say),
        2 => prop::collection::vec(0..20u32, 1..40).prop_map(|ids| Act::Score(ids, ScoredAs::Answer)),
    ]
}

fn happenings() -> impl Strategy<Value = Vec<Happening>> {
    let one = prop_oneof![
        6 => arrivals().prop_map(Happening::Arrival),
        10 => Just(Happening::Step),
        1 => Just(Happening::Forgetting),
        2 => any::<prop::sample::Index>().prop_map(Happening::Cancellation),
        1 => any::<prop::sample::Index>().prop_map(Happening::Failure),
    ];
    prop::collection::vec(one, 1..120)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn every_request_ends_once_and_nothing_leaks_or_is_mistaken(
        happenings in happenings(),
        max_running in 1..12usize,
        rows_per_step in 1..90usize,
        is_on in prop::bool::weighted(0.8),
    ) {
        let prefix_cache = if is_on { PrefixCache::On } else { PrefixCache::Off };
        let mut books = Books::new(max_running, rows_per_step, prefix_cache);
        for happening in &happenings {
            books.happen(happening);
        }
        books.drain();
        // Every page can be had again, whatever is kept for reuse.
        let all = Arrival { prompt: PAGES * PAGE_POSITIONS, family: 7, until: Until::Steps(0), forced: 0,
            max_tokens: 1, ..question() };
        books.happen(&Happening::Arrival(all));
        books.happen(&Happening::Step);
        books.drain();
    }
}

fn question() -> Arrival {
    Arrival {
        prompt: 40,
        common: 0,
        family: 0,
        until: Until::Steps(6),
        edits: Edits::default(),
        shown: 0,
        forced: 1,
        max_tokens: 2,
        eos_after: 9,
        branches: Vec::new(),
    }
}

/// The segments of one request after another: (start, rows, what the last row yields, what kind of rows).
fn segments_of(books: &mut Books, arrival: Arrival) -> Vec<(usize, usize, Yields, RowKind)> {
    books.arrive(arrival);
    let mut seen = Vec::new();
    while !books.scheduler.is_idle() {
        let plan = books.step();
        seen.extend(plan.segments.iter().map(|s| (s.start, s.rows(), s.yields, s.kind)));
    }
    seen
}

#[test]
fn a_request_is_prefilled_thinks_and_answers() {
    let mut books = Books::new(1, 32, PrefixCache::On);
    let expected = [
        (0, 32, Yields::Nothing, RowKind::Prefill),
        (32, 8, Yields::Thought, RowKind::Prefill),
        (40, 1, Yields::Thought, RowKind::Forced),
        (41, 2, Yields::Token, RowKind::Forced),
        (43, 1, Yields::Token, RowKind::Answer),
    ];
    assert_eq!(segments_of(&mut books, Arrival { until: Until::Steps(2), ..question() }), expected);
}

#[test]
fn a_question_asked_again_goes_straight_to_its_answer() {
    let mut books = Books::new(1, 64, PrefixCache::On);
    assert_eq!(segments_of(&mut books, question()).len(), 1 + 6 + 1);
    let answer = (47, 1, Yields::Token, RowKind::Answer);
    let repeated = segments_of(&mut books, question());
    assert_eq!(repeated, [(32, 8 + 6 + 1, Yields::Token, RowKind::Prefill), answer]);
    // The first thoughts of many are those of few, and more go on from there.
    let fewer = segments_of(&mut books, Arrival { until: Until::Steps(4), ..question() });
    assert_eq!(fewer[0], (32, 8 + 4 + 1, Yields::Token, RowKind::Prefill));
    let more = segments_of(&mut books, Arrival { until: Until::Steps(7), ..question() });
    assert_eq!(
        more[..2],
        [(32, 8 + 6, Yields::Thought, RowKind::Prefill), (46, 2, Yields::Token, RowKind::Forced)]
    );
    // Without end marker the last thought is fed again, even where its page is whole.
    let whole = Arrival { prompt: 42, forced: 0, ..question() };
    segments_of(&mut books, whole.clone());
    assert_eq!(segments_of(&mut books, whole)[0].0, 32);
}

#[test]
fn a_prompt_that_begins_like_one_that_still_runs_shares_its_pages() {
    let mut books = Books::new(2, 64, PrefixCache::On);
    books.arrive(Arrival { common: 40, prompt: 50, ..question() });
    books.step();
    books.arrive(Arrival { common: 40, prompt: 50, family: 1, ..question() });
    books.admit();
    assert_eq!(books.reused, 32);
    books.drain();
}

#[test]
fn the_end_of_what_is_kept_goes_first() {
    let mut books = Books::new(1, 256, PrefixCache::On);
    segments_of(&mut books, question());
    // Needs one page more than are free.
    let large = Arrival {
        prompt: (PAGES - 1) * PAGE_POSITIONS,
        family: 1,
        until: Until::Steps(0),
        forced: 0,
        max_tokens: 1,
        ..question()
    };
    segments_of(&mut books, large);
    assert_eq!(segments_of(&mut books, question())[0].0, PAGE_POSITIONS);
}

#[test]
fn what_is_computed_twice_at_the_same_time_is_kept_once() {
    let mut books = Books::new(2, 200, PrefixCache::On);
    books.arrive(question());
    books.arrive(question());
    books.admit();
    assert_eq!((books.reused, books.scheduler.load().reserved_positions), (0, 2 * 48));
    books.step();
    assert_eq!(books.scheduler.load().reserved_positions, 2 * 48 - 32);
    books.drain();
    // The first answer token made a third page whole, of each: it was the same, and is kept once.
    assert_eq!(books.scheduler.load().cached_positions, 48);
}
