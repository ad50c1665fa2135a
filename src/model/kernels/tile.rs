//! The innermost product: a tile of rows times one panel of weights, into sums. Chooses the kernel; knows no threads,
//! no biases and no output.

use crate::model::kernels::isa::Isa;
use crate::model::kernels::lines::Line;
use crate::model::kernels::packed::CHUNK;
use crate::model::kernels::packed::Format;
use crate::model::kernels::packed::PANEL;
use crate::model::kernels::rows::TILE;
#[cfg(target_arch = "x86_64")]
use crate::model::kernels::tile_avx512;
use crate::model::kernels::tile_portable;

/// What one call multiplies: rows r, chunks c.
#[derive(Debug)]
pub(super) struct Tile<'a> {
    /// r, at most `TILE`
    pub(super) rows: usize,
    /// (c, r, 16 words)
    pub(super) x: &'a [u32],
    /// 8 bits only: for each block of two chunks r scales (f32) and r starting values (i32).
    pub(super) scales: &'a [u32],
    /// (c, 16, 32 words), with 32 scales before each block of two chunks in the 8-bit format.
    pub(super) weights: &'a [Line],
    /// (r, 32) f32, added to.
    pub(super) sums: &'a mut [Line],
}

impl Tile<'_> {
    pub(super) fn chunks(&self) -> usize {
        self.x.len() / (self.rows * CHUNK)
    }
}

/// sums += x * weights
pub(super) fn multiply(isa: Isa, format: Format, tile: &mut Tile<'_>) {
    assert!((1..=TILE).contains(&tile.rows), "rows that a kernel has registers for");
    let chunks = tile.chunks();
    assert_eq!(tile.x.len(), chunks * tile.rows * CHUNK, "whole chunks of rows");
    assert_eq!(tile.weights.len(), format.lines(chunks), "weights of as many chunks");
    assert_eq!(tile.sums.len(), tile.rows * PANEL / 16, "one sum for each row and output");
    match isa.min(Isa::best()) {
        #[cfg(target_arch = "x86_64")]
        Isa::Avx512 => tile_avx512::multiply(format, tile),
        isa => tile_portable::multiply(isa, format, tile),
    }
}
