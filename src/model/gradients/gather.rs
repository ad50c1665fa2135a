//! Rows by their index, with a gradient that is as fast on a GPU as on the CPU: candle's, there, adds row after row. Knows
//! rows.

use candle_core::Result;
use candle_core::Tensor;

/// x (R, D), ids (N,) -> those rows, (N, D).
///
/// # Errors
/// If there is no such row.
pub fn gather(x: &Tensor, ids: &[u32]) -> Result<Tensor> {
    #[cfg(feature = "cuda")]
    if x.device().is_cuda() && super::here(x) {
        return x.contiguous()?.apply_op1(on_device::Gather { ids: ids.into() });
    }
    x.index_select(&Tensor::new(ids, x.device())?, 0)
}

#[cfg(feature = "cuda")]
mod on_device {
    use crate::model::gradients::device;
    use candle_core::CpuStorage;
    use candle_core::CudaStorage;
    use candle_core::CustomOp1;
    use candle_core::Layout;
    use candle_core::Result;
    use candle_core::Shape;
    use candle_core::Tensor;
    use coconut_cuda::Floats;
    use coconut_cuda::rows;
    use std::sync::Arc;

    pub(super) struct Gather {
        pub(super) ids: Arc<[u32]>,
    }

    impl CustomOp1 for Gather {
        fn name(&self) -> &'static str {
            "gather-with-gradient"
        }

        fn cpu_fwd(&self, _: &CpuStorage, _: &Layout) -> Result<(CpuStorage, Shape)> {
            candle_core::bail!("rows are taken by candle on the CPU")
        }

        fn cuda_fwd(&self, x: &CudaStorage, layout: &Layout) -> Result<(CudaStorage, Shape)> {
            let (_, width) = layout.shape().dims2()?;
            let out = rows::gather(Floats::new(x, layout)?, &self.ids, width)?;
            Ok((out, Shape::from((self.ids.len(), width))))
        }

        fn bwd(&self, x: &Tensor, _: &Tensor, dy: &Tensor) -> Result<Option<Tensor>> {
            let sizes = x.dims2()?;
            let dx = device::with_floats([dy], |[dy]| rows::gather_back(dy, &self.ids, sizes))?;
            Ok(Some(device::tensor(dx, x.shape())))
        }
    }
}
