//! Tensors of a checkpoint, handed to an architecture by name, with a list of what was missing and what was left over.
//! Weights are computed in f32 whatever they are stored in.

use crate::model::Model;
use crate::model::error::Error;
use crate::model::error::Result;
use crate::model::parameters::Parameters;
use crate::model::parameters::Stored;
use candle_core::DType;
use candle_core::Device;
use candle_core::Tensor;
use std::collections::BTreeSet;

/// Names that old versions of transformers wrote and that hold no weights: causal masks and rotary frequencies.
const BUFFERS: &[&str] = &[".attn.bias", ".attn.masked_bias", ".rotary_emb.inv_freq"];

/// Somewhere tensors are stored.
pub trait Source {
    /// All names.
    fn names(&self) -> BTreeSet<String>;
    /// A tensor as stored.
    fn view(&self, name: &str) -> Option<View<'_>>;
}

/// A tensor as stored: contiguous, little-endian.
#[derive(Clone, Copy, Debug)]
pub struct View<'a> {
    /// Stored type.
    pub dtype: DType,
    /// Stored shape.
    pub shape: &'a [usize],
    /// Its bytes.
    pub data: &'a [u8],
}

/// The tensors of a source, each taken once.
pub struct Weights<'a> {
    source: &'a dyn Source,
    device: Device,
    taken: BTreeSet<String>,
    missing: Vec<String>,
}

impl<'a> Weights<'a> {
    /// All tensors of `source`, none taken yet.
    pub fn new(source: &'a dyn Source, device: &Device) -> Self {
        Self { source, device: device.clone(), taken: BTreeSet::new(), missing: Vec::new() }
    }

    /// Refuses the checkpoint if a tensor was missing, or if one is left that is neither known to be empty of weights
    /// nor a copy of the tied embedding.
    pub fn finish(self, model: &Model) -> Result<()> {
        if !self.missing.is_empty() {
            return Err(Error::Missing(self.missing));
        }
        let mut unexpected: Vec<String> =
            self.source.names().difference(&self.taken).cloned().collect();
        unexpected.retain(|name| !BUFFERS.iter().any(|buffer| name.ends_with(buffer)));
        if model.config().tied {
            unexpected.retain(|name| !(name == "lm_head.weight" && self.copies_embedding(model)));
        }
        match unexpected.is_empty() {
            true => Ok(()),
            false => Err(Error::Unexpected(unexpected)),
        }
    }

    /// Whether the head in the file is the embedding once more.
    fn copies_embedding(&self, model: &Model) -> bool {
        let data = |name: &str| self.source.view(name).map(|view| view.data);
        data("lm_head.weight").is_some_and(|head| data(model.embedding_name()) == Some(head))
    }
}

impl Parameters for Weights<'_> {
    fn take(&mut self, name: &str, shape: &[usize], stored: Stored) -> Result<Tensor> {
        self.taken.insert(name.to_owned());
        let Some(view) = self.source.view(name) else {
            self.missing.push(name.to_owned());
            // Takes no memory; the model is refused in `finish`, where all missing names are known.
            return Ok(Tensor::zeros(1, DType::F32, &Device::Cpu)?.broadcast_as(shape)?);
        };
        let expected: Vec<usize> = match stored {
            Stored::AsIs => shape.to_vec(),
            Stored::Transposed => shape.iter().rev().copied().collect(),
        };
        if view.shape != expected {
            return Err(Error::Shape {
                name: name.to_owned(),
                found: view.shape.to_vec(),
                expected,
            });
        }
        if !matches!(view.dtype, DType::F32 | DType::F16 | DType::BF16) {
            let reason = format!(
                "tensor `{name}` is stored as {:?}; f32, f16 and bf16 are read",
                view.dtype
            );
            return Err(Error::Config { field: "torch_dtype", reason });
        }
        let tensor = Tensor::from_raw_buffer(view.data, view.dtype, view.shape, &Device::Cpu)?;
        let tensor = tensor.to_dtype(DType::F32)?;
        let tensor = match stored {
            Stored::AsIs => tensor,
            Stored::Transposed => tensor.t()?.contiguous()?,
        };
        Ok(tensor.to_device(&self.device)?)
    }
}
