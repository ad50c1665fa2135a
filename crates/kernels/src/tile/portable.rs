//! The innermost product in plain loops, in the same order as the vector kernels: the fallback, and what they are
//! tested against. Knows nothing beyond one tile and one panel.

use crate::format::BLOCK_CHUNKS;
use crate::format::CHUNK;
use crate::format::Format;
use crate::format::PANEL;
use crate::format::SCALE_LINES;
use crate::lines::Line;
use crate::lines::floats;
use crate::lines::floats_mut;
use crate::lines::words;
use crate::math::fma;
use crate::tile::shape::Tile;

/// sums += x * weights
pub(super) fn multiply(format: Format, tile: &mut Tile<'_>) {
    match format {
        Format::F32 => {
            float_tile(tile, |sum, w, x| fma::<false>(f32::from_bits(w), f32::from_bits(x), sum));
        }
        Format::Bf16 => float_tile(tile, |sum, w, x| {
            let high =
                fma::<false>(f32::from_bits(w & 0xffff_0000), f32::from_bits(x & 0xffff_0000), sum);
            fma::<false>(f32::from_bits(w << 16), f32::from_bits(x << 16), high)
        }),
        Format::Int8 => int8_tile(tile),
    }
}

fn float_tile(tile: &mut Tile<'_>, dot: impl Fn(f32, u32, u32) -> f32) {
    for (row, sums) in floats_mut(tile.sums).as_chunks_mut::<PANEL>().0.iter_mut().enumerate() {
        let mut total = *sums;
        for_each_step(words(tile.weights), row_of(tile.x, tile.rows, row), |w, x| {
            for (sum, &w) in total.iter_mut().zip(w) {
                *sum = dot(*sum, w, x);
            }
        });
        *sums = total;
    }
}

fn int8_tile(tile: &mut Tile<'_>) {
    let rows = tile.rows;
    let block_lines = Format::Int8.lines(BLOCK_CHUNKS);
    let blocks = tile.weights.chunks(block_lines).zip(tile.x.chunks(BLOCK_CHUNKS * rows * CHUNK));
    for ((weights, x), scales) in blocks.zip(tile.scales.chunks_exact(2 * rows)) {
        let (weight_scales, weights): (&[Line], &[Line]) = weights.split_at(SCALE_LINES);
        for (row, sums) in floats_mut(tile.sums).as_chunks_mut::<PANEL>().0.iter_mut().enumerate() {
            let mut total = [scales[rows + row].cast_signed(); PANEL];
            for_each_step(words(weights), row_of(x, rows, row), |w, x| {
                for (sum, &w) in total.iter_mut().zip(w) {
                    *sum += dot_bytes(w, x);
                }
            });
            let row_scale = f32::from_bits(scales[row]);
            for (output, sum) in sums.iter_mut().enumerate() {
                *sum += total[output] as f32 * (row_scale * floats(weight_scales)[output]);
            }
        }
    }
}

/// Four unsigned times four signed bytes, as `vpdpbusd`.
#[inline(always)]
fn dot_bytes(w: u32, x: u32) -> i32 {
    (0..4).map(|i| i32::from((w >> (8 * i)) as u8) * i32::from((x >> (8 * i)) as i8)).sum()
}

/// The words of one row of a tile (chunks, rows, 16).
#[inline(always)]
fn row_of(x: &[u32], rows: usize, row: usize) -> impl Iterator<Item = u32> {
    x.as_chunks::<CHUNK>().0.iter().skip(row).step_by(rows).flatten().copied()
}

#[inline(always)]
fn for_each_step(
    weights: &[u32],
    row: impl Iterator<Item = u32>,
    mut step: impl FnMut(&[u32; PANEL], u32),
) {
    weights.as_chunks::<PANEL>().0.iter().zip(row).for_each(|(w, x)| step(w, x));
}
