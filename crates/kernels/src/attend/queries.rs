//! What the vector kernels of attention do before and after their products: which queries go together, and what their
//! scores weigh. Knows no vector instruction.
#![expect(unsafe_code, reason = "takes its parts of a shared output")]

use crate::attend::pages::PAGE;
use crate::attend::task::Task;
use crate::attend::task::softmax;

/// `Q` queries of a task that go through the pages together.
pub(super) struct Queries<'a, const Q: usize> {
    /// Row and query head of each.
    places: [(usize, usize); Q],
    /// (Q, E)
    pub(super) q: [&'a [f32]; Q],
    /// The last position that each sees.
    last: [usize; Q],
    /// Pages up to the last position that any of them sees.
    pub(super) table: &'a [u32],
    /// Positions up to there.
    end: usize,
}

impl<'a, const Q: usize> Queries<'a, Q> {
    /// From the task's `first` query on.
    #[inline(always)]
    pub(super) fn of<T>(task: &'a Task<'a, T>, first: usize) -> Self {
        let places: [(usize, usize); Q] = std::array::from_fn(|i| task.query(first + i));
        let q = places.map(|(row, head)| task.q.vector(row, head, task.pages.head_size));
        let last = places.map(|(row, _)| task.views[row].position);
        let end = last.iter().fold(0, |end, &last| end.max(last + 1));
        let table = &task.views[places[0].0].table[..end.div_ceil(PAGE)];
        Self { places, q, last, table, end }
    }

    /// Turns scores (Q, pages, 16) into weights, of which values are to be mixed.
    #[inline(always)]
    pub(super) fn weigh<T>(
        self,
        task: &'a Task<'a, T>,
        scores: &'a mut [[f32; PAGE]],
    ) -> Mix<'a, T, Q> {
        let Self { places, last, table, end, .. } = self;
        let size = task.pages.head_size;
        let mut scale = [0.0; Q];
        let of_each = scores.chunks_exact_mut(table.len());
        for ((scale, scores), last) in scale.iter_mut().zip(of_each).zip(last) {
            *scale = 1.0 / softmax::<true>(scores, last, size);
        }
        // SAFETY: each query has its own row and head, and each task its own queries.
        let outs = places
            .map(|(row, head)| unsafe { task.out.row_part(row, head * size..(head + 1) * size) });
        Mix { task, table, end, weights: scores, scale, outs }
    }
}

/// outs (Q, E) = scale (Q,) * weights (Q, pages, 16) times values, of the first `end` positions. What lies beyond was
/// never written, or by a sequence that is gone: it may be NaN.
pub(super) struct Mix<'a, T, const Q: usize> {
    pub(super) task: &'a Task<'a, T>,
    pub(super) table: &'a [u32],
    pub(super) end: usize,
    pub(super) weights: &'a [[f32; PAGE]],
    pub(super) scale: [f32; Q],
    pub(super) outs: [&'a mut [f32]; Q],
}
