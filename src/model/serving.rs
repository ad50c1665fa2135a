//! A model as it is served: one forward pass over KV memory, rows in and numbers out, in whichever form suits the device.
//! Knows rows and places, no sequence.

use crate::model::Model;
use crate::model::attention::paged::KvMemory;
use crate::model::attention::paged::Paged;
use crate::model::attention::watched::Watched;
use crate::model::config::Config;
use crate::model::host::HostModel;
use crate::model::look::Watch;
use crate::model::ops::Kernels;
use crate::model::pass::Output;
use crate::model::pass::Pass;
use candle_core::DType;
use candle_core::Result;
use candle_core::Tensor;
use coconut_kernels::attend::layer::KvType;

/// A model and how it is computed.
#[derive(Debug)]
pub enum Served {
    /// Packed weights and plain slices, on the CPU.
    Host(Box<HostModel>),
    /// The chain of tensors, on any device.
    Chain(Box<Model>),
}

impl From<HostModel> for Served {
    fn from(model: HostModel) -> Self {
        Self::Host(Box::new(model))
    }
}

impl From<Model> for Served {
    fn from(model: Model) -> Self {
        Self::Chain(Box::new(model))
    }
}

impl Served {
    /// Sizes and kinds.
    pub fn config(&self) -> &Config {
        match self {
            Self::Host(model) => model.config(),
            Self::Chain(model) => model.config(),
        }
    }

    /// KV memory of `pages` pages, where this model can use it.
    pub fn kv_memory(&self, pages: usize, kind: KvType) -> Result<KvMemory> {
        match self {
            Self::Host(model) => KvMemory::host(model.config(), pages, kind),
            Self::Chain(model) => KvMemory::device(model.config(), pages, kind, model.device()),
        }
    }

    /// Forgets what a pass that ended midway left behind.
    pub fn reset(&mut self) {
        match self {
            Self::Host(model) => model.reset(),
            // Its tensors went with the pass.
            Self::Chain(_) => {}
        }
    }

    /// One forward pass.
    pub fn pass(&mut self, pass: &Pass<'_>, memory: &mut KvMemory, out: &mut Output) -> Result<()> {
        match (self, memory) {
            (Self::Host(model), KvMemory::Host(memory)) => {
                model.pass(pass, memory, out);
                Ok(())
            }
            (Self::Host(_), KvMemory::Device(_)) => {
                candle_core::bail!("packed weights need KV memory on the host")
            }
            (Self::Chain(model), memory) => {
                // Keeps candle's worker threads awake from one operation to the next.
                let device = model.device().clone();
                *out = device.with_context(|| chain(model, pass, memory))?;
                Ok(())
            }
        }
    }

    /// The head's view of what blocks leave, x (R, D) -> logits (R, V): past the final norm where `normed`, as the head sees
    /// what the last block leaves, or straight away.
    pub fn lens(&self, x: &[f32], normed: bool) -> Result<Vec<f32>> {
        match self {
            Self::Host(model) => Ok(model.lens(x, normed)),
            Self::Chain(model) => chain_lens(model, x, normed),
        }
    }
}

/// x (R, D) -> logits (R, V)
fn chain_lens(model: &Model, x: &[f32], normed: bool) -> Result<Vec<f32>> {
    let width = model.config().width;
    let x = Tensor::from_slice(x, (x.len() / width, width), model.device())?;
    let x = x.to_dtype(model.dtype())?;
    let hidden = if normed { model.norm(&x, Kernels::Fused)? } else { x };
    numbers(&model.logits(&hidden)?)
}

fn chain(model: &Model, pass: &Pass<'_>, memory: &mut KvMemory) -> Result<Output> {
    let (width, device) = (model.config().width, model.device());
    let mut inputs = Vec::with_capacity(2);
    if !pass.ids.is_empty() {
        inputs.push(model.embed(pass.ids)?);
    }
    if !pass.thoughts.is_empty() {
        let shape = (pass.thoughts.len() / width, width);
        inputs.push(Tensor::from_slice(pass.thoughts, shape, device)?.to_dtype(model.dtype())?);
    }
    let x = Tensor::cat(&inputs, 0)?;
    let positions: Vec<u32> = pass.rows.places.iter().map(|place| place.position as u32).collect();
    let mut out = Output::default();
    let mut attention = Paged::new(memory, pass.rows)?;
    let hidden = if pass.wanted.looks.is_empty() {
        model.forward(&x, &positions, &mut attention, Kernels::Fused)?
    } else {
        let watch = Watch::new(pass.wanted.looks, pass.rows, model.config());
        let mut attention = Watched::new(attention, watch);
        let hidden = model.forward(&x, &positions, &mut attention, Kernels::Fused)?;
        out.seen = attention.finish();
        hidden
    };
    let select = |x: &Tensor, rows: &[u32]| x.index_select(&Tensor::new(rows, device)?, 0);
    let mut heads = Vec::with_capacity(2);
    if !pass.wanted.tokens.is_empty() {
        heads.push(select(&hidden, pass.wanted.tokens)?);
    }
    if !pass.wanted.thoughts.is_empty() {
        let thoughts = select(&hidden, pass.wanted.thoughts)?;
        let thoughts = model.thought(&thoughts, Kernels::Fused)?;
        out.thoughts = numbers(&thoughts)?;
        if !pass.wanted.shown.is_empty() {
            heads.push(select(&thoughts, pass.wanted.shown)?);
        }
    }
    if !heads.is_empty() {
        out.logits = numbers(&model.logits(&Tensor::cat(&heads, 0)?)?)?;
    }
    Ok(out)
}

fn numbers(x: &Tensor) -> Result<Vec<f32>> {
    x.to_dtype(DType::F32)?.flatten_all()?.to_vec1()
}
