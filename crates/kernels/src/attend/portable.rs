//! Attention of one query after another in plain loops: the fallback, and what the vector kernel is tested against.
#![expect(unsafe_code, reason = "writes its part of a shared output")]

use crate::attend::element::Element;
use crate::attend::pages::PAGE;
use crate::attend::task::Task;
use crate::attend::task::softmax;
use crate::math::fma;

/// All queries of a task; `scores` is room to work in.
pub(super) fn run<T: Element>(task: &Task<'_, T>, scores: &mut Vec<[f32; PAGE]>) {
    let size = task.pages.head_size;
    for (row, head) in (0..task.queries()).map(|index| task.query(index)) {
        let q = task.q.vector(row, head, size);
        let last = task.views[row].position;
        let table = &task.views[row].table[..=last / PAGE];
        scores.clear();
        scores.extend(table.iter().map(|&page| score(q, task.keys(page))));
        let scale = 1.0 / softmax::<false>(scores, last, size);
        // SAFETY: each query has its own row and head, and each task its own queries.
        let out = unsafe { task.out.row_part(row, head * size..(head + 1) * size) };
        out.fill(0.0);
        for (index, (weights, &page)) in scores.iter().zip(table).enumerate() {
            // What lies beyond the last position was never written, or by a sequence that is gone: it may be NaN.
            let seen = PAGE.min(last + 1 - index * PAGE);
            for (weight, values) in weights[..seen].iter().zip(task.values(page).chunks_exact(size))
            {
                for (out, value) in out.iter_mut().zip(values) {
                    *out = fma::<false>(weight * scale, value.to_f32(), *out);
                }
            }
        }
    }
}

/// q (E,), keys (E, 16) -> scores of 16 positions. Four sums at a time hide the latency of one.
fn score<T: Element>(q: &[f32], keys: &[T]) -> [f32; PAGE] {
    let mut sums = [[0.0f32; PAGE]; 4];
    let (q, q_rest) = q.as_chunks::<4>();
    let (keys, _) = keys.as_chunks::<PAGE>();
    let (keys, keys_rest) = keys.split_at(q.len() * 4);
    for (q, keys) in q.iter().zip(keys.as_chunks::<4>().0) {
        for part in 0..4 {
            for lane in 0..PAGE {
                sums[part][lane] =
                    fma::<false>(q[part], keys[part][lane].to_f32(), sums[part][lane]);
            }
        }
    }
    for (q, keys) in q_rest.iter().zip(keys_rest) {
        for lane in 0..PAGE {
            sums[0][lane] = fma::<false>(*q, keys[lane].to_f32(), sums[0][lane]);
        }
    }
    std::array::from_fn(|lane| sums[0][lane] + sums[1][lane] + sums[2][lane] + sums[3][lane])
}
