//! KV memory in pages of 16 positions, shared by many sequences, and attention over it for a ragged batch of rows.
//!
//! Two stores: `HostKv` for the CPU, read and written in place by our own loops, and `DeviceKv` for any device, a chain of
//! candle operations.

use crate::model::attention::Attention;
use crate::model::attention::geometry::Geometry;
use crate::model::attention::paged_cpu::HostKv;
use crate::model::attention::paged_device::DeviceKv;
use crate::model::attention::paged_device::DeviceRows;
use crate::model::attention::rows::PageCopy;
use crate::model::attention::rows::PagedRows;
use crate::model::config::Config;
use candle_core::Device;
use candle_core::Result;
use candle_core::Tensor;
use coconut_kernels::attend::layer::KvType;
use coconut_kernels::attend::pages::View;

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

impl KvMemory {
    /// Puts what stands in pages into others, one after the other.
    pub fn copy(&mut self, copies: &[PageCopy]) -> Result<()> {
        match self {
            Self::Host(memory) => memory.copy(copies),
            Self::Device(memory) => return memory.copy(copies),
        }
        Ok(())
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

    /// The keys (T, E) of one head at all positions that `view` sees.
    pub(crate) fn keys(&self, layer: usize, view: View<'_>, head: usize) -> Result<Vec<f32>> {
        match &self.0 {
            Over::Host(memory, _) => Ok(memory.keys(layer, view, head)),
            Over::Device(memory, _) => memory.keys(layer, view, head),
        }
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
