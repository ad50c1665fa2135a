//! What came of the updates since the last line of the log. It is part of a saved state, so that the lines of a resumed run
//! are those of an unbroken one. Knows sums, no event.

use crate::train::breakdown::Breakdown;
use serde::Deserialize;
use serde::Serialize;

/// Sums over some updates.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Window {
    /// Updates.
    pub updates: usize,
    /// Sum of their losses.
    pub loss: f64,
    /// What these are made of.
    pub breakdown: Breakdown,
    /// Sum of their gradients' norms.
    pub norm: f64,
    /// Sequences trained on.
    pub sequences: usize,
    /// Time that took.
    pub seconds: f64,
}

impl Window {
    /// Of the losses; 0 without an update.
    pub fn mean_loss(&self) -> f64 {
        self.loss / self.updates.max(1) as f64
    }

    /// Of the gradients' norms; 0 without an update.
    pub fn mean_norm(&self) -> f64 {
        self.norm / self.updates.max(1) as f64
    }

    /// Sequences in a second.
    pub fn speed(&self) -> f64 {
        self.sequences as f64 / self.seconds.max(1e-9)
    }
}
