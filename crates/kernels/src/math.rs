//! The exponential, GELU and `SiLU` without branches, so that loops over them become vector instructions. Knows no tensor.
//!
//! `FMA` says whether fused multiply-add is an instruction (see `isa`); results differ in the last bits only.

use crate::activation::Activation;

#[inline(always)]
pub(super) fn fma<const FMA: bool>(a: f32, b: f32, c: f32) -> f32 {
    if FMA { a.mul_add(b, c) } else { a * b + c }
}

/// The sum of all lanes, in halves; their number is a power of two.
#[inline(always)]
pub(super) fn total<const LANES: usize>(mut lanes: [f32; LANES]) -> f32 {
    let mut half = LANES / 2;
    while half > 0 {
        for lane in 0..half {
            lanes[lane] += lanes[lane + half];
        }
        half /= 2;
    }
    lanes[0]
}

/// e^x, relative error below 2e-7; saturates outside [-87.3, 88]. Cephes' `expf`: x = n ln 2 + r, a polynomial in r,
/// and n added to the exponent.
#[inline(always)]
pub(super) fn exp<const FMA: bool>(x: f32) -> f32 {
    /// 1.5 * 2^23: adding it rounds to an integer, which is then in the low bits.
    const ROUND: f32 = 12_582_912.0;
    let x = x.clamp(-87.3, 88.0);
    let shifted = fma::<FMA>(x, std::f32::consts::LOG2_E, ROUND);
    let n = shifted - ROUND;
    // ln 2 in two parts; n times the first is exact.
    let r = fma::<FMA>(n, 2.121_944_4e-4, fma::<FMA>(n, -0.693_359_4, x));
    let mut p = 1.987_569_1e-4;
    for coefficient in [1.398_2e-3, 8.333_452e-3, 4.166_579_6e-2, 1.666_666_5e-1, 0.5] {
        p = fma::<FMA>(p, r, coefficient);
    }
    let power = f32::from_bits((shifted.to_bits() << 23).wrapping_add(0x3f80_0000));
    (fma::<FMA>(p, r * r, r) + 1.0) * power
}

/// x * sigmoid(x)
#[inline(always)]
pub(super) fn silu<const FMA: bool>(x: f32) -> f32 {
    x / (1.0 + exp::<FMA>(-x))
}

/// GELU by the tanh approximation: x (1 + tanh u) / 2 = x sigmoid(2u) with u = sqrt(2/pi) (x + 0.044715 x^3), which
/// needs no tanh and cancels nothing.
#[inline(always)]
pub(super) fn gelu_tanh<const FMA: bool>(x: f32) -> f32 {
    /// 2 sqrt(2/pi)
    const SCALE: f32 = 1.595_769;
    let twice_u = SCALE * x * fma::<FMA>(0.044_715 * x, x, 1.0);
    x / (1.0 + exp::<FMA>(-twice_u))
}

/// GELU by the error function: x erfc(-x / sqrt 2) / 2.
#[inline(always)]
pub(super) fn gelu_erf<const FMA: bool>(x: f32) -> f32 {
    let tail = erfc_positive::<FMA>(x.abs() * std::f32::consts::FRAC_1_SQRT_2);
    let twice_cdf = if x < 0.0 { tail } else { 2.0 - tail };
    0.5 * x * twice_cdf
}

/// erfc(z) for z >= 0, fractional error 1.2e-7 before rounding: Numerical Recipes' Chebyshev fit (`erfcc`).
#[inline(always)]
fn erfc_positive<const FMA: bool>(z: f32) -> f32 {
    const FIT: [f32; 9] = [
        -0.822_152_2,
        1.488_515_9,
        -1.135_204,
        0.278_868_07,
        -0.186_288_06,
        0.096_784_18,
        0.374_091_96,
        1.000_023_7,
        -1.265_512_2,
    ];
    let t = 1.0 / fma::<FMA>(0.5, z, 1.0);
    let mut p = 0.170_872_77;
    for coefficient in FIT {
        p = fma::<FMA>(p, t, coefficient);
    }
    t * exp::<FMA>(fma::<FMA>(-z, z, p))
}

/// One element through a non-linearity.
#[inline(always)]
pub(super) fn activate<const FMA: bool>(activation: Activation, x: f32) -> f32 {
    match activation {
        Activation::GeluTanh => gelu_tanh::<FMA>(x),
        Activation::GeluErf => gelu_erf::<FMA>(x),
        Activation::Silu => silu::<FMA>(x),
    }
}

