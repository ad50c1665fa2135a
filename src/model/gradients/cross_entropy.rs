//! Cross entropy against given distributions: the loss of all training. One token is the distribution that has it alone;
//! the uniform distribution over a set of nodes is what a thought is matched with while warming up. Knows no text.

#[cfg(feature = "cuda")]
use crate::model::gradients::device;
use crate::model::gradients::slice;
use crate::model::gradients::with_slices;
use candle_core::CpuStorage;
use candle_core::CustomOp1;
use candle_core::Layout;
use candle_core::Result;
use candle_core::Shape;
use candle_core::Tensor;
#[cfg(feature = "cuda")]
use coconut_cuda::rows;
use rayon::prelude::*;
use std::sync::Arc;

/// What one row of logits should say.
#[derive(Clone, Debug, PartialEq)]
pub struct Target {
    /// Ids with their probabilities, which sum to 1.
    pub distribution: Distribution,
    /// The row's share of the loss.
    pub weight: f32,
}

/// A distribution over ids.
#[derive(Clone, Debug, PartialEq)]
pub enum Distribution {
    /// One id.
    Token(u32),
    /// Each of these with the same probability; not empty.
    Uniform(Arc<[u32]>),
}

impl Target {
    fn ids(&self) -> &[u32] {
        match &self.distribution {
            Distribution::Token(id) => std::slice::from_ref(id),
            Distribution::Uniform(ids) => ids,
        }
    }
}

/// Logits (N, V) -> weight * KL(target, softmax(logits)) of each row, (N,). For one token KL is -log p(token).
///
/// # Errors
/// If there are not N targets, a target names no id of the vocabulary, or the logits are not f32 on the CPU.
pub fn cross_entropy(logits: &Tensor, targets: Vec<Target>) -> Result<Tensor> {
    let (rows, vocabulary) = logits.dims2()?;
    let inside = |target: &Target| {
        !target.ids().is_empty() && target.ids().iter().all(|&id| (id as usize) < vocabulary)
    };
    if rows != targets.len() || !targets.iter().all(inside) {
        candle_core::bail!("{rows} rows of logits need as many targets within the vocabulary");
    }
    logits.contiguous()?.apply_op1(CrossEntropy { targets })
}

struct CrossEntropy {
    targets: Vec<Target>,
}

impl CustomOp1 for CrossEntropy {
    fn name(&self) -> &'static str {
        "cross-entropy"
    }

    fn cpu_fwd(&self, logits: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let (count, vocabulary) = layout.shape().dims2()?;
        let logits = slice(logits, layout)?;
        let rows: Vec<f32> = logits
            .par_chunks(vocabulary)
            .zip(&self.targets)
            .map(|(row, target)| (f64::from(target.weight) * loss(row, target.ids())) as f32)
            .collect();
        Ok((CpuStorage::F32(rows), Shape::from(count)))
    }

    #[cfg(feature = "cuda")]
    fn cuda_fwd(
        &self,
        logits: &candle_core::CudaStorage,
        layout: &Layout,
    ) -> Result<(candle_core::CudaStorage, Shape)> {
        let (count, vocabulary) = layout.shape().dims2()?;
        let logits = coconut_cuda::Floats::new(logits, layout)?;
        let rows = rows::cross_entropy(logits, &on_device(&self.targets), vocabulary)?;
        Ok((rows, Shape::from(count)))
    }

    /// softmax(logits) - target, times the weight.
    fn bwd(&self, logits: &Tensor, _: &Tensor, dy: &Tensor) -> Result<Option<Tensor>> {
        let (_, vocabulary) = logits.dims2()?;
        #[cfg(feature = "cuda")]
        if logits.device().is_cuda() {
            let dx = device::with_floats([logits, dy], |parts| {
                rows::cross_entropy_back(parts, &on_device(&self.targets), vocabulary)
            })?;
            return Ok(Some(device::tensor(dx, logits.shape())));
        }
        let gradient = with_slices([logits, dy], |[logits, dy]| {
            let mut out = logits.to_vec();
            let rows = out.par_chunks_mut(vocabulary).zip(&self.targets).zip(dy);
            rows.for_each(|((row, target), dy)| {
                let scale = dy * target.weight;
                let log_total = log_total(row);
                for x in row.iter_mut() {
                    *x = scale * (f64::from(*x) - log_total).exp() as f32;
                }
                let ids = target.ids();
                for &id in ids {
                    row[id as usize] -= scale / ids.len() as f32;
                }
            });
            Ok(out)
        })?;
        Ok(Some(Tensor::from_vec(gradient, logits.shape(), logits.device())?))
    }
}

/// KL of the uniform distribution over `ids` from softmax(row).
fn loss(row: &[f32], ids: &[u32]) -> f64 {
    let mean = ids.iter().map(|&id| f64::from(row[id as usize])).sum::<f64>() / ids.len() as f64;
    log_total(row) - mean - (ids.len() as f64).ln()
}

/// log sum exp, in f64.
fn log_total(row: &[f32]) -> f64 {
    let largest = f64::from(row.iter().copied().fold(f32::NEG_INFINITY, f32::max));
    let total: f64 = row.iter().map(|&x| (f64::from(x) - largest).exp()).sum();
    largest + total.ln()
}

#[cfg(feature = "cuda")]
fn on_device(targets: &[Target]) -> rows::Targets {
    let mut all = rows::Targets { offsets: vec![0], ..rows::Targets::default() };
    for target in targets {
        all.ids.extend_from_slice(target.ids());
        all.offsets.push(all.ids.len() as u32);
        all.weights.push(target.weight);
    }
    all
}
