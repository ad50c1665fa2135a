//! One training sequence: what goes in at each position, and what the hidden state there should say. Knows no batch.

use crate::model::gradients::cross_entropy::Distribution;
use crate::model::gradients::cross_entropy::Target;

/// What goes in at a position.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Input {
    /// The embedding of an id.
    Token(u32),
    /// The hidden state of the position before. Thoughts of a sequence lie side by side.
    Thought,
}

/// What goes in, and what should come out.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Sequence {
    /// By position.
    pub inputs: Vec<Input>,
    /// Positions with what their logits should say, in order.
    pub targets: Vec<(usize, Target)>,
}

impl Sequence {
    /// Appends ids that nothing is learnt from.
    pub fn feed(&mut self, ids: &[u32]) {
        self.inputs.extend(ids.iter().map(|&id| Input::Token(id)));
    }

    /// Appends thoughts.
    pub fn think(&mut self, thoughts: usize) {
        self.inputs.extend(std::iter::repeat_n(Input::Thought, thoughts));
    }

    /// Appends ids, each to be predicted at the position before it; not the first position of a sequence.
    pub fn learn(&mut self, ids: &[u32]) {
        for &id in ids {
            let at = self.inputs.len() - 1;
            self.targets.push((at, Target { distribution: Distribution::Token(id), weight: 1.0 }));
            self.inputs.push(Input::Token(id));
        }
    }

    /// What the last position so far should say.
    pub fn expect(&mut self, distribution: Distribution, weight: f32) {
        self.targets.push((self.inputs.len() - 1, Target { distribution, weight }));
    }

    /// The sets of nodes that are expected, hop by hop.
    pub fn searched(&mut self) -> impl Iterator<Item = &mut Target> {
        let targets = self.targets.iter_mut().map(|(_, target)| target);
        targets.filter(|target| matches!(target.distribution, Distribution::Uniform(_)))
    }

    /// The position of the first thought, and how many there are.
    pub fn thoughts(&self) -> Option<(usize, usize)> {
        let is_thought = |input: &&Input| **input == Input::Thought;
        let first = self.inputs.iter().position(|input| *input == Input::Thought)?;
        Some((first, self.inputs.iter().filter(is_thought).count()))
    }
}
