//! Tensors of a checkpoint, handed to an architecture by name and merged with their LoRA pairs, with a list of what was
//! missing and what was left over. They are merged in f32 whatever they are stored in.

use crate::model::error::Error;
use crate::model::error::Result;
use crate::model::load::layout::Layout;
use crate::model::load::layout::Lora;
use crate::model::load::layout::Pair;
use crate::model::load::layout::Rows;
use crate::model::load::tensors::Tensors;
use crate::model::numbers::beyond_f32;
use crate::model::numbers::is_read;
use crate::model::numbers::to_f32;
use crate::model::numbers::unfit;
use crate::model::parameters::Matrix;
use crate::model::parameters::Parameters;
use crate::model::parameters::Stored;
use candle_core::DType;
use candle_core::Device;
use candle_core::Tensor;
use std::borrow::Cow;
use std::collections::BTreeSet;

/// Type, shape and bytes of a tensor as stored.
type Raw<'a> = (DType, &'a [usize], Cow<'a, [u8]>);

/// The tensors of a checkpoint, each taken once.
#[derive(Debug)]
pub struct Weights<'a> {
    tensors: &'a Tensors,
    layout: &'a Layout,
    device: Device,
    dtype: DType,
    taken: BTreeSet<String>,
    missing: Vec<String>,
}

impl<'a> Weights<'a> {
    /// None taken yet; they come to the CPU, in f32.
    pub fn new(tensors: &'a Tensors, layout: &'a Layout) -> Self {
        let (device, dtype) = (Device::Cpu, DType::F32);
        let (taken, missing) = (BTreeSet::new(), Vec::new());
        Self { tensors, layout, device, dtype, taken, missing }
    }

    /// The same, to another device or in another type.
    pub fn onto(self, device: &Device, dtype: DType) -> Self {
        Self { device: device.clone(), dtype, ..self }
    }

    /// Refuses the checkpoint if a tensor was missing, or if one is left that nothing is known about.
    pub fn check(&self) -> Result<()> {
        if !self.missing.is_empty() {
            return Err(Error::Missing(self.missing.clone()));
        }
        let left = self.layout.tensors.iter().filter(|(name, _)| !self.taken.contains(*name));
        let unexpected: Vec<String> = left.map(|(_, raw)| raw.clone()).collect();
        match unexpected.is_empty() {
            true => Ok(()),
            false => Err(Error::Unexpected(unexpected)),
        }
    }

    /// Notes that a tensor is wanted, and checks its shape and type without reading it. `None` where it is missing.
    pub(crate) fn expect(
        &mut self,
        name: &str,
        shape: &[usize],
        stored: Stored,
    ) -> Result<Option<()>> {
        self.taken.insert(name.to_owned());
        let Some(raw) = self.layout.tensors.get(name) else {
            self.missing.push(name.to_owned());
            return Ok(None);
        };
        let expected: Vec<usize> = match stored {
            Stored::AsIs => shape.to_vec(),
            Stored::Transposed => shape.iter().rev().copied().collect(),
        };
        self.check_one(raw, &expected)?;
        if let (Some(lora), [inputs, outputs]) = (self.layout.lora.get(name), shape) {
            let rank = self.tensors.rows(&lora.a);
            let (inputs, outputs) = match lies_across(lora, stored) {
                true => (outputs, inputs),
                false => (inputs, outputs),
            };
            self.check_one(&lora.a, &[rank, *inputs])?;
            self.check_one(&lora.b, &[*outputs, rank])?;
        }
        if let (Some(rows), [_, width]) = (self.layout.rows.get(name), &expected[..]) {
            self.check_one(&rows.raw, &[rows.indices.len(), *width])?;
        }
        Ok(Some(()))
    }

    fn check_one(&self, raw: &str, expected: &[usize]) -> Result<()> {
        let found = self.tensors.info(raw).ok_or_else(|| Error::Missing(vec![raw.to_owned()]))?;
        if found.shape != expected {
            let (name, expected) = (raw.to_owned(), expected.to_vec());
            return Err(Error::Shape { name, found: found.shape.to_vec(), expected });
        }
        match found.dtype.is_some_and(is_read) {
            true => Ok(()),
            false => Err(Error::Type { name: raw.to_owned() }),
        }
    }

