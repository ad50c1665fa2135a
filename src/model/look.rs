//! What is seen of some rows on their way through the blocks: the residual stream, and how much they attend to whom. Taken
//! beside a pass, slowly and plainly; what the pass computes stays what it is. Knows no weights and no request.

use crate::model::attention::rows::PagedRows;
use crate::model::attention::rows::Place;
use crate::model::config::Config;
use coconut_kernels::attend::pages::View;

/// A row that is looked into.
#[derive(Clone, Copy, Debug)]
pub struct Look<'a> {
    /// Which one of the pass.
    pub row: u32,
    /// Counted as the `hidden_states` of transformers: 0 is what enters the first block, k what leaves block k. In any
    /// order.
    pub layers: &'a [usize],
    /// Whether the residual stream is wanted.
    pub states: bool,
    /// Query heads whose attention is wanted, in the blocks that these layers leave.
    pub heads: &'a [usize],
}

/// What a row shows, as far as it was wanted.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Seen {
    /// (layers, D): the residual stream, before any norm. What enters the first block has its learned position in it.
    pub states: Vec<f32>,
    /// (layers but 0, heads, T): what each position up to the row's own weighs. No block leaves layer 0, so it has none.
    pub attention: Vec<f32>,
}

/// What has been seen so far in a pass.
#[derive(Debug)]
pub(crate) struct Watch<'a> {
    looks: &'a [Look<'a>],
    rows: &'a PagedRows,
    width: usize,
    head_size: usize,
    /// Query heads that share a head of keys.
    fan: usize,
    seen: Vec<Seen>,
}

impl<'a> Watch<'a> {
    pub(crate) fn new(looks: &'a [Look<'a>], rows: &'a PagedRows, config: &Config) -> Self {
        let Config { width, heads, kv_heads, head_size, .. } = *config;
        let seen = looks.iter().map(|look| {
            let positions = rows.places[look.row as usize].position + 1;
            let states = if look.states { look.layers.len() * width } else { 0 };
            let attention = look.blocks().count() * look.heads.len() * positions;
            Seen { states: vec![0.0; states], attention: vec![0.0; attention] }
        });
        let seen = seen.collect();
        Self { looks, rows, width, head_size, fan: heads / kv_heads, seen }
    }

    pub(crate) fn looks(&self) -> &'a [Look<'a>] {
        self.looks
    }

    /// Whether anybody looks at the residual stream there.
    pub(crate) fn wants_states(&self, layer: usize) -> bool {
        self.looks.iter().any(|look| look.states && look.layers.contains(&layer))
    }

    /// Whether anybody looks at the attention in the block that `layer` leaves.
    pub(crate) fn wants_attention(&self, layer: usize) -> bool {
        self.looks.iter().any(|look| !look.heads.is_empty() && look.layers.contains(&layer))
    }

    /// Takes the residual stream; that of look number i is `state(i)` (D,).
    pub(crate) fn take_states<'x>(&mut self, layer: usize, state: impl Fn(usize) -> &'x [f32]) {
        for (at, (look, seen)) in self.looks.iter().zip(&mut self.seen).enumerate() {
            for (&asked, out) in look.layers.iter().zip(seen.states.chunks_exact_mut(self.width)) {
                if asked == layer {
                    out.copy_from_slice(state(at));
                }
            }
        }
    }

    /// Takes the attention in the block that `layer` leaves, where look number i has the queries `q(i)` (H, E), and
    /// `keys(view, head)` (T, E) are those of one head of keys.
    pub(crate) fn take_attention<'x, E>(
        &mut self,
        layer: usize,
        q: impl Fn(usize) -> &'x [f32],
        mut keys: impl FnMut(View<'_>, usize) -> Result<Vec<f32>, E>,
    ) -> Result<(), E> {
        let size = self.head_size;
        for (at, (look, seen)) in self.looks.iter().zip(&mut self.seen).enumerate() {
            let Place { table, position } = self.rows.places[look.row as usize];
            let view = View { table: &self.rows.tables[table], position };
            let blocks = look.blocks().flat_map(|asked| look.heads.iter().map(move |h| (asked, h)));
            for ((asked, &head), out) in blocks.zip(seen.attention.chunks_exact_mut(position + 1)) {
                if asked == layer {
                    let keys = keys(view, head / self.fan)?;
                    weigh(&q(at)[head * size..][..size], &keys, out);
                }
            }
        }
        Ok(())
    }

    pub(crate) fn finish(self) -> Vec<Seen> {
        self.seen
    }
}

impl Look<'_> {
    /// The layers that a block leaves.
    fn blocks(&self) -> impl Iterator<Item = usize> {
        self.layers.iter().copied().filter(|&layer| layer > 0)
    }
}

/// out (T,) = softmax(q (E,) keys (T, E) / sqrt(E)), in f64
fn weigh(q: &[f32], keys: &[f32], out: &mut [f32]) {
    let scale = 1.0 / (q.len() as f64).sqrt();
    let score = |key: &[f32]| -> f64 {
        q.iter().zip(key).map(|(&q, &k)| f64::from(q) * f64::from(k)).sum::<f64>() * scale
    };
    let scores: Vec<f64> = keys.chunks_exact(q.len()).map(score).collect();
    let max = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let total: f64 = scores.iter().map(|score| (score - max).exp()).sum();
    for (weight, score) in out.iter_mut().zip(scores) {
        *weight = ((score - max).exp() / total) as f32;
    }
}
