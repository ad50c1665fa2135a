//! Attention of up to four queries together in AVX-512. Knows nothing beyond one task.
//!
//! Scores: for four pages, each element of the queries scales one register of keys a page, 16 sums at a time. Mix: 64
//! elements of the outputs are four registers a query, which stay while all positions are walked.
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

/// Queries that go through the pages together.
const QUERIES: usize = 4;

/// Sums that are added to in turn, so that none waits for its last addition: two a cycle, each four cycles long.
const CHAINS: usize = 8;

/// All queries of a task; `scores` is room to work in. Called by `attend` on processors that have AVX-512.
pub(super) fn run<T: Element>(task: &Task<'_, T>, scores: &mut Vec<[f32; PAGE]>) {
    let queries = task.queries();
    for first in (0..queries).step_by(QUERIES) {
        // SAFETY: the caller found the instructions.
        unsafe {
            match queries - first {
                1 => together::<T, 1>(task, first, scores),
                2 => together::<T, 2>(task, first, scores),
                3 => together::<T, 3>(task, first, scores),
                _ => together::<T, QUERIES>(task, first, scores),
            }
        }
    }
}

/// `Q` queries from the `first` on.
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx2,fma")]
fn together<T: Element, const Q: usize>(
    task: &Task<'_, T>,
    first: usize,
    scores: &mut Vec<[f32; PAGE]>,
) {
    let queries = Queries::<Q>::of(task, first);
    let Queries { q, table, .. } = queries;
    let (size, count) = (task.pages.head_size, table.len());
    scores.resize(Q * count, [0.0; PAGE]);
    let mut page = 0;
    while page < count {
        page += match count - page {
            1 => score::<T, Q, 1>(task, q, (page, table), scores),
            2 | 3 => score::<T, Q, 2>(task, q, (page, table), scores),
            _ => score::<T, Q, 4>(task, q, (page, table), scores),
        };
    }
    let mut mix = queries.weigh(task, &mut scores[..Q * count]);
    let mut from = 0;
    while from < size {
        from += match (size - from).div_ceil(16) {
            1 => mix.part::<1>(from),
            2 | 3 => mix.part::<2>(from),
            _ => mix.part::<4>(from),
        };
    }
}

/// q (Q, E) times the keys of `P` pages into scores (Q, pages, 16), unscaled; returns `P`.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl")]
fn score<T: Element, const Q: usize, const P: usize>(
    task: &Task<'_, T>,
    q: [&[f32]; Q],
    pages: (usize, &[u32]),
    scores: &mut [[f32; PAGE]],
) -> usize {
    match CHAINS / (Q * P) {
        0 | 1 => score_in_sets::<T, Q, P, 1>(task, q, pages, scores),
        2 | 3 => score_in_sets::<T, Q, P, 2>(task, q, pages, scores),
        _ => score_in_sets::<T, Q, P, 4>(task, q, pages, scores),
    }
}

/// `score` with `S` sums of each 16 scores, which take turns and are added at the end.
#[target_feature(enable = "avx512f,avx512bw,avx512vl")]
fn score_in_sets<T: Element, const Q: usize, const P: usize, const S: usize>(
    task: &Task<'_, T>,
    q: [&[f32]; Q],
    (page, table): (usize, &[u32]),
    scores: &mut [[f32; PAGE]],
) -> usize {
    let size = task.pages.head_size;
    let keys: [&[T]; P] = std::array::from_fn(|p| task.keys(table[page + p]));
    let ahead = ahead::<T, P>(task, page, table);
    let mut sums = [[[_mm512_setzero_ps(); P]; Q]; S];
    let whole = size / S * S;
    for first in (0..whole).step_by(S) {
        for from in ahead.as_flattened() {
            for line in (0..S * PAGE * size_of::<T>()).step_by(64) {
                _mm_prefetch::<_MM_HINT_T0>(
                    from.wrapping_add(first * PAGE).wrapping_byte_add(line).cast(),
                );
            }
        }
        for (set, sums) in sums.iter_mut().enumerate() {
            add_scores(keys, q, first + set, sums);
        }
    }
    for element in whole..size {
        add_scores(keys, q, element, &mut sums[0]);
    }
    for (i, scores) in scores.chunks_exact_mut(table.len()).enumerate().take(Q) {
        for (p, score) in scores[page..page + P].iter_mut().enumerate() {
            let mut sum = sums[0][i][p];
            for more in &sums[1..] {
                sum = _mm512_add_ps(sum, more[i][p]);
            }
            // SAFETY: a score is 16 floats.
            unsafe { _mm512_storeu_ps(score.as_mut_ptr(), sum) };
        }
    }
    P
}

