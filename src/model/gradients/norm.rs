//! RMS norm and layer norm with gradients, one pass over memory each way. Knows rows.

use crate::model::gradients::ROWS_PER_PART;
#[cfg(feature = "cuda")]
use crate::model::gradients::device;
use crate::model::gradients::here;
use crate::model::gradients::slice;
use crate::model::gradients::with_slices;
use candle_core::CpuStorage;
use candle_core::CustomOp2;
use candle_core::CustomOp3;
use candle_core::Layout;
use candle_core::Result;
use candle_core::Shape;
use candle_core::Tensor;
#[cfg(feature = "cuda")]
use coconut_cuda::Floats;
use coconut_kernels::backward::NormRow;
use coconut_kernels::backward::layer_gradient;
use coconut_kernels::backward::rms_gradient;
use coconut_kernels::norm::Norm;
use rayon::prelude::*;

/// x (..., D), weight (D,) -> (..., D): x / sqrt(mean square + eps) * weight.
///
/// # Errors
/// If the shapes do not fit.
pub fn rms_norm(x: &Tensor, weight: &Tensor, eps: f32) -> Result<Tensor> {
    if !here(x) {
        return candle_nn::ops::rms_norm_slow(x, weight, eps);
    }
    x.contiguous()?.apply_op2(weight, RmsNorm { eps })
}

/// x (..., D), weight and bias (D,) -> (..., D): (x - mean) / sqrt(variance + eps) * weight + bias.
///
/// # Errors
/// If the shapes do not fit.
pub fn layer_norm(x: &Tensor, weight: &Tensor, bias: &Tensor, eps: f32) -> Result<Tensor> {
    if !here(x) {
        return candle_nn::ops::layer_norm_slow(x, weight, bias, eps);
    }
    x.contiguous()?.apply_op3(weight, bias, LayerNorm { eps })
}

struct RmsNorm {
    eps: f32,
}

impl CustomOp2 for RmsNorm {
    fn name(&self) -> &'static str {
        "rms-norm-with-gradient"
    }

    fn cpu_fwd(
        &self,
        x: &CpuStorage,
        x_layout: &Layout,
        weight: &CpuStorage,
        weight_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let (x, weight) = (slice(x, x_layout)?, slice(weight, weight_layout)?);
        let out = forward(Norm::Rms { weight, eps: self.eps }, x, weight.len());
        Ok((CpuStorage::F32(out), x_layout.shape().clone()))
    }

    #[cfg(feature = "cuda")]
    fn cuda_fwd(
        &self,
        x: &candle_core::CudaStorage,
        x_layout: &Layout,
        weight: &candle_core::CudaStorage,
        weight_layout: &Layout,
    ) -> Result<(candle_core::CudaStorage, Shape)> {
        let (x, weight) = (Floats::new(x, x_layout)?, Floats::new(weight, weight_layout)?);
        Ok((coconut_cuda::rows::rms_norm(x, weight, self.eps)?, x_layout.shape().clone()))
    }

    fn bwd(
        &self,
        x: &Tensor,
        weight: &Tensor,
        _: &Tensor,
        dy: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>)> {
        #[cfg(feature = "cuda")]
        if x.device().is_cuda() {
            let [dx, dw] = device::with_floats([x, weight, dy], |parts| {
                coconut_cuda::rows::rms_norm_back(parts, self.eps)
            })?;
            let (dx, dw) = (device::tensor(dx, x.shape()), device::tensor(dw, x.shape()));
            return Ok((Some(dx), Some(device::sum_of_rows(&dw, weight.dims1()?)?)));
        }
        let (dx, [dw]) = with_slices([x, weight, dy], |[x, weight, dy]| {
            Ok(backward([x, weight, dy], self.eps, |row, dx, [dw]| rms_gradient(row, dx, dw)))
        })?;
        let dx = Tensor::from_vec(dx, x.shape(), x.device())?;
        Ok((Some(dx), Some(Tensor::new(dw, x.device())?)))
    }
}

struct LayerNorm {
    eps: f32,
}

