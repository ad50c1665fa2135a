//! KV memory as tensors on any device, and attention over it as a chain of candle operations: what serves on GPUs, and what
//! the loops for the CPU are tested against. Which slot a row writes and which slots it sees is worked out once a pass.

use crate::model::attention::geometry::Geometry;
use crate::model::attention::geometry::PAGE_POSITIONS;
use crate::model::attention::rows::PageCopy;
use crate::model::attention::rows::PagedRows;
use crate::model::ops;
use crate::model::ops::Kernels;
use candle_core::DType;
use candle_core::Device;
use candle_core::Result;
use candle_core::Tensor;
use coconut_kernels::attend::layer::KvShape;
use coconut_kernels::attend::layer::KvType;
use coconut_kernels::attend::pages::View;
use std::collections::BTreeMap;
use std::collections::BTreeSet;

/// Keys and values of all layers in a device's memory.
#[derive(Debug)]
pub struct DeviceKv {
    shape: KvShape,
    device: Device,
    /// Keys and values, each (slots, G * E).
    layers: Vec<[Tensor; 2]>,
}

/// The rows of a pass as a device needs them; the same for all layers.
#[derive(Debug)]
pub(crate) struct DeviceRows {
    /// The slot of each row, once for every number that goes there, (R, G * E).
    slots: Tensor,
    groups: Vec<Group>,
    /// The place of each row (R,) among those of all groups, where it is another.
    back: Option<Tensor>,
}

/// Sequences that bring equally many rows: they are computed together, the shorter ones masked.
#[derive(Debug)]
struct Group {
    sequences: usize,
    /// Of each sequence.
    rows: usize,
    /// Positions of the longest sequence.
    length: usize,
    /// Which rows these are, sequence by sequence; `None` for all of them as they come.
    picked: Option<Tensor>,
    /// What they see, (sequences * G * length,): places in a store seen as (slots * G, E).
    seen: Tensor,
    /// (sequences, 1, rows, length): 0 where a row may look, minus infinity where it may not.
    mask: Tensor,
}

impl DeviceKv {
    pub(crate) fn new(geometry: Geometry, kind: KvType, device: &Device) -> Result<Self> {
        let Geometry { layers, layer: shape } = geometry;
        let slots = (shape.pages * PAGE_POSITIONS, shape.kv_heads * shape.head_size);
        let dtype = match kind {
            KvType::F32 => DType::F32,
            KvType::Bf16 => DType::BF16,
        };
        let zeros = || Tensor::zeros(slots, dtype, device);
        let layers = (0..layers).map(|_| Ok([zeros()?, zeros()?]));
        Ok(Self { shape, device: device.clone(), layers: layers.collect::<Result<_>>()? })
    }

    /// Puts what stands in pages into others, as if one after the other.
    pub(crate) fn copy(&self, mut copies: &[PageCopy]) -> Result<()> {
        while !copies.is_empty() {
            // All of these are read before any is written, so none may touch what an earlier one writes.
            let mut written = BTreeSet::new();
            let apart = |copy: &&PageCopy| !written.contains(&copy.from) && written.insert(copy.to);
            let (now, later) = copies.split_at(copies.iter().take_while(apart).count());
            let slots = |page: fn(&PageCopy) -> u32| -> Vec<u32> {
                let first = now.iter().map(|copy| page(copy) * PAGE_POSITIONS as u32);
                first.flat_map(|first| first..first + PAGE_POSITIONS as u32).collect()
            };
            let count = now.len() * PAGE_POSITIONS;
            let from = Tensor::from_vec(slots(|copy| copy.from), count, &self.device)?;
            let to = Tensor::from_vec(slots(|copy| copy.to), (count, 1), &self.device)?;
            let to = to.broadcast_as((count, self.width()))?.contiguous()?;
            for store in self.layers.iter().flatten() {
                store.scatter_set(&to, &store.index_select(&from, 0)?, 0)?;
            }
            copies = later;
        }
        Ok(())
    }

    /// Numbers of a slot's keys, and of its values.
    fn width(&self) -> usize {
        self.shape.kv_heads * self.shape.head_size
    }

    /// Works out what a pass needs of its rows.
    pub(crate) fn lay_out(&self, rows: &PagedRows) -> Result<DeviceRows> {
        let count = rows.places.len();
        let width = self.width();
        let slots: Vec<u32> = rows.slots().map(|slot| slot as u32).collect();
        let slots = Tensor::from_vec(slots, (count, 1), &self.device)?;
        let slots = slots.broadcast_as((count, width))?.contiguous()?;

        let mut of_table = vec![Vec::new(); rows.tables.len()];
        for (row, place) in (0u32..).zip(&rows.places) {
            of_table[place.table].push(row);
        }
        let mut by_count = BTreeMap::<usize, Vec<Vec<u32>>>::new();
        for mine in of_table.into_iter().filter(|mine| !mine.is_empty()) {
            by_count.entry(mine.len()).or_default().push(mine);
        }
        let order: Vec<u32> = by_count.values().flatten().flatten().copied().collect();
        let in_order = order.iter().copied().eq(0..count as u32);
        let as_they_come = in_order && by_count.len() == 1;
        let groups = by_count.values().map(|group| self.group(rows, group, as_they_come));
        let groups = groups.collect::<Result<_>>()?;
        let back = (!in_order).then(|| {
            let mut back = vec![0; count];
            for (at, row) in (0u32..).zip(order) {
                back[row as usize] = at;
            }
            Tensor::from_vec(back, count, &self.device)
        });
        Ok(DeviceRows { slots, groups, back: back.transpose()? })
    }

