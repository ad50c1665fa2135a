//! Causal attention of a batch over what it has cached, with gradients. Nothing but queries, keys, values and the result
//! is kept: scores are computed again on the way back. Knows which columns are padding, no architecture.
//!
//! Keys and values come in two pieces: a prefix, which several sequences may share, and each sequence's own, whose last
//! columns are the rows being computed. So nothing before the first thought is ever copied, and many questions about one
//! graph read it once.

#[cfg(feature = "cuda")]
use crate::model::gradients::device;
use crate::model::gradients::slice;
use crate::model::gradients::with_slices;
use candle_core::CpuStorage;
use candle_core::CustomOp3;
use candle_core::Layout;
use candle_core::Result;
use candle_core::Shape;
use candle_core::Tensor;
#[cfg(feature = "cuda")]
use coconut_cuda::Floats;
#[cfg(feature = "cuda")]
use coconut_cuda::attend::Sizes;
use coconut_kernels::backward::softmax_gradient;
use coconut_kernels::backward::softmax_within;
use coconut_kernels::strided::Strided;
use coconut_kernels::strided::multiply;
use rayon::prelude::*;
use std::ops::Range;
use std::sync::Arc;

/// Sizes of one attention, and its padding.
#[derive(Clone, Debug)]
pub struct Attend {
    /// P: number of prefixes.
    pub prefixes: usize,
    /// F: sequences that share a prefix; P * F = B of them in all, those of one prefix side by side.
    pub fan: usize,
    /// W: rows computed of each sequence, the last ones of its own.
    pub width: usize,
    /// T0: columns of a prefix; may be 0.
    pub prefix_columns: usize,
    /// T1: columns of a sequence's own, at least W.
    pub own_columns: usize,
    /// H
    pub heads: usize,
    /// G
    pub kv_heads: usize,
    /// E
    pub size: usize,
    /// The first column of each prefix that is not padding, (P,).
    pub prefix_from: Arc<[usize]>,
    /// The first of each sequence's own columns that is not padding, (B,).
    pub own_from: Arc<[usize]>,
}

/// Where T0 is 0 nothing of the prefix is read, whatever it is.
///
/// q (P, F, W, H * E), prefix (P, T0, 2 G E) and own (P, F, T1, 2 G E), keys before values in each column, flattened or
/// not -> (P F W, H * E). Scores are scaled by 1 / sqrt(E).
///
/// # Errors
/// If the tensors do not have these sizes, or are not f32 on the CPU.
pub fn attend(q: &Tensor, prefix: &Tensor, own: &Tensor, sizes: Attend) -> Result<Tensor> {
    let Attend { prefixes, fan, width, .. } = sizes;
    let fits = q.elem_count() == prefixes * sizes.q_length()
        && [prefix.elem_count(), 0].contains(&(prefixes * sizes.prefix_length()))
        && own.elem_count() == prefixes * sizes.own_length()
        && sizes.prefix_from.len() == prefixes
        && sizes.own_from.len() == prefixes * fan
        && (1..=sizes.own_columns).contains(&width);
    if !fits {
        candle_core::bail!("tensors do not have the sizes of this attention");
    }
    q.contiguous()?.apply_op3(&prefix.contiguous()?, &own.contiguous()?, sizes)
}

