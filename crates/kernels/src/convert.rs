//! Rounds rows of f32 to the precision of a format of weights and puts them into tile order. Knows no weights.
#![expect(
    unsafe_code,
    reason = "compiled for several sets of instructions, and one conversion that has its own"
)]

use crate::format::BLOCK_CHUNKS;
use crate::format::CHUNK;
use crate::format::Format;
use crate::format::OFFSET;
use crate::isa::compiled_per_isa;
use crate::rows::RowShape;
use crate::rows::words_per_step;

compiled_per_isa! {
    /// x (r, in) -> words (chunks, r, words of a chunk) and, in the 8-bit format, scales (blocks, 2, r).
    pub(super) fn convert(shape: RowShape, x: &[f32], words: &mut [u32], scales: &mut [u32]) => convert_any
}

#[inline(always)]
fn convert_any<const FMA: bool>(shape: RowShape, x: &[f32], words: &mut [u32], scales: &mut [u32]) {
    let rows = x.len() / shape.inputs;
    for (row, x) in x.chunks_exact(shape.inputs).enumerate() {
        let place = (row, rows);
        match (shape.format, words_per_step(shape.isa, shape.format)) {
            (Format::F32, _) => each_chunk(x, words, place, |x: &[f32; CHUNK]| x.map(f32::to_bits)),
            (Format::Bf16, 1) => each_chunk(x, words, place, bf16_words),
            (Format::Bf16, _) => each_chunk(x, words, place, |x: &[f32; 32]| x.map(bf16_bits)),
            (Format::Int8, _) => int8_row(x, words.as_chunks_mut().0, scales, place),
        }
    }
}

/// Calls `words_of` for every `N` inputs of a row, the last ones filled up with zeros.
#[inline(always)]
fn each_chunk<const N: usize, const WORDS: usize>(
    x: &[f32],
    words: &mut [u32],
    (row, rows): (usize, usize),
    words_of: impl Fn(&[f32; N]) -> [u32; WORDS],
) {
    let (words, _) = words.as_chunks_mut::<WORDS>();
    let (whole, rest) = x.as_chunks::<N>();
    for (chunk, x) in whole.iter().enumerate() {
        words[chunk * rows + row] = words_of(x);
    }
    if !rest.is_empty() {
        let mut last = [0.0; N];
        last[..rest.len()].copy_from_slice(rest);
        words[whole.len() * rows + row] = words_of(&last);
    }
}

/// Pairs of bf16, the first in the low half.
#[inline(always)]
fn bf16_words(x: &[f32; 32]) -> [u32; CHUNK] {
    let halves = x.map(bf16_bits);
    std::array::from_fn(|i| halves[2 * i] >> 16 | halves[2 * i + 1])
}

/// To the nearest bf16, ties to even, in the high half; NaN stays NaN.
#[inline(always)]
pub(super) fn bf16_bits(x: f32) -> u32 {
    let bits = x.to_bits();
    let rounded = bits.wrapping_add(0x7fff + (bits >> 16 & 1)) & 0xffff_0000;
    if x.is_nan() { 0x7fc0_0000 } else { rounded }
}

/// One scale for each 128 inputs. What is not finite makes the scale, and so the products, not finite.
#[inline(always)]
fn int8_row(
    x: &[f32],
    words: &mut [[u32; CHUNK]],
    scales: &mut [u32],
    (row, rows): (usize, usize),
) {
    const BLOCK: usize = 64 * BLOCK_CHUNKS;
    for (block, x) in x.chunks(BLOCK).enumerate() {
        let mut padded = [0.0; BLOCK];
        padded[..x.len()].copy_from_slice(x);
        // The absolute value's bits order as the values do, NaN last.
        let largest =
            f32::from_bits(padded.map(|x| x.to_bits() & 0x7fff_ffff).into_iter().fold(0, u32::max));
        let inverse = if largest == 0.0 { 0.0 } else { 127.0 / largest };
        let mut sum = 0;
        for (chunk, x) in padded.as_chunks::<64>().0[..x.len().div_ceil(64)].iter().enumerate() {
            // Adding 1.5 * 2^23 rounds to an integer and leaves it in the low bits.
            let bytes = x.map(|x| (x * inverse + 12_582_912.0).to_bits() as i8);
            sum += bytes.map(i32::from).iter().sum::<i32>();
            words[(block * BLOCK_CHUNKS + chunk) * rows + row] = std::array::from_fn(|i| {
                u32::from_le_bytes(
                    [bytes[4 * i], bytes[4 * i + 1], bytes[4 * i + 2], bytes[4 * i + 3]]
                        .map(i8::cast_unsigned),
                )
            });
        }
        let block = &mut scales[block * 2 * rows..][..2 * rows];
        block[row] = (largest / 127.0).to_bits();
        block[rows + row] = (-OFFSET * sum).cast_unsigned();
    }
}
