//! Linear layers of GPT-2 small and of a tiny model: our packed weights in each format, beside candle's product.
//!
//! `cargo bench --bench linear`, or with a filter such as `768x3072/16/`. On a machine that others use, means are worth
//! little: a table of minima over all repetitions follows criterion's output.

use candle_core::Device;
use candle_core::Tensor;
use coconut_kernels::epilogue::Epilogue;
use coconut_kernels::matmul::matmul;
use coconut_kernels::packed::Format;
use coconut_kernels::packed::PackedMatrix;
use criterion::BenchmarkId;
use criterion::Criterion;
use criterion::Throughput;
use std::collections::BTreeMap;
use std::time::Duration;
use std::time::Instant;

/// (in, out)
const SHAPES: [(usize, usize); 5] =
    [(192, 512), (768, 2304), (768, 3072), (3072, 768), (768, 50_260)];
const ROWS: [usize; 5] = [1, 4, 16, 64, 256];

/// Minimum for each (shape, rows, name).
type Minima = BTreeMap<((usize, usize), usize, &'static str), Duration>;

fn main() {
    let mut criterion = Criterion::default()
        .sample_size(10)
        .warm_up_time(Duration::from_millis(200))
        .measurement_time(Duration::from_millis(800))
        .configure_from_args();
    let mut minima = Minima::new();
    for shape in SHAPES {
        bench_shape(&mut criterion, shape, &mut minima);
    }
    criterion.final_summary();
    print_minima(&minima);
}

fn bench_shape(criterion: &mut Criterion, shape: (usize, usize), minima: &mut Minima) {
    let (inputs, outputs) = shape;
    let weights: Vec<f32> =
        (0..inputs * outputs).map(|i| (i * 7919 % 1000) as f32 / 1000.0 - 0.5).collect();
    let packed = [("f32", Format::F32), ("bf16", Format::Bf16), ("int8", Format::Int8)]
        .map(|(name, format)| (name, PackedMatrix::from_in_out(inputs, outputs, format, &weights)));
    let tensor = Tensor::from_vec(weights, shape, &Device::Cpu).expect("weights of this shape");
    for rows in ROWS {
        let x: Vec<f32> =
            (0..rows * inputs).map(|i| (i * 7907 % 1000) as f32 / 1000.0 - 0.5).collect();
        let mut out = vec![0.0; rows * outputs];
        let mut group = criterion.benchmark_group(format!("linear/{inputs}x{outputs}/{rows}"));
        group.throughput(Throughput::Elements((2 * rows * inputs * outputs) as u64));
        let mut run = |name: &'static str, work: &mut dyn FnMut()| {
            let minimum = minima.entry((shape, rows, name)).or_insert(Duration::MAX);
            group.bench_function(BenchmarkId::from_parameter(name), |bencher| {
                bencher.iter_custom(|count| repeat(count, minimum, work));
            });
        };
        for (name, weights) in &packed {
            run(name, &mut || matmul(&x, weights, Epilogue::default(), &mut out));
        }
        let x = Tensor::from_slice(&x, (rows, inputs), &Device::Cpu).expect("rows of this shape");
        run("candle f32", &mut || drop(x.matmul(&tensor).expect("a product of these shapes")));
    }
}

fn repeat(count: u64, minimum: &mut Duration, work: &mut dyn FnMut()) -> Duration {
    let mut total = Duration::ZERO;
    for _ in 0..count {
        let start = Instant::now();
        work();
        let taken = start.elapsed();
        *minimum = taken.min(*minimum);
        total += taken;
    }
    total
}

#[expect(clippy::print_stdout, reason = "the result")]
fn print_minima(minima: &Minima) {
    println!(
        "minimum of all repetitions\n{:>12} {:>5} {:>11} {:>10} {:>8}",
        "in x out", "rows", "", "us", "GFLOP/s"
    );
    for (&((inputs, outputs), rows, name), taken) in
        minima.iter().filter(|(_, taken)| **taken < Duration::MAX)
    {
        let seconds = taken.as_secs_f64();
        let rate = 2.0 * (rows * inputs * outputs) as f64 / seconds / 1e9;
        println!(
            "{:>12} {rows:>5} {name:>11} {:>10.1} {rate:>8.0}",
            format!("{inputs}x{outputs}"),
            seconds * 1e6
        );
    }
}
