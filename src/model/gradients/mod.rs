//! Operations with a backward pass of their own, for training, where candle's chains of small operations cost more than the
//! matrix products. Each computes what the chain in `ops` does, and tests compare the two, gradients included. On the CPU
//! they are here; on a GPU, in `coconut_cuda`. Knows tensors, no architecture.

pub mod activation;
pub mod attend;
pub mod cross_entropy;
#[cfg(feature = "cuda")]
mod device;
pub mod gather;
pub mod norm;
pub mod rope;
pub mod spread;

use candle_core::CpuStorage;
use candle_core::DType;
use candle_core::Layout;
use candle_core::Result;
use candle_core::Tensor;

/// Whether these operations can be used on a tensor; elsewhere candle's chains are.
pub fn here(x: &Tensor) -> bool {
    let reached = x.device().is_cpu() || (cfg!(feature = "cuda") && x.device().is_cuda());
    reached && x.dtype() == DType::F32
}

/// The elements of a contiguous f32 tensor on the CPU.
fn slice<'a>(storage: &'a CpuStorage, layout: &Layout) -> Result<&'a [f32]> {
    let CpuStorage::F32(data) = storage else { candle_core::bail!("training computes in f32") };
    match layout.contiguous_offsets() {
        Some((from, to)) => Ok(&data[from..to]),
        None => candle_core::bail!("the tensor must be contiguous"),
    }
}

/// Runs `work` on the elements of tensors, made contiguous first.
fn with_slices<const N: usize, T>(
    tensors: [&Tensor; N],
    work: impl FnOnce([&[f32]; N]) -> Result<T>,
) -> Result<T> {
    let tensors: Vec<Tensor> =
        tensors.iter().map(|tensor| tensor.contiguous()).collect::<Result<_>>()?;
    let guards: Vec<_> = tensors.iter().map(Tensor::storage_and_layout).collect();
    let mut slices: [&[f32]; N] = [&[]; N];
    for (place, (storage, layout)) in slices.iter_mut().zip(&guards) {
        *place = match &**storage {
            candle_core::Storage::Cpu(storage) => slice(storage, layout)?,
            _ => candle_core::bail!("this gradient is computed on the CPU"),
        };
    }
    work(slices)
}

/// Work is split into parts of about this many rows.
const ROWS_PER_PART: usize = 64;

#[cfg(test)]
mod tests;
