//! Rows of activations, brought into the order and precision in which the kernels read them. Knows no weights.
//!
//! Rows are grouped into tiles, as many rows as a kernel keeps sums of. A tile of r rows is stored as
//! (chunks, r, words of a chunk), so that a kernel walks straight through it. A chunk has 16 words, or 32 where pairs of
//! bf16 are kept as two f32 each. The 8-bit format adds, for each block of 128 inputs and tile, r scales (f32) and r
//! starting values (i32) that undo the offset of the weights.

use crate::format::BLOCK_CHUNKS;
use crate::format::CHUNK;
use crate::format::Format;
use crate::isa::Isa;
use std::ops::Range;

/// Rows that go through all weights together: their words should stay in the second cache beside a panel.
pub(super) const ROW_BLOCK: usize = 96;

/// Rows `range` cut into as few parts of at most `most` as can be, as even as can be.
pub(super) fn cut(
    range: Range<usize>,
    most: usize,
) -> impl ExactSizeIterator<Item = Range<usize>> + Clone {
    let (start, count) = (range.start, range.len());
    let parts = count.div_ceil(most);
    (0..parts).map(move |part| start + part * count / parts..start + (part + 1) * count / parts)
}

/// Rows (R, in) as the kernels read them; its memory is kept from call to call.
#[derive(Debug, Default)]
pub(super) struct PackedRows {
    words: Vec<u32>,
    /// Scales and starting values of the 8-bit format.
    scales: Vec<u32>,
}

/// How rows are kept for weights of a format and the instructions that multiply them.
#[derive(Clone, Copy, Debug)]
pub(super) struct RowShape {
    pub(super) isa: Isa,
    pub(super) format: Format,
    pub(super) inputs: usize,
    pub(super) chunks: usize,
}

/// Rows that a kernel keeps sums of, at most: 12 x 2 of 32 large registers, or 6 rows by half a panel in 6 x 2 of 16.
pub(super) fn tile_rows(isa: Isa) -> usize {
    match isa {
        Isa::Avx512 => 12,
        Isa::Avx2 | Isa::Portable => 6,
    }
}

/// Words of one step of inputs: AVX2 has no product of pairs of bf16, and multiplies them as f32.
pub(super) fn words_per_step(isa: Isa, format: Format) -> usize {
    match (isa, format) {
        (Isa::Avx2, Format::Bf16) => 2,
        _ => 1,
    }
}

impl RowShape {
    /// Words of one chunk of one row.
    fn chunk_words(self) -> usize {
        CHUNK * words_per_step(self.isa, self.format)
    }

    fn words(self) -> usize {
        self.chunks * self.chunk_words()
    }

    fn scales(self) -> usize {
        match self.format {
            Format::F32 | Format::Bf16 => 0,
            Format::Int8 => 2 * self.chunks.div_ceil(BLOCK_CHUNKS),
        }
    }
}

impl PackedRows {
    /// Makes room for `count` rows and hands out one (x, words, scales) for each tile.
    pub(super) fn tiles<'a>(
        &'a mut self,
        x: &'a [f32],
        shape: RowShape,
    ) -> impl Iterator<Item = (&'a [f32], &'a mut [u32], &'a mut [u32])> {
        let count = x.len() / shape.inputs;
        self.words.resize((count * shape.words()).max(self.words.len()), 0);
        self.scales.resize((count * shape.scales()).max(self.scales.len()), 0);
        let (mut x, mut words, mut scales) =
            (x, self.words.as_mut_slice(), self.scales.as_mut_slice());
        let tiles =
            cut(0..count, ROW_BLOCK).flat_map(move |block| cut(block, tile_rows(shape.isa)));
        tiles.map(move |tile| {
            let rows = tile.len();
            let tile_words =
                words.split_off_mut(..rows * shape.words()).expect("made room for all rows");
            let tile_scales =
                scales.split_off_mut(..rows * shape.scales()).expect("made room for all rows");
            let tile_x = x.split_off(..rows * shape.inputs).expect("tiles cover the rows of x");
            (tile_x, tile_words, tile_scales)
        })
    }

    /// Words and scales of the chunks `chunks` of the tile of rows `rows`; `chunks` starts at an even one.
    pub(super) fn tile(
        &self,
        shape: RowShape,
        rows: &Range<usize>,
        chunks: &Range<usize>,
    ) -> (&[u32], &[u32]) {
        let count = rows.len();
        let words = &self.words[rows.start * shape.words()..][..count * shape.words()];
        let scales = &self.scales[rows.start * shape.scales()..][..count * shape.scales()];
        let scales = match shape.format {
            Format::F32 | Format::Bf16 => scales,
            Format::Int8 => {
                let blocks = chunks.start / BLOCK_CHUNKS..chunks.end.div_ceil(BLOCK_CHUNKS);
                &scales[blocks.start * 2 * count..blocks.end * 2 * count]
            }
        };
        let size = count * shape.chunk_words();
        (&words[chunks.start * size..chunks.end * size], scales)
    }
}
