//! Where an architecture gets its parameters from: a checkpoint being loaded, or the variables of a training run. As
//! tensors, or as matrices that are read piece by piece while they are packed.

use crate::model::error::Result;
use crate::model::numbers::to_f32;
use candle_core::DType;
use candle_core::Tensor;
use coconut_kernels::packed::BLOCK_INPUTS;
use coconut_kernels::packed::PANEL;
use std::borrow::Cow;
use std::ops::Range;

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

    /// Matrices by name and shape (in, out), to be read piece by piece.
    fn matrices(&mut self, wanted: &[(String, [usize; 2], Stored)]) -> Result<Vec<Matrix<'_>>> {
        let one = |(name, shape, stored): &(String, [usize; 2], Stored)| {
            Matrix::of_tensor(&self.take(name, shape, *stored)?)
        };
        wanted.iter().map(one).collect()
    }
}

/// A matrix (in, out), wherever and in whatever type its numbers lie.
#[derive(Debug)]
pub struct Matrix<'a> {
    shape: [usize; 2],
    numbers: Numbers<'a>,
}

#[derive(Debug)]
enum Numbers<'a> {
    /// Missing from the checkpoint, which is refused later; reads as zeros.
    Absent,
    /// (in, out)
    Whole(Vec<f32>),
    /// As on disk.
    Raw { bytes: Cow<'a, [u8]>, dtype: DType, stored: Stored },
}

impl<'a> Matrix<'a> {
    /// One that is missing; reads as zeros.
    pub(crate) fn absent(shape: [usize; 2]) -> Self {
        Self { shape, numbers: Numbers::Absent }
    }

    /// tensor (in, out)
    pub(crate) fn of_tensor(tensor: &Tensor) -> Result<Self> {
        let (inputs, outputs) = tensor.dims2()?;
        let numbers = tensor.to_dtype(DType::F32)?.flatten_all()?.to_vec1()?;
        Ok(Self { shape: [inputs, outputs], numbers: Numbers::Whole(numbers) })
    }

    /// Elements of the type `dtype`, little-endian.
    pub(crate) fn raw(
        shape: [usize; 2],
        stored: Stored,
        dtype: DType,
        bytes: Cow<'a, [u8]>,
    ) -> Self {
        assert_eq!(bytes.len(), shape[0] * shape[1] * dtype.size_in_bytes(), "all elements");
        Self { shape, numbers: Numbers::Raw { bytes, dtype, stored } }
    }

    /// Writes the weights of some inputs and outputs into the columns of `block` (some inputs, 32) from `column` on.
    pub(crate) fn read(
        &self,
        inputs: Range<usize>,
        outputs: Range<usize>,
        block: &mut [f32],
        column: usize,
    ) {
        let [all_inputs, all_outputs] = self.shape;
        let columns = column..column + outputs.len();
        assert!(inputs.end <= all_inputs && outputs.end <= all_outputs && columns.end <= PANEL);
        match &self.numbers {
            Numbers::Absent => {}
            Numbers::Whole(numbers) => {
                for (input, row) in inputs.zip(block.chunks_exact_mut(PANEL)) {
                    let from = &numbers[input * all_outputs..][outputs.clone()];
                    row[columns.clone()].copy_from_slice(from);
                }
            }
            Numbers::Raw { bytes, dtype, stored: Stored::AsIs } => {
                for (input, row) in inputs.zip(block.chunks_exact_mut(PANEL)) {
                    let first = (input * all_outputs + outputs.start) * dtype.size_in_bytes();
                    to_f32(*dtype, &bytes[first..], &mut row[columns.clone()]);
                }
            }
            Numbers::Raw { bytes, dtype, stored: Stored::Transposed } => {
                let mut run = [0.0; BLOCK_INPUTS];
                let run = &mut run[..inputs.len()];
                for (output, column) in outputs.zip(columns) {
                    let first = (output * all_inputs + inputs.start) * dtype.size_in_bytes();
                    to_f32(*dtype, &bytes[first..], run);
                    for (row, x) in block.chunks_exact_mut(PANEL).zip(&*run) {
                        row[column] = *x;
                    }
                }
            }
        }
    }
}