    /// Reads a tensor that [`Self::expect`] has found right: (in, out) for matrices that have LoRA pairs.
    pub(crate) fn read(&self, name: &str, stored: Stored) -> Result<Tensor> {
        let raw = self.layout.tensors.get(name).map_or(name, String::as_str);
        let tensor = match self.layout.rows.get(name) {
            None => self.plain(raw)?,
            Some(rows) => self.with_rows(&self.plain(raw)?, rows)?,
        };
        let tensor = match stored {
            Stored::AsIs => tensor,
            Stored::Transposed => tensor.t()?.contiguous()?,
        };
        let merged = match self.layout.lora.get(name) {
            None => tensor,
            // Both ways of storing are (in, out) here, so one form serves GPT-2 and Llama: W + scale (B A)^T.
            Some(lora) => {
                let (a, b) = (self.plain(&lora.a)?, self.plain(&lora.b)?);
                let product = a.t()?.contiguous()?.matmul(&b.t()?.contiguous()?)?;
                let product = if lies_across(lora, stored) { product.t()? } else { product };
                let merged = (tensor + (product * lora.scale()?)?)?;
                self.check_numbers(raw, &merged.flatten_all()?.to_vec1::<f32>()?)?;
                merged
            }
        };
        Ok(merged.to_dtype(self.dtype)?.to_device(&self.device)?)
    }

    /// tensor (V, D) with some rows replaced
    fn with_rows(&self, tensor: &Tensor, rows: &Rows) -> Result<Tensor> {
        let (_, width) = tensor.dims2()?;
        let mut all = tensor.flatten_all()?.to_vec1::<f32>()?;
        let trained = self.plain(&rows.raw)?.flatten_all()?.to_vec1::<f32>()?;
        for (&index, row) in rows.indices.iter().zip(trained.chunks_exact(width)) {
            // No index is beyond the weight: `Adapter::rows` has refused it.
            all[index * width..][..width].copy_from_slice(row);
        }
        Ok(Tensor::from_vec(all, tensor.shape(), &Device::Cpu)?)
    }

    fn plain(&self, raw: &str) -> Result<Tensor> {
        let (dtype, shape, bytes) = self.stored(raw)?;
        if let (DType::F64, Some(value)) = (dtype, beyond_f32(&bytes)) {
            return Err(Error::Narrow { name: raw.to_owned(), value, kept: "f32" });
        }
        let mut numbers = vec![0.0; shape.iter().product()];
        to_f32(dtype, &bytes, &mut numbers);
        self.check_numbers(raw, &numbers)?;
        Ok(Tensor::from_vec(numbers, shape, &Device::Cpu)?)
    }

    /// Refuses what is not finite, or will not be in the type that is asked for.
    fn check_numbers(&self, raw: &str, numbers: &[f32]) -> Result<()> {
        match unfit(numbers, self.dtype) {
            None => Ok(()),
            Some(value) => Err(Error::unfit(raw, value, self.dtype.as_str())),
        }
    }

    fn stored(&self, raw: &str) -> Result<Raw<'a>> {
        let missing = || Error::Missing(vec![raw.to_owned()]);
        let info = self.tensors.info(raw).ok_or_else(missing)?;
        let bytes = self.tensors.bytes(raw).ok_or_else(missing)?;
        let dtype = info.dtype.ok_or_else(|| Error::Type { name: raw.to_owned() })?;
        Ok((dtype, info.shape, bytes))
    }
}

/// Whether a pair's product is to be turned: a table of rows is read as a head, whose rows are outputs.
fn lies_across(lora: &Lora, stored: Stored) -> bool {
    lora.pair == Pair::Table && stored == Stored::Transposed
}

impl Parameters for Weights<'_> {
    fn take(&mut self, name: &str, shape: &[usize], stored: Stored) -> Result<Tensor> {
        match self.expect(name, shape, stored)? {
            Some(()) => self.read(name, stored),
            // Takes no memory; the model is refused in `finish`, where all missing names are known.
            None => Ok(Tensor::zeros(1, DType::F32, &Device::Cpu)?.broadcast_as(shape)?),
        }
    }

    /// Straight from the files, unless something is to be merged.
    fn matrices(&mut self, wanted: &[(String, [usize; 2], Stored)]) -> Result<Vec<Matrix<'_>>> {
        let found = wanted
            .iter()
            .map(|(name, shape, stored)| self.expect(name, shape, *stored))
            .collect::<Result<Vec<_>>>()?;
        let one = |((name, shape, stored), found): (&(String, [usize; 2], Stored), _)| {
            let Some(()) = found else { return Ok(Matrix::absent(*shape)) };
            if self.layout.is_changed(name) {
                return Matrix::of_tensor(&self.read(name, *stored)?);
            }
            let raw = self.layout.tensors.get(name).map_or(name.as_str(), String::as_str);
            let (dtype, _, bytes) = self.stored(raw)?;
            match dtype {
                DType::F32 | DType::F16 | DType::BF16 => {
                    Ok(Matrix::raw(*shape, *stored, dtype, bytes))
                }
                _ => Matrix::of_tensor(&self.read(name, *stored)?),
            }
        };
        wanted.iter().zip(found).map(one).collect()
    }
}
