//! The kernels against plain loops in f64, on random shapes.

use crate::activation::Activation;
use crate::epilogue::Combine;
use crate::epilogue::Epilogue;
use crate::format::BLOCK_INPUTS;
use crate::format::Format;
use crate::isa::Isa;
use crate::lines::Line;
use crate::lines::words;
use crate::matmul::matmul_on;
use crate::packed::Columns;
use crate::packed::PackedMatrix;
use crate::packed::Unpacked;
use crate::write::write;
use half::bf16;
use proptest::prelude::*;
use std::ops::Range;

/// Numbers in [-1, 1], the same for the same seed.
fn numbers(seed: u64, count: usize) -> Vec<f32> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    (0..count)
        .map(|_| {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            (state >> 40) as f32 / (1 << 23) as f32 - 1.0
        })
        .collect()
}

fn apply(activation: Option<Activation>, x: f64) -> f64 {
    match activation {
        None => x,
        Some(Activation::Silu) => x / (1.0 + (-x).exp()),
        Some(Activation::GeluTanh) => {
            0.5 * x
                * (1.0 + ((2.0 / std::f64::consts::PI).sqrt() * (x + 0.044_715 * x * x * x)).tanh())
        }
        Some(Activation::GeluErf) => 0.5 * x * (1.0 + erf(x * std::f64::consts::FRAC_1_SQRT_2)),
    }
}

/// By its power series, which is good to 1e-9 for |x| < 4; beyond, erf is 1 to 2e-8.
fn erf(x: f64) -> f64 {
    if x.abs() > 4.0 {
        return x.signum();
    }
    let mut term = x;
    let mut sum = x;
    for n in 1..200 {
        let n = f64::from(n);
        term *= -x * x / n;
        sum += term / (2.0 * n + 1.0);
    }
    sum * std::f64::consts::FRAC_2_SQRT_PI
}

fn round(format: Format, x: f32) -> f64 {
    match format {
        Format::F32 | Format::Int8 => f64::from(x),
        Format::Bf16 => f64::from(bf16::from_f32(x).to_f32()),
    }
}

#[derive(Clone, Debug)]
struct Case {
    rows: usize,
    inputs: usize,
    outputs: usize,
    seed: u64,
    activation: Option<Activation>,
    combine: Combine,
}

fn cases() -> impl Strategy<Value = Case> {
    let activation = prop_oneof![
        Just(None),
        Just(Some(Activation::GeluTanh)),
        Just(Some(Activation::GeluErf)),
        Just(Some(Activation::Silu))
    ];
    let combine = prop_oneof![Just(Combine::Store), Just(Combine::Add), Just(Combine::Multiply)];
    let rows = prop_oneof![3 => 1..usual_or(20, 6), 1 => 20..usual_or(220, 22)];
    let inputs = prop_oneof![3 => 1..usual_or(150, 140), 1 => 150..usual_or(900, 160)];
    (rows, inputs, 1..usual_or(150, 40), any::<u64>(), activation, combine).prop_map(
        |(rows, inputs, outputs, seed, activation, combine)| Case {
            rows,
            inputs,
            outputs,
            seed,
            activation,
            combine,
        },
    )
}

/// Largest difference of `matmul` from f64 sums of the inputs as the format rounds them, over all instructions.
fn worst_difference(case: &Case, format: Format) -> f64 {
    let Case { rows, inputs, outputs, seed, .. } = *case;
    let x = numbers(seed, rows * inputs);
    let w = numbers(seed ^ 1, inputs * outputs);
    let bias = numbers(seed ^ 2, outputs);
    let before = numbers(seed ^ 3, rows * outputs);
    let packed = PackedMatrix::from_in_out(inputs, outputs, format, &w);
    let epilogue =
        Epilogue { bias: Some(&bias), activation: case.activation, combine: case.combine };
    let expected: Vec<f64> = (0..rows * outputs)
        .map(|at| {
            let (row, output) = (at / outputs, at % outputs);
            let product = |k: usize| {
                round(format, x[row * inputs + k]) * round(format, w[k * outputs + output])
            };
            let y = apply(
                case.activation,
                (0..inputs).map(product).sum::<f64>() + f64::from(bias[output]),
            );
            let old = f64::from(before[at]);
            match case.combine {
                Combine::Store => y,
                Combine::Add => old + y,
                Combine::Multiply => old * y,
            }
        })
        .collect();
    Isa::available()
        .map(|isa| {
            let mut out = before.clone();
            matmul_on(isa, &x, &packed, epilogue, &mut out);
            out.iter().zip(&expected).map(|(&y, e)| (f64::from(y) - e).abs()).fold(0.0, f64::max)
        })
        .fold(0.0, f64::max)
}