    /// `group`: the rows of each sequence, equally many.
    fn group(&self, rows: &PagedRows, group: &[Vec<u32>], as_they_come: bool) -> Result<Group> {
        let (kv_heads, device) = (self.shape.kv_heads, &self.device);
        let position = |row: u32| rows.places[row as usize].position;
        let length_of = |mine: &[u32]| mine.iter().map(|&row| position(row) + 1).max().unwrap_or(0);
        let length = group.iter().map(|mine| length_of(mine)).max().unwrap_or(0);
        let (sequences, each) = (group.len(), group[0].len());

        let mut seen = Vec::with_capacity(sequences * length);
        for mine in group {
            let (table, last) = (rows.places[mine[0] as usize].table, length_of(mine) - 1);
            // Behind its end a sequence sees a position of its own again, and nobody else's numbers; the mask hides it.
            let slots = (0..length).map(|position| rows.slot(table, position.min(last)));
            seen.extend(slots.map(|slot| (slot * kv_heads) as u32));
        }
        let heads = Tensor::arange(0, kv_heads as u32, device)?.reshape((1, kv_heads, 1))?;
        let seen = Tensor::from_vec(seen, (sequences, 1, length), device)?.broadcast_add(&heads)?;

        let picked = group.concat();
        let hidden = |row: u32| {
            (0..length).map(move |at| if at <= position(row) { 0.0 } else { f32::NEG_INFINITY })
        };
        let mask: Vec<f32> = picked.iter().flat_map(|&row| hidden(row)).collect();
        Ok(Group {
            sequences,
            rows: each,
            length,
            seen: seen.flatten_all()?,
            mask: Tensor::from_vec(mask, (sequences, 1, each, length), device)?,
            picked: (!as_they_come)
                .then(|| Tensor::from_vec(picked, sequences * each, device))
                .transpose()?,
        })
    }

    /// q (R, H, E), k and v (R, G, E) -> (R, H * E), in f32.
    pub(crate) fn attend(
        &self,
        layer: usize,
        rows: &DeviceRows,
        [q, k, v]: [&Tensor; 3],
    ) -> Result<Tensor> {
        let (_, _, size) = q.dims3()?;
        for (store, new) in self.layers[layer].iter().zip([k, v]) {
            let new = new.reshape(rows.slots.shape())?.to_dtype(store.dtype())?.contiguous()?;
            store.scatter_set(&rows.slots, &new, 0)?;
        }
        let q = (q.to_dtype(DType::F32)? * (1.0 / (size as f64).sqrt()))?;
        let mixed = rows.groups.iter().map(|group| self.attend_group(layer, group, &q));
        let mixed = Tensor::cat(&mixed.collect::<Result<Vec<_>>>()?, 0)?;
        match &rows.back {
            Some(back) => mixed.index_select(back, 0),
            None => Ok(mixed),
        }
    }

    /// The keys (T, E) of one head at all positions that `view` sees.
    pub(crate) fn keys(&self, layer: usize, view: View<'_>, head: usize) -> Result<Vec<f32>> {
        let size = self.shape.head_size;
        let [keys, _] = &self.layers[layer];
        let slots = (0..=view.position).map(|position| view.slot(position) as u32);
        let slots = Tensor::from_iter(slots, &self.device)?;
        let keys = keys.index_select(&slots, 0)?.narrow(1, head * size, size)?;
        keys.to_dtype(DType::F32)?.flatten_all()?.to_vec1()
    }

    /// q (R, H, E), scaled -> (rows of the group, H * E)
    fn attend_group(&self, layer: usize, group: &Group, q: &Tensor) -> Result<Tensor> {
        let (_, heads, size) = q.dims3()?;
        let Group { sequences, rows, length, .. } = *group;
        let KvShape { kv_heads, pages, .. } = self.shape;
        let q = match &group.picked {
            Some(picked) => q.index_select(picked, 0)?,
            None => q.clone(),
        };
        // A key head's query heads, and their rows, are the rows of one product.
        let (products, fan) = (sequences * kv_heads, heads / kv_heads);
        let q = q
            .reshape((sequences, rows, kv_heads, fan, size))?
            .permute((0, 2, 3, 1, 4))?
            .reshape((products, fan * rows, size))?;
        let gather = |store: &Tensor| {
            let by_head = store.reshape((pages * PAGE_POSITIONS * kv_heads, size))?;
            by_head
                .index_select(&group.seen, 0)?
                .to_dtype(DType::F32)?
                .reshape((products, length, size))
        };
        let [keys, values] = &self.layers[layer];
        let scores = q.matmul(&gather(keys)?.t()?)?;
        let scores =
            scores.reshape((sequences, heads, rows, length))?.broadcast_add(&group.mask)?;
        let shares = ops::softmax(&scores, Kernels::Fused)?;
        let mixed = shares.reshape((products, fan * rows, length))?.matmul(&gather(values)?)?;
        let mixed = mixed.reshape((sequences, heads, rows, size))?.transpose(1, 2)?;
        mixed.reshape((sequences * rows, heads * size))
    }
}
