//! Causal attention without memory: B sequences of equal length, every position attends to itself and those before it.
//! A chain of candle operations with gradients; the slow truth that the paged attention is tested against.

use crate::model::attention::Attention;
use crate::model::ops;
use crate::model::ops::Kernels;
use candle_core::Result;
use candle_core::Tensor;

/// Causal attention over rows laid out as (B * T).
#[derive(Debug)]
pub struct Causal {
    batch: usize,
    /// (T, T): 0 where a position may look, minus infinity where it may not.
    mask: Tensor,
}

impl Causal {
    /// For `batch` sequences of `length` rows each.
    pub fn new(batch: usize, length: usize, device: &candle_core::Device) -> Result<Self> {
        let mask: Vec<f32> = (0..length)
            .flat_map(|i| (0..length).map(move |j| if j <= i { 0.0 } else { f32::NEG_INFINITY }))
            .collect();
        Ok(Self { batch, mask: Tensor::from_vec(mask, (length, length), device)? })
    }
}

impl Attention for Causal {
    fn attend(&mut self, _layer: usize, q: &Tensor, k: &Tensor, v: &Tensor) -> Result<Tensor> {
        let (rows, heads, size) = q.dims3()?;
        let (_, kv_heads, _) = k.dims3()?;
        let length = rows / self.batch;
        // (B * T, heads, E) -> (B, heads, T, E)
        let by_head = |x: &Tensor, heads: usize| {
            x.reshape((self.batch, length, heads, size))?.transpose(1, 2)?.contiguous()
        };
        let q = by_head(q, heads)?;
        let k = repeat_heads(&by_head(k, kv_heads)?, heads / kv_heads)?;
        let v = repeat_heads(&by_head(v, kv_heads)?, heads / kv_heads)?;
        let scores =
            (q.matmul(&k.t()?)? * (1.0 / (size as f64).sqrt()))?.broadcast_add(&self.mask)?;
        let mixed = ops::softmax(&scores, Kernels::Differentiable)?.matmul(&v)?;
        mixed.transpose(1, 2)?.reshape((rows, heads * size))
    }
}

/// (B, G, T, E) -> (B, G * times, T, E), each head `times` in a row.
fn repeat_heads(x: &Tensor, times: usize) -> Result<Tensor> {
    if times == 1 {
        return Ok(x.clone());
    }
    let (batch, heads, length, size) = x.dims4()?;
    x.unsqueeze(2)?.expand((batch, heads, times, length, size))?.reshape((
        batch,
        heads * times,
        length,
        size,
    ))
}
