//! Operations on rows with what their gradients need, for training. Knows plain slices.
#![expect(unsafe_code, reason = "compiled for several sets of instructions")]

use crate::activation::Activation;
use crate::isa::Isa;
use crate::isa::compiled_per_isa;
use crate::math::activate;
use crate::math::derivative;
use crate::math::exp;
use crate::math::fma;
use crate::math::total;
use std::ops::Range;

/// Lanes of partial sums: the compiler may not reorder a plain sum.
const LANES: usize = 32;

/// Softmax of `row` within `range`, in place; zero outside. All zeros where the range is empty.
pub fn softmax_within(row: &mut [f32], ranges: &[Range<usize>; 2]) {
    softmax(Isa::best(), row, ranges);
}

/// d score = p (d p - sum p d p), written over d p.
pub fn softmax_gradient(p: &[f32], dp: &mut [f32]) {
    softmax_back(Isa::best(), p, dp);
}

/// One row of a normalisation, and the gradient that arrives at its output.
#[derive(Clone, Copy, Debug)]
pub struct NormRow<'a> {
    /// (D,)
    pub x: &'a [f32],
    /// (D,)
    pub weight: &'a [f32],
    /// (D,)
    pub dy: &'a [f32],
    /// Added to the mean square or the variance.
    pub eps: f32,
}

/// Gradient of RMS norm, y = x s w with s = 1 / sqrt(mean x^2 + eps): writes `dx`, adds to `dw`.
pub fn rms_gradient(row: NormRow<'_>, dx: &mut [f32], dw: &mut [f32]) {
    rms_back(Isa::best(), row, dx, dw);
}

/// Gradient of layer norm, y = (x - mean) s w + b with s = 1 / sqrt(variance + eps): writes `dx`, adds to `dw` and `db`.
pub fn layer_gradient(row: NormRow<'_>, dx: &mut [f32], dw: &mut [f32], db: &mut [f32]) {
    layer_back(Isa::best(), row, dx, dw, db);
}

/// out = activation of x.
pub fn activate_rows(activation: Activation, x: &[f32], out: &mut [f32]) {
    activation_forward(Isa::best(), activation, x, out);
}

/// d x = d y times the derivative at x, written over d y.
pub fn activation_gradient(activation: Activation, x: &[f32], dy: &mut [f32]) {
    activation_back(Isa::best(), activation, x, dy);
}

compiled_per_isa! {
    fn activation_forward(activation: Activation, x: &[f32], out: &mut [f32]) => activation_forward_any
}

compiled_per_isa! {
    fn activation_back(activation: Activation, x: &[f32], dy: &mut [f32]) => activation_back_any
}

compiled_per_isa! {
    fn softmax(row: &mut [f32], ranges: &[Range<usize>; 2]) => softmax_any
}

compiled_per_isa! {
    fn softmax_back(p: &[f32], dp: &mut [f32]) => softmax_back_any
}

