//! What a loss is made of: the mean divergence of each thought from what it was expected to say, and of the answers'
//! tokens. Weights are left out, so that phases can be compared. Knows numbers, no tensor.

use crate::model::gradients::cross_entropy::Distribution;
use crate::model::gradients::cross_entropy::Target;
use serde::Deserialize;
use serde::Serialize;

/// Sums over the targets of some batches.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
pub struct Breakdown {
    /// Of sets of nodes, by the number of thoughts before them.
    thoughts: Vec<Mean>,
    /// Of single tokens.
    tokens: Mean,
}

#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Serialize)]
struct Mean {
    sum: f64,
    count: usize,
}

impl Mean {
    fn add(&mut self, other: Self) {
        self.sum += other.sum;
        self.count += other.count;
    }

    fn value(self) -> Option<f64> {
        (self.count > 0).then(|| self.sum / self.count as f64)
    }
}

impl Breakdown {
    /// Adds what one target came to, with its weight in it.
    pub fn count(&mut self, target: &Target, thoughts: usize, weighted: f32) {
        if target.weight <= 0.0 {
            return;
        }
        let mean = Mean { sum: f64::from(weighted / target.weight), count: 1 };
        match target.distribution {
            Distribution::Token(_) => self.tokens.add(mean),
            Distribution::Uniform(_) => self.thought(thoughts).add(mean),
        }
    }

    /// Adds another part.
    pub fn add(&mut self, other: &Self) {
        self.tokens.add(other.tokens);
        for (thoughts, mean) in other.thoughts.iter().enumerate() {
            self.thought(thoughts).add(*mean);
        }
    }

    fn thought(&mut self, thoughts: usize) -> &mut Mean {
        if self.thoughts.len() <= thoughts {
            self.thoughts.resize(thoughts + 1, Mean::default());
        }
        &mut self.thoughts[thoughts]
    }

    /// Mean of each number of thoughts, 0 first; 0 where nothing was expected.
    pub fn thoughts(&self) -> Vec<f64> {
        self.thoughts.iter().map(|mean| mean.value().unwrap_or(0.0)).collect()
    }

    /// Mean over single tokens.
    pub fn tokens(&self) -> Option<f64> {
        self.tokens.value()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(distribution: Distribution, weight: f32) -> Target {
        Target { distribution, weight }
    }

    #[test]
    fn means_are_without_weights_and_by_thought() {
        let set = || Distribution::Uniform([1, 2].into());
        let mut breakdown = Breakdown::default();
        breakdown.count(&target(Distribution::Token(3), 4.0), 6, 2.0);
        breakdown.count(&target(set(), 0.5), 2, 0.5);
        breakdown.count(&target(Distribution::Token(3), 0.0), 6, 0.0);
        let mut other = Breakdown::default();
        other.count(&target(set(), 1.0), 2, 3.0);
        other.count(&target(set(), 1.0), 0, 0.25);
        breakdown.add(&other);
        assert_eq!(breakdown.tokens(), Some(0.5));
        assert_eq!(breakdown.thoughts(), [0.25, 0.0, 2.0]);
        assert_eq!(Breakdown::default().tokens(), None);
    }
}
