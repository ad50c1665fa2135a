//! The innermost product in AVX-512, with BF16 and VNNI. Knows nothing beyond one tile and one panel.
//!
//! Each step loads two registers of weights (32 outputs) and, for each row, broadcasts one word of inputs: one f32, two
//! bf16 or four bytes, multiplied and summed into the row's two registers by one instruction each. Twelve rows make 24
//! independent sums, which hides the latency of the instruction; with few rows, several sets of sums are kept and
//! added up at the end. Weights are read once, straight through.
#![expect(
    unsafe_code,
    reason = "vector loads and stores, and code compiled for instructions found at run time"
)]

use crate::format::BLOCK_CHUNKS;
use crate::format::CHUNK;
use crate::format::CHUNK_LINES;
use crate::format::Format;
use crate::format::SCALE_LINES;
use crate::tile::shape::Tile;
use std::arch::x86_64::__m512;
use std::arch::x86_64::__m512bh;
use std::arch::x86_64::__m512i;
use std::arch::x86_64::*;

type Kernel = unsafe fn(&mut Tile<'_>);

/// Kernels for 1 to 12 rows. The second number is how many sets of sums are kept.
macro_rules! for_each_row_count {
    ($kernel:ident) => {
        [
            $kernel::<1, 4>,
            $kernel::<2, 4>,
            $kernel::<3, 2>,
            $kernel::<4, 2>,
            $kernel::<5, 2>,
            $kernel::<6, 1>,
            $kernel::<7, 1>,
            $kernel::<8, 1>,
            $kernel::<9, 1>,
            $kernel::<10, 1>,
            $kernel::<11, 1>,
            $kernel::<12, 1>,
        ]
    };
}

static F32: [Kernel; 12] = for_each_row_count!(f32_tile);
static BF16: [Kernel; 12] = for_each_row_count!(bf16_tile);
static INT8: [Kernel; 12] = for_each_row_count!(int8_tile);

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

#[inline]
#[target_feature(enable = "avx512f")]
fn dot_f32(sum: __m512, w: __m512i, x: __m512i) -> __m512 {
    _mm512_fmadd_ps(_mm512_castsi512_ps(w), _mm512_castsi512_ps(x), sum)
}

#[inline]
#[target_feature(enable = "avx512f,avx512bf16")]
fn dot_bf16(sum: __m512, w: __m512i, x: __m512i) -> __m512 {
    // SAFETY: both are 64 bytes in which every bit pattern is valid.
    let (w, x) = unsafe {
        (std::mem::transmute::<__m512i, __m512bh>(w), std::mem::transmute::<__m512i, __m512bh>(x))
    };
    _mm512_dpbf16_ps(sum, w, x)
}

/// Walks `$chunks` chunks: `$w` and `$x` point at their first words, `$ahead` at what to prefetch.
macro_rules! walk {
    ($dot:ident, $sums:ident, $chunks:expr, $w:expr, $x:expr, ($ahead:ident, $stride:expr)) => {
        let (mut w, mut x) = ($w, $x);
        for _ in 0..$chunks {
            for step in (0..CHUNK).step_by(SETS) {
                for set in 0..SETS {
                    let at = step + set;
                    let low = _mm512_load_si512(w.add(at * 32).cast());
                    let high = _mm512_load_si512(w.add(at * 32 + 16).cast());
                    _mm_prefetch::<_MM_HINT_T0>($ahead);
                    _mm_prefetch::<_MM_HINT_T0>($ahead.wrapping_byte_add($stride / 2));
                    $ahead = $ahead.wrapping_byte_add($stride);
                    for row in 0..ROWS {
                        let word = _mm512_set1_epi32(x.add(row * CHUNK + at).read().cast_signed());
                        $sums[set][row][0] = $dot($sums[set][row][0], low, word);
                        $sums[set][row][1] = $dot($sums[set][row][1], high, word);
                    }
                }
            }
            w = w.add(CHUNK * 32);
            x = x.add(ROWS * CHUNK);
        }
    };
}

macro_rules! float_tile {
    ($name:ident, $features:literal, $dot:ident) => {
        /// # Safety
        /// The processor has the instructions, and the slices the lengths that `Tile` states, for `ROWS` rows.
        #[target_feature(enable = $features)]
        unsafe fn $name<const ROWS: usize, const SETS: usize>(tile: &mut Tile<'_>) {
            let mut sums = [[[_mm512_setzero_ps(); 2]; ROWS]; SETS];
            let out: *mut f32 = tile.sums.as_mut_ptr().cast();
            // SAFETY: weights are 32 words a step and x `ROWS` words a step, for all steps of `chunks`; sums are 32
            // words a row. Lines are aligned to 64 bytes.
            unsafe {
                for (row, sum) in sums[0].iter_mut().enumerate() {
                    *sum =
                        [_mm512_load_ps(out.add(row * 32)), _mm512_load_ps(out.add(row * 32 + 16))];
                }
                let w: *const u32 = tile.weights.as_ptr().cast();
                let mut ahead = tile.prefetch.start(tile.weights);
                walk!($dot, sums, tile.chunks, w, tile.x.as_ptr(), (ahead, tile.prefetch.stride));
                let [first, more @ ..] = &sums[..] else { return };
                for (row, halves) in first.iter().enumerate() {
                    for (half, sum) in halves.iter().enumerate() {
                        let sum =
                            more.iter().fold(*sum, |sum, set| _mm512_add_ps(sum, set[row][half]));
                        _mm512_store_ps(out.add(row * 32 + half * 16), sum);
                    }
                }
            }
        }
    };
}
float_tile!(f32_tile, "avx512f", dot_f32);
float_tile!(bf16_tile, "avx512f,avx512bf16", dot_bf16);

/// Weights are w + 128 as unsigned bytes, so a block's integer sum starts at -128 times the sum of its inputs.
///
/// # Safety
/// As for the float tiles.
#[target_feature(enable = "avx512f,avx512vnni")]
unsafe fn int8_tile<const ROWS: usize, const SETS: usize>(tile: &mut Tile<'_>) {
    let out: *mut f32 = tile.sums.as_mut_ptr().cast();
    let chunks = tile.chunks;
    let mut weights = tile.weights.as_ptr();
    let mut inputs = tile.x.as_ptr();
    let mut scales = tile.scales.as_ptr();
    let mut ahead = tile.prefetch.start(tile.weights);
    assert_eq!(
        tile.scales.len(),
        chunks.div_ceil(BLOCK_CHUNKS) * 2 * ROWS,
        "scales of as many blocks"
    );
    for first in (0..chunks).step_by(BLOCK_CHUNKS) {
        let count = BLOCK_CHUNKS.min(chunks - first);
        // SAFETY: as above; each block of weights opens with 32 scales, each block of rows has 2 * ROWS words of scales.
        unsafe {
            let mut sums = [[[_mm512_setzero_si512(); 2]; ROWS]; SETS];
            for (row, sum) in sums[0].iter_mut().enumerate() {
                *sum = [_mm512_set1_epi32(scales.add(ROWS + row).read().cast_signed()); 2];
            }
            let words = weights.add(SCALE_LINES).cast::<u32>();
            walk!(_mm512_dpbusd_epi32, sums, count, words, inputs, (ahead, tile.prefetch.stride));
            let weight_scales = weights.cast::<f32>();
            let [first, more @ ..] = &sums[..] else { return };
            for (row, halves) in first.iter().enumerate() {
                let row_scale = _mm512_set1_ps(f32::from_bits(scales.add(row).read()));
                for (half, sum) in halves.iter().enumerate() {
                    let fold =
                        |sum, set: &[[__m512i; 2]; ROWS]| _mm512_add_epi32(sum, set[row][half]);
                    let whole = _mm512_cvtepi32_ps(more.iter().fold(*sum, fold));
                    let scale =
                        _mm512_mul_ps(row_scale, _mm512_load_ps(weight_scales.add(half * 16)));
                    let at = out.add(row * 32 + half * 16);
                    _mm512_store_ps(at, _mm512_fmadd_ps(whole, scale, _mm512_load_ps(at)));
                }
            }
            weights = weights.add(SCALE_LINES + count * CHUNK_LINES);
            inputs = inputs.add(count * ROWS * CHUNK);
            scales = scales.add(2 * ROWS);
        }
    }
}
