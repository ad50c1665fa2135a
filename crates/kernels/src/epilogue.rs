//! What happens to a product before it is stored: bias, non-linearity, and how it meets what the output holds. Knows
//! neither weights nor inputs.
#![expect(
    unsafe_code,
    reason = "writes its part of a shared output; code compiled for several instructions"
)]

use crate::activation::Activation;
use crate::format::PANEL;
use crate::isa::compiled_per_isa;
use crate::math::activate;
use crate::output::Output;
use crate::packed::Columns;
use std::ops::Range;

/// How a product meets what the output holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Combine {
    /// Replaces it.
    #[default]
    Store,
    /// Is added to it: a residual stream.
    Add,
    /// Multiplies it: SwiGLU's second product onto the activated first.
    Multiply,
}

/// out = combine(out, activation(product + bias))
#[derive(Clone, Copy, Debug, Default)]
pub struct Epilogue<'a> {
    /// (out,)
    pub bias: Option<&'a [f32]>,
    /// Applied after the bias.
    pub activation: Option<Activation>,
    /// Applied last.
    pub combine: Combine,
}

/// One panel of sums (rows, 32) on its way into the output.
#[derive(Clone, Debug)]
pub(super) struct Finish<'a> {
    pub(super) epilogue: Epilogue<'a>,
    pub(super) rows: Range<usize>,
    /// Of the output: at most 32, or 16 if columns are gated.
    pub(super) columns: Range<usize>,
    pub(super) kind: Columns,
}

/// Stores a panel of sums (rows, 32).
///
/// # Safety
/// No other thread reads or writes these rows and columns of `out` meanwhile.
pub(super) unsafe fn finish(
    isa: crate::isa::Isa,
    finish: &Finish<'_>,
    sums: &[f32],
    out: Output<'_>,
) {
    finish_on(isa, finish, sums, out);
}

compiled_per_isa! {
    /// Private: its caller promises what `finish` asks for.
    fn finish_on(finish: &Finish<'_>, sums: &[f32], out: Output<'_>) => finish_any
}

#[inline(always)]
fn finish_any<const FMA: bool>(finish: &Finish<'_>, sums: &[f32], out: Output<'_>) {
    match finish.kind {
        Columns::Plain => finish_plain::<FMA>(finish, sums, out),
        Columns::Gated => finish_gated::<FMA>(finish, sums, out),
    }
}

/// out = activation(columns 0 to 15) * columns 16 to 31
#[inline(always)]
fn finish_gated<const FMA: bool>(finish: &Finish<'_>, sums: &[f32], out: Output<'_>) {
    const HALF: usize = PANEL / 2;
    for (row, sums) in finish.rows.clone().zip(sums.as_chunks::<PANEL>().0) {
        let (gates, ups) = sums.split_at(HALF);
        let mut y = [0.0; HALF];
        y.copy_from_slice(gates);
        activate_all::<FMA, HALF>(finish.epilogue.activation, &mut y);
        for (y, up) in y.iter_mut().zip(ups) {
            *y *= up;
        }
        // SAFETY: `finish`'s caller promises that this part is ours; the last row's part is not used any more.
        let out = unsafe { out.row_part(row, finish.columns.clone()) };
        out.copy_from_slice(&y[..out.len()]);
    }
}

#[inline(always)]
fn finish_plain<const FMA: bool>(finish: &Finish<'_>, sums: &[f32], out: Output<'_>) {
    let Finish { epilogue, rows, columns, .. } = finish;
    let width = columns.len();
    let mut bias = [0.0; PANEL];
    if let Some(all) = epilogue.bias {
        bias[..width].copy_from_slice(&all[columns.clone()]);
    }
    for (row, sums) in rows.clone().zip(sums.as_chunks::<PANEL>().0) {
        // SAFETY: `finish`'s caller promises that this part is ours; the last row's part is not used any more.
        let out = unsafe { out.row_part(row, columns.clone()) };
        match out.as_mut_array::<PANEL>() {
            Some(out) => finish_row::<FMA>(*epilogue, sums, &bias, out),
            None => {
                let mut whole = [0.0; PANEL];
                whole[..width].copy_from_slice(out);
                finish_row::<FMA>(*epilogue, sums, &bias, &mut whole);
                out.copy_from_slice(&whole[..width]);
            }
        }
    }
}

#[inline(always)]
fn finish_row<const FMA: bool>(
    epilogue: Epilogue<'_>,
    sums: &[f32; PANEL],
    bias: &[f32; PANEL],
    out: &mut [f32; PANEL],
) {
    let mut y = *sums;
    for (y, bias) in y.iter_mut().zip(bias) {
        *y += bias;
    }
    activate_all::<FMA, PANEL>(epilogue.activation, &mut y);
    match epilogue.combine {
        Combine::Store => *out = y,
        Combine::Add => out.iter_mut().zip(y).for_each(|(out, y)| *out += y),
        Combine::Multiply => out.iter_mut().zip(y).for_each(|(out, y)| *out *= y),
    }
}

/// One loop for each non-linearity, so that each becomes vector instructions.
#[inline(always)]
fn activate_all<const FMA: bool, const N: usize>(activation: Option<Activation>, y: &mut [f32; N]) {
    match activation {
        Some(Activation::GeluTanh) => {
            y.iter_mut().for_each(|y| *y = activate::<FMA>(Activation::GeluTanh, *y));
        }
        Some(Activation::GeluErf) => {
            y.iter_mut().for_each(|y| *y = activate::<FMA>(Activation::GeluErf, *y));
        }
        Some(Activation::Silu) => {
            y.iter_mut().for_each(|y| *y = activate::<FMA>(Activation::Silu, *y));
        }
        None => {}
    }
}
