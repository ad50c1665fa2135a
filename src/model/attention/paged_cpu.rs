//! KV memory on the CPU and attention over it in place: no copies, no padding, one task a row.
//!
//! A page keeps keys as (G, E, 16) and values as (G, 16, E). So the scores of 16 positions are sums of whole vectors
//! scaled by one query element each, and the mix of 16 values likewise: no horizontal sums, and with AVX-512 a page's
//! positions fill one register. The loops are plain Rust; `pulp` compiles them for the vector instructions found at
//! run time.

use crate::model::attention::paged::Geometry;
use crate::model::attention::paged::PAGE_POSITIONS;
use crate::model::attention::paged::PagedRows;
use candle_core::CpuStorage;
use candle_core::Layout;
use candle_core::Result;
use candle_core::Storage;
use candle_core::Tensor;
use pulp::Arch;
use rayon::prelude::*;
use std::ops::Deref;

/// Below this many multiply-adds a step's attention stays on one thread: waking another costs more.
const PARALLEL_WORK: usize = 1 << 18;

/// Keys and values of all layers in host memory.
#[derive(Debug)]
pub struct HostKv {
    geometry: Geometry,
    arch: Arch,
    /// One pair a layer: keys (pages, G, E, 16), values (pages, G, 16, E).
    layers: Vec<(Vec<f32>, Vec<f32>)>,
}

impl HostKv {
    pub(crate) fn new(geometry: Geometry) -> Self {
        let size = geometry.pages * PAGE_POSITIONS * geometry.kv_heads * geometry.head_size;
        // `vec![0.0; n]` is zeroed by the system page by page, when first touched.
        let layers = (0..geometry.layers).map(|_| (vec![0.0; size], vec![0.0; size])).collect();
        Self { geometry, arch: Arch::new(), layers }
    }

    /// q (R, H, E), k and v (R, G, E) -> (R, H * E)
    pub(crate) fn attend(
        &mut self,
        layer: usize,
        rows: &PagedRows,
        qkv: [&Tensor; 3],
    ) -> Result<Tensor> {
        let (count, heads, size) = qkv[0].dims3()?;
        let [q, k, v] = [qkv[0].contiguous()?, qkv[1].contiguous()?, qkv[2].contiguous()?];
        let stores = [&q, &k, &v].map(Tensor::storage_and_layout);
        let (q, k, v) = (floats(&stores[0])?, floats(&stores[1])?, floats(&stores[2])?);
        let (keys, values) = &mut self.layers[layer];
        write(self.geometry, rows, (k, keys), (v, values));
        let mut out = vec![0.0f32; count * heads * size];
        let view = View { geometry: self.geometry, heads, keys, values };
        let arch = self.arch;
        let one_row = |(row, out): (usize, &mut [f32])| {
            let place = rows.places[row];
            let query = &q[row * heads * size..][..heads * size];
            arch.dispatch(
                #[inline(always)]
                || view.attend_row(query, &rows.tables[place.table], place.position, out),
            );
        };
        let work: usize =
            rows.places.iter().map(|place| (place.position + 1) * heads * size * 2).sum();
        if work < PARALLEL_WORK {
            out.chunks_mut(heads * size).enumerate().for_each(one_row);
        } else {
            out.par_chunks_mut(heads * size).enumerate().for_each(one_row);
        }
        Tensor::from_vec(out, (count, heads * size), qkv[0].device())
    }
}

/// The numbers of a contiguous f32 tensor in host memory.
fn floats<'a>((storage, layout): &'a (impl Deref<Target = Storage>, &Layout)) -> Result<&'a [f32]> {
    match (&**storage, layout.contiguous_offsets()) {
        (Storage::Cpu(CpuStorage::F32(data)), Some((start, end))) => Ok(&data[start..end]),
        _ => candle_core::bail!("attention on the CPU reads f32 in host memory"),
    }
}

/// Writes keys and values of all rows into their pages.
fn write(
    geometry: Geometry,
    rows: &PagedRows,
    keys: (&[f32], &mut [f32]),
    values: (&[f32], &mut [f32]),
) {
    let Geometry { kv_heads, head_size: size, .. } = geometry;
    let (k, keys) = keys;
    let (v, values) = values;
    let page_floats = kv_heads * size * PAGE_POSITIONS;
    for (row, place) in rows.places.iter().enumerate() {
        let slot = rows.slot(place.table, place.position);
        let (page, offset) = (slot / PAGE_POSITIONS, slot % PAGE_POSITIONS);
        let key_page = &mut keys[page * page_floats..][..page_floats];
        let value_page = &mut values[page * page_floats..][..page_floats];
        for (at, &x) in k[row * kv_heads * size..][..kv_heads * size].iter().enumerate() {
            key_page[at * PAGE_POSITIONS + offset] = x;
        }
        for head in 0..kv_heads {
            let from = &v[(row * kv_heads + head) * size..][..size];
            value_page[(head * PAGE_POSITIONS + offset) * size..][..size].copy_from_slice(from);
        }
    }
}

/// One layer's memory, for reading.
struct View<'a> {
    geometry: Geometry,
    heads: usize,
    keys: &'a [f32],
    values: &'a [f32],
}

