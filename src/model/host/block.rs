//! One block over rows of activations, in two halves: what must be done for every row (keys and values), and what only
//! rows need whose hidden state goes on. Knows no pages: attention is passed in.

use crate::model::error::Result;
use crate::model::host::layers::Linear;
use crate::model::host::layers::Norm;
use crate::model::host::layers::pack;
use crate::model::parameters::Parameters;
use crate::model::pass::Pass;
use crate::model::pass::Wanted;
use crate::model::plan::BlockPlan;
use coconut_kernels::activation::Activation;
use coconut_kernels::attend::pages::Heads;
use coconut_kernels::attend::pages::View;
use coconut_kernels::packed::Columns;
use coconut_kernels::packed::Format;
use coconut_kernels::rotate::Angles;
use coconut_kernels::rotate::Turned;
use coconut_kernels::rotate::rotate;

/// The weights of a block.
#[derive(Debug)]
pub(super) struct Block {
    norm_1: Norm,
    /// Queries, keys and values in one product.
    qkv: Linear,
    head_norms: Option<[Norm; 2]>,
    attention_out: Linear,
    norm_2: Norm,
    /// Gated where the architecture has a gate.
    up: Linear,
    activation: Activation,
    down: Linear,
}

/// What is the same for all blocks.
#[derive(Clone, Copy, Debug)]
pub(super) struct Shape<'a> {
    pub(super) heads: usize,
    pub(super) kv_heads: usize,
    pub(super) head_size: usize,
    /// `None` with learned positions.
    pub(super) angles: Option<&'a Angles>,
}

/// Activations of a pass; memory is kept for the next one.
#[derive(Debug, Default)]
pub(super) struct Rows {
    /// Position of each row within its sequence.
    positions: Vec<usize>,
    /// Slot of each row in KV memory.
    slots: Vec<usize>,
    /// (R, D): the residual stream.
    x: Vec<f32>,
    /// (R, D): after a norm.
    normed: Vec<f32>,
    /// (R, (H + 2G) * E), or only the queries (R, H * E) once rows were dropped.
    qkv: Vec<f32>,
    /// (R, H * E): what attention gives.
    mixed: Vec<f32>,
    /// (R, inner)
    inner: Vec<f32>,
    /// What is being put together while rows are dropped.
    kept: Vec<f32>,
}

impl Rows {
    pub(super) fn places(&mut self, pass: &Pass<'_>) {
        self.positions.clear();
        self.positions.extend(pass.rows.places.iter().map(|place| place.position));
        self.slots.clear();
        self.slots.extend(pass.rows.slots());
    }

    /// Room for the input (R, D).
    pub(super) fn inputs(&mut self, floats: usize) -> &mut [f32] {
        self.x.resize(floats, 0.0);
        &mut self.x
    }

    /// The residual stream (R, D), and room for what comes after the final norm.
    pub(super) fn outputs(&mut self, floats: usize) -> (&[f32], &mut [f32]) {
        self.normed.resize(floats, 0.0);
        (&self.x[..floats], &mut self.normed)
    }

    /// The residual stream (R, D).
    pub(super) fn states(&self) -> &[f32] {
        &self.x
    }

    /// D, before rows are dropped.
    pub(super) fn width(&self) -> usize {
        self.x.len() / self.slots.len()
    }

    /// The queries (H, E) of a row.
    pub(super) fn queries(&self, row: u32, shape: Shape<'_>) -> &[f32] {
        let stride = self.qkv.len() / self.slots.len();
        &self.qkv[row as usize * stride..][..shape.heads * shape.head_size]
    }

    /// The residual stream and the queries of some rows, by themselves.
    pub(super) fn some(&self, rows: impl Iterator<Item = u32> + Clone, shape: Shape<'_>) -> Self {
        let width = self.width();
        let states = rows.clone().flat_map(|row| &self.x[row as usize * width..][..width]);
        let queries = rows.flat_map(|row| self.queries(row, shape));
        Self { x: states.copied().collect(), qkv: queries.copied().collect(), ..Self::default() }
    }

