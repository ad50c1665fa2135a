//! What holds of every generated question, and of many together.

use crate::data::prosqa::generate::Config;
use crate::data::prosqa::generate::Generator;
use crate::data::prosqa::generate::Size;
use crate::data::prosqa::graph::Graph;
use crate::data::prosqa::graph::Query;
use crate::data::prosqa::record::Record;
use crate::data::prosqa::record::sentence;
use crate::data::prosqa::record::symbols;
use crate::data::prosqa::stats::Statistics;
use crate::data::prosqa::words::CONCEPTS;
use crate::data::prosqa::words::vocabulary;
use proptest::prelude::*;
use rand::SeedableRng as _;
use rand_chacha::ChaCha8Rng;
use std::collections::HashSet;
use std::ops::RangeInclusive;

fn draw(config: Config, seed: u64, count: usize) -> Vec<(Graph, Query)> {
    let generator = Generator::new(config).unwrap();
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    (0..count).map(|_| generator.draw(&mut rng).unwrap()).collect()
}

fn statistics(questions: &[(Graph, Query)]) -> Statistics {
    let mut statistics = Statistics::default();
    questions.iter().for_each(|(graph, query)| statistics.add(graph, *query));
    statistics
}

/// The Coconut paper's table: the published test questions.
#[test]
fn statistics_are_those_of_the_published_questions() {
    let questions = draw(Config::published(), 1, 2000);
    let means = statistics(&questions).means();
    for (name, published, tolerance) in [
        ("nodes", 23.0, 0.02),
        ("edges", 36.0, 0.03),
        ("hops", 3.8, 0.04),
        ("shortest paths", 1.6, 0.05),
        // Not in the paper, but counted in its 300 validation questions.
        ("entities", 2.51, 0.10),
    ] {
        let (_, mean) = means.iter().find(|(known, _)| *known == name).unwrap();
        assert!((mean / published - 1.0).abs() < tolerance, "{name}: {mean}");
    }
    let neither = |(graph, _): &(Graph, Query)| {
        let (zero, one) = (graph.hops(0), graph.hops(1));
        graph.nodes().filter(|&node| zero[node].is_none() && one[node].is_none()).count()
    };
    let share = questions.iter().map(neither).sum::<usize>() as f64 / means[0].1 / 2000.0;
    assert!(share < 0.06, "{share} of the nodes descend from no root");
    let from_one = questions.iter().filter(|(_, query)| query.root == 1).count();
    assert!((900..1100).contains(&from_one), "{from_one} of 2000 questions ask the second root");
}

#[test]
fn a_seed_gives_the_same_questions_everywhere() {
    let mut rng = ChaCha8Rng::seed_from_u64(3);
    let generator = Generator::new(Config::within(6..=6)).unwrap();
    let (graph, query) = generator.draw(&mut rng).unwrap();
    let symbols = symbols(&graph, &mut rng);
    let record = Record::new(&graph, query, &symbols, &mut rng);
    assert_eq!(
        record.question,
        "Every felpus is a rompus. Every yumpus is a felpus. Gabriel is a yumpus. Gabriel is a felpus. \
         Every yumpus is a rompus. Fae is a boompus. Is Gabriel a rompus or boompus?"
    );
}

#[test]
fn what_cannot_be_is_refused() {
    for (size, min_hops, said) in [
        (Size::Within(RangeInclusive::new(5, 4)), 1, "no number of nodes is in 5..4"),
        (Size::Within(4..=4), 2, "2 hops need 5 nodes"),
        (Size::Within(8..=41), 2, "41 nodes are more than the 40"),
        (Size::Published, 0, "at least 1 hop"),
    ] {
        let error = Generator::new(Config { size, min_hops }).unwrap_err().to_string();
        assert!(error.contains(said), "{error}");
    }
    let rare = Generator::new(Config { size: Size::Within(15..=15), min_hops: 12 }).unwrap();
    assert!(rare.draw(&mut ChaCha8Rng::seed_from_u64(1)).is_err());
}

/// All words of the vocabulary, longest first, so that one is found where another begins with it.
fn is_known(text: &str) -> bool {
    let known: HashSet<&str> = vocabulary().into_iter().chain(["is"]).collect();
    let apart = text.replace('.', " .").replace('?', " ?");
    apart.split_whitespace().all(|word| known.contains(word))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn every_question_has_one_answer(seed: u64, small: bool) {
        let config = if small { Config::within(8..=12) } else { Config::published() };
        let min_hops = config.min_hops;
        let (graph, query) = draw(config, seed, 1).remove(0);
        prop_assert!(!small || (8..=12).contains(&graph.nodes().len()));
        let hops = graph.hops(query.root);
        let target = hops[query.target].unwrap();
        prop_assert!(target >= min_hops);
        prop_assert_eq!(hops[query.neg_target], None);
        prop_assert!(graph.is_leaf(query.target) && graph.is_leaf(query.neg_target));
        prop_assert!(graph.is_entity(query.root) && !graph.is_entity(query.neg_target));
        prop_assert!(graph.edges().iter().collect::<HashSet<_>>().len() == graph.edges().len());
        prop_assert!(graph.queries(min_hops).contains(&query));

        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let symbols = symbols(&graph, &mut rng);
        prop_assert_eq!(symbols.iter().collect::<HashSet<_>>().len(), symbols.len());
        let is_concept = |node: usize| CONCEPTS.contains(&symbols[node]);
        prop_assert!(graph.nodes().all(|node| graph.is_entity(node) != is_concept(node)));
        let record = Record::new(&graph, query, &symbols, &mut rng);
        prop_assert_eq!(record.steps.len(), target);
        let (known, asked) = record.question.rsplit_once(". ").unwrap();
        let mut known: Vec<&str> = known.split_inclusive('.').map(str::trim).collect();
        let last = format!("{}.", known.pop().unwrap());
        known.push(&last);
        let mut edges: Vec<String> =
            graph.edges().iter().map(|&edge| sentence(&graph, &symbols, edge)).collect();
        known.sort_unstable();
        edges.sort_unstable();
        prop_assert_eq!(&known, &edges);
        prop_assert!(record.steps.iter().all(|step| known.contains(&step.as_str())));
        let mut at = symbols[query.root];
        for step in &record.steps {
            let (from, to) = step.trim_end_matches('.').split_once(" is a ").unwrap();
            prop_assert_eq!(from.trim_start_matches("Every "), at);
            at = to;
        }
        prop_assert_eq!(at, symbols[query.target]);
        prop_assert_eq!(&record.answer, &format!("{} is a {at}.", symbols[query.root]));
        prop_assert!(asked.contains(at) && asked.contains(symbols[query.neg_target]));
        prop_assert!(is_known(&record.question) && is_known(&record.answer));
        prop_assert_eq!(record.graph(), graph);
    }
}
