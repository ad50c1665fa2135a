//! What rows show that are looked into while packed weights compute them. Where the last block drops rows, it computes these
//! once more by themselves, so that the others are computed in the company that they would have had. Knows no request.

use crate::model::attention::paged_cpu::HostKv;
use crate::model::host::block::Block;
use crate::model::host::block::Rows;
use crate::model::host::block::Shape;
use crate::model::look::Watch;
use coconut_kernels::attend::pages::View;
use std::convert::Infallible;

/// Who looks on, and at heads of which sizes.
pub(super) struct Watching<'a> {
    pub(super) watch: Watch<'a>,
    pub(super) shape: Shape<'a>,
}

impl Watching<'_> {
    /// Sees what enters block `layer`, counted from 0.
    pub(super) fn enters(&mut self, layer: usize, rows: &Rows) {
        if self.watch.wants_states(layer) {
            let (looks, width) = (self.watch.looks(), rows.width());
            let state = |at: usize| &rows.states()[looks[at].row as usize * width..][..width];
            self.watch.take_states(layer, state);
        }
    }

    /// Sees what attention in block `layer` reads, once all keys are in memory.
    pub(super) fn attends(&mut self, layer: usize, rows: &Rows, memory: &HostKv) {
        if self.watch.wants_attention(layer + 1) {
            let (looks, shape) = (self.watch.looks(), self.shape);
            let q = |at: usize| rows.queries(looks[at].row, shape);
            let keys = |view: View<'_>, head| Ok::<_, Infallible>(memory.keys(layer, view, head));
            let Ok(()) = self.watch.take_attention(layer + 1, q, keys);
        }
    }

    /// Sees what leaves the last block, `layer`, before it drops rows.
    pub(super) fn leaves(
        &mut self,
        layer: usize,
        (block, rows, views): (&Block, &Rows, &[View<'_>]),
        memory: &HostKv,
    ) {
        if self.watch.wants_states(layer + 1) {
            let looked = self.watch.looks().iter().map(|look| look.row);
            let views: Vec<_> = looked.clone().map(|row| views[row as usize]).collect();
            let mut apart = rows.some(looked, self.shape);
            block.rest(self.shape, &mut apart, |q, out| memory.read(layer, q, &views, out));
            let width = apart.states().len() / views.len();
            self.watch.take_states(layer + 1, |at| &apart.states()[at * width..][..width]);
        }
    }
}
