//! KV memory on the CPU: which slot each row writes and which pages it sees. The loops are in `model::kernels`; here
//! tensors become slices.
//!
//! A page keeps keys as (G, E, 16) and values as (G, 16, E).

use crate::model::attention::paged::Geometry;
use crate::model::attention::paged::PAGE_POSITIONS;
use crate::model::attention::paged::PagedRows;
use crate::model::kernels::attend;
use crate::model::kernels::attend::Pages;
use crate::model::kernels::attend::PagesMut;
use crate::model::kernels::attend::View;
use crate::model::kernels::kv_write;
use candle_core::CpuStorage;
use candle_core::Layout;
use candle_core::Result;
use candle_core::Storage;
use candle_core::Tensor;
use std::ops::Deref;

const _: () = assert!(PAGE_POSITIONS == attend::PAGE, "the kernels are written for these pages");

/// Keys and values of all layers in host memory.
#[derive(Debug)]
pub struct HostKv {
    geometry: Geometry,
    /// One pair a layer: keys (pages, G, E, 16), values (pages, G, 16, E).
    layers: Vec<(Vec<f32>, Vec<f32>)>,
}

impl HostKv {
    pub(crate) fn new(geometry: Geometry) -> Self {
        let size = geometry.pages * PAGE_POSITIONS * geometry.kv_heads * geometry.head_size;
        // `vec![0.0; n]` is zeroed by the system page by page, when first touched.
        let layers = (0..geometry.layers).map(|_| (vec![0.0; size], vec![0.0; size])).collect();
        Self { geometry, layers }
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
        let Geometry { kv_heads, head_size, .. } = self.geometry;
        let (keys, values) = &mut self.layers[layer];
        let slots: Vec<usize> =
            rows.places.iter().map(|place| rows.slot(place.table, place.position)).collect();
        kv_write::write(PagesMut { keys, values, kv_heads, head_size }, k, v, &slots);
        let views: Vec<View<'_>> = rows
            .places
            .iter()
            .map(|place| View { table: &rows.tables[place.table], position: place.position })
            .collect();
        let mut out = vec![0.0f32; count * heads * size];
        attend::attend(Pages { keys, values, kv_heads, head_size }, q, &views, &mut out);
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