impl CustomOp3 for Attend {
    fn name(&self) -> &'static str {
        "attend-with-gradient"
    }

    fn cpu_fwd(
        &self,
        q: &CpuStorage,
        q_layout: &Layout,
        prefix: &CpuStorage,
        prefix_layout: &Layout,
        own: &CpuStorage,
        own_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let (q, prefix) = (slice(q, q_layout)?, slice(prefix, prefix_layout)?);
        let own = slice(own, own_layout)?;
        let mut out = vec![0.0; q.len()];
        let parts = out.par_chunks_mut(self.q_length()).enumerate();
        parts.for_each(|(index, out)| self.part(index, [q, prefix, own]).forward(out));
        let rows = self.prefixes * self.fan * self.width;
        Ok((CpuStorage::F32(out), Shape::from((rows, self.heads * self.size))))
    }

    #[cfg(feature = "cuda")]
    fn cuda_fwd(
        &self,
        q: &candle_core::CudaStorage,
        q_layout: &Layout,
        prefix: &candle_core::CudaStorage,
        prefix_layout: &Layout,
        own: &candle_core::CudaStorage,
        own_layout: &Layout,
    ) -> Result<(candle_core::CudaStorage, Shape)> {
        let (q, prefix) = (Floats::new(q, q_layout)?, Floats::new(prefix, prefix_layout)?);
        let parts = [q, prefix, Floats::new(own, own_layout)?];
        let out = self.on_device(|sizes| coconut_cuda::attend::attend(parts, sizes))?;
        let rows = self.prefixes * self.fan * self.width;
        Ok((out, Shape::from((rows, self.heads * self.size))))
    }

    fn bwd(
        &self,
        q: &Tensor,
        prefix: &Tensor,
        own: &Tensor,
        out: &Tensor,
        dy: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        #[cfg(feature = "cuda")]
        if q.device().is_cuda() {
            let (dq, dprefix, down) =
                device::with_floats([q, prefix, own, out, dy], |[q, prefix, own, out, dy]| {
                    self.on_device(|sizes| {
                        coconut_cuda::attend::attend_back([q, prefix, own], [out, dy], sizes)
                    })
                })?;
            let dprefix = dprefix.map(|dprefix| device::tensor(dprefix, prefix.shape()));
            let (dq, down) = (device::tensor(dq, q.shape()), device::tensor(down, own.shape()));
            return Ok((Some(dq), dprefix, Some(down)));
        }
        #[cfg(not(feature = "cuda"))]
        let _ = out;
        let [dq, dprefix, down] = with_slices([q, prefix, own, dy], |[q, prefix, own, dy]| {
            let mut out = [q, prefix, own].map(|input| vec![0.0f32; input.len()]);
            let [dq, dprefix, down] = &mut out;
            // A prefix of no columns has no chunks, but every part needs a slice.
            let prefix_length = self.prefix_length();
            let mut dprefix: Vec<&mut [f32]> = match prefix_length {
                0 => (0..self.prefixes).map(|_| &mut [][..]).collect(),
                _ => dprefix.chunks_mut(prefix_length).collect(),
            };
            dq.par_chunks_mut(self.q_length())
                .zip(down.par_chunks_mut(self.own_length()))
                .zip(dprefix.par_iter_mut())
                .zip(dy.par_chunks(self.q_length()))
                .enumerate()
                .for_each(|(index, (((dq, down), dprefix), dy))| {
                    self.part(index, [q, prefix, own]).backward(dy, [dq, dprefix, down]);
                });
            Ok(out)
        })?;
        let like = |data: Vec<f32>, tensor: &Tensor| {
            Tensor::from_vec(data, tensor.shape(), tensor.device()).map(Some)
        };
        let dprefix = match dprefix.is_empty() {
            true => None,
            false => like(dprefix, prefix)?,
        };
        Ok((like(dq, q)?, dprefix, like(down, own)?))
    }
}

