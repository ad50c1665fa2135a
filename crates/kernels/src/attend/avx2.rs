//! Attention of up to four queries together in AVX2 with FMA. Knows nothing beyond one task.
//!
//! A query needs two registers for the scores of a page, and up to eight for 64 elements of its output. With fewer
//! queries, more pages or more elements are taken together, so that always eight sums take turns.
#![expect(
    unsafe_code,
    reason = "vector loads and stores, and code compiled for instructions found at run time"
)]

use crate::attend::element::Element;
use crate::attend::pages::PAGE;
use crate::attend::queries::Mix;
use crate::attend::queries::Queries;
use crate::attend::task::Task;
use std::arch::x86_64::*;

/// Floats of a register.
const LANES: usize = 8;
/// Registers of the scores of a page.
const HALVES: usize = PAGE / LANES;

/// All queries of a task; `scores` is room to work in. Called by `attend` on processors that have AVX2.
pub(super) fn run<T: Element>(task: &Task<'_, T>, scores: &mut Vec<[f32; PAGE]>) {
    let queries = task.queries();
    let mut first = 0;
    while first < queries {
        // SAFETY: the caller found the instructions.
        first += unsafe {
            match queries - first {
                1 => together::<T, 1, 4, 8>(task, first, scores),
                2 | 3 => together::<T, 2, 2, 4>(task, first, scores),
                _ => together::<T, 4, 1, 2>(task, first, scores),
            }
        };
    }
}

/// `Q` queries from the `first` on, `P` pages and `V` registers of outputs at a time; returns `Q`.
#[target_feature(enable = "avx2,fma")]
fn together<T: Element, const Q: usize, const P: usize, const V: usize>(
    task: &Task<'_, T>,
    first: usize,
    scores: &mut Vec<[f32; PAGE]>,
) -> usize {
    let queries = Queries::<Q>::of(task, first);
    let Queries { q, table, .. } = queries;
    let (size, count) = (task.pages.head_size, table.len());
    scores.resize(Q * count, [0.0; PAGE]);
    let whole = count / P * P;
    for page in (0..whole).step_by(P) {
        score::<T, Q, P>(task, q, (page, table), scores);
    }
    for page in whole..count {
        score::<T, Q, 1>(task, q, (page, table), scores);
    }
    let mut mix = queries.weigh(task, &mut scores[..Q * count]);
    let mut from = 0;
    while size - from >= V * LANES {
        mix.registers::<V>(from);
        from += V * LANES;
    }
    while size - from >= LANES {
        mix.registers::<1>(from);
        from += LANES;
    }
    (from..size).for_each(|element| mix.element(element));
    Q
}

/// q (Q, E) times the keys of `P` pages into scores (Q, pages, 16), unscaled.
#[inline]
#[target_feature(enable = "avx2,fma")]
fn score<T: Element, const Q: usize, const P: usize>(
    task: &Task<'_, T>,
    q: [&[f32]; Q],
    (page, table): (usize, &[u32]),
    scores: &mut [[f32; PAGE]],
) {
    let keys: [&[T]; P] = std::array::from_fn(|p| task.keys(table[page + p]));
    let mut sums = [[[_mm256_setzero_ps(); HALVES]; P]; Q];
    for element in 0..task.pages.head_size {
        let mut key = [[_mm256_setzero_ps(); HALVES]; P];
        for (key, keys) in key.iter_mut().zip(keys) {
            for (half, key) in key.iter_mut().enumerate() {
                // SAFETY: `Task::keys` is (E, 16), and element < E.
                *key = unsafe { T::load_8(keys.as_ptr().add(element * PAGE + half * LANES)) };
            }
        }
        for (sums, q) in sums.iter_mut().zip(q) {
            // SAFETY: each of q is (E,), and element < E.
            let q = _mm256_set1_ps(unsafe { *q.as_ptr().add(element) });
            for (sum, key) in sums.as_flattened_mut().iter_mut().zip(key.as_flattened()) {
                *sum = _mm256_fmadd_ps(q, *key, *sum);
            }
        }
    }
    for (scores, sums) in scores.chunks_exact_mut(table.len()).zip(&sums) {
        for (score, sums) in scores[page..page + P].iter_mut().zip(sums) {
            for (score, sum) in score.as_chunks_mut::<LANES>().0.iter_mut().zip(sums) {
                // SAFETY: the chunk is 8 floats.
                unsafe { _mm256_storeu_ps(score.as_mut_ptr(), *sum) };
            }
        }
    }
}

impl<'a, T: Element, const Q: usize> Mix<'a, T, Q> {
    /// Values of each page, and how many of its positions are seen.
    #[inline(always)]
    fn pages(&self) -> impl Iterator<Item = (usize, &'a [T], usize)> {
        let (task, end) = (self.task, self.end);
        let seen = move |index: usize| PAGE.min(end - index * PAGE);
        self.table
            .iter()
            .enumerate()
            .map(move |(index, &page)| (index, task.values(page), seen(index)))
    }

    /// `V` registers of elements from `from` on.
    #[target_feature(enable = "avx2,fma")]
    fn registers<const V: usize>(&mut self, from: usize) {
        let (size, count) = (self.task.pages.head_size, self.table.len());
        let mut sums = [[_mm256_setzero_ps(); V]; Q];
        for (index, values, seen) in self.pages() {
            let weights: [&[f32; PAGE]; Q] =
                std::array::from_fn(|i| &self.weights[i * count + index]);
            for position in 0..seen {
                let value = &values[position * size + from..][..V * LANES];
                let mut lanes = [_mm256_setzero_ps(); V];
                for (v, lanes) in lanes.iter_mut().enumerate() {
                    // SAFETY: `value` is V registers of elements.
                    *lanes = unsafe { T::load_8(value.as_ptr().add(v * LANES)) };
                }
                for (sums, weights) in sums.iter_mut().zip(weights) {
                    let weight = _mm256_set1_ps(weights[position]);
                    for (sum, lanes) in sums.iter_mut().zip(lanes) {
                        *sum = _mm256_fmadd_ps(weight, lanes, *sum);
                    }
                }
            }
        }
        for ((out, sums), scale) in self.outs.iter_mut().zip(sums).zip(self.scale) {
            let out = &mut out[from..from + V * LANES];
            for (out, sum) in out.as_chunks_mut::<LANES>().0.iter_mut().zip(sums) {
                let scaled = _mm256_mul_ps(sum, _mm256_set1_ps(scale));
                // SAFETY: the chunk is 8 floats.
                unsafe { _mm256_storeu_ps(out.as_mut_ptr(), scaled) };
            }
        }
    }

    /// One element, of those behind the last whole register.
    fn element(&mut self, element: usize) {
        let (size, count) = (self.task.pages.head_size, self.table.len());
        let mut sums = [0.0; Q];
        for (index, values, seen) in self.pages() {
            for (position, value) in values.chunks_exact(size).take(seen).enumerate() {
                for (i, sum) in sums.iter_mut().enumerate() {
                    *sum += self.weights[i * count + index][position] * value[element].to_f32();
                }
            }
        }
        for ((out, sum), scale) in self.outs.iter_mut().zip(sums).zip(self.scale) {
            out[element] = sum * scale;
        }
    }
}
