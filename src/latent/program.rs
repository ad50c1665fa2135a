//! The one program that every fixed-length family reduces to, for one question: ids in, thoughts, ids out. Knows ids
//! only: the recipe and the tokenizer have done their work before.

/// What to run for one question.
///
/// The prompt is prefilled; its last position gives the first thought. Each of `latent_steps` thoughts takes a
/// position. The forced ids follow; the first answer token comes from the logits at the last of them (at the last
/// position before them where there are none).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Program {
    /// Prompt and start markers; at least one id.
    pub prompt: Vec<u32>,
    /// n: how many thoughts are computed and fed back.
    pub latent_steps: usize,
    /// End markers, fed whatever the model would have said.
    pub forced: Vec<u32>,
    /// Most answer tokens, at least 1.
    pub max_tokens: usize,
    /// When the answer ends.
    pub stop: StopRule,
    /// Ids that are never chosen.
    pub masked: Vec<u32>,
}

/// When an answer ends by itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StopRule {
    /// End-of-sequence ids.
    pub eos: Vec<u32>,
    /// How many of them end the answer: 1, and 2 for iCoT, whose first one closes the (empty) chain of thought.
    pub eos_count: usize,
}

impl StopRule {
    /// The answer does not end by itself.
    pub const NEVER: Self = Self { eos: Vec::new(), eos_count: 1 };
}

impl Program {
    /// Positions that the program can take at most: what is reserved in KV memory. The last answer token is never fed.
    /// Whatever the numbers, the sum is not below any of them: a program that asks for too much is seen to.
    pub fn positions(&self) -> usize {
        self.positions_before_answer().saturating_add(self.max_tokens.saturating_sub(1))
    }

    /// Positions of the thoughts and the forced ids.
    pub fn latent_positions(&self) -> usize {
        self.latent_steps.saturating_add(self.forced.len())
    }

    /// The most answer tokens that so many positions leave; there is always room for one, which is never fed.
    pub fn room(&self, positions: usize) -> usize {
        positions.saturating_sub(self.positions_before_answer()).saturating_add(1)
    }

    fn positions_before_answer(&self) -> usize {
        self.prompt.len().saturating_add(self.latent_positions())
    }
}