impl Attend {
    #[cfg(feature = "cuda")]
    fn on_device<T>(&self, work: impl FnOnce(&Sizes<'_>) -> Result<T>) -> Result<T> {
        let words = |from: &[usize]| from.iter().map(|&from| from as u32).collect::<Vec<u32>>();
        let (prefix_from, own_from) = (words(&self.prefix_from), words(&self.own_from));
        work(&Sizes {
            prefixes: self.prefixes,
            fan: self.fan,
            width: self.width,
            prefix_columns: self.prefix_columns,
            own_columns: self.own_columns,
            heads: self.heads,
            kv_heads: self.kv_heads,
            size: self.size,
            prefix_from: &prefix_from,
            own_from: &own_from,
        })
    }

    fn q_length(&self) -> usize {
        self.fan * self.width * self.heads * self.size
    }

    fn prefix_length(&self) -> usize {
        self.prefix_columns * self.kv_stride()
    }

    fn own_length(&self) -> usize {
        self.fan * self.own_columns * self.kv_stride()
    }

    fn kv_stride(&self) -> usize {
        2 * self.kv_heads * self.size
    }

    fn part<'a>(&'a self, index: usize, [q, prefix, own]: [&'a [f32]; 3]) -> Part<'a> {
        let piece = |data: &'a [f32], length: usize| &data[index * length..(index + 1) * length];
        Part {
            sizes: self,
            q: piece(q, self.q_length()),
            prefix: piece(prefix, self.prefix_length()),
            own: piece(own, self.own_length()),
            prefix_from: self.prefix_from[index],
            own_from: &self.own_from[index * self.fan..(index + 1) * self.fan],
        }
    }
}

/// The work on one prefix and the sequences that share it.
struct Part<'a> {
    sizes: &'a Attend,
    q: &'a [f32],
    prefix: &'a [f32],
    own: &'a [f32],
    prefix_from: usize,
    own_from: &'a [usize],
}

/// Keys or values, by their place in a column.
#[derive(Clone, Copy)]
enum Which {
    Keys,
    Values,
}

impl Part<'_> {
    fn forward(&self, out: &mut [f32]) {
        let mut scores = vec![0.0; self.rows() * self.columns()];
        for head in 0..self.sizes.heads {
            self.probabilities(head, &mut scores);
            let place = self.head_rows(head);
            if self.prefix_columns() > 0 {
                let values = (self.prefix, self.prefix_place(head, Which::Values));
                multiply((out, place), 0.0, (&scores, self.prefix_scores()), values, 1.0);
            }
            for sequence in 0..self.sizes.fan {
                let (p, values) =
                    (self.own_scores(sequence), self.own_place(head, sequence, Which::Values));
                let place = self.sequence_rows(head, sequence);
                let keep = if self.prefix_columns() > 0 { 1.0 } else { 0.0 };
                multiply((out, place), keep, (&scores, p), (self.own, values), 1.0);
            }
        }
    }

    fn backward(&self, dy: &[f32], [dq, dprefix, down]: [&mut [f32]; 3]) {
        let (rows, columns) = (self.rows(), self.columns());
        let (mut p, mut ds) = (vec![0.0; rows * columns], vec![0.0; rows * columns]);
        for head in 0..self.sizes.heads {
            self.probabilities(head, &mut p);
            self.products(head, (dy, Which::Values), 1.0, &mut ds);
            for (p, ds) in p.chunks_exact(columns).zip(ds.chunks_exact_mut(columns)) {
                softmax_gradient(p, ds);
            }
            let scale = self.scale();
            if self.prefix_columns() > 0 {
                let (scores, rows) = (self.prefix_scores(), self.head_rows(head));
                let keys = self.prefix_place(head, Which::Keys);
                let values = self.prefix_place(head, Which::Values);
                multiply((dq, rows), 0.0, (&ds, scores), (self.prefix, keys), scale);
                multiply((dprefix, keys), 1.0, (&ds, scores.t()), (self.q, rows), scale);
                multiply((dprefix, values), 1.0, (&p, scores.t()), (dy, rows), 1.0);
            }
            for sequence in 0..self.sizes.fan {
                let (scores, rows) =
                    (self.own_scores(sequence), self.sequence_rows(head, sequence));
                let keys = self.own_place(head, sequence, Which::Keys);
                let values = self.own_place(head, sequence, Which::Values);
                multiply((dq, rows), 1.0, (&ds, scores), (self.own, keys), scale);
                multiply((down, keys), 1.0, (&ds, scores.t()), (self.q, rows), scale);
                multiply((down, values), 1.0, (&p, scores.t()), (dy, rows), 1.0);
            }
        }
    }

    /// Softmax of the scores of one head, (F W, T0 + T1).
    fn probabilities(&self, head: usize, out: &mut [f32]) {
        self.products(head, (self.q, Which::Keys), self.scale(), out);
        for (row, out) in out.chunks_exact_mut(self.columns()).enumerate() {
            softmax_within(out, &self.visible(row));
        }
    }

