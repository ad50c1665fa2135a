//! Rounds blocks of weights to a format and puts them into the order of panels. Knows one block, no matrix.
#![expect(unsafe_code, reason = "compiled for several sets of instructions")]

use crate::convert::bf16_bits;
use crate::format::Format;
use crate::format::OFFSET;
use crate::format::PANEL;
use crate::format::SCALE_LINES;
use crate::isa::Isa;
use crate::isa::compiled_per_isa;
use crate::lines::Line;
use crate::lines::floats_mut;
use crate::lines::words_mut;

/// Bits of infinity; what is larger is no number. The sign is left out.
const INFINITE: u32 = 0x7f80_0000;
const SIGN: u32 = 0x8000_0000;
/// Added to a small number, rounds it to an integer and leaves it in the low bits: 1.5 * 2^23.
const ROUND: f32 = 12_582_912.0;
/// As good as zero, and 127 divided by it is finite.
const SMALL: f32 = 1e-36;

/// block (up to 128 inputs, padded with zeros to whole chunks, 32) -> lines, as many as its inputs fill. False if a
/// weight is not finite, or not in this format.
pub(crate) fn write(isa: Isa, format: Format, block: &[f32], lines: &mut [Line]) -> bool {
    let mut largest = 0;
    write_block(isa, format, block, lines, &mut largest);
    largest < INFINITE
}

/// Whether a weight is finite in this format.
pub(crate) fn is_kept(format: Format, x: f32) -> bool {
    match format {
        Format::F32 | Format::Int8 => x.is_finite(),
        Format::Bf16 => f32::from_bits(bf16_bits(x)).is_finite(),
    }
}

compiled_per_isa! {
    /// `largest` becomes the bits of the largest absolute value, NaN above all.
    fn write_block(format: Format, block: &[f32], lines: &mut [Line], largest: &mut u32) => write_any
}

#[inline(always)]
fn write_any<const FMA: bool>(
    format: Format,
    block: &[f32],
    lines: &mut [Line],
    largest: &mut u32,
) {
    let (rows, _) = block.as_chunks::<PANEL>();
    let all = match format {
        Format::F32 => write_f32(rows, floats_mut(lines).as_chunks_mut().0),
        Format::Bf16 => write_bf16(rows, words_mut(lines).as_chunks_mut().0),
        Format::Int8 => write_int8(rows, lines),
    };
    *largest = all.into_iter().fold(0, u32::max);
}

#[inline(always)]
fn write_f32(rows: &[[f32; PANEL]], steps: &mut [[f32; PANEL]]) -> [u32; PANEL] {
    let mut largest = [0; PANEL];
    for (step, row) in steps.iter_mut().zip(rows) {
        *step = *row;
        raise(&mut largest, row.map(f32::to_bits));
    }
    largest
}

#[inline(always)]
fn write_bf16(rows: &[[f32; PANEL]], steps: &mut [[u32; PANEL]]) -> [u32; PANEL] {
    let mut largest = [0; PANEL];
    for (step, [low, high]) in steps.iter_mut().zip(rows.as_chunks().0) {
        let (low, high) = (low.map(bf16_bits), high.map(bf16_bits));
        raise(&mut largest, low);
        raise(&mut largest, high);
        *step = std::array::from_fn(|column| low[column] >> 16 | high[column]);
    }
    largest
}

/// 32 scales and the bytes. What is not finite becomes no number that means anything, and is refused for it.
#[inline(always)]
fn write_int8(rows: &[[f32; PANEL]], lines: &mut [Line]) -> [u32; PANEL] {
    let mut bits = [0; PANEL];
    for row in rows {
        raise(&mut bits, row.map(f32::to_bits));
    }
    let largest = bits.map(f32::from_bits);
    let (scales, lines) = lines.split_at_mut(SCALE_LINES);
    floats_mut(scales).copy_from_slice(&largest.map(|largest| largest / 127.0));
    let inverse = largest.map(|largest| 127.0 / largest.max(SMALL));
    let steps = words_mut(lines).as_chunks_mut::<PANEL>().0;
    for (step, four) in steps.iter_mut().zip(rows.as_chunks::<4>().0) {
        *step = std::array::from_fn(|column| {
            let byte = |i: usize| {
                let rounded = (four[i][column] * inverse[column] + ROUND).to_bits();
                rounded.wrapping_add(OFFSET.cast_unsigned()) & 0xff
            };
            byte(0) | byte(1) << 8 | byte(2) << 16 | byte(3) << 24
        });
    }
    bits
}

/// The absolute value's bits order as the values do, NaN last.
#[inline(always)]
fn raise(largest: &mut [u32; PANEL], row: [u32; PANEL]) {
    for (largest, bits) in largest.iter_mut().zip(row) {
        *largest = (*largest).max(bits & !SIGN);
    }
}