compiled_per_isa! {
    fn rms_back(row: NormRow<'_>, dx: &mut [f32], dw: &mut [f32]) => rms_back_any
}

compiled_per_isa! {
    fn layer_back(row: NormRow<'_>, dx: &mut [f32], dw: &mut [f32], db: &mut [f32]) => layer_back_any
}

#[inline(always)]
fn activation_forward_any<const FMA: bool>(activation: Activation, x: &[f32], out: &mut [f32]) {
    for (out, x) in out.iter_mut().zip(x) {
        *out = activate::<FMA>(activation, *x);
    }
}

#[inline(always)]
fn activation_back_any<const FMA: bool>(activation: Activation, x: &[f32], dy: &mut [f32]) {
    for (dy, x) in dy.iter_mut().zip(x) {
        *dy *= derivative::<FMA>(activation, *x);
    }
}

#[inline(always)]
fn softmax_any<const FMA: bool>(row: &mut [f32], ranges: &[Range<usize>; 2]) {
    let [first, second] = ranges;
    let mut largest = f32::NEG_INFINITY;
    for range in ranges {
        largest = row[range.clone()].iter().fold(largest, |a, &b| a.max(b));
    }
    row[..first.start].fill(0.0);
    row[first.end..second.start].fill(0.0);
    row[second.end..].fill(0.0);
    let mut total = 0.0;
    for range in ranges {
        for x in &mut row[range.clone()] {
            *x = exp::<FMA>(*x - largest);
        }
        total += sum(&row[range.clone()], |_, x| x);
    }
    let scale = if total > 0.0 { 1.0 / total } else { 0.0 };
    for x in row.iter_mut() {
        *x *= scale;
    }
}

#[inline(always)]
fn softmax_back_any<const FMA: bool>(p: &[f32], dp: &mut [f32]) {
    let dp = &mut dp[..p.len()];
    let inner = sum(p, |i, p| p * dp[i]);
    for (dp, p) in dp.iter_mut().zip(p) {
        *dp = p * (*dp - inner);
    }
}

#[inline(always)]
fn rms_back_any<const FMA: bool>(row: NormRow<'_>, dx: &mut [f32], dw: &mut [f32]) {
    let NormRow { x, weight, dy, eps } = row;
    let width = x.len();
    let (w, dy) = (&weight[..width], &dy[..width]);
    let scale = 1.0 / (sum(x, |_, x| x * x) / width as f32 + eps).sqrt();
    let inner = sum(x, |i, x| x * w[i] * dy[i]) * scale * scale / width as f32;
    let (dx, dw) = (&mut dx[..width], &mut dw[..width]);
    for i in 0..width {
        dx[i] = scale * fma::<FMA>(-x[i], inner, w[i] * dy[i]);
        dw[i] = fma::<FMA>(x[i] * scale, dy[i], dw[i]);
    }
}

#[inline(always)]
fn layer_back_any<const FMA: bool>(
    row: NormRow<'_>,
    dx: &mut [f32],
    dw: &mut [f32],
    db: &mut [f32],
) {
    let NormRow { x, weight, dy, eps } = row;
    let width = x.len();
    let (w, dy) = (&weight[..width], &dy[..width]);
    let mean = sum(x, |_, x| x) / width as f32;
    let variance = sum(x, |_, x| (x - mean) * (x - mean)) / width as f32;
    let scale = 1.0 / (variance + eps).sqrt();
    let mean_g = sum(dy, |i, dy| dy * w[i]) / width as f32;
    let mean_gx = sum(dy, |i, dy| dy * w[i] * (x[i] - mean)) * scale / width as f32;
    let (dx, dw, db) = (&mut dx[..width], &mut dw[..width], &mut db[..width]);
    for i in 0..width {
        let normed = (x[i] - mean) * scale;
        dx[i] = scale * (dy[i] * w[i] - mean_g - normed * mean_gx);
        dw[i] = fma::<FMA>(normed, dy[i], dw[i]);
        db[i] += dy[i];
    }
}

/// Sum of `term(index, element)`, in lanes.
#[inline(always)]
fn sum(x: &[f32], term: impl Fn(usize, f32) -> f32) -> f32 {
    let mut lanes = [0.0f32; LANES];
    let (whole, rest) = x.as_chunks::<LANES>();
    for (block, x) in whole.iter().enumerate() {
        for lane in 0..LANES {
            lanes[lane] += term(block * LANES + lane, x[lane]);
        }
    }
    for (lane, &x) in rest.iter().enumerate() {
        lanes[lane] += term(whole.len() * LANES + lane, x);
    }
    total(lanes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn softmax_sees_its_ranges_only() {
        let mut row = [9.0, 0.0, 9.0, 0.0, 9.0];
        softmax_within(&mut row, &[1..2, 3..4]);
        assert_eq!(row, [0.0, 0.5, 0.0, 0.5, 0.0]);
        softmax_within(&mut row, &[0..0, 0..0]);
        assert_eq!(row, [0.0; 5]);
    }
}
