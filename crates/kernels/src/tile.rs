//! The innermost product: a tile of rows times one panel of weights, into sums. Chooses the kernel; knows no threads,
//! no biases and no output.

use crate::isa::Isa;
use crate::lines::Line;
use crate::packed::CHUNK;
use crate::packed::Format;
use crate::packed::PANEL;
use crate::rows::tile_rows;
use crate::rows::words_per_step;
#[cfg(target_arch = "x86_64")]
use crate::tile_avx2;
#[cfg(target_arch = "x86_64")]
use crate::tile_avx512;
use crate::tile_portable;

/// Weights that will be wanted next, fetched while these are multiplied. No kernel reads them: a wrong address costs time.
#[derive(Clone, Copy, Debug)]
pub(super) struct Prefetch {
    /// Bytes from the first weight of the tile to the first byte to fetch.
    pub(super) from: usize,
    /// Bytes to fetch with each step; the step itself reads 128.
    pub(super) stride: usize,
}

impl Prefetch {
    /// Where several tiles go over the same weights: the first two fetch one half each of what comes after.
    pub(super) fn share_of_next(weights: &[Line], index: usize) -> Self {
        let bytes = size_of_val(weights);
        match index {
            0 => Self { from: bytes, stride: 64 },
            1 => Self { from: bytes + bytes / 2, stride: 64 },
            _ => Self { from: 0, stride: 0 },
        }
    }

    pub(super) fn start(self, weights: &[Line]) -> *const i8 {
        weights.as_ptr().cast::<i8>().wrapping_byte_add(self.from)
    }
}

/// What one call multiplies: rows r, chunks c.
#[derive(Debug)]
pub(super) struct Tile<'a> {
    /// r, at most `tile_rows`
    pub(super) rows: usize,
    /// c
    pub(super) chunks: usize,
    /// (c, r, 16 words), or 32 words where a step has two
    pub(super) x: &'a [u32],
    /// 8 bits only: for each block of two chunks r scales (f32) and r starting values (i32).
    pub(super) scales: &'a [u32],
    /// (c, 16, 32 words), with 32 scales before each block of two chunks in the 8-bit format.
    pub(super) weights: &'a [Line],
    pub(super) prefetch: Prefetch,
    /// (r, 32) f32, added to.
    pub(super) sums: &'a mut [Line],
}

/// sums += x * weights
pub(super) fn multiply(isa: Isa, format: Format, tile: &mut Tile<'_>) {
    assert!((1..=tile_rows(isa)).contains(&tile.rows), "rows that a kernel has registers for");
    let words = tile.chunks * tile.rows * CHUNK * words_per_step(isa, format);
    assert_eq!(tile.x.len(), words, "so many chunks of rows");
    assert_eq!(tile.weights.len(), format.lines(tile.chunks), "weights of as many chunks");
    assert_eq!(tile.sums.len(), tile.rows * PANEL / 16, "one sum for each row and output");
    assert!(isa <= Isa::best(), "instructions that this processor has");
    match isa {
        #[cfg(target_arch = "x86_64")]
        Isa::Avx512 => tile_avx512::multiply(format, tile),
        #[cfg(target_arch = "x86_64")]
        Isa::Avx2 => tile_avx2::multiply(format, tile),
        _ => tile_portable::multiply(format, tile),
    }
}
