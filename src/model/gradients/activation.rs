//! The non-linearities with gradients, vectorised both ways. Knows elements.

#[cfg(feature = "cuda")]
use crate::model::gradients::device;
use crate::model::gradients::slice;
use crate::model::gradients::with_slices;
use candle_core::CpuStorage;
use candle_core::CustomOp1;
use candle_core::Layout;
use candle_core::Result;
use candle_core::Shape;
use candle_core::Tensor;
#[cfg(feature = "cuda")]
use coconut_cuda::Floats;
#[cfg(feature = "cuda")]
use coconut_cuda::rows;
use coconut_kernels::activation::Activation;
use coconut_kernels::backward::activate_rows;
use coconut_kernels::backward::activation_gradient;
use rayon::prelude::*;

/// Elements computed at a time by one thread.
const PART: usize = 1 << 14;

/// Any shape -> same shape.
///
/// # Errors
/// If the tensor is not f32 on the CPU.
pub fn activation(x: &Tensor, kind: Activation) -> Result<Tensor> {
    x.contiguous()?.apply_op1(Activate(kind))
}

struct Activate(Activation);

impl CustomOp1 for Activate {
    fn name(&self) -> &'static str {
        "activation-with-gradient"
    }

    fn cpu_fwd(&self, x: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let x = slice(x, layout)?;
        let mut out = vec![0.0; x.len()];
        let parts = out.par_chunks_mut(PART).zip(x.par_chunks(PART));
        parts.for_each(|(out, x)| activate_rows(self.0, x, out));
        Ok((CpuStorage::F32(out), layout.shape().clone()))
    }

    #[cfg(feature = "cuda")]
    fn cuda_fwd(
        &self,
        x: &candle_core::CudaStorage,
        layout: &Layout,
    ) -> Result<(candle_core::CudaStorage, Shape)> {
        let out = rows::activation(Floats::new(x, layout)?, curve(self.0))?;
        Ok((out, layout.shape().clone()))
    }

    fn bwd(&self, x: &Tensor, _: &Tensor, dy: &Tensor) -> Result<Option<Tensor>> {
        #[cfg(feature = "cuda")]
        if x.device().is_cuda() {
            let dx =
                device::with_floats([x, dy], |parts| rows::activation_back(parts, curve(self.0)))?;
            return Ok(Some(device::tensor(dx, x.shape())));
        }
        let dx = with_slices([x, dy], |[x, dy]| {
            let mut dx = dy.to_vec();
            let parts = dx.par_chunks_mut(PART).zip(x.par_chunks(PART));
            parts.for_each(|(dx, x)| activation_gradient(self.0, x, dx));
            Ok(dx)
        })?;
        Ok(Some(Tensor::from_vec(dx, x.shape(), x.device())?))
    }
}

#[cfg(feature = "cuda")]
fn curve(activation: Activation) -> rows::Curve {
    match activation {
        Activation::Silu => rows::Curve::Silu,
        Activation::GeluTanh => rows::Curve::GeluTanh,
        Activation::GeluErf => rows::Curve::GeluErf,
    }
}
