//! Where an architecture gets its tensors from: a checkpoint being loaded, or the variables of a training run.

use crate::model::error::Result;
use candle_core::Tensor;

/// How a matrix lies in the checkpoint, against how the model keeps it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stored {
    /// The same way: vectors, embeddings, GPT-2's (in, out) weights.
    AsIs,
    /// (out, in) on disk, (in, out) in the model: every `torch.nn.Linear`.
    Transposed,
}

/// A source of named tensors.
pub trait Parameters {
    /// The tensor `name`, contiguous, with the shape that the model keeps (after the transpose, if there is one).
    fn take(&mut self, name: &str, shape: &[usize], stored: Stored) -> Result<Tensor>;
}
