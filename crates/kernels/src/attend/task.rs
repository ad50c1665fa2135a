//! One thread's share of attention: a run of rows that see the same pages, and one head of keys. Says where everything lies
//! and how scores become weights; computes no score.

use crate::attend::pages::Heads;
use crate::attend::pages::PAGE;
use crate::attend::pages::Pages;
use crate::attend::pages::View;
use crate::math::exp;
use crate::output::Output;
use std::ops::Range;

/// One run of rows and one head of keys.
#[derive(Clone, Debug)]
pub(super) struct Task<'a, T> {
    pub(super) pages: Pages<'a, T>,
    pub(super) q: Heads<'a>,
    pub(super) views: &'a [View<'a>],
    pub(super) kv_head: usize,
    pub(super) run: Range<usize>,
    pub(super) out: Output<'a>,
}

impl<T> Task<'_, T> {
    /// Queries of this task.
    #[inline(always)]
    pub(super) fn queries(&self) -> usize {
        self.run.len() * (self.q.count / self.pages.kv_heads)
    }

    /// Row and query head of the `index`th query of this task.
    #[inline(always)]
    pub(super) fn query(&self, index: usize) -> (usize, usize) {
        let group = self.q.count / self.pages.kv_heads;
        (self.run.start + index / group, self.kv_head * group + index % group)
    }

    #[inline(always)]
    pub(super) fn keys(&self, page: u32) -> &[T] {
        let size = self.pages.head_size * PAGE;
        &self.pages.keys[(page as usize * self.pages.kv_heads + self.kv_head) * size..][..size]
    }

    #[inline(always)]
    pub(super) fn values(&self, page: u32) -> &[T] {
        let size = self.pages.head_size * PAGE;
        &self.pages.values[(page as usize * self.pages.kv_heads + self.kv_head) * size..][..size]
    }
}

/// Turns scores into weights exp((score - max) / sqrt(size)) of the positions up to `last`, and 0 beyond; returns their
/// sum.
#[inline(always)]
pub(super) fn softmax<const FMA: bool>(
    scores: &mut [[f32; PAGE]],
    last: usize,
    size: usize,
) -> f32 {
    let scale = 1.0 / (size as f32).sqrt();
    let (seen, unseen) = scores.split_at_mut(last / PAGE + 1);
    unseen.fill([0.0; PAGE]);
    let mut max = [f32::NEG_INFINITY; PAGE];
    if let Some(end) = seen.last_mut() {
        end[last % PAGE + 1..].fill(f32::NEG_INFINITY);
    }
    for page in seen.iter() {
        for lane in 0..PAGE {
            max[lane] = if page[lane] > max[lane] { page[lane] } else { max[lane] };
        }
    }
    let max = max.into_iter().fold(f32::NEG_INFINITY, f32::max);
    let mut total = [0.0f32; PAGE];
    for page in seen.iter_mut() {
        for lane in 0..PAGE {
            page[lane] = exp::<FMA>((page[lane] - max) * scale);
            total[lane] += page[lane];
        }
    }
    if let Some(end) = seen.last_mut() {
        end[last % PAGE + 1..].fill(0.0);
    }
    total.into_iter().sum()
}
