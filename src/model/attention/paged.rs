//! KV memory in pages of 16 positions, shared by many sequences, and attention over it for a ragged batch of rows.
//! Which page belongs to whom is decided elsewhere: here a sequence is a table of page numbers.
//!
//! Two stores: `HostKv` for the CPU, read and written in place by our own
//! loops, and [`DeviceKv`], a plain chain of candle operations that runs on any device and that the former is tested
//! against.

use crate::model::attention::Attention;
use crate::model::attention::paged_cpu::HostKv;
use crate::model::config::Config;
use crate::model::kernels::attend::View;
use crate::model::ops;
use crate::model::ops::Kernels;
use candle_core::DType;
use candle_core::Device;
use candle_core::Result;
use candle_core::Tensor;
use std::sync::Arc;

/// Positions per page.
pub const PAGE_POSITIONS: usize = 16;

/// Number of pages that hold `positions` positions.
pub fn pages_for(positions: usize) -> usize {
    positions.div_ceil(PAGE_POSITIONS)
}

/// Sizes of a KV memory.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Geometry {
    pub(crate) layers: usize,
    /// G
    pub(crate) kv_heads: usize,
    /// E
    pub(crate) head_size: usize,
    pub(crate) pages: usize,
}

/// Where one row of a forward pass belongs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// Index into the page tables of the batch.
    pub table: usize,
    /// Position within the sequence.
    pub position: usize,
}

/// The places of all rows of a forward pass. A row attends to all positions of its own sequence up to its own; keys
/// and values of all rows are written before any is read, so rows of one sequence may come in any order.
#[derive(Clone, Debug, Default)]
pub struct PagedRows {
    /// Page numbers of each sequence, in order of position.
    pub tables: Vec<Arc<[u32]>>,
    /// One entry a row.
    pub places: Vec<Place>,
}

impl PagedRows {
    /// The slot of a position: page number times page size plus offset.
    pub(crate) fn slot(&self, table: usize, position: usize) -> usize {
        self.tables[table][position / PAGE_POSITIONS] as usize * PAGE_POSITIONS
            + position % PAGE_POSITIONS
    }

    /// The slot of each row.
    pub(crate) fn slots(&self) -> impl Iterator<Item = usize> {
        self.places.iter().map(|place| self.slot(place.table, place.position))
    }

    /// What a row sees.
    pub(crate) fn view(&self, row: usize) -> View<'_> {
        let Place { table, position } = self.places[row];
        View { table: &self.tables[table], position }
    }
}

/// How numbers are kept in KV memory on the CPU; computed with in f32.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum KvType {
    /// 4 bytes a number.
    #[default]
    F32,
    /// 2 bytes a number.
    Bf16,
}

impl KvType {
    /// Of one number.
    pub fn bytes(self) -> usize {
        match self {
            Self::F32 => 4,
            Self::Bf16 => 2,
        }
    }
}

/// Keys and values of all layers.
#[derive(Debug)]
pub enum KvMemory {
    /// In host memory.
    Host(HostKv),
    /// In the memory of any candle device.
    Device(DeviceKv),
}

impl KvMemory {
    /// Memory for `pages` pages. On the CPU it is taken from the system as it is first touched; other devices keep f32.
    pub fn new(config: &Config, pages: usize, kind: KvType, device: &Device) -> Result<Self> {
        Ok(match device {
            Device::Cpu => Self::Host(HostKv::new(Geometry::of(config, pages), kind)),
            _ => Self::Device(DeviceKv::new(Geometry::of(config, pages), device)?),
        })
    }

    /// The plain chain of candle operations, whatever the device: what the host's loops are tested against.
    pub fn plain(config: &Config, pages: usize, device: &Device) -> Result<Self> {
        Ok(Self::Device(DeviceKv::new(Geometry::of(config, pages), device)?))
    }
}

impl Geometry {
    fn of(config: &Config, pages: usize) -> Self {
        let Config { layers, kv_heads, head_size, .. } = *config;
        Self { layers, kv_heads, head_size, pages }
    }
}

/// Attention of one forward pass over a KV memory.
#[derive(Debug)]
pub struct Paged<'a> {
    /// What was computed before, and where this pass writes.
    pub memory: &'a mut KvMemory,
    /// The rows of this pass.
    pub rows: &'a PagedRows,
}

impl Attention for Paged<'_> {
    fn attend(&mut self, layer: usize, q: &Tensor, k: &Tensor, v: &Tensor) -> Result<Tensor> {
        match self.memory {
            KvMemory::Host(memory) => memory.attend(layer, self.rows, [q, k, v]),
            KvMemory::Device(memory) => memory.attend(layer, self.rows, [q, k, v]),
        }
    }
}