/// What is fetched while the scores of `P` pages from `page` on are computed, as nothing else would in time: the values
/// of these pages, and the keys of the next pages, or of the next head. Wrong addresses cost time only.
#[inline(always)]
fn ahead<T: Element, const P: usize>(
    task: &Task<'_, T>,
    page: usize,
    table: &[u32],
) -> [[*const T; 2]; P] {
    std::array::from_fn(|p| {
        let keys = match table.get(page + P + p) {
            Some(&next) => task.keys(next).as_ptr(),
            None => {
                let first = task.keys(table[p.min(table.len() - 1)]);
                first.as_ptr().wrapping_add(first.len())
            }
        };
        [task.values(table[page + p]).as_ptr(), keys]
    })
}

/// sums (Q, P, 16) += q times keys, of one element
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl")]
fn add_scores<T: Element, const Q: usize, const P: usize>(
    keys: [&[T]; P],
    q: [&[f32]; Q],
    element: usize,
    sums: &mut [[__m512; P]; Q],
) {
    // SAFETY: `Task::keys` is (E, 16) and each of q is (E,), and element < E.
    unsafe {
        let mut key = [_mm512_setzero_ps(); P];
        for (key, keys) in key.iter_mut().zip(keys) {
            *key = T::load(keys.as_ptr().add(element * PAGE));
        }
        for (sums, q) in sums.iter_mut().zip(q) {
            let q = _mm512_set1_ps(*q.as_ptr().add(element));
            for (sum, key) in sums.iter_mut().zip(key) {
                *sum = _mm512_fmadd_ps(q, key, *sum);
            }
        }
    }
}

impl<T: Element, const Q: usize> Mix<'_, T, Q> {
    /// The elements from `from` on, up to `V` registers of them; returns how many.
    #[target_feature(enable = "avx512f,avx512bw,avx512vl")]
    fn part<const V: usize>(&mut self, from: usize) -> usize {
        match CHAINS / (Q * V) {
            0 | 1 => self.part_in_sets::<V, 1>(from),
            2 | 3 => self.part_in_sets::<V, 2>(from),
            _ => self.part_in_sets::<V, 4>(from),
        }
    }

    /// `part` with `S` sums of each output, which take turns and are added at the end.
    #[target_feature(enable = "avx512f,avx512bw,avx512vl")]
    fn part_in_sets<const V: usize, const S: usize>(&mut self, from: usize) -> usize {
        let size = self.task.pages.head_size;
        // The last register may reach beyond the head: its lanes there are neither read nor written.
        let mask: [__mmask16; V] =
            std::array::from_fn(|v| match size.saturating_sub(from + v * 16) {
                lanes @ 0..16 => (1 << lanes) - 1,
                _ => !0,
            });
        let mut sums = [[[_mm512_setzero_ps(); V]; Q]; S];
        for (index, &page) in self.table.iter().enumerate() {
            let values = self.task.values(page);
            let seen = PAGE.min(self.end - index * PAGE);
            let whole = seen / S * S;
            for first in (0..whole).step_by(S) {
                for (set, sums) in sums.iter_mut().enumerate() {
                    self.add(
                        (index, first + set),
                        &values[(first + set) * size + from..],
                        mask,
                        sums,
                    );
                }
            }
            for position in whole..seen {
                self.add((index, position), &values[position * size + from..], mask, &mut sums[0]);
            }
        }
        let &[mut sums, ref more @ ..] = &sums[..] else { return V * 16 };
        for more in more {
            for (sums, more) in sums.iter_mut().zip(more) {
                for (sum, more) in sums.iter_mut().zip(more) {
                    *sum = _mm512_add_ps(*sum, *more);
                }
            }
        }
        for ((out, sums), scale) in self.outs.iter_mut().zip(sums).zip(self.scale) {
            for (v, sum) in sums.into_iter().enumerate() {
                let scaled = _mm512_mul_ps(sum, _mm512_set1_ps(scale));
                let out = out.as_mut_ptr().wrapping_add(from + v * 16);
                // SAFETY: lanes that the mask names are inside this query's output (E,).
                unsafe { _mm512_mask_storeu_ps(out, mask[v], scaled) };
            }
        }
        V * 16
    }

    /// sums (Q, V, 16) += weights times `value`, of one position of the table's page `index`; lanes by `mask`.
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512vl")]
    fn add<const V: usize>(
        &self,
        (index, position): (usize, usize),
        value: &[T],
        mask: [__mmask16; V],
        sums: &mut [[__m512; V]; Q],
    ) {
        let mut lanes = [_mm512_setzero_ps(); V];
        for (v, lanes) in lanes.iter_mut().enumerate() {
            // SAFETY: lanes that the mask names are inside this position's values.
            *lanes = unsafe { T::load_some(mask[v], value.as_ptr().wrapping_add(v * 16)) };
        }
        for (i, sums) in sums.iter_mut().enumerate() {
            let weight = _mm512_set1_ps(self.weights[i * self.table.len() + index][position]);
            for (sum, lanes) in sums.iter_mut().zip(lanes) {
                *sum = _mm512_fmadd_ps(weight, lanes, *sum);
            }
        }
    }
}
