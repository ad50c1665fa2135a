//! Normalisation of rows, and sums of them, in one pass over memory each. Knows no weights of products.
#![expect(unsafe_code, reason = "compiled for several sets of instructions")]

use crate::isa::Isa;
use crate::isa::compiled_per_isa;
use crate::math::fma;
use crate::math::total;
use crate::team::Team;

/// Lanes of partial sums: enough registers to hide the latency of an addition.
const LANES: usize = 64;

/// Floats below which one thread normalises them all: some ten microseconds.
const MIN_SHARED_FLOATS: usize = 1 << 15;
/// Rows that a thread takes at a time.
const ROWS_TOGETHER: usize = 8;

/// A normalisation with its weights (D,).
#[derive(Clone, Copy, Debug)]
pub enum Norm<'a> {
    /// (x - mean) / sqrt(variance + eps) * weight + bias
    Layer {
        /// (D,)
        weight: &'a [f32],
        /// (D,)
        bias: &'a [f32],
        /// Added to the variance.
        eps: f32,
    },
    /// x / sqrt(mean square + eps) * weight
    Rms {
        /// (D,)
        weight: &'a [f32],
        /// Added to the mean square.
        eps: f32,
    },
}

impl Norm<'_> {
    /// x (R, D) -> out (R, D)
    ///
    /// # Panics
    /// If the lengths do not fit.
    pub fn apply(self, x: &[f32], out: &mut [f32]) {
        assert_eq!(x.len(), out.len(), "rows (R, D)");
        let rows = ROWS_TOGETHER * self.width();
        let items = x.chunks(rows).zip(out.chunks_mut(rows));
        Team::shared().share(x.len() >= MIN_SHARED_FLOATS, items, |(x, out)| {
            self.apply_on(Isa::best(), x, out);
        });
    }

    /// D
    fn width(self) -> usize {
        match self {
            Self::Layer { weight, .. } | Self::Rms { weight, .. } => weight.len(),
        }
    }

    /// `apply` with chosen instructions, or the best below them that the processor has.
    pub fn apply_on(self, isa: Isa, x: &[f32], out: &mut [f32]) {
        let width = self.width();
        if let Self::Layer { bias, .. } = self {
            assert_eq!(width, bias.len(), "weight and bias (D,)");
        }
        assert!(width > 0 && x.len().is_multiple_of(width) && x.len() == out.len(), "rows (R, D)");
        normalise(isa, self, x, out);
    }
}

/// x += y, of equal length.
///
/// # Panics
/// If the lengths differ.
pub fn add(x: &mut [f32], y: &[f32]) {
    assert_eq!(x.len(), y.len(), "equal lengths");
    add_to(Isa::best(), x, y);
}

compiled_per_isa! {
    fn normalise(norm: Norm<'_>, x: &[f32], out: &mut [f32]) => normalise_any
}

compiled_per_isa! {
    fn add_to(x: &mut [f32], y: &[f32]) => add_any
}

#[inline(always)]
fn add_any<const FMA: bool>(x: &mut [f32], y: &[f32]) {
    for (x, y) in x.iter_mut().zip(y) {
        *x += y;
    }
}

#[inline(always)]
fn normalise_any<const FMA: bool>(norm: Norm<'_>, x: &[f32], out: &mut [f32]) {
    match norm {
        Norm::Layer { weight, bias, eps } => {
            let width = weight.len();
            for (x, out) in x.chunks_exact(width).zip(out.chunks_exact_mut(width)) {
                let mean = sum(x, |x| x) / width as f32;
                let variance = sum(x, |x| (x - mean) * (x - mean)) / width as f32;
                let scale = 1.0 / (variance + eps).sqrt();
                for (((out, x), weight), bias) in out.iter_mut().zip(x).zip(weight).zip(bias) {
                    *out = fma::<FMA>((x - mean) * scale, *weight, *bias);
                }
            }
        }
        Norm::Rms { weight, eps } => {
            let width = weight.len();
            for (x, out) in x.chunks_exact(width).zip(out.chunks_exact_mut(width)) {
                let scale = 1.0 / (sum(x, |x| x * x) / width as f32 + eps).sqrt();
                for ((out, x), weight) in out.iter_mut().zip(x).zip(weight) {
                    *out = x * scale * weight;
                }
            }
        }
    }
}

/// Sum of `term` over a row, in lanes: the compiler may not reorder a plain sum.
#[inline(always)]
pub(super) fn sum(x: &[f32], term: impl Fn(f32) -> f32) -> f32 {
    let (whole, rest) = x.as_chunks::<LANES>();
    let mut lanes = [0.0f32; LANES];
    for x in whole {
        for (lane, &x) in lanes.iter_mut().zip(x) {
            *lane += term(x);
        }
    }
    for (lane, &x) in lanes.iter_mut().zip(rest) {
        *lane += term(x);
    }
    total(lanes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn close(norm: Norm<'_>, x: &[f32], expected: &[f64]) -> bool {
        Isa::available().all(|isa| {
            let mut out = vec![0.0; x.len()];
            norm.apply_on(isa, x, &mut out);
            out.iter()
                .zip(expected)
                .all(|(&y, e)| (f64::from(y) - e).abs() <= 1e-5 * (1.0 + e.abs()))
        })
    }

    proptest! {
        #[test]
        fn norms_agree_with_plain_loops(
            (width, x) in (1..300usize).prop_flat_map(|d| (Just(d), prop::collection::vec(-5.0..5.0f32, 3 * d))),
            shift in -3.0..3.0f32,
        ) {
            let weight: Vec<f32> = (0..width).map(|i| 0.5 + i as f32 / 200.0).collect();
            let bias: Vec<f32> = (0..width).map(|i| shift - i as f32 / 100.0).collect();
            let mut layer = Vec::new();
            let mut rms = Vec::new();
            for row in x.chunks_exact(width) {
                let mean_of = |f: &dyn Fn(f64) -> f64| row.iter().map(|&x| f(f64::from(x))).sum::<f64>() / width as f64;
                let mean = mean_of(&|x| x);
                let deviation = (mean_of(&|x| (x - mean).powi(2)) + 1e-2).sqrt();
                let root = (mean_of(&|x| x * x) + 1e-2).sqrt();
                for ((&x, &w), &b) in row.iter().zip(&weight).zip(&bias) {
                    layer.push((f64::from(x) - mean) / deviation * f64::from(w) + f64::from(b));
                    rms.push(f64::from(x) / root * f64::from(w));
                }
            }
            let norms = [
                (Norm::Layer { weight: &weight, bias: &bias, eps: 1e-2 }, layer),
                (Norm::Rms { weight: &weight, eps: 1e-2 }, rms),
            ];
            for (norm, expected) in norms {
                prop_assert!(close(norm, &x, &expected));
            }
        }

        #[test]
        fn add_adds(x in prop::collection::vec(-5.0..5.0f32, 0..200)) {
            let y: Vec<f32> = x.iter().rev().copied().collect();
            let mut sum = x.clone();
            add(&mut sum, &y);
            prop_assert!(sum.iter().zip(x.iter().zip(&y)).all(|(sum, (x, y))| *sum == x + y));
        }
    }
}
