//! Memory in cache lines, the unit that weights are packed in. Knows neither formats nor shapes.
#![expect(
    unsafe_code,
    reason = "views of whole cache lines as numbers, both plain data without padding"
)]

/// One cache line, 64 bytes: 16 words of 32 bits, which is what one 512-bit register holds.
#[repr(C, align(64))]
#[derive(Clone, Copy, Debug)]
pub(super) struct Line(pub(super) [u32; 16]);

impl Line {
    pub(super) const ZERO: Self = Self([0; 16]);
}

/// The lines as 32-bit words.
pub(super) fn words(lines: &[Line]) -> &[u32] {
    // SAFETY: `Line` is `repr(C)` around `[u32; 16]` of the same size, so a slice of lines is 16 times as many words.
    unsafe { std::slice::from_raw_parts(lines.as_ptr().cast(), lines.len() * 16) }
}

/// The lines as 32-bit words.
pub(super) fn words_mut(lines: &mut [Line]) -> &mut [u32] {
    // SAFETY: as in `words`; the borrow is exclusive.
    unsafe { std::slice::from_raw_parts_mut(lines.as_mut_ptr().cast(), lines.len() * 16) }
}

/// The lines as f32.
pub(super) fn floats(lines: &[Line]) -> &[f32] {
    // SAFETY: as in `words`; every bit pattern is an f32.
    unsafe { std::slice::from_raw_parts(lines.as_ptr().cast(), lines.len() * 16) }
}

/// The lines as f32.
pub(super) fn floats_mut(lines: &mut [Line]) -> &mut [f32] {
    // SAFETY: as in `floats`; the borrow is exclusive.
    unsafe { std::slice::from_raw_parts_mut(lines.as_mut_ptr().cast(), lines.len() * 16) }
}