    /// Drops all rows but those wanted, thoughts before tokens, and returns what these see.
    pub(super) fn keep<'v>(
        &mut self,
        wanted: &Wanted<'_>,
        views: &[View<'v>],
        shape: Shape<'_>,
    ) -> Vec<View<'v>> {
        let rows = || wanted.thoughts.iter().chain(wanted.tokens).map(|&row| row as usize);
        let (count, queries) = (views.len(), shape.heads * shape.head_size);
        for (from, width) in [(&mut self.x, None), (&mut self.qkv, Some(queries))] {
            let stride = from.len() / count;
            self.kept.clear();
            for row in rows() {
                self.kept.extend_from_slice(&from[row * stride..][..width.unwrap_or(stride)]);
            }
            std::mem::swap(from, &mut self.kept);
        }
        rows().map(|row| views[row]).collect()
    }
}

impl Block {
    pub(super) fn load(
        plan: &BlockPlan,
        format: Format,
        parameters: &mut dyn Parameters,
    ) -> Result<Self> {
        let head_norms = match &plan.head_norms {
            Some([query, key]) => {
                Some([Norm::load(query, parameters)?, Norm::load(key, parameters)?])
            }
            None => None,
        };
        let (up, columns) = match &plan.gate {
            Some(gate) => (vec![gate, &plan.up], Columns::Gated),
            None => (vec![&plan.up], Columns::Plain),
        };
        let qkv: Vec<_> = plan.qkv.iter().collect();
        Ok(Self {
            norm_1: Norm::load(&plan.norm_1, parameters)?,
            qkv: pack(&qkv, Columns::Plain, format, parameters)?,
            head_norms,
            attention_out: pack(&[&plan.attention_out], Columns::Plain, format, parameters)?,
            norm_2: Norm::load(&plan.norm_2, parameters)?,
            up: pack(&up, columns, format, parameters)?,
            activation: plan.activation,
            down: pack(&[&plan.down], Columns::Plain, format, parameters)?,
        })
    }

    /// Queries, keys and values of all rows; `write` is given the latter two (R, G, E) and the slots that they go to.
    pub(super) fn keys_and_values(
        &self,
        shape: Shape<'_>,
        rows: &mut Rows,
        write: impl FnOnce([Heads<'_>; 2], &[usize]),
    ) {
        let Shape { heads, kv_heads, head_size, angles } = shape;
        let count = rows.slots.len();
        rows.normed.resize(rows.x.len(), 0.0);
        self.norm_1.apply(&rows.x, &mut rows.normed);
        let stride = self.qkv.outputs();
        rows.qkv.resize(count * stride, 0.0);
        self.qkv.store(&rows.normed, None, &mut rows.qkv);
        if angles.is_some() || self.head_norms.is_some() {
            let norm = |which: usize| {
                self.head_norms.as_ref().map(|norms| (&*norms[which].weight, norms[which].eps))
            };
            let turned = [
                Turned { start: 0, heads, norm: norm(0) },
                Turned { start: heads * head_size, heads: kv_heads, norm: norm(1) },
            ];
            rotate(&mut rows.qkv, &rows.positions, angles, (&turned, head_size));
        }
        let part =
            |first: usize| Heads { data: &rows.qkv[first * head_size..], stride, count: kv_heads };
        write([part(heads), part(heads + kv_heads)], &rows.slots);
    }

    /// Attention and feed-forward of the rows in `rows`; `attend` is given queries and room for their results (R, H * E).
    pub(super) fn rest(
        &self,
        shape: Shape<'_>,
        rows: &mut Rows,
        attend: impl FnOnce(Heads<'_>, &mut [f32]),
    ) {
        let Rows { x, normed, qkv, mixed, inner, .. } = rows;
        let queries = shape.heads * shape.head_size;
        let count = x.len() / self.attention_out.outputs();
        mixed.resize(count * queries, 0.0);
        attend(Heads { data: qkv, stride: qkv.len() / count, count: shape.heads }, mixed);
        self.attention_out.add(mixed, x);
        normed.resize(x.len(), 0.0);
        self.norm_2.apply(x, normed);
        inner.resize(count * self.up.outputs(), 0.0);
        self.up.store(normed, Some(self.activation), inner);
        self.down.add(inner, x);
    }
}
