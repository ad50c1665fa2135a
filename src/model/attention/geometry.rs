//! Sizes of KV memory: pages of 16 positions, for every layer. Knows no numbers and no sequence.

use crate::model::config::Config;
use coconut_kernels::attend::layer::KvShape;
use coconut_kernels::attend::pages::PAGE;

/// Positions per page.
pub const PAGE_POSITIONS: usize = PAGE;

/// Number of pages that hold `positions` positions.
pub fn pages_for(positions: usize) -> usize {
    positions.div_ceil(PAGE_POSITIONS)
}

/// Sizes of a KV memory.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Geometry {
    pub(crate) layers: usize,
    /// Of each layer.
    pub(crate) layer: KvShape,
}

impl Geometry {
    pub(crate) fn of(config: &Config, pages: usize) -> Self {
        let Config { layers, kv_heads, head_size, .. } = *config;
        Self { layers, layer: KvShape { pages, kv_heads, head_size } }
    }
}
