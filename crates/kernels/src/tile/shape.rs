//! What one call of a tile kernel multiplies, and what it fetches meanwhile. Multiplies nothing.

use crate::lines::Line;

/// Weights that will be wanted next, fetched while these are multiplied. No kernel reads them: a wrong address costs time.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Prefetch {
    /// Bytes from the first weight of the tile to the first byte to fetch.
    pub(crate) from: usize,
    /// Bytes to fetch with each step; the step itself reads 128.
    pub(crate) stride: usize,
}

impl Prefetch {
    /// Where several tiles go over the same weights: the first two fetch one half each of what comes after.
    pub(crate) fn share_of_next(weights: &[Line], index: usize) -> Self {
        let bytes = size_of_val(weights);
        match index {
            0 => Self { from: bytes, stride: 64 },
            1 => Self { from: bytes + bytes / 2, stride: 64 },
            _ => Self { from: 0, stride: 0 },
        }
    }

    pub(crate) fn start(self, weights: &[Line]) -> *const i8 {
        weights.as_ptr().cast::<i8>().wrapping_byte_add(self.from)
    }
}

/// What one call multiplies: rows r, chunks c.
#[derive(Debug)]
pub(crate) struct Tile<'a> {
    /// r, at most `tile_rows`
    pub(crate) rows: usize,
    /// c
    pub(crate) chunks: usize,
    /// (c, r, 16 words), or 32 words where a step has two
    pub(crate) x: &'a [u32],
    /// 8 bits only: for each block of two chunks r scales (f32) and r starting values (i32).
    pub(crate) scales: &'a [u32],
    /// (c, 16, 32 words), with 32 scales before each block of two chunks in the 8-bit format.
    pub(crate) weights: &'a [Line],
    pub(crate) prefetch: Prefetch,
    /// (r, 32) f32, added to.
    pub(crate) sums: &'a mut [Line],
}
