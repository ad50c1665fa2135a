//! Where an architecture gets its parameters from: a checkpoint being loaded, or the variables of a training run. As
//! tensors, or as matrices that are read piece by piece while they are packed.

use crate::model::error::Result;
use candle_core::DType;
use candle_core::Tensor;
use half::bf16;
use half::f16;
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

    /// Elements of the type `dtype`, little-endian: f32, f16 or bf16.
    pub(crate) fn raw(
        shape: [usize; 2],
        stored: Stored,
        dtype: DType,
        bytes: Cow<'a, [u8]>,
    ) -> Self {
        assert_eq!(bytes.len(), shape[0] * shape[1] * dtype.size_in_bytes(), "all elements");
        Self { shape, numbers: Numbers::Raw { bytes, dtype, stored } }
    }

    /// Writes the weights of `outputs` into the columns of `panel` (in, width) from `column` on.
    pub(crate) fn read(
        &self,
        outputs: Range<usize>,
        panel: &mut [f32],
        (width, column): (usize, usize),
    ) {
        assert!(outputs.end <= self.shape[1] && column + outputs.len() <= width, "columns");
        let mut place = Place { shape: self.shape, outputs, panel, width, column };
        match &self.numbers {
            Numbers::Absent => {}
            Numbers::Whole(numbers) => place.read(numbers.as_chunks().0, Stored::AsIs, |[x]| x),
            Numbers::Raw { bytes, dtype: DType::F32, stored } => {
                place.read(bytes.as_chunks().0, *stored, f32::from_le_bytes);
            }
            Numbers::Raw { bytes, dtype: DType::F16, stored } => {
                place.read(bytes.as_chunks().0, *stored, |x| f16::from_le_bytes(x).to_f32());
            }
            Numbers::Raw { bytes, stored, .. } => {
                place.read(bytes.as_chunks().0, *stored, |x| bf16::from_le_bytes(x).to_f32());
            }
        }
    }
}

/// Where some columns of a matrix go.
struct Place<'p> {
    shape: [usize; 2],
    outputs: Range<usize>,
    /// (in, width)
    panel: &'p mut [f32],
    width: usize,
    column: usize,
}

impl Place<'_> {
    /// From all numbers of the matrix, (in, out) or transposed.
    fn read<T: Copy>(&mut self, numbers: &[T], stored: Stored, to_f32: impl Fn(T) -> f32) {
        let Self { shape: [inputs, all], ref outputs, width, column, .. } = *self;
        match stored {
            Stored::AsIs => {
                for (row, panel) in
                    numbers.chunks_exact(all).zip(self.panel.chunks_exact_mut(width))
                {
                    for (x, &number) in panel[column..].iter_mut().zip(&row[outputs.clone()]) {
                        *x = to_f32(number);
                    }
                }
            }
            Stored::Transposed => {
                for (at, output) in outputs.clone().enumerate() {
                    let row = &numbers[output * inputs..][..inputs];
                    for (panel, &number) in self.panel.chunks_exact_mut(width).zip(row) {
                        panel[column + at] = to_f32(number);
                    }
                }
            }
        }
    }
}