/// KV memory as one pair of tensors a layer, each (slots, G * E).
#[derive(Debug)]
pub struct DeviceKv {
    geometry: Geometry,
    layers: Vec<(Tensor, Tensor)>,
}

impl DeviceKv {
    fn new(geometry: Geometry, device: &Device) -> Result<Self> {
        let shape = (geometry.pages * PAGE_POSITIONS, geometry.kv_heads * geometry.head_size);
        let zeros = || Tensor::zeros(shape, DType::F32, device);
        let layers =
            (0..geometry.layers).map(|_| Ok((zeros()?, zeros()?))).collect::<Result<_>>()?;
        Ok(Self { geometry, layers })
    }

    fn attend(&self, layer: usize, rows: &PagedRows, qkv: [&Tensor; 3]) -> Result<Tensor> {
        let [q, k, v] = qkv;
        let (count, heads, size) = q.dims3()?;
        let (keys, values) = &self.layers[layer];
        self.write(keys, rows, k)?;
        self.write(values, rows, v)?;
        let mut order = Vec::with_capacity(count);
        let mut mixed = Vec::with_capacity(rows.tables.len());
        for table in 0..rows.tables.len() {
            let mine: Vec<u32> = (0..count)
                .filter(|&row| rows.places[row].table == table)
                .map(|row| row as u32)
                .collect();
            if mine.is_empty() {
                continue;
            }
            mixed.push(self.attend_sequence((keys, values), rows, &mine, q)?);
            order.extend(mine);
        }
        let mut back = vec![0u32; count];
        for (at, &row) in order.iter().enumerate() {
            back[row as usize] = at as u32;
        }
        let back = Tensor::from_vec(back, count, q.device())?;
        Tensor::cat(&mixed, 0)?.index_select(&back, 0)?.reshape((count, heads * size))
    }

    /// Puts x (R, G, E) into its slots.
    fn write(&self, store: &Tensor, rows: &PagedRows, x: &Tensor) -> Result<()> {
        let width = self.geometry.kv_heads * self.geometry.head_size;
        let slots: Vec<u32> = rows
            .places
            .iter()
            .flat_map(|place| {
                std::iter::repeat_n(rows.slot(place.table, place.position) as u32, width)
            })
            .collect();
        let slots = Tensor::from_vec(slots, (rows.places.len(), width), x.device())?;
        store.scatter_set(&slots, &x.reshape((rows.places.len(), width))?.contiguous()?, 0)
    }

    /// Attention of the rows `mine`, all of one sequence -> (rows, H, E)
    fn attend_sequence(
        &self,
        (keys, values): (&Tensor, &Tensor),
        rows: &PagedRows,
        mine: &[u32],
        q: &Tensor,
    ) -> Result<Tensor> {
        let (_, heads, size) = q.dims3()?;
        let (device, kv_heads) = (q.device(), self.geometry.kv_heads);
        let table = rows.places[mine[0] as usize].table;
        let position = |row: &u32| rows.places[*row as usize].position;
        let length = mine.iter().map(position).max().unwrap_or(0) + 1;
        let slots: Vec<u32> =
            (0..length).map(|position| rows.slot(table, position) as u32).collect();
        let slots = Tensor::from_vec(slots, length, device)?;
        // (G, L, E), and the queries as (G, H/G * rows, E)
        let gather = |store: &Tensor| {
            store
                .index_select(&slots, 0)?
                .reshape((length, kv_heads, size))?
                .transpose(0, 1)?
                .contiguous()
        };
        let group = heads / kv_heads;
        let q = q.index_select(&Tensor::new(mine, device)?, 0)?;
        let q =
            q.reshape((mine.len(), kv_heads, group, size))?.permute((1, 2, 0, 3))?.contiguous()?;
        let q = q.reshape((kv_heads, group * mine.len(), size))?;
        let mask: Vec<f32> = (0..group)
            .flat_map(|_| mine.iter().map(position))
            .flat_map(|at| (0..length).map(move |j| if j <= at { 0.0 } else { f32::NEG_INFINITY }))
            .collect();
        let mask = Tensor::from_vec(mask, (1, group * mine.len(), length), device)?;
        let scores = (q.matmul(&gather(keys)?.t()?)? * (1.0 / (size as f64).sqrt()))?
            .broadcast_add(&mask)?;
        let mixed = ops::softmax(&scores, Kernels::Fused)?.matmul(&gather(values)?)?;
        mixed.reshape((kv_heads, group, mine.len(), size))?.permute((2, 0, 1, 3))?.reshape((
            mine.len(),
            heads,
            size,
        ))
    }
}