impl View<'_> {
    /// Attention of one row: query (H, E), out (H, E).
    #[inline(always)]
    fn attend_row(&self, query: &[f32], table: &[u32], position: usize, out: &mut [f32]) {
        let Geometry { kv_heads, head_size: size, .. } = self.geometry;
        let group = self.heads / kv_heads;
        let scale = 1.0 / (size as f32).sqrt();
        let pages = &table[..=position / PAGE_POSITIONS];
        let mut scores = vec![[0.0f32; PAGE_POSITIONS]; pages.len()];
        for head in 0..self.heads {
            let kv_head = head / group;
            let query = &query[head * size..][..size];
            for (scores, &page) in scores.iter_mut().zip(pages) {
                *scores = dot_page(query, self.page(self.keys, page, kv_head), scale);
            }
            let total = softmax_in_place(&mut scores, position);
            let out = &mut out[head * size..][..size];
            out.fill(0.0);
            for (weights, &page) in scores.iter().zip(pages) {
                mix_page(weights, self.page(self.values, page, kv_head), out);
            }
            let inverse = 1.0 / total;
            for x in out.iter_mut() {
                *x *= inverse;
            }
        }
    }

    /// The part of a page that belongs to one head.
    #[inline(always)]
    fn page<'a>(&self, store: &'a [f32], page: u32, kv_head: usize) -> &'a [f32] {
        let floats = self.geometry.head_size * PAGE_POSITIONS;
        &store[(page as usize * self.geometry.kv_heads + kv_head) * floats..][..floats]
    }
}

/// query (E,), keys (E, 16) -> scaled scores of 16 positions. Four sums at a time hide the latency of one.
#[inline(always)]
fn dot_page(query: &[f32], keys: &[f32], scale: f32) -> [f32; PAGE_POSITIONS] {
    let mut sums = [[0.0f32; PAGE_POSITIONS]; 4];
    let mut quads = query.chunks_exact(4).zip(keys.chunks_exact(4 * PAGE_POSITIONS));
    for (q, k) in &mut quads {
        for lane in 0..4 {
            let k = &k[lane * PAGE_POSITIONS..][..PAGE_POSITIONS];
            for j in 0..PAGE_POSITIONS {
                sums[lane][j] = q[lane].mul_add(k[j], sums[lane][j]);
            }
        }
    }
    let done = query.len() / 4 * 4;
    for (q, k) in
        query[done..].iter().zip(keys[done * PAGE_POSITIONS..].chunks_exact(PAGE_POSITIONS))
    {
        for j in 0..PAGE_POSITIONS {
            sums[0][j] = q.mul_add(k[j], sums[0][j]);
        }
    }
    std::array::from_fn(|j| (sums[0][j] + sums[1][j] + sums[2][j] + sums[3][j]) * scale)
}

/// Turns scores of positions 0..=last into weights exp(score - max) and returns their sum; later positions get 0.
#[inline(always)]
fn softmax_in_place(scores: &mut [[f32; PAGE_POSITIONS]], last: usize) -> f32 {
    if let Some(page) = scores.last_mut() {
        page[last % PAGE_POSITIONS + 1..].fill(f32::NEG_INFINITY);
    }
    let mut max = [f32::NEG_INFINITY; PAGE_POSITIONS];
    for page in scores.iter() {
        for j in 0..PAGE_POSITIONS {
            max[j] = max[j].max(page[j]);
        }
    }
    let max = max.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let mut total = [0.0f32; PAGE_POSITIONS];
    for page in scores.iter_mut() {
        for j in 0..PAGE_POSITIONS {
            page[j] = exp(page[j] - max);
            total[j] += page[j];
        }
    }
    total.iter().sum()
}

/// weights (16,), values (16, E): out (E,) += weights * values
#[inline(always)]
fn mix_page(weights: &[f32; PAGE_POSITIONS], values: &[f32], out: &mut [f32]) {
    for (&weight, value) in weights.iter().zip(values.chunks_exact(out.len())) {
        for (x, &v) in out.iter_mut().zip(value) {
            *x = weight.mul_add(v, *x);
        }
    }
}

/// e^x for x <= 0, within 3e-7 of the true value relative to it; vectorises, which the library's does not.
///
/// x = whole * ln 2 + f with |f| <= ln 2 / 2 (ln 2 in two parts, so that nothing is lost: Cody and Waite), then 2^whole
/// is made from bits and e^f from its Taylor polynomial.
#[inline(always)]
fn exp(x: f32) -> f32 {
    const LN_2_HIGH: f32 = 0.693_359_4;
    const LN_2_LOW: f32 = -2.121_944_4e-4;
    // Below this the result is under 1e-37 and counts as nothing. Written so that NaN passes through.
    let nothing = x < -86.0;
    let x = if nothing { 0.0 } else { x };
    let whole = (x * std::f32::consts::LOG2_E).round_ties_even();
    let f = whole.mul_add(-LN_2_LOW, whole.mul_add(-LN_2_HIGH, x));
    let tail = f.mul_add(f.mul_add(1.0 / 5040.0, 1.0 / 720.0), 1.0 / 120.0);
    let middle = f.mul_add(f.mul_add(tail, 1.0 / 24.0), 1.0 / 6.0);
    let polynomial = f.mul_add(f.mul_add(f.mul_add(middle, 0.5), 1.0), 1.0);
    let power = f32::from_bits(((whole as i32 + 127) << 23) as u32);
    if nothing { 0.0 } else { polynomial * power }
}

#[cfg(test)]
mod tests {
    use super::exp;

    #[test]
    fn exp_is_close_to_the_true_value() {
        for i in 0..100_000 {
            let x = -86.0 * i as f32 / 100_000.0;
            let truth = f64::from(x).exp();
            assert!((f64::from(exp(x)) - truth).abs() <= 3e-7 * truth, "exp({x})");
        }
        assert_eq!(exp(f32::NEG_INFINITY), 0.0);
        assert_eq!(exp(0.0), 1.0);
        assert!(exp(f32::NAN).is_nan());
    }
}
