//! The numbers that pages keep: f32, or the bits of a bf16. Knows no page.

#[cfg(target_arch = "x86_64")]
use crate::attend::vectors::Eights;
#[cfg(target_arch = "x86_64")]
use crate::attend::vectors::Vectors;
use crate::convert::bf16_bits;
use crate::memory::Plain;

/// What vector kernels ask of an element; nothing, where there are none.
#[cfg(not(target_arch = "x86_64"))]
pub(crate) trait Vectors {}
#[cfg(not(target_arch = "x86_64"))]
impl<T> Vectors for T {}
#[cfg(not(target_arch = "x86_64"))]
use Vectors as Eights;

/// A number as pages keep it; computed with in f32.
pub(crate) trait Element:
    Vectors + Eights + Plain + Default + Send + Sync + 'static
{
    /// Rounded to nearest.
    fn from_f32(x: f32) -> Self;
    /// Exact.
    fn to_f32(self) -> f32;
}

impl Element for f32 {
    #[inline(always)]
    fn from_f32(x: f32) -> Self {
        x
    }

    #[inline(always)]
    fn to_f32(self) -> f32 {
        self
    }
}

/// The bits of a bf16.
impl Element for u16 {
    #[inline(always)]
    fn from_f32(x: f32) -> Self {
        (bf16_bits(x) >> 16) as Self
    }

    #[inline(always)]
    fn to_f32(self) -> f32 {
        f32::from_bits(u32::from(self) << 16)
    }
}
