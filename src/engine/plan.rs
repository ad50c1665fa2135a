//! What is computed in one step, as plain data: whose rows, what they feed, what they are good for. Knows no script and no
//! tensor.

use crate::latent::script::Fed;
use crate::model::attention::rows::PageCopy;
use std::sync::Arc;

/// The number of a sequence, unique within an engine.
pub(crate) type SequenceId = u64;

/// What is fed at one position.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Input {
    Id(u32),
    /// A thought that was just computed, (D,).
    Thought(Arc<[f32]>),
    /// A vector (D,) that was known before: a thought of an earlier request, or one that the script states.
    Known(Arc<[f32]>),
}

/// What is computed in one step: the copies first, then the rows.
#[derive(Clone, Debug, Default)]
pub(crate) struct Plan {
    /// In this order.
    pub(crate) copies: Vec<PageCopy>,
    pub(crate) segments: Vec<Segment>,
}

/// Rows of one sequence in one step.
#[derive(Clone, Debug)]
pub(crate) struct Segment {
    pub(crate) sequence: SequenceId,
    /// Its number in the script.
    pub(crate) branch: usize,
    pub(crate) table: Arc<[u32]>,
    /// Position of the first row.
    pub(crate) start: usize,
    /// One a row; at least one.
    pub(crate) inputs: Vec<Input>,
    pub(crate) kind: RowKind,
    pub(crate) yields: Yields,
}

/// What a segment feeds beside its thought.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RowKind {
    Prefill,
    Forced,
    Answer,
}

/// What the last rows of a segment are good for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Yields {
    /// More of what is known follows.
    Nothing,
    /// The next thought.
    Thought,
    /// An answer token.
    Token,
    /// The scores of so many ids, one a row.
    Scores(usize),
}

impl From<&Fed> for Input {
    fn from(fed: &Fed) -> Self {
        match fed {
            Fed::Id(id) => Self::Id(*id),
            Fed::Vector(vector) => Self::Known(Arc::clone(vector)),
        }
    }
}

impl Segment {
    /// Number of rows.
    pub(crate) fn rows(&self) -> usize {
        self.inputs.len()
    }

    /// Ids among the inputs.
    #[cfg(test)]
    pub(crate) fn ids(&self) -> impl Iterator<Item = u32> {
        self.inputs.iter().filter_map(|input| match input {
            Input::Id(id) => Some(*id),
            Input::Thought(_) | Input::Known(_) => None,
        })
    }

    /// Whether it feeds a thought that was just computed.
    pub(crate) fn feeds_thought(&self) -> bool {
        matches!(self.inputs.first(), Some(Input::Thought(_)))
    }
}
