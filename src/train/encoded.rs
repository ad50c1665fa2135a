//! A question in ids, in the parts that methods put together. Knows no method.

/// The ids that are no text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Special {
    /// `<|start-latent|>`, before the thoughts.
    pub start: u32,
    /// `<|end-latent|>`, after them.
    pub end: u32,
    /// `<|latent|>`, the pause token.
    pub latent: u32,
    /// End of sequence.
    pub eos: u32,
}

/// A question in ids.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Encoded {
    /// The prompt.
    pub question: Vec<u32>,
    /// Each with its newline (iCoT: with the space between). Of a dialogue: what the model says in each round but the last.
    pub steps: Vec<Vec<u32>>,
    /// What is fed after each step of a dialogue: what was observed, and the opening of the next round. Otherwise none.
    pub observed: Vec<Vec<u32>>,
    /// The nodes that the steps lead over, from who is asked about to the answer, if a graph is known; otherwise none.
    pub nodes: Vec<u32>,
    /// `### ` and the answer, without end of sequence. Of a dialogue: what the model says in the last round.
    pub answer: Vec<u32>,
}

impl Encoded {
    /// All ids but the end of sequence.
    pub fn positions(&self) -> usize {
        let between = self.steps.iter().chain(&self.observed).map(Vec::len).sum::<usize>();
        self.question.len() + between + self.answer.len()
    }
}