impl CustomOp3 for LayerNorm {
    fn name(&self) -> &'static str {
        "layer-norm-with-gradient"
    }

    fn cpu_fwd(
        &self,
        x: &CpuStorage,
        x_layout: &Layout,
        weight: &CpuStorage,
        weight_layout: &Layout,
        bias: &CpuStorage,
        bias_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let (x, weight) = (slice(x, x_layout)?, slice(weight, weight_layout)?);
        let bias = slice(bias, bias_layout)?;
        let out = forward(Norm::Layer { weight, bias, eps: self.eps }, x, weight.len());
        Ok((CpuStorage::F32(out), x_layout.shape().clone()))
    }

    #[cfg(feature = "cuda")]
    fn cuda_fwd(
        &self,
        x: &candle_core::CudaStorage,
        x_layout: &Layout,
        weight: &candle_core::CudaStorage,
        weight_layout: &Layout,
        bias: &candle_core::CudaStorage,
        bias_layout: &Layout,
    ) -> Result<(candle_core::CudaStorage, Shape)> {
        let (x, weight) = (Floats::new(x, x_layout)?, Floats::new(weight, weight_layout)?);
        let parts = [x, weight, Floats::new(bias, bias_layout)?];
        Ok((coconut_cuda::rows::layer_norm(parts, self.eps)?, x_layout.shape().clone()))
    }

    fn bwd(
        &self,
        x: &Tensor,
        weight: &Tensor,
        _: &Tensor,
        _: &Tensor,
        dy: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        #[cfg(feature = "cuda")]
        if x.device().is_cuda() {
            let [dx, dw] = device::with_floats([x, weight, dy], |parts| {
                coconut_cuda::rows::layer_norm_back(parts, self.eps)
            })?;
            let (dx, dw) = (device::tensor(dx, x.shape()), device::tensor(dw, x.shape()));
            let sum = |rows: &Tensor| device::sum_of_rows(rows, weight.dims1()?);
            return Ok((Some(dx), Some(sum(&dw)?), Some(sum(dy)?)));
        }
        let (dx, [dw, db]) = with_slices([x, weight, dy], |[x, weight, dy]| {
            let row = |row: NormRow<'_>, dx: &mut [f32], [dw, db]: &mut [Vec<f32>; 2]| {
                layer_gradient(row, dx, dw, db);
            };
            Ok(backward([x, weight, dy], self.eps, row))
        })?;
        let dx = Tensor::from_vec(dx, x.shape(), x.device())?;
        let device = x.device();
        Ok((Some(dx), Some(Tensor::new(dw, device)?), Some(Tensor::new(db, device)?)))
    }
}

fn forward(norm: Norm<'_>, x: &[f32], width: usize) -> Vec<f32> {
    let mut out = vec![0.0; x.len()];
    let part = width * ROWS_PER_PART;
    out.par_chunks_mut(part).zip(x.par_chunks(part)).for_each(|(out, x)| norm.apply(x, out));
    out
}

/// The gradient of x, and N gradients of (D,) that are summed over rows. Parts are summed in their order, so that the
/// result does not depend on who finished first.
fn backward<const N: usize>(
    [x, weight, dy]: [&[f32]; 3],
    eps: f32,
    row: impl Fn(NormRow<'_>, &mut [f32], &mut [Vec<f32>; N]) + Sync,
) -> (Vec<f32>, [Vec<f32>; N]) {
    let width = weight.len();
    let zeros = || std::array::from_fn(|_| vec![0.0; width]);
    let mut dx = vec![0.0; x.len()];
    let part = width * ROWS_PER_PART;
    let parts: Vec<[Vec<f32>; N]> = dx
        .par_chunks_mut(part)
        .zip(x.par_chunks(part).zip(dy.par_chunks(part)))
        .map(|(dx, (x, dy))| {
            let mut sums = zeros();
            let rows = x.chunks_exact(width).zip(dy.chunks_exact(width));
            for (dx, (x, dy)) in dx.chunks_exact_mut(width).zip(rows) {
                row(NormRow { x, weight, dy, eps }, dx, &mut sums);
            }
            sums
        })
        .collect();
    let mut total: [Vec<f32>; N] = zeros();
    for part in parts {
        for (total, part) in total.iter_mut().zip(part) {
            total.iter_mut().zip(part).for_each(|(total, part)| *total += part);
        }
    }
    (dx, total)
}
