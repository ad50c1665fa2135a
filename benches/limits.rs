//! What this machine can do at most: multiply-adds on registers in each type of weights, and reading memory, on all
//! cores at once. Knows nothing of the kernels; no implementation passes these numbers with these instructions.
//!
//! Needs no dependency, so that scripts compile it by itself: `rustc -O --edition 2024 benches/limits.rs`. Prints JSON:
//! 10^9 operations a second (a multiply-add is two) for f32, bf16 and int8, and 10^9 bytes a second.
#![expect(unsafe_code, reason = "vector instructions found at run time")]

use std::hint::black_box;
use std::thread;
use std::time::Instant;

/// Of which the fastest counts: other programs only make a round slower.
const ROUNDS: usize = 15;
/// Turns of a loop over registers in a round: some ten milliseconds.
const TURNS: u64 = 2_000_000;
/// Bytes that are read: more than caches hold.
const MEMORY_BYTES: usize = 512 << 20;
/// Sums that take turns, so that none waits for its last addition.
const SUMS: usize = 12;

/// A loop over registers; returns operations done.
type Loop = fn(u64) -> u64;

#[expect(clippy::print_stdout, reason = "the result")]
fn main() {
    let loops = best_loops();
    let gops = |run: Loop| {
        let mut operations = 0;
        let seconds = fastest(|| operations = on_all_cores(|_| run(black_box(TURNS))));
        operations as f64 / seconds / 1e9
    };
    let [f32, bf16, int8] = loops.map(gops);
    println!(
        "{{\"f32\": {f32:.0}, \"bf16\": {bf16:.0}, \"int8\": {int8:.0}, \"memory_gbs\": {:.1}}}",
        memory_gbs()
    );
}

fn cores() -> usize {
    thread::available_parallelism().map_or(1, |cores| cores.get())
}

/// The sum of what `work` returns on each core.
fn on_all_cores(work: impl Fn(usize) -> u64 + Sync) -> u64 {
    let work = &work;
    thread::scope(|scope| {
        let threads: Vec<_> = (0..cores()).map(|core| scope.spawn(move || work(core))).collect();
        threads.into_iter().map(|thread| thread.join().expect("loops do not panic")).sum()
    })
}

/// Seconds of the fastest round.
fn fastest(mut work: impl FnMut()) -> f64 {
    let mut round = || {
        let start = Instant::now();
        work();
        start.elapsed().as_secs_f64()
    };
    (0..ROUNDS).map(|_| round()).fold(f64::INFINITY, f64::min)
}

fn memory_gbs() -> f64 {
    let numbers = vec![1u64; MEMORY_BYTES / size_of::<u64>()];
    let part = numbers.len() / cores();
    let seconds = fastest(|| {
        on_all_cores(|core| {
            let mut sums = [0u64; 32];
            for line in numbers[core * part..][..part].as_chunks::<32>().0 {
                for (sum, x) in sums.iter_mut().zip(line) {
                    *sum = sum.wrapping_add(*x);
                }
            }
            black_box(sums);
            0
        });
    });
    (part * cores() * size_of::<u64>()) as f64 / seconds / 1e9
}

/// For f32, bf16 and int8, with the best instructions that this processor has.
#[cfg(target_arch = "x86_64")]
fn best_loops() -> [Loop; 3] {
    let avx512 = is_x86_feature_detected!("avx512f")
        && is_x86_feature_detected!("avx512bf16")
        && is_x86_feature_detected!("avx512vnni");
    let avx2 = is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma");
    /// SAFETY: called only where the instructions were found, just above.
    macro_rules! found {
        ($($name:ident),*) => { [$(|turns| unsafe { x86::$name(turns) }),*] };
    }
    match (avx512, avx2) {
        (true, _) => found![f32_512, bf16_512, int8_512],
        // There is no product of bf16: they are multiplied as f32.
        (_, true) => found![f32_256, f32_256, int8_256],
        _ => [plain; 3],
    }
}

#[cfg(not(target_arch = "x86_64"))]
fn best_loops() -> [Loop; 3] {
    [plain; 3]
}

/// What the compiler makes of multiply-adds on any processor.
fn plain(turns: u64) -> u64 {
    const LANES: usize = 4;
    let (a, b) = (black_box(0.999f32), black_box(0.001f32));
    let mut sums = [[1.0f32; LANES]; SUMS];
    for _ in 0..turns {
        for sum in sums.as_flattened_mut() {
            *sum = *sum * a + b;
        }
    }
    black_box(sums);
    turns * (SUMS * LANES * 2) as u64
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    //! One instruction, or the shortest chain of them, in each loop.
    use super::SUMS;
    use std::arch::x86_64::*;
    use std::hint::black_box;

    /// Defines a loop that does `$step` to each of the sums, which is so many operations.
    macro_rules! register_loop {
        ($name:ident, $features:literal, $operations:literal, ($sum:ident = $zero:expr, $x:ident = $first:expr) => $step:expr) => {
            #[target_feature(enable = $features)]
            pub(crate) fn $name(turns: u64) -> u64 {
                let $x = black_box($first);
                let mut sums = [$zero; SUMS];
                for _ in 0..turns {
                    for sum in &mut sums {
                        let $sum = *sum;
                        *sum = $step;
                    }
                }
                black_box(sums);
                turns * SUMS as u64 * $operations
            }
        };
    }

    register_loop! {
        f32_512, "avx512f", 32,
        (sum = _mm512_setzero_ps(), x = _mm512_set1_ps(0.5)) => _mm512_fmadd_ps(sum, x, x)
    }
    register_loop! {
        bf16_512, "avx512f,avx512bf16", 64,
        (sum = _mm512_setzero_ps(), x = _mm512_cvtne2ps_pbh(_mm512_set1_ps(0.5), _mm512_set1_ps(0.5))) =>
        _mm512_dpbf16_ps(sum, x, x)
    }
    register_loop! {
        int8_512, "avx512f,avx512vnni", 128,
        (sum = _mm512_setzero_si512(), x = _mm512_set1_epi8(3)) => _mm512_dpbusd_epi32(sum, x, x)
    }
    register_loop! {
        f32_256, "avx2,fma", 16,
        (sum = _mm256_setzero_ps(), x = _mm256_set1_ps(0.5)) => _mm256_fmadd_ps(x, x, sum)
    }
    // Signed bytes take four instructions here; the first one depends on the sum only so that it stays in the loop.
    register_loop! {
        int8_256, "avx2", 64,
        (sum = _mm256_setzero_si256(), x = _mm256_set1_epi8(3)) => {
            let signed = _mm256_sign_epi8(x, sum);
            _mm256_add_epi32(sum, _mm256_madd_epi16(_mm256_maddubs_epi16(x, signed), _mm256_set1_epi16(1)))
        }
    }
}
