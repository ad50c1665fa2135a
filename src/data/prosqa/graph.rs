//! Graphs of "is a", who is reached from whom in how many hops, and which questions one can ask. Knows numbers of nodes,
//! no words.

use std::ops::Range;

/// A graph without cycles: every edge leads from a smaller to a larger node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Graph {
    edges: Vec<[usize; 2]>,
    children: Vec<Vec<usize>>,
    has_parents: Vec<bool>,
}

/// What is asked on a graph: is `root` a `target` or a `neg_target`?
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Query {
    /// The entity that is asked about.
    pub root: usize,
    /// The leaf that is reached from it.
    pub target: usize,
    /// The leaf that is not.
    pub neg_target: usize,
}

impl Graph {
    /// Nodes from 0, and edges `[from, to]` with `from < to < nodes`.
    ///
    /// # Panics
    /// If an edge is not one.
    pub fn new(nodes: usize, edges: Vec<[usize; 2]>) -> Self {
        let (mut children, mut has_parents) = (vec![Vec::new(); nodes], vec![false; nodes]);
        for &[from, to] in &edges {
            assert!(from < to && to < nodes, "edge {from} -> {to} in a graph of {nodes} nodes");
            children[from].push(to);
            has_parents[to] = true;
        }
        Self { edges, children, has_parents }
    }

    /// All nodes.
    pub fn nodes(&self) -> Range<usize> {
        0..self.children.len()
    }

    /// All edges, as `[from, to]`.
    pub fn edges(&self) -> &[[usize; 2]] {
        &self.edges
    }

    /// Where one hop leads.
    pub fn children(&self, node: usize) -> &[usize] {
        &self.children[node]
    }

    /// From where one hop leads here.
    pub fn parents(&self, node: usize) -> Vec<usize> {
        self.edges.iter().filter(|[_, to]| *to == node).map(|[from, _]| *from).collect()
    }

    /// From where so many hops or fewer lead here.
    pub fn ancestors(&self, node: usize, hops: usize) -> Vec<usize> {
        let within = |&from: &usize| {
            from != node && self.hops(from)[node].is_some_and(|count| count <= hops)
        };
        self.nodes().filter(within).collect()
    }

    /// Whether the node has no parents: it is somebody, not something.
    pub fn is_entity(&self, node: usize) -> bool {
        !self.has_parents[node]
    }

    /// Whether no hop leads further.
    pub fn is_leaf(&self, node: usize) -> bool {
        self.children[node].is_empty()
    }

    /// The nodes at 0, 1, 2... hops from a node by the shortest way: a search in breadth, layer by layer. The first layer
    /// is the node itself, the last has no children that are new.
    pub fn layers(&self, from: usize) -> Vec<Vec<usize>> {
        let mut seen = vec![false; self.children.len()];
        seen[from] = true;
        let mut layers = vec![vec![from]];
        while let Some(layer) = layers.last() {
            let mut next = Vec::new();
            for &child in layer.iter().flat_map(|&node| &self.children[node]) {
                if !std::mem::replace(&mut seen[child], true) {
                    next.push(child);
                }
            }
            match next.is_empty() {
                true => break,
                false => layers.push(next),
            }
        }
        layers
    }

    /// The nodes that exactly 0, 1, 2... hops lead to by any way, each once: the children of one frontier are the next.
    /// A node that ways of different lengths lead to is in several.
    pub fn frontiers(&self, from: usize) -> Vec<Vec<usize>> {
        let next = |frontier: &Vec<usize>| {
            let mut next: Vec<usize> =
                frontier.iter().flat_map(|&node| &self.children[node]).copied().collect();
            next.sort_unstable();
            next.dedup();
            Some(next).filter(|next| !next.is_empty())
        };
        std::iter::successors(Some(vec![from]), next).collect()
    }

    /// Hops from a node to every node by the shortest way; `None` where no way leads.
    pub fn hops(&self, from: usize) -> Vec<Option<usize>> {
        let mut hops = vec![None; self.children.len()];
        for (count, layer) in self.layers(from).iter().enumerate() {
            layer.iter().for_each(|&node| hops[node] = Some(count));
        }
        hops
    }

    /// The children of a node with which a shortest way to another begins; none where no way leads.
    pub fn towards(&self, from: usize, to: usize) -> Vec<usize> {
        let left = |node: usize| self.hops(node)[to];
        let nearest = self.children(from).iter().filter_map(|&child| left(child)).min();
        let begins = |&&child: &&usize| nearest.is_some() && left(child) == nearest;
        self.children(from).iter().filter(begins).copied().collect()
    }

    /// How many shortest ways lead from a node to another; 0 where none does.
    pub fn shortest_path_count(&self, from: usize, to: usize) -> u64 {
        let hops = self.hops(from);
        let mut counts = vec![0_u64; self.children.len()];
        counts[from] = 1;
        // Children have larger numbers, so that a node's count is complete when its turn comes.
        for node in self.nodes() {
            let Some(at) = hops[node] else { continue };
            for &child in self.children[node].iter().filter(|&&child| hops[child] == Some(at + 1)) {
                counts[child] = counts[child].saturating_add(counts[node]);
            }
        }
        counts[to]
    }

    /// Everything that can be asked: of every entity, about each leaf at `min_hops` or more, against each that it does not
    /// reach.
    pub fn queries(&self, min_hops: usize) -> Vec<Query> {
        let mut queries = Vec::new();
        for root in self.nodes().filter(|&node| self.is_entity(node)) {
            let hops = self.hops(root);
            let leaves = || self.nodes().filter(|&node| self.is_leaf(node));
            for target in leaves().filter(|&leaf| hops[leaf].is_some_and(|hops| hops >= min_hops)) {
                let others = leaves().filter(|&leaf| hops[leaf].is_none() && !self.is_entity(leaf));
                queries.extend(others.map(|neg_target| Query { root, target, neg_target }));
            }
        }
        queries
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two ways lead from 0 to 5, of 2 hops each, and one of 3; nothing leads from 1 to 5.
    fn graph() -> Graph {
        Graph::new(7, vec![[0, 2], [0, 3], [2, 4], [4, 5], [2, 5], [3, 5], [1, 6]])
    }

    #[test]
    fn layers_are_the_nodes_at_so_many_hops() {
        assert_eq!(graph().layers(0), [vec![0], vec![2, 3], vec![4, 5]]);
        assert_eq!(graph().layers(6), [vec![6]]);
        assert_eq!(graph().hops(1), [None, Some(0), None, None, None, None, Some(1)]);
    }

    #[test]
    fn frontiers_are_reached_by_any_way() {
        assert_eq!(graph().frontiers(0), [vec![0], vec![2, 3], vec![4, 5], vec![5]]);
        assert_eq!(graph().frontiers(6), [vec![6]]);
    }

    #[test]
    fn shortest_ways_are_counted() {
        assert_eq!(graph().shortest_path_count(0, 5), 2);
        assert_eq!(graph().shortest_path_count(0, 0), 1);
        assert_eq!(graph().shortest_path_count(0, 6), 0);
        assert_eq!((graph().towards(0, 5), graph().towards(0, 4)), (vec![2, 3], vec![2]));
        assert_eq!((graph().towards(0, 2), graph().towards(0, 6)), (vec![2], vec![]));
        assert_eq!((graph().parents(5), graph().parents(0)), (vec![4, 2, 3], vec![]));
    }

    #[test]
    fn queries_ask_entities_about_leaves() {
        assert_eq!(graph().queries(2), [Query { root: 0, target: 5, neg_target: 6 }]);
        assert_eq!(graph().queries(1).len(), 2);
    }
}
