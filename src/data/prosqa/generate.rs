//! Graphs at random as the Coconut paper draws them (appendix A.2), so that their statistics are those of the published
//! questions. Knows no words. Integers only, so that a seed gives the same graphs on every machine.
//!
//! The paper leaves four things open, and says of its test questions: 23.0 nodes, 36.0 edges, 3.8 hops, 1.6 shortest
//! paths. This reading gives 23.0, 36.3, 3.7 and 1.6, and node counts, degrees and hops distributed as published:
//!
//! - 28 nodes are drawn, the most that a published graph has; those without any edge are dropped.
//! - A new node that must not descend from one root has its parents in the family of the other. If nodes of neither
//!   family were candidates too, as the words allow, 20 % of all nodes would be in neither; published are 3 %.
//! - Depth is the longest way from a root.
//! - The target is the leaf furthest from its root, of both families, and at least 3 hops away. A leaf at random would
//!   give 3.4 hops.

use crate::data::error::Error;
use crate::data::prosqa::graph::Graph;
use crate::data::prosqa::graph::Query;
use crate::data::prosqa::words::CONCEPTS;
use crate::data::prosqa::words::NAMES;
use rand::Rng;
use rand::seq::IndexedRandom as _;
use std::ops::RangeInclusive;

/// Nodes drawn for a graph of the published size.
const DRAWN: usize = 28;
/// What is left of them on average.
const LEFT: usize = 23;
/// Of 100 new nodes, how many stay in the family of root 0, and of root 1. The others may join both.
const STAY: u32 = 35;
/// P(k <= 0, 1, 2...) of Poisson(1.5), in units of 1 / `POISSON_UNITS`.
const POISSON: [u32; 10] = [
    22_313_016, 55_782_540, 80_884_683, 93_435_755, 98_142_406, 99_554_402, 99_907_401, 99_983_043,
    99_997_226, 99_999_590,
];
const POISSON_UNITS: u32 = 100_000_000;
/// After so many graphs that do not fit, none will.
const MAX_TRIES: usize = 100_000;

/// Which graphs and questions are wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// How large graphs are.
    pub size: Size,
    /// Fewest hops from the root to the target.
    pub min_hops: usize,
}

/// How large graphs are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Size {
    /// As published: 23 nodes on average, 17 to 28.
    Published,
    /// So many nodes, in about equal shares.
    Within(RangeInclusive<usize>),
}

/// Draws graphs with a question.
#[derive(Clone, Debug)]
pub struct Generator {
    config: Config,
}

/// Which roots a node descends from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Family {
    Neither,
    /// Of root 0 or 1.
    One(usize),
    Both,
}

impl Config {
    /// As the questions were published.
    pub fn published() -> Self {
        Self { size: Size::Published, min_hops: 3 }
    }

    /// Smaller or larger graphs, with shorter ways to the target.
    pub fn within(nodes: RangeInclusive<usize>) -> Self {
        Self { size: Size::Within(nodes), min_hops: 2 }
    }
}

impl Generator {
    /// Most nodes of a graph: there are no more words.
    pub const MAX_NODES: usize = CONCEPTS.len() + 2;

    /// # Errors
    /// If no graph is like this.
    pub fn new(config: Config) -> Result<Self, Error> {
        let (smallest, largest) = match &config.size {
            Size::Published => (1, DRAWN),
            Size::Within(nodes) => (*nodes.start(), *nodes.end()),
        };
        // The way to the target, and the other root with its leaf.
        let needed = config.min_hops.saturating_add(3);
        let why = match () {
            () if config.min_hops == 0 => "a target is at least 1 hop away".to_owned(),
            () if smallest > largest => format!("no number of nodes is in {smallest}..{largest}"),
            () if largest < needed => {
                format!("{} hops need {needed} nodes, and {largest} are the most", config.min_hops)
            }
            () if largest > Self::MAX_NODES => {
                format!("{largest} nodes are more than the {} there are words for", Self::MAX_NODES)
            }
            () => return Ok(Self { config }),
        };
        Err(Error::Impossible(why))
    }

    /// The next graph, with the question that is asked on it.
    ///
    /// # Errors
    /// If graphs like this are too rare to be found.
    pub fn draw(&self, rng: &mut impl Rng) -> Result<(Graph, Query), Error> {
        let size = match &self.config.size {
            Size::Published => None,
            Size::Within(nodes) => Some(between(rng, *nodes.start(), *nodes.end())),
        };
        let drawn = size.map_or(DRAWN, |size| (size * DRAWN).div_ceil(LEFT).max(3));
        for _ in 0..MAX_TRIES {
            let graph = draw_graph(rng, drawn);
            if size.is_some_and(|size| graph.nodes().len() != size) || !has_words(&graph) {
                continue;
            }
            if let Some(query) = furthest(rng, &graph, self.config.min_hops) {
                return Ok((graph, query));
            }
        }
        let size = size.unwrap_or(LEFT);
        let hops = self.config.min_hops;
        Err(Error::Impossible(format!("no graph with {hops} hops and {size} nodes was found")))
    }
}