    /// Each row of one head times each key or value that lies in its columns, (F W, T0 + T1).
    fn products(&self, head: usize, (rows, which): (&[f32], Which), scale: f32, out: &mut [f32]) {
        if self.prefix_columns() > 0 {
            let (place, with) = (self.head_rows(head), self.prefix_place(head, which).t());
            multiply((out, self.prefix_scores()), 0.0, (rows, place), (self.prefix, with), scale);
        }
        for sequence in 0..self.sizes.fan {
            let (place, with) =
                (self.sequence_rows(head, sequence), self.own_place(head, sequence, which).t());
            multiply((out, self.own_scores(sequence)), 0.0, (rows, place), (self.own, with), scale);
        }
    }

    /// The columns that a row sees: those of the prefix, and its own up to itself. Padding sees itself alone; what comes of
    /// it is not computed, and stays zero where there is no prefix.
    fn visible(&self, row: usize) -> [Range<usize>; 2] {
        let Attend { width, prefix_columns, own_columns, .. } = *self.sizes;
        let (sequence, at) = (row / width, own_columns - width + row % width);
        let from = self.own_from[sequence].min(at);
        [self.prefix_from..prefix_columns, prefix_columns + from..prefix_columns + at + 1]
    }

    fn scale(&self) -> f32 {
        1.0 / (self.sizes.size as f32).sqrt()
    }

    fn rows(&self) -> usize {
        self.sizes.fan * self.sizes.width
    }

    fn columns(&self) -> usize {
        self.sizes.prefix_columns + self.sizes.own_columns
    }

    /// Columns of the prefix that are not padding.
    fn prefix_columns(&self) -> usize {
        self.sizes.prefix_columns - self.prefix_from
    }

    /// The first of a sequence's own columns that is not padding, and the first such of its rows: as many columns and rows
    /// as there are if all are.
    fn begins(&self, sequence: usize) -> (usize, usize) {
        let Attend { width, own_columns, .. } = *self.sizes;
        let from = self.own_from[sequence].min(own_columns);
        (from, from.saturating_sub(own_columns - width))
    }

    /// All rows of one head in q and out.
    fn head_rows(&self, head: usize) -> Strided {
        let Attend { heads, size, .. } = *self.sizes;
        Strided::rows(head * size, self.rows(), size, heads * size)
    }

    /// Those of one sequence, without padding.
    fn sequence_rows(&self, head: usize, sequence: usize) -> Strided {
        let Attend { heads, size, width, .. } = *self.sizes;
        let (_, row) = self.begins(sequence);
        let start = (sequence * width + row) * heads * size + head * size;
        Strided::rows(start, width - row, size, heads * size)
    }

    fn prefix_scores(&self) -> Strided {
        Strided::rows(self.prefix_from, self.rows(), self.prefix_columns(), self.columns())
    }

    fn own_scores(&self, sequence: usize) -> Strided {
        let Attend { width, prefix_columns, own_columns, .. } = *self.sizes;
        let (column, row) = self.begins(sequence);
        let start = (sequence * width + row) * self.columns() + prefix_columns + column;
        Strided::rows(start, width - row, own_columns - column, self.columns())
    }

    fn prefix_place(&self, head: usize, which: Which) -> Strided {
        let (size, stride) = (self.sizes.size, self.sizes.kv_stride());
        let start = self.prefix_from * stride + self.kv_offset(head, which);
        Strided::rows(start, self.prefix_columns(), size, stride)
    }

    fn own_place(&self, head: usize, sequence: usize, which: Which) -> Strided {
        let Attend { own_columns, size, .. } = *self.sizes;
        let stride = self.sizes.kv_stride();
        let (column, _) = self.begins(sequence);
        let start = (sequence * own_columns + column) * stride + self.kv_offset(head, which);
        Strided::rows(start, own_columns - column, size, stride)
    }

    /// Where a head's key or value begins within a column: query head h reads key head h / (H / G).
    fn kv_offset(&self, head: usize, which: Which) -> usize {
        let Attend { heads, kv_heads, size, .. } = *self.sizes;
        let group = head / (heads / kv_heads);
        match which {
            Which::Keys => group * size,
            Which::Values => (kv_heads + group) * size,
        }
    }
}
