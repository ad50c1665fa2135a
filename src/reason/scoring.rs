//! Continuations whose probabilities are asked for, as plain data. Knows text and ids, no tokenizer.

/// Continuations whose probabilities are asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scoring {
    /// What is said before each of them, and not counted.
    pub prefix: String,
    /// At least one.
    pub continuations: Vec<Continuation>,
}

/// What could be said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Continuation {
    /// Encoded by itself, without special tokens.
    Text(String),
    /// Token ids.
    Ids(Vec<u32>),
}

impl Continuation {
    /// How long it is as it was written: bytes, or ids.
    pub fn length(&self) -> usize {
        match self {
            Self::Text(text) => text.len(),
            Self::Ids(ids) => ids.len(),
        }
    }
}

impl Scoring {
    /// Of text that has to be encoded.
    pub fn bytes(&self) -> usize {
        let texts = self.continuations.iter().map(|continuation| match continuation {
            Continuation::Text(text) => text.len(),
            Continuation::Ids(_) => 0,
        });
        self.prefix.len() + texts.sum::<usize>()
    }
}
