//! The innermost product in AVX2 with FMA. Knows nothing beyond one tile and one panel.
//!
//! Sixteen registers hold the sums of six rows and 16 outputs, so a panel is gone over in two halves; of one or two rows
//! they hold the whole panel. There is no product of bf16 or of signed bytes here: a bf16 becomes an f32 by a shift, and
//! of bytes the sign of a weight moves over to the input, since the instruction wants one unsigned factor:
//! w x = |w| (sign(w) x). Its sums of two products stay below 2 * 127^2 < 2^15.
#![expect(
    unsafe_code,
    reason = "vector loads and stores, and code compiled for instructions found at run time"
)]

use crate::format::BLOCK_CHUNKS;
use crate::format::CHUNK;
use crate::format::Format;
use crate::format::OFFSET;
use crate::format::PANEL;
use crate::format::SCALE_LINES;
use crate::tile::shape::Tile;
use std::arch::x86_64::*;

type Kernel = unsafe fn(&mut Tile<'_>);

/// Words of a register.
const LANES: usize = 8;

/// Kernels for 1 to 6 rows. The last number is how many registers of outputs are summed at a time.
macro_rules! for_each_row_count {
    ($kernel:ident $(, $floats:literal)?) => {
        [
            $kernel::<$($floats,)? 1, 4>,
            $kernel::<$($floats,)? 2, 4>,
            $kernel::<$($floats,)? 3, 2>,
            $kernel::<$($floats,)? 4, 2>,
            $kernel::<$($floats,)? 5, 2>,
            $kernel::<$($floats,)? 6, 2>,
        ]
    };
}

static F32: [Kernel; 6] = for_each_row_count!(float_tile, 1);
static BF16: [Kernel; 6] = for_each_row_count!(float_tile, 2);
static INT8: [Kernel; 6] = for_each_row_count!(int8_tile);

/// sums += x * weights. The lengths were checked by `tile::multiply`, which calls this on processors that have it.
pub(super) fn multiply(format: Format, tile: &mut Tile<'_>) {
    let kernels = match format {
        Format::F32 => &F32,
        Format::Bf16 => &BF16,
        Format::Int8 => &INT8,
    };
    // SAFETY: `tile::multiply` found the instructions and checked that the slices have the lengths that `Tile` states.
    unsafe { kernels[tile.rows - 1](tile) }
}

/// A word of weights is `FLOATS` floats, and a step of a row of inputs as many words.
///
/// # Safety
/// The processor has the instructions, and the slices the lengths that `Tile` states, for `ROWS` rows.
#[target_feature(enable = "avx2,fma")]
unsafe fn float_tile<const FLOATS: usize, const ROWS: usize, const REGISTERS: usize>(
    tile: &mut Tile<'_>,
) {
    for first in (0..PANEL).step_by(REGISTERS * LANES) {
        let mut ahead = tile.prefetch.start(tile.weights).wrapping_byte_add(first * 4);
        let mut sums = [[_mm256_setzero_ps(); REGISTERS]; ROWS];
        // SAFETY: weights are 32 words a step and x `ROWS` times `FLOATS` words a step, for all steps of `chunks`; sums are
        // 32 words a row. Lines are aligned to 64 bytes, and so are halves of panels.
        unsafe {
            let out = tile.sums.as_mut_ptr().cast::<f32>().add(first);
            let mut w = tile.weights.as_ptr().cast::<u32>().add(first);
            let mut x = tile.x.as_ptr().cast::<f32>();
            for (row, sums) in sums.iter_mut().enumerate() {
                for (i, sum) in sums.iter_mut().enumerate() {
                    *sum = _mm256_load_ps(out.add(row * PANEL + i * LANES));
                }
            }
            for _ in 0..tile.chunks {
                for step in 0..CHUNK {
                    for line in 0..REGISTERS * LANES / 16 {
                        _mm_prefetch::<_MM_HINT_T0>(ahead.wrapping_byte_add(line * 64));
                    }
                    ahead = ahead.wrapping_byte_add(tile.prefetch.stride);
                    for part in 0..FLOATS {
                        let mut weights = [_mm256_setzero_ps(); REGISTERS];
                        for (i, weights) in weights.iter_mut().enumerate() {
                            let words = _mm256_load_si256(w.add(step * PANEL + i * LANES).cast());
                            *weights = floats::<FLOATS>(words, part);
                        }
                        for (row, sums) in sums.iter_mut().enumerate() {
                            let x = _mm256_set1_ps(*x.add((row * CHUNK + step) * FLOATS + part));
                            for (sum, weights) in sums.iter_mut().zip(weights) {
                                *sum = _mm256_fmadd_ps(x, weights, *sum);
                            }
                        }
                    }
                }
                w = w.add(CHUNK * PANEL);
                x = x.add(CHUNK * FLOATS * ROWS);
            }
            for (row, sums) in sums.iter().enumerate() {
                for (i, sum) in sums.iter().enumerate() {
                    _mm256_store_ps(out.add(row * PANEL + i * LANES), *sum);
                }
            }
        }
    }
}

/// The float of this number that each word holds: itself, or the lower or upper of two bf16.
#[inline]
#[target_feature(enable = "avx2")]
fn floats<const FLOATS: usize>(words: __m256i, part: usize) -> __m256 {
    _mm256_castsi256_ps(match (FLOATS, part) {
        (1, _) => words,
        (_, 0) => _mm256_slli_epi32::<16>(words),
        _ => _mm256_and_si256(words, _mm256_set1_epi32(!0xffff)),
    })
}

/// Weights are w + 128 as unsigned bytes. The starting values that undo this elsewhere are not needed.
///
/// # Safety
/// As for the float tiles.
#[target_feature(enable = "avx2,fma")]
unsafe fn int8_tile<const ROWS: usize, const REGISTERS: usize>(tile: &mut Tile<'_>) {
    let blocks = tile.chunks.div_ceil(BLOCK_CHUNKS);
    assert_eq!(tile.scales.len(), blocks * 2 * ROWS, "scales of as many blocks");
    let offset = _mm256_set1_epi8((OFFSET as u8).cast_signed());
    let ones = _mm256_set1_epi16(1);
    for block in 0..blocks {
        let chunks = BLOCK_CHUNKS.min(tile.chunks - block * BLOCK_CHUNKS);
        for first in (0..PANEL).step_by(REGISTERS * LANES) {
            let mut sums = [[_mm256_setzero_si256(); REGISTERS]; ROWS];
            // SAFETY: as above; each block of weights opens with 32 scales, and all blocks but the last are whole; each
            // block of rows has 2 * ROWS words of scales.
            unsafe {
                let weights = tile.weights.as_ptr().add(block * Format::Int8.lines(BLOCK_CHUNKS));
                let mut w = weights.add(SCALE_LINES).cast::<u32>().add(first);
                let mut x = tile.x.as_ptr().add(block * BLOCK_CHUNKS * ROWS * CHUNK);
                let mut ahead =
                    weights.cast::<i8>().wrapping_byte_add(tile.prefetch.from + first * 4);
                for _ in 0..chunks {
                    for step in 0..CHUNK {
                        for line in 0..REGISTERS * LANES / 16 {
                            _mm_prefetch::<_MM_HINT_T0>(ahead.wrapping_byte_add(line * 64));
                        }
                        ahead = ahead.wrapping_byte_add(tile.prefetch.stride);
                        let mut signs = [_mm256_setzero_si256(); REGISTERS];
                        for (i, signs) in signs.iter_mut().enumerate() {
                            let words = _mm256_load_si256(w.add(step * PANEL + i * LANES).cast());
                            *signs = _mm256_xor_si256(words, offset);
                        }
                        let sizes = signs.map(|signs| _mm256_abs_epi8(signs));
                        for (row, sums) in sums.iter_mut().enumerate() {
                            let x = _mm256_set1_epi32((*x.add(row * CHUNK + step)).cast_signed());
                            for ((sum, size), signs) in sums.iter_mut().zip(sizes).zip(signs) {
                                let pairs = _mm256_maddubs_epi16(size, _mm256_sign_epi8(x, signs));
                                *sum = _mm256_add_epi32(*sum, _mm256_madd_epi16(pairs, ones));
                            }
                        }
                    }
                    w = w.add(CHUNK * PANEL);
                    x = x.add(ROWS * CHUNK);
                }
                let weight_scales = weights.cast::<f32>().add(first);
                let row_scales = tile.scales.as_ptr().add(block * 2 * ROWS);
                let out = tile.sums.as_mut_ptr().cast::<f32>().add(first);
                for (row, sums) in sums.iter().enumerate() {
                    let row_scale = _mm256_set1_ps(f32::from_bits(*row_scales.add(row)));
                    for (i, sum) in sums.iter().enumerate() {
                        let scale =
                            _mm256_mul_ps(row_scale, _mm256_load_ps(weight_scales.add(i * LANES)));
                        let at = out.add(row * PANEL + i * LANES);
                        let sum = _mm256_cvtepi32_ps(*sum);
                        _mm256_store_ps(at, _mm256_fmadd_ps(sum, scale, _mm256_load_ps(at)));
                    }
                }
            }
        }
    }
}