/// So many cases, or as few as `PROPTEST_CASES` says: under Miri each takes minutes.
pub(crate) fn at_most(cases: u32) -> ProptestConfig {
    let config = ProptestConfig::default();
    ProptestConfig { cases: config.cases.min(cases), ..config }
}

/// A number of the usual run, and the one under Miri, where a size just past a page, a panel or a block has to do.
pub(crate) const fn usual_or(usual: usize, under_miri: usize) -> usize {
    if cfg!(miri) { under_miri } else { usual }
}

proptest! {
    #![proptest_config(at_most(64))]

    /// Rounding of a sum of n products below 1 grows with n at worst, with its root in practice.
    #[test]
    fn f32_agrees_with_a_plain_loop(case in cases()) {
        let bound = 1e-6 * (case.inputs as f64 + 10.0);
        prop_assert!(worst_difference(&case, Format::F32) <= bound);
    }

    /// Once inputs and weights are rounded to bf16, nothing else is lost but what f32 loses.
    #[test]
    fn bf16_agrees_with_a_plain_loop_over_rounded_numbers(case in cases()) {
        let bound = 1e-6 * (case.inputs as f64 + 10.0);
        prop_assert!(worst_difference(&case, Format::Bf16) <= bound);
    }

    /// Each of x and w is off by at most half a step, 1/254, so a product by less than 2/254 + 1/254^2. A slope of a
    /// non-linearity is at most 1.13.
    #[test]
    fn int8_is_within_its_steps(case in cases()) {
        let bound = 1.13 * (2.01 / 254.0) * case.inputs as f64 + 1e-5;
        prop_assert!(worst_difference(&case, Format::Int8) <= bound);
    }

    /// Errors of rounding are independent, so the typical one grows with the root of the number of inputs.
    #[test]
    fn int8_is_close_in_the_mean(seed in any::<u64>(), inputs in 64..usual_or(700, 150)) {
        let case = Case { rows: 5, inputs, outputs: 40, seed, activation: None, combine: Combine::Store };
        prop_assert!(worst_difference(&case, Format::Int8) <= 0.025 * (inputs as f64).sqrt());
    }

    #[test]
    fn outputs_read_back_as_they_were_packed(seed in any::<u64>(), inputs in 1..usual_or(300, 140), outputs in 1..usual_or(100, 40)) {
        let w = numbers(seed, inputs * outputs);
        for (format, bound) in [(Format::F32, 0.0), (Format::Bf16, 1.0 / 256.0), (Format::Int8, 1.0 / 253.0)] {
            let packed = PackedMatrix::from_out_in(inputs, outputs, format, &w);
            let mut row = vec![0.0; inputs];
            for output in 0..outputs {
                packed.read_output(output, &mut row);
                for (read, packed) in row.iter().zip(&w[output * inputs..]) {
                    prop_assert!((read - packed).abs() <= bound);
                }
            }
        }
    }
}

#[test]
fn both_layouts_pack_to_the_same() {
    let (inputs, outputs) = (37, 45);
    let in_out = numbers(5, inputs * outputs);
    let out_in: Vec<f32> =
        (0..inputs * outputs).map(|at| in_out[at % inputs * outputs + at / inputs]).collect();
    let [a, b] = [
        PackedMatrix::from_in_out(inputs, outputs, Format::F32, &in_out),
        PackedMatrix::from_out_in(inputs, outputs, Format::F32, &out_in),
    ];
    let [mut x, mut y] = [vec![0.0; inputs], vec![0.0; inputs]];
    for output in 0..outputs {
        a.read_output(output, &mut x);
        b.read_output(output, &mut y);
        assert_eq!(x, y);
    }
}

#[test]
fn what_is_not_finite_stays_so() {
    for format in [Format::F32, Format::Bf16, Format::Int8] {
        let packed = PackedMatrix::from_in_out(200, 33, format, &numbers(1, 200 * 33));
        for bad in [f32::NAN, f32::INFINITY] {
            let mut x = numbers(2, 3 * 200);
            x[250] = bad;
            for isa in Isa::available() {
                let mut out = vec![0.0; 3 * 33];
                matmul_on(isa, &x, &packed, Epilogue::default(), &mut out);
                assert!(out[33..66].iter().all(|y| !y.is_finite()), "{format:?} {isa:?} {bad}");
                assert!(
                    out[..33].iter().chain(&out[66..]).all(|y| y.is_finite()),
                    "{format:?} {isa:?} {bad}"
                );
            }
        }
    }
}

