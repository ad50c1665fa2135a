//! These operations on a GPU: tensors to the slices that `coconut_cuda` takes, and back. Knows no operation.

use candle_core::CudaStorage;
use candle_core::Result;
use candle_core::Shape;
use candle_core::Storage;
use candle_core::Tensor;
use candle_core::op::BackpropOp;
use coconut_cuda::Floats;

/// Runs `work` on the numbers of tensors, made contiguous first.
pub(super) fn with_floats<const N: usize, T>(
    tensors: [&Tensor; N],
    work: impl FnOnce([Floats<'_>; N]) -> Result<T>,
) -> Result<T> {
    let tensors: Vec<Tensor> =
        tensors.iter().map(|tensor| tensor.contiguous()).collect::<Result<_>>()?;
    let guards: Vec<_> = tensors.iter().map(Tensor::storage_and_layout).collect();
    let floats: Vec<Floats<'_>> = guards
        .iter()
        .map(|(storage, layout)| match &**storage {
            Storage::Cuda(storage) => Floats::new(storage, layout),
            _ => candle_core::bail!("this gradient is computed on a GPU"),
        })
        .collect::<Result<_>>()?;
    match floats.try_into() {
        Ok(floats) => work(floats),
        Err(_) => candle_core::bail!("tensors are lost"),
    }
}

/// What a kernel made, as a tensor without a history.
pub(super) fn tensor(made: CudaStorage, shape: &Shape) -> Tensor {
    Tensor::from_storage(Storage::Cuda(made), shape, BackpropOp::none(), false)
}

/// x (..., D) -> (D,), by a product, which is fast at this.
pub(super) fn sum_of_rows(x: &Tensor, width: usize) -> Result<Tensor> {
    let x = x.reshape(((), width))?;
    Tensor::ones((1, x.dim(0)?), x.dtype(), x.device())?.matmul(&x)?.squeeze(0)
}
