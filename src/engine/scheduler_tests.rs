//! Properties of scheduler, admission, KV reservations and reuse over random arrivals, cancellations and lengths.

use crate::engine::books_tests::Arrival;
use crate::engine::books_tests::Books;
use crate::engine::books_tests::Happening;
use crate::engine::books_tests::PAGES;
use crate::engine::config::PrefixCache;
use crate::engine::sequence::RowKind;
use crate::engine::sequence::Yields;
use crate::model::attention::geometry::PAGE_POSITIONS;
use proptest::prelude::*;

fn arrivals() -> impl Strategy<Value = Arrival> {
    let length = prop_oneof![1..70usize, prop::sample::select(vec![15, 16, 17, 32, 40, 48])];
    let common = prop::sample::select(vec![0, 16, 20, 100]);
    let latent = (0..7usize, 0..2usize, 0..3usize);
    (length, common, 0..3u32, latent, 1..9usize, 0..9usize).prop_map(
        |(prompt, common, family, (thoughts, shown, forced), max_tokens, eos_after)| Arrival {
            prompt,
            common,
            family,
            thoughts,
            shown,
            forced,
            max_tokens,
            eos_after,
        },
    )
}

fn happenings() -> impl Strategy<Value = Vec<Happening>> {
    let one = prop_oneof![
        6 => arrivals().prop_map(Happening::Arrival),
        10 => Just(Happening::Step),
        1 => Just(Happening::Forgetting),
        2 => any::<prop::sample::Index>().prop_map(Happening::Cancellation),
    ];
    prop::collection::vec(one, 1..120)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn every_request_ends_once_and_nothing_leaks_or_is_mistaken(
        happenings in happenings(),
        max_running in 1..6usize,
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
        let all = Arrival { prompt: PAGES * PAGE_POSITIONS, common: 0, family: 7, thoughts: 0, shown: 0, forced: 0,
            max_tokens: 1, eos_after: 0 };
        books.happen(&Happening::Arrival(all));
        books.happen(&Happening::Step);
        books.drain();
    }
}

const QUESTION: Arrival = Arrival {
    prompt: 40,
    common: 0,
    family: 0,
    thoughts: 6,
    shown: 0,
    forced: 1,
    max_tokens: 2,
    eos_after: 9,
};

/// The segments of one request after another: (start, rows, what the last row yields, what kind of rows).
fn segments_of(books: &mut Books, arrival: Arrival) -> Vec<(usize, usize, Yields, RowKind)> {
    books.arrive(arrival);
    let mut seen = Vec::new();
    while !books.scheduler.is_idle() {
        books.admit();
        let plan = books.scheduler.plan();
        seen.extend(plan.iter().map(|s| (s.start, s.rows(), s.yields, s.kind)));
        books.step();
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
    assert_eq!(segments_of(&mut books, Arrival { thoughts: 2, ..QUESTION }), expected);
}

#[test]
fn a_question_asked_again_goes_straight_to_its_answer() {
    let mut books = Books::new(1, 64, PrefixCache::On);
    assert_eq!(segments_of(&mut books, QUESTION).len(), 1 + 6 + 1);
    let answer = (47, 1, Yields::Token, RowKind::Answer);
    let repeated = segments_of(&mut books, QUESTION);
    assert_eq!(repeated, [(32, 8 + 6 + 1, Yields::Token, RowKind::Prefill), answer]);
    // The first thoughts of many are those of few, and more go on from there.
    let fewer = segments_of(&mut books, Arrival { thoughts: 4, ..QUESTION });
    assert_eq!(fewer[0], (32, 8 + 4 + 1, Yields::Token, RowKind::Prefill));
    let more = segments_of(&mut books, Arrival { thoughts: 7, ..QUESTION });
    assert_eq!(
        more[..2],
        [(32, 8 + 6, Yields::Thought, RowKind::Prefill), (46, 2, Yields::Token, RowKind::Forced)]
    );
    // Without end marker the last thought is fed again, even where its page is whole.
    let whole = Arrival { prompt: 42, forced: 0, ..QUESTION };
    segments_of(&mut books, whole.clone());
    assert_eq!(segments_of(&mut books, whole)[0].0, 32);
}

#[test]
fn a_prompt_that_begins_like_one_that_still_runs_shares_its_pages() {
    let mut books = Books::new(2, 64, PrefixCache::On);
    books.arrive(Arrival { common: 40, prompt: 50, ..QUESTION });
    books.step();
    books.arrive(Arrival { common: 40, prompt: 50, family: 1, ..QUESTION });
    books.admit();
    assert_eq!(books.reused, 32);
    books.drain();
}

#[test]
fn the_end_of_what_is_kept_goes_first() {
    let mut books = Books::new(1, 256, PrefixCache::On);
    segments_of(&mut books, QUESTION);
    // Needs one page more than are free.
    let large = Arrival {
        prompt: (PAGES - 1) * PAGE_POSITIONS,
        family: 1,
        thoughts: 0,
        forced: 0,
        max_tokens: 1,
        ..QUESTION
    };
    segments_of(&mut books, large);
    assert_eq!(segments_of(&mut books, QUESTION)[0].0, PAGE_POSITIONS);
}

#[test]
fn what_is_computed_twice_at_the_same_time_is_kept_once() {
    let mut books = Books::new(2, 200, PrefixCache::On);
    books.arrive(QUESTION);
    books.arrive(QUESTION);
    books.admit();
    assert_eq!((books.reused, books.scheduler.load().reserved_positions), (0, 2 * 48));
    books.step();
    assert_eq!(books.scheduler.load().reserved_positions, 2 * 48 - 32);
    books.drain();
    assert_eq!(books.scheduler.load().cached_positions, 32);
}