#[test]
fn weights_that_cannot_be_kept_are_refused_with_their_place() {
    let (inputs, outputs) = (300, 70);
    let pack = |format, columns, at: &[(usize, usize, f32)]| {
        let packed = PackedMatrix::pack(
            (inputs, outputs),
            format,
            columns,
            &|range: Range<usize>, inputs: Range<usize>, block: &mut [f32]| {
                for &(input, column, value) in at {
                    let panel = column / 32 * columns.outputs_per_panel();
                    if inputs.contains(&input) && range.start == panel {
                        block[(input - inputs.start) * 32 + column % 32] = value;
                    }
                }
            },
        );
        packed.map(|packed| packed.bytes()).map_err(|error| match error {
            Unpacked::Unfit(unfit) => (unfit.output, unfit.half),
            Unpacked::Memory(error) => panic!("{error}"),
        })
    };
    for format in [Format::F32, Format::Bf16, Format::Int8] {
        for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            let two = [(299, 69, bad), (130, 40, bad)];
            assert_eq!(pack(format, Columns::Plain, &two), Err((40, 0)), "{format:?} {bad}");
            let one = [(0, 32 + 16 + 3, bad)];
            assert_eq!(pack(format, Columns::Gated, &one), Err((19, 1)), "{format:?} {bad}");
        }
        let large = [(5, 5, f32::MAX), (6, 6, 1e-45)];
        let kept = pack(format, Columns::Plain, &large).is_ok();
        assert_eq!(kept, format != Format::Bf16, "{format:?}");
    }
}

#[test]
fn weights_are_written_alike_by_all_instructions() {
    let mut block = numbers(7, BLOCK_INPUTS * 32);
    block[..32].fill(0.0);
    block.iter_mut().skip(3).step_by(32).for_each(|x| *x *= 1e-42);
    for format in [Format::F32, Format::Bf16, Format::Int8] {
        let lines = format.lines(BLOCK_INPUTS / format.inputs_per_chunk());
        let written = |isa| {
            let mut lines = vec![Line::ZERO; lines];
            assert!(write(isa, format, &block, &mut lines));
            words(&lines).to_vec()
        };
        let portable = written(Isa::Portable);
        for isa in Isa::available() {
            assert_eq!(written(isa), portable, "{format:?} {isa:?}");
        }
    }
}

proptest! {
    #![proptest_config(at_most(24))]

    #[test]
    fn gated_columns_give_the_product_of_both(case in cases()) {
        let Case { rows, inputs, outputs, seed, .. } = case;
        let x = numbers(seed, rows * inputs);
        let weights = [numbers(seed ^ 1, inputs * outputs), numbers(seed ^ 2, inputs * outputs)];
        let packed = PackedMatrix::pack((inputs, outputs), Format::F32, Columns::Gated, &|range: Range<usize>, inputs: Range<usize>, block: &mut [f32]| {
            for (first, weights) in [0, 16].into_iter().zip(&weights) {
                for (row, input) in block.chunks_exact_mut(32).zip(inputs.clone()) {
                    row[first..first + range.len()].copy_from_slice(&weights[input * outputs..][range.clone()]);
                }
            }
        });
        let packed = packed.unwrap();
        let product = |which: usize, row: usize, output: usize| -> f64 {
            (0..inputs)
                .map(|k| f64::from(x[row * inputs + k]) * f64::from(weights[which][k * outputs + output]))
                .sum()
        };
        for isa in Isa::available() {
            let mut out = vec![f32::NAN; rows * outputs];
            let epilogue = Epilogue { activation: case.activation, ..Epilogue::default() };
            matmul_on(isa, &x, &packed, epilogue, &mut out);
            for (at, y) in out.iter().enumerate() {
                let (row, output) = (at / outputs, at % outputs);
                let (gate, up) = (product(0, row, output), product(1, row, output));
                let expected = apply(case.activation, gate) * up;
                // Each factor's rounding is magnified by the other.
                let room = 1e-4 * (1.0 + expected.abs() + gate.abs() + up.abs());
                prop_assert!((f64::from(*y) - expected).abs() < room, "{isa:?} {y} {expected}");
            }
        }
    }
}
