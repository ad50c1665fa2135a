//! KV memory in pages of 16 positions, shared by many sequences, and attention over it for a ragged batch of rows.
//! Which page belongs to whom is decided elsewhere: here a sequence is a table of page numbers.
//!
//! Two stores: `HostKv` for the CPU, read and written in place by our own loops, and `DeviceKv` for any device, a chain of
//! candle operations.

use crate::model::attention::Attention;
use crate::model::attention::paged_cpu::HostKv;
use crate::model::attention::paged_device::DeviceKv;
use crate::model::attention::paged_device::DeviceRows;
use crate::model::config::Config;
use candle_core::Device;
use candle_core::Result;
use candle_core::Tensor;
use coconut_kernels::attend::View;
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

/// How numbers are kept in KV memory; computed with in f32.
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
    /// Memory on the CPU for `pages` pages, taken from the system as it is first touched.
    pub fn host(config: &Config, pages: usize, kind: KvType) -> Result<Self> {
        Ok(Self::Host(HostKv::new(Geometry::of(config, pages), kind)?))
    }

    /// Memory for `pages` pages on any device, the CPU included.
    pub fn device(config: &Config, pages: usize, kind: KvType, device: &Device) -> Result<Self> {
        Ok(Self::Device(DeviceKv::new(Geometry::of(config, pages), kind, device)?))
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
pub struct Paged<'a>(Over<'a>);

/// What was computed before and where this pass writes, and its rows.
#[derive(Debug)]
enum Over<'a> {
    Host(&'a mut HostKv, &'a PagedRows),
    Device(&'a DeviceKv, DeviceRows),
}

impl<'a> Paged<'a> {
    /// For a pass with these rows.
    pub fn new(memory: &'a mut KvMemory, rows: &'a PagedRows) -> Result<Self> {
        Ok(Self(match memory {
            KvMemory::Host(memory) => Over::Host(memory, rows),
            KvMemory::Device(memory) => {
                let rows = memory.lay_out(rows)?;
                Over::Device(memory, rows)
            }
        }))
    }
}

impl Attention for Paged<'_> {
    fn attend(&mut self, layer: usize, q: &Tensor, k: &Tensor, v: &Tensor) -> Result<Tensor> {
        match &mut self.0 {
            Over::Host(memory, rows) => memory.attend(layer, rows, [q, k, v]),
            Over::Device(memory, rows) => memory.attend(layer, rows, [q, k, v]),
        }
    }
}
