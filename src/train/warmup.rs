//! Batches on ProsQA graphs that are made on the way: what a small model needs to learn to search before the paper's
//! objective can teach it anything. Every graph is read once, and all that is asked about it shares that prefix. Knows
//! graphs and ids, no tensor.

use crate::data::prosqa::generate::Generator;
use crate::train::batch::Batch;
use crate::train::error::Error;
use crate::train::error::Result;
use crate::train::graph_work::GraphWork;
use crate::train::graph_work::Learn;
use crate::train::sequence::Sequence;
use crate::train::told::Told;
use crate::train::told::Words;
use rand::Rng;

impl GraphWork {
    /// The graphs of a step.
    fn generator(&self, step: usize, random: &mut impl Rng) -> Result<Generator> {
        let share = step * self.nodes.len() / self.steps.max(1);
        let nodes = self.nodes.get(share.min(self.nodes.len().saturating_sub(1)));
        let nodes = nodes.filter(|_| !random.random_bool(self.published));
        Ok(Generator::new(self.config(nodes))?)
    }

    /// The batch of a step, at a stage of the method's curriculum.
    ///
    /// # Errors
    /// If no such graphs exist, or the tokenizer is not made for them.
    pub fn batch(
        &self,
        step: usize,
        stage: usize,
        words: &Words<'_>,
        random: &mut impl Rng,
    ) -> Result<Batch> {
        let mut told = Vec::new();
        for _ in 0..self.graphs {
            let (graph, query) = self.generator(step, random)?.draw(random)?;
            told.push(Told::new(graph, query, words, random)?);
        }
        let mut asked = Vec::new();
        for told in &mut told {
            asked.push(self.asked(told, stage, words, random)?);
        }
        // A graph of single file has no turns.
        let (told, asked): (Vec<_>, Vec<_>) =
            told.into_iter().zip(asked).filter(|(_, asked)| !asked.is_empty()).unzip();
        if asked.is_empty() {
            let reason = "makes graphs about which there is nothing to ask".to_owned();
            return Err(Error::Field { field: "objective.graphs.nodes", reason });
        }
        // As many for each graph: smaller ones are asked the same again.
        let fan = asked.iter().map(Vec::len).max().unwrap_or(0);
        let sequences = asked.iter().flat_map(|asked| asked.iter().cycle().take(fan).cloned());
        let mut sequences: Vec<Sequence> = sequences.collect();
        balance(&mut sequences);
        Ok(Batch { prefixes: told.into_iter().map(|told| told.prefix).collect(), sequences })
    }

    /// What is asked about a graph.
    fn asked(
        &self,
        told: &mut Told,
        stage: usize,
        words: &Words<'_>,
        random: &mut impl Rng,
    ) -> Result<Vec<Sequence>> {
        match &self.learn {
            Learn::Children => Ok(told.children()),
            Learn::Neighbours => told.neighbours(words),
            Learn::Facts => told.facts(words),
            Learn::Ways { per_graph } => Ok(told.ways(*per_graph, random)),
            Learn::Turns(turns) => told.turns(turns, words, random),
            Learn::Chains { hops } => Ok(told.chains(*hops, words)),
            Learn::Questions(questions) => told.questions(questions, words, random),
            Learn::Method(questions) => told.by_method(questions, stage, words, random),
        }
    }
}

/// Gives the hops weights that lie halfway between every target alike and every hop alike: most nodes are a hop or two
/// from a leaf, and later hops would hardly count.
fn balance(sequences: &mut [Sequence]) {
    let mut counts: Vec<usize> = Vec::new();
    for sequence in sequences.iter_mut() {
        let hops = sequence.searched().count();
        counts.resize(counts.len().max(hops), 0);
        counts.iter_mut().take(hops).for_each(|count| *count += 1);
    }
    let most = counts.iter().copied().max().unwrap_or(0) as f32;
    for sequence in sequences {
        for (target, &count) in sequence.searched().zip(&counts) {
            target.weight *= (most / count as f32).sqrt();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::gradients::cross_entropy::Distribution;

    fn search(hops: usize) -> Sequence {
        let mut sequence = Sequence::default();
        for hop in 0..hops {
            sequence.think(1);
            sequence.expect(Distribution::Uniform([hop as u32].into()), 2.0);
        }
        sequence.learn(&[7]);
        sequence
    }

    #[test]
    fn rare_hops_weigh_more() {
        let mut sequences: Vec<Sequence> = [1, 1, 1, 2].map(search).into();
        balance(&mut sequences);
        let weights: Vec<f32> =
            sequences[3].targets.iter().map(|(_, target)| target.weight).collect();
        assert_eq!(weights, [2.0, 4.0, 1.0], "one sequence of four has a second hop");
        assert_eq!(sequences[0].targets[0].1.weight, 2.0);
    }
}
