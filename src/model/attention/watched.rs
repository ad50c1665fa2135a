//! Paged attention with somebody who looks on: the same numbers, and beside them what some rows show on their way. Knows what
//! passes by, no block.

use crate::model::attention::Attention;
use crate::model::attention::paged::Paged;
use crate::model::look::Seen;
use crate::model::look::Watch;
use candle_core::DType;
use candle_core::Result;
use candle_core::Tensor;

/// Attention of one forward pass, watched.
#[derive(Debug)]
pub(crate) struct Watched<'a> {
    paged: Paged<'a>,
    watch: Watch<'a>,
}

impl<'a> Watched<'a> {
    pub(crate) fn new(paged: Paged<'a>, watch: Watch<'a>) -> Self {
        Self { paged, watch }
    }

    /// Numbers of the rows that are looked into, look by look, and how many a row has.
    fn picked(&self, x: &Tensor) -> Result<(Vec<f32>, usize)> {
        let rows: Vec<u32> = self.watch.looks().iter().map(|look| look.row).collect();
        let picked = x.contiguous()?.index_select(&Tensor::new(rows, x.device())?, 0)?;
        let (count, picked) = (picked.dim(0)?, picked.to_dtype(DType::F32)?.flatten_all()?);
        Ok((picked.to_vec1()?, picked.elem_count() / count))
    }

    pub(crate) fn finish(self) -> Vec<Seen> {
        self.watch.finish()
    }
}

impl Attention for Watched<'_> {
    fn attend(&mut self, layer: usize, q: &Tensor, k: &Tensor, v: &Tensor) -> Result<Tensor> {
        let mixed = self.paged.attend(layer, q, k, v)?;
        if self.watch.wants_attention(layer + 1) {
            let (q, width) = self.picked(q)?;
            let q = |at: usize| &q[at * width..][..width];
            self.watch
                .take_attention(layer + 1, q, |view, head| self.paged.keys(layer, view, head))?;
        }
        Ok(mixed)
    }

    fn pass(&mut self, layer: usize, x: &Tensor) -> Result<()> {
        if self.watch.wants_states(layer) {
            let (x, width) = self.picked(x)?;
            self.watch.take_states(layer, |at| &x[at * width..][..width]);
        }
        Ok(())
    }
}