/// The slope of a non-linearity. All three are x c(x) for a cumulative distribution c, so it is c(x) + x c'(x).
#[inline(always)]
pub(super) fn derivative<const FMA: bool>(activation: Activation, x: f32) -> f32 {
    /// sqrt(2/pi)
    const SCALE: f32 = 0.797_884_6;
    let logistic = |x: f32| 1.0 / (1.0 + exp::<FMA>(-x));
    match activation {
        Activation::GeluTanh => {
            let c = logistic(2.0 * SCALE * x * fma::<FMA>(0.044_715 * x, x, 1.0));
            let slope = 2.0 * SCALE * fma::<FMA>(3.0 * 0.044_715 * x, x, 1.0);
            fma::<FMA>(x * slope, c * (1.0 - c), c)
        }
        Activation::GeluErf => {
            let tail = 0.5 * erfc_positive::<FMA>(x.abs() * std::f32::consts::FRAC_1_SQRT_2);
            let c = if x < 0.0 { tail } else { 1.0 - tail };
            fma::<FMA>(x, 0.5 * SCALE * exp::<FMA>(-0.5 * x * x), c)
        }
        Activation::Silu => {
            let c = logistic(x);
            fma::<FMA>(x, c * (1.0 - c), c)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn worst_relative(
        truth: impl Fn(f64) -> f64,
        ours: impl Fn(f32) -> f32,
        range: std::ops::Range<i32>,
    ) -> f64 {
        range
            .step_by(crate::tests::usual_or(1, 1009))
            .map(|i| i as f32 / 1000.0)
            .filter(|&x| x != 0.0)
            .map(|x| (f64::from(ours(x)) / truth(f64::from(x)) - 1.0).abs())
            .fold(0.0, f64::max)
    }

    #[test]
    fn each_is_close_to_the_true_value() {
        let exp = worst_relative(f64::exp, exp::<true>, -87_000..88_000);
        assert!(exp < 2e-7, "exp {exp}");
        let silu = worst_relative(|x| x / (1.0 + (-x).exp()), silu::<true>, -80_000..80_000);
        assert!(silu < 4e-7, "silu {silu}");
        let twice_u =
            |x: f64| 2.0 * (2.0 / std::f64::consts::PI).sqrt() * (x + 0.044_715 * x * x * x);
        let near =
            worst_relative(|x| x / (1.0 + (-twice_u(x)).exp()), gelu_tanh::<true>, -3_000..20_000);
        assert!(near < 2e-6, "GELU by tanh {near}");
    }

    /// Values from tables to ten digits, as the library has no error function.
    #[test]
    fn gelu_by_the_error_function_is_close_to_the_true_value() {
        let normal_cdf =
            [(0.0, 0.5), (0.5, 0.691_462_461_3), (1.0, 0.841_344_746_1), (2.0, 0.977_249_868_1)];
        for (x, cdf) in
            normal_cdf.into_iter().chain([(-1.0, 0.158_655_253_9), (-3.0, 0.001_349_898_032)])
        {
            for y in [gelu_erf::<true>(x), gelu_erf::<false>(x)] {
                assert!(
                    (f64::from(y) - f64::from(x) * cdf).abs() <= 1e-6 * f64::from(x).abs() * cdf,
                    "{x}: {y}"
                );
            }
        }
    }

    #[test]
    fn the_derivative_is_the_slope() {
        for activation in [Activation::GeluTanh, Activation::GeluErf, Activation::Silu] {
            for x in (-400..400).map(|i| i as f32 / 100.0) {
                let step = 1e-2;
                let rise =
                    activate::<true>(activation, x + step) - activate::<true>(activation, x - step);
                let slope = derivative::<true>(activation, x);
                assert!((rise / (2.0 * step) - slope).abs() < 1e-3, "{activation:?} at {x}");
            }
        }
    }

    #[test]
    fn nan_stays_nan_and_ends_stay_finite() {
        for activation in [Activation::GeluTanh, Activation::GeluErf, Activation::Silu] {
            assert!(activate::<true>(activation, f32::NAN).is_nan());
            for x in [1e4f32, 100.0, -100.0, -1e4] {
                let y = activate::<true>(activation, x);
                assert!((y - x.max(0.0)).abs() <= 1e-6 * x.abs(), "{activation:?} of {x}: {y}");
            }
        }
    }
}
