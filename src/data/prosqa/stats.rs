//! Statistics of ProsQA questions, as the Coconut paper gives them (table 2 of its appendix). Knows sums, keeps no question.

use crate::data::prosqa::graph::Graph;
use crate::data::prosqa::graph::Query;
use std::collections::BTreeMap;
use std::fmt;

/// Sums over questions.
#[derive(Clone, Debug, Default)]
pub struct Statistics {
    questions: u64,
    nodes: u64,
    edges: u64,
    entities: u64,
    shortest_paths: u64,
    hops: BTreeMap<usize, u64>,
}

impl Statistics {
    /// Counts a question.
    pub fn add(&mut self, graph: &Graph, query: Query) {
        self.questions += 1;
        self.nodes += graph.nodes().len() as u64;
        self.edges += graph.edges().len() as u64;
        self.entities += graph.nodes().filter(|&node| graph.is_entity(node)).count() as u64;
        self.shortest_paths += graph.shortest_path_count(query.root, query.target);
        if let Some(hops) = graph.hops(query.root)[query.target] {
            *self.hops.entry(hops).or_default() += 1;
        }
    }

    /// Means, with their names: nodes, edges, entities, hops of the shortest path, number of shortest paths.
    pub fn means(&self) -> [(&'static str, f64); 5] {
        let mean = |sum: u64| sum as f64 / self.questions.max(1) as f64;
        let hops = self.hops.iter().map(|(&hops, count)| hops as u64 * count).sum();
        [
            ("nodes", mean(self.nodes)),
            ("edges", mean(self.edges)),
            ("entities", mean(self.entities)),
            ("hops", mean(hops)),
            ("shortest paths", mean(self.shortest_paths)),
        ]
    }
}

impl fmt::Display for Statistics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (name, mean) in self.means() {
            writeln!(f, "{name:15} {mean:.2}")?;
        }
        for (hops, &count) in &self.hops {
            let percent = 100.0 * count as f64 / self.questions as f64;
            writeln!(f, "{:15} {percent:.1} %", format!("{hops} hops"))?;
        }
        Ok(())
    }
}
