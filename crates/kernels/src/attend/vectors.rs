//! Loads of elements into vector registers, as floats. Knows no page.
#![expect(unsafe_code, reason = "vector loads for instructions found at run time")]

use std::arch::x86_64::*;

/// Loads of elements as 8 floats.
pub(crate) trait Eights: Sized {
    /// # Safety
    /// The processor has AVX2, and 8 elements lie at `from`.
    unsafe fn load_8(from: *const Self) -> __m256;
}

impl Eights for f32 {
    #[inline]
    #[target_feature(enable = "avx2")]
    unsafe fn load_8(from: *const Self) -> __m256 {
        // SAFETY: the caller's.
        unsafe { _mm256_loadu_ps(from) }
    }
}

/// The bits of a bf16: the upper half of an f32.
impl Eights for u16 {
    #[inline]
    #[target_feature(enable = "avx2")]
    unsafe fn load_8(from: *const Self) -> __m256 {
        // SAFETY: the caller's; 8 elements are 16 bytes.
        let halves = unsafe { _mm_loadu_si128(from.cast()) };
        _mm256_castsi256_ps(_mm256_slli_epi32::<16>(_mm256_cvtepu16_epi32(halves)))
    }
}

/// Loads of elements as 16 floats.
pub(crate) trait Vectors: Sized {
    /// # Safety
    /// The processor has AVX-512, and 16 elements lie at `from`.
    unsafe fn load(from: *const Self) -> __m512;

    /// # Safety
    /// The processor has AVX-512, and the elements at `from` that `mask` names are there; the others become 0.
    unsafe fn load_some(mask: __mmask16, from: *const Self) -> __m512;
}

impl Vectors for f32 {
    #[inline]
    #[target_feature(enable = "avx512f")]
    unsafe fn load(from: *const Self) -> __m512 {
        // SAFETY: the caller's.
        unsafe { _mm512_loadu_ps(from) }
    }

    #[inline]
    #[target_feature(enable = "avx512f")]
    unsafe fn load_some(mask: __mmask16, from: *const Self) -> __m512 {
        // SAFETY: the caller's.
        unsafe { _mm512_maskz_loadu_ps(mask, from) }
    }
}

/// The bits of a bf16: the upper half of an f32.
impl Vectors for u16 {
    #[inline]
    #[target_feature(enable = "avx512f")]
    unsafe fn load(from: *const Self) -> __m512 {
        // SAFETY: the caller's; 16 elements are 32 bytes.
        let halves = unsafe { _mm256_loadu_si256(from.cast()) };
        _mm512_castsi512_ps(_mm512_slli_epi32::<16>(_mm512_cvtepu16_epi32(halves)))
    }

    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512vl")]
    unsafe fn load_some(mask: __mmask16, from: *const Self) -> __m512 {
        // SAFETY: the caller's.
        let halves = unsafe { _mm256_maskz_loadu_epi16(mask, from.cast()) };
        _mm512_castsi512_ps(_mm512_slli_epi32::<16>(_mm512_cvtepu16_epi32(halves)))
    }
}
