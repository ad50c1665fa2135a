//! KV memory on the CPU: which slot each row writes and which pages it sees, in f32 or bf16. The loops are in
//! `coconut_kernels`.
//!
//! A page keeps keys as (G, E, 16) and values as (G, 16, E).

use crate::model::attention::paged::Geometry;
use crate::model::attention::paged::KvType;
use crate::model::attention::paged::PAGE_POSITIONS;
use crate::model::attention::paged::PagedRows;
use candle_core::CpuStorage;
use candle_core::Layout;
use candle_core::Result;
use candle_core::Storage;
use candle_core::Tensor;
use coconut_kernels::attend;
use coconut_kernels::attend::Element;
use coconut_kernels::attend::Heads;
use coconut_kernels::attend::Pages;
use coconut_kernels::attend::PagesMut;
use coconut_kernels::attend::View;
use coconut_kernels::kv_write;
use coconut_kernels::memory::Zeroed;
use std::ops::Deref;

const _: () = assert!(PAGE_POSITIONS == attend::PAGE, "the kernels are written for these pages");

/// Keys and values of all layers in host memory.
#[derive(Debug)]
pub struct HostKv {
    geometry: Geometry,
    layers: Layers,
}

#[derive(Debug)]
enum Layers {
    F32(Vec<Layer<f32>>),
    /// The bits of bf16 numbers.
    Bf16(Vec<Layer<u16>>),
}

#[derive(Debug)]
struct Layer<T> {
    /// (pages, G, E, 16)
    keys: Zeroed<T>,
    /// (pages, G, 16, E)
    values: Zeroed<T>,
}

impl HostKv {
    /// Fails where the system does not have so much memory.
    pub(crate) fn new(geometry: Geometry, kind: KvType) -> Result<Self> {
        let layers = match kind {
            KvType::F32 => Layers::F32(zeros(&geometry)?),
            KvType::Bf16 => Layers::Bf16(zeros(&geometry)?),
        };
        Ok(Self { geometry, layers })
    }

    /// Puts k and v (R, G, E) of one layer into the slots (R,).
    pub(crate) fn write(&mut self, layer: usize, [k, v]: [Heads<'_>; 2], slots: &[usize]) {
        match &mut self.layers {
            Layers::F32(layers) => {
                kv_write::write(layers[layer].pages_mut(&self.geometry), k, v, slots);
            }
            Layers::Bf16(layers) => {
                kv_write::write(layers[layer].pages_mut(&self.geometry), k, v, slots);
            }
        }
    }

    /// q (R, H, E) -> out (R, H * E) over the pages that `views` (R,) name.
    pub(crate) fn read(&self, layer: usize, q: Heads<'_>, views: &[View<'_>], out: &mut [f32]) {
        match &self.layers {
            Layers::F32(layers) => {
                attend::attend(layers[layer].pages(&self.geometry), q, views, out);
            }
            Layers::Bf16(layers) => {
                attend::attend(layers[layer].pages(&self.geometry), q, views, out);
            }
        }
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
        let by_head = |x, heads| Heads::whole(x, heads, size);
        let kv_heads = self.geometry.kv_heads;
        let slots: Vec<usize> = rows.slots().collect();
        self.write(layer, [by_head(k, kv_heads), by_head(v, kv_heads)], &slots);
        let views: Vec<View<'_>> = (0..count).map(|row| rows.view(row)).collect();
        let mut out = vec![0.0f32; count * heads * size];
        self.read(layer, by_head(q, heads), &views, &mut out);
        Tensor::from_vec(out, (count, heads * size), qkv[0].device())
    }
}

impl<T: Element> Layer<T> {
    fn pages(&self, geometry: &Geometry) -> Pages<'_, T> {
        let Geometry { kv_heads, head_size, .. } = *geometry;
        Pages { keys: &self.keys, values: &self.values, kv_heads, head_size }
    }

    fn pages_mut(&mut self, geometry: &Geometry) -> PagesMut<'_, T> {
        let Geometry { kv_heads, head_size, .. } = *geometry;
        PagesMut { keys: &mut self.keys, values: &mut self.values, kv_heads, head_size }
    }
}

/// Zeros come from the system page by page, when first touched.
fn zeros<T: Element>(geometry: &Geometry) -> Result<Vec<Layer<T>>> {
    let page = PAGE_POSITIONS * geometry.kv_heads * geometry.head_size;
    // So many that the system cannot have them either.
    let size = geometry.pages.saturating_mul(page);
    let layer = |_| Ok(Layer { keys: Zeroed::try_new(size)?, values: Zeroed::try_new(size)? });
    (0..geometry.layers).map(layer).collect()
}

/// The numbers of a contiguous f32 tensor in host memory.
fn floats<'a>((storage, layout): &'a (impl Deref<Target = Storage>, &Layout)) -> Result<&'a [f32]> {
    match (&**storage, layout.contiguous_offsets()) {
        (Storage::Cpu(CpuStorage::F32(data)), Some((start, end))) => Ok(&data[start..end]),
        _ => candle_core::bail!("attention on the CPU reads f32 in host memory"),
    }
}
