//! A graph and a question told in words, with the fields of the published files. Knows no file.

use crate::data::example::Example;
use crate::data::prosqa::graph::Graph;
use crate::data::prosqa::graph::Query;
use crate::data::prosqa::words::CONCEPTS;
use crate::data::prosqa::words::NAMES;
use rand::Rng;
use rand::seq::IndexedRandom as _;
use rand::seq::SliceRandom as _;
use serde::Deserialize;
use serde::Serialize;

/// A ProsQA question as published.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// What is known, in any order, and the question.
    pub question: String,
    /// Who is what.
    pub answer: String,
    /// One of the shortest paths, an edge each.
    pub steps: Vec<String>,
    /// The word of each node.
    pub idx_to_symbol: Vec<String>,
    /// The graph, as `[from, to]`.
    pub edges: Vec<[usize; 2]>,
    /// The entity in question.
    pub root: usize,
    /// What it is.
    pub target: usize,
    /// What it is not.
    pub neg_target: usize,
}

/// Names for the entities and the concepts of a graph, different for each node, at random: index is the node.
///
/// # Panics
/// If the graph has more than 17 entities or 38 concepts.
pub fn symbols(graph: &Graph, rng: &mut impl Rng) -> Vec<&'static str> {
    let (mut names, mut concepts) = (NAMES, CONCEPTS);
    names.shuffle(rng);
    concepts.shuffle(rng);
    let (mut names, mut concepts) = (names.into_iter(), concepts.into_iter());
    let word = |node| match graph.is_entity(node) {
        true => names.next(),
        false => concepts.next(),
    };
    graph
        .nodes()
        .map(word)
        .map(|word| word.expect("a graph has no more nodes than words"))
        .collect()
}

/// The edge between two nodes as a sentence. `symbols`: the word of each node.
pub fn sentence(graph: &Graph, symbols: &[&str], [from, to]: [usize; 2]) -> String {
    let every = if graph.is_entity(from) { "" } else { "Every " };
    format!("{every}{} is a {}.", symbols[from], symbols[to])
}

/// All edges as sentences, in random order.
pub fn facts(graph: &Graph, symbols: &[&str], rng: &mut impl Rng) -> Vec<String> {
    let mut known: Vec<String> =
        graph.edges().iter().map(|&edge| sentence(graph, symbols, edge)).collect();
    known.shuffle(rng);
    known
}

impl Record {
    /// A question in words: sentences and the two choices in random order, a random one of the shortest paths.
    ///
    /// # Panics
    /// If no way leads from the root to the target.
    pub fn new(graph: &Graph, query: Query, symbols: &[&str], rng: &mut impl Rng) -> Self {
        let known = facts(graph, symbols, rng);
        Self::after(&known, graph, query, symbols, rng).0
    }

    /// The same after these facts, so that several questions about a graph begin alike; and the nodes that its steps lead
    /// over, from the root to the target.
    ///
    /// # Panics
    /// If no way leads from the root to the target.
    pub fn after(
        known: &[String],
        graph: &Graph,
        query: Query,
        symbols: &[&str],
        rng: &mut impl Rng,
    ) -> (Self, Vec<usize>) {
        let Query { root, target, neg_target } = query;
        let mut choices = [symbols[target], symbols[neg_target]];
        choices.shuffle(rng);
        let [one, other] = choices;
        let way = shortest_way(graph, query, rng);
        let step = |edge: &[usize; 2]| sentence(graph, symbols, *edge);
        let record = Self {
            question: format!("{} Is {} a {one} or {other}?", known.join(" "), symbols[root]),
            answer: format!("{} is a {}.", symbols[root], symbols[target]),
            steps: way.array_windows().map(step).collect(),
            idx_to_symbol: symbols.iter().map(|&symbol| symbol.to_owned()).collect(),
            edges: graph.edges().to_vec(),
            root,
            target,
            neg_target,
        };
        (record, way)
    }

    /// What training and evaluation need of it.
    pub fn example(&self) -> Example {
        let Self { question, answer, steps, .. } = self.clone();
        Example { question, steps, answer, ..Example::default() }
    }

    /// Whether its numbers name nodes, and every edge leads to a larger one.
    pub fn is_sound(&self) -> bool {
        let nodes = self.idx_to_symbol.len();
        let named = [self.root, self.target, self.neg_target].into_iter().all(|node| node < nodes);
        named && self.edges.iter().all(|&[from, to]| from < to && to < nodes)
    }

    /// The graph that the question was made from.
    ///
    /// # Panics
    /// If an edge does not lead from a smaller to a larger node.
    pub fn graph(&self) -> Graph {
        Graph::new(self.idx_to_symbol.len(), self.edges.clone())
    }

    /// The question without its words.
    pub fn query(&self) -> Query {
        Query { root: self.root, target: self.target, neg_target: self.neg_target }
    }
}

/// The nodes of one of the shortest ways from the root to the target, walked back from there.
fn shortest_way(graph: &Graph, query: Query, rng: &mut impl Rng) -> Vec<usize> {
    let hops = graph.hops(query.root);
    let (mut node, mut way) = (query.target, vec![query.target]);
    while node != query.root {
        let mut nearer = graph.parents(node);
        nearer
            .retain(|&from| hops[from].is_some() && hops[from].map(|hops| hops + 1) == hops[node]);
        node = *nearer.choose(rng).expect("a way leads from the root to the target");
        way.push(node);
    }
    way.reverse();
    way
}
