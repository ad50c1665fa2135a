//! Who attends to whom. An architecture computes queries, keys and values row by row and leaves the rest to an
//! [`Attention`]: plain causal attention over one batch (the oracle, training), or attention over a paged KV memory
//! shared by many sequences (the engine). The model is the same in all of them.

pub mod batched;
pub mod causal;
pub mod geometry;
pub mod paged;
pub(crate) mod paged_cpu;
pub(crate) mod paged_device;
pub mod rows;
pub(crate) mod watched;

use candle_core::Result;
use candle_core::Tensor;

/// Attention of one forward pass, asked once per layer.
pub trait Attention {
    /// q (R, H, E), k and v (R, G, E) -> (R, H * E); query head h reads key head h / (H / G), scores scaled by
    /// 1 / sqrt(E).
    fn attend(&mut self, layer: usize, q: &Tensor, k: &Tensor, v: &Tensor) -> Result<Tensor>;

    /// Is shown the residual stream x (R, D): what enters the first block (0), and what leaves each (1 for the first). For
    /// those who look on; attention needs none of it.
    fn pass(&mut self, _layer: usize, _x: &Tensor) -> Result<()> {
        Ok(())
    }
}