/// The construction of the paper: each new node takes parents among the older ones.
fn draw_graph(rng: &mut impl Rng, drawn: usize) -> Graph {
    let mut family = vec![Family::One(0), Family::One(1)];
    let mut depth = vec![0_u32; 2];
    let mut edges = Vec::new();
    for node in 2..drawn {
        let wanted = poisson(rng);
        let mut candidates: Vec<usize> = match rng.random_range(0..100_u32) {
            draw if draw < STAY => of_family(&family, 0),
            draw if draw < 2 * STAY => of_family(&family, 1),
            _ => (0..node).collect(),
        };
        let parents: Vec<usize> = (0..wanted.min(candidates.len()))
            .map(|_| candidates.remove(deep(rng, &candidates, &depth)))
            .collect();
        family.push(parents.iter().map(|&parent| family[parent]).fold(Family::Neither, Family::or));
        depth.push(parents.iter().map(|&parent| depth[parent] + 1).max().unwrap_or(0));
        edges.extend(parents.iter().map(|&parent| [parent, node]));
    }
    without_lone_nodes(drawn, &edges)
}

impl Family {
    /// The family of a node with parents of both.
    fn or(self, other: Self) -> Self {
        match (self, other) {
            (Self::Neither, family) | (family, Self::Neither) => family,
            (one, other) if one == other => one,
            _ => Self::Both,
        }
    }
}

fn of_family(family: &[Family], root: usize) -> Vec<usize> {
    (0..family.len()).filter(|&node| family[node] == Family::One(root)).collect()
}

fn poisson(rng: &mut impl Rng) -> usize {
    let draw = rng.random_range(0..POISSON_UNITS);
    POISSON.iter().take_while(|&&cumulative| draw >= cumulative).count()
}

/// An index of `candidates`, with probability proportional to 1.5 x depth + 1, here doubled: solutions become longer.
fn deep(rng: &mut impl Rng, candidates: &[usize], depth: &[u32]) -> usize {
    let weight = |node: usize| 3 * depth[node] + 2;
    let mut left = rng.random_range(0..candidates.iter().map(|&node| weight(node)).sum::<u32>());
    let chosen = candidates.iter().position(|&node| {
        let here = left < weight(node);
        left = left.saturating_sub(weight(node));
        here
    });
    chosen.expect("the draw is below the sum of the weights")
}

/// Drops nodes without edges, roots excepted, and numbers the others again in their order.
fn without_lone_nodes(drawn: usize, edges: &[[usize; 2]]) -> Graph {
    let mut used = vec![false; drawn];
    edges.iter().flatten().chain(&[0, 1]).for_each(|&node| used[node] = true);
    let mut count = 0;
    let number: Vec<usize> = used
        .iter()
        .map(|&used| {
            count += usize::from(used);
            count.saturating_sub(1)
        })
        .collect();
    Graph::new(count, edges.iter().map(|&[from, to]| [number[from], number[to]]).collect())
}

fn has_words(graph: &Graph) -> bool {
    let entities = graph.nodes().filter(|&node| graph.is_entity(node)).count();
    entities <= NAMES.len() && graph.nodes().len() - entities <= CONCEPTS.len()
}

/// One of the targets with the most hops from root 0 or 1 that the other root does not reach; against a leaf that only the
/// other root reaches.
fn furthest(rng: &mut impl Rng, graph: &Graph, min_hops: usize) -> Option<Query> {
    if graph.is_leaf(0) || graph.is_leaf(1) {
        return None;
    }
    let hops = [graph.hops(0), graph.hops(1)];
    let leaves = |root: usize| {
        graph.nodes().filter_map({
            let hops = &hops;
            move |node| match (hops[root][node], hops[1 - root][node]) {
                (Some(count), None) if graph.is_leaf(node) => Some((count, node)),
                _ => None,
            }
        })
    };
    let most = leaves(0).chain(leaves(1)).map(|(count, _)| count).max()?;
    let targets: Vec<(usize, usize)> = (0..2)
        .flat_map(|root| leaves(root).map(move |leaf| (root, leaf)))
        .filter_map(|(root, (count, leaf))| (count == most).then_some((root, leaf)))
        .collect();
    let &(root, target) = targets.choose(rng)?;
    let others: Vec<usize> = leaves(1 - root).map(|(_, leaf)| leaf).collect();
    let &neg_target = others.choose(rng)?;
    (most >= min_hops).then_some(Query { root, target, neg_target })
}

/// Both ends included. As u32, whose draws do not depend on the machine's word.
fn between(rng: &mut impl Rng, low: usize, high: usize) -> usize {
    low + rng.random_range(0..=(high - low) as u32) as usize
}
