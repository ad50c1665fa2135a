//! KV memory on the CPU, and attention over it as an architecture asks for it. The loops are in `coconut_kernels`.

use crate::model::attention::geometry::Geometry;
use crate::model::attention::rows::PageCopy;
use crate::model::attention::rows::PagedRows;
use candle_core::CpuStorage;
use candle_core::Layout;
use candle_core::Result;
use candle_core::Storage;
use candle_core::Tensor;
use coconut_kernels::attend::layer::KvLayer;
use coconut_kernels::attend::layer::KvType;
use coconut_kernels::attend::pages::Heads;
use coconut_kernels::attend::pages::View;
use std::ops::Deref;

/// Keys and values of all layers in host memory.
#[derive(Debug)]
pub struct HostKv {
    kv_heads: usize,
    layers: Vec<KvLayer>,
}

impl HostKv {
    /// Fails where the system does not have so much memory.
    pub(crate) fn new(geometry: Geometry, kind: KvType) -> Result<Self> {
        let layers = (0..geometry.layers).map(|_| KvLayer::try_new(geometry.layer, kind));
        let layers = layers.collect::<std::io::Result<_>>()?;
        Ok(Self { kv_heads: geometry.layer.kv_heads, layers })
    }

    pub(crate) fn copy(&mut self, copies: &[PageCopy]) {
        for layer in &mut self.layers {
            for &PageCopy { from, to } in copies {
                layer.copy_page(from as usize, to as usize);
            }
        }
    }

    /// Puts k and v (R, G, E) of one layer into the slots (R,).
    pub(crate) fn write(&mut self, layer: usize, kv: [Heads<'_>; 2], slots: &[usize]) {
        self.layers[layer].write(kv, slots);
    }

    /// q (R, H, E) -> out (R, H * E) over the pages that `views` (R,) name.
    pub(crate) fn read(&self, layer: usize, q: Heads<'_>, views: &[View<'_>], out: &mut [f32]) {
        self.layers[layer].attend(q, views, out);
    }

    /// The keys (T, E) of one head at all positions that `view` sees.
    pub(crate) fn keys(&self, layer: usize, view: View<'_>, head: usize) -> Vec<f32> {
        self.layers[layer].keys(view, head)
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
        let kv_heads = self.kv_heads;
        let slots: Vec<usize> = rows.slots().collect();
        self.write(layer, [by_head(k, kv_heads), by_head(v, kv_heads)], &slots);
        let views: Vec<View<'_>> = (0..count).map(|row| rows.view(row)).collect();
        let mut out = vec![0.0f32; count * heads * size];
        self.read(layer, by_head(q, heads), &views, &mut out);
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
