//! One forward pass as it is asked for: rows in, and which numbers are to come out. Knows rows and places, no sequence and no
//! model.

use crate::model::attention::rows::PagedRows;
use crate::model::look::Look;
use crate::model::look::Seen;

/// The rows of one pass: those of ids first, those of thoughts behind them.
#[derive(Clone, Copy, Debug)]
pub struct Pass<'a> {
    /// Token ids.
    pub ids: &'a [u32],
    /// Thoughts that are fed, (rows, D).
    pub thoughts: &'a [f32],
    /// Where each row belongs.
    pub rows: &'a PagedRows,
    /// What is to come out.
    pub wanted: Wanted<'a>,
}

/// The rows that something is wanted of.
#[derive(Clone, Copy, Debug, Default)]
pub struct Wanted<'a> {
    /// Rows whose hidden states become thoughts.
    pub thoughts: &'a [u32],
    /// Rows that the head is applied to.
    pub tokens: &'a [u32],
    /// Which of the thoughts the head is applied to as well.
    pub shown: &'a [u32],
    /// Rows that are looked into, whatever else is wanted of them.
    pub looks: &'a [Look<'a>],
}

impl Wanted<'_> {
    /// Rows whose hidden state is needed.
    pub(crate) fn rows(&self) -> usize {
        self.thoughts.len() + self.tokens.len()
    }
}

/// What a pass gives; its memory is kept from pass to pass.
#[derive(Clone, Debug, Default)]
pub struct Output {
    /// (thoughts, D)
    pub thoughts: Vec<f32>,
    /// (tokens + shown, V)
    pub logits: Vec<f32>,
    /// One entry a look.
    pub seen: Vec<Seen>,
}
