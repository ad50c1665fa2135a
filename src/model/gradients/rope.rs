//! Rotary position embedding with gradients: the gradient is turned back by the same angle. Knows angles as tables.

use crate::model::gradients::ROWS_PER_PART;
use crate::model::gradients::here;
use crate::model::gradients::slice;
use candle_core::CpuStorage;
use candle_core::CustomOp3;
use candle_core::D;
use candle_core::Layout;
use candle_core::Result;
use candle_core::Shape;
use candle_core::Tensor;
#[cfg(feature = "cuda")]
use coconut_cuda::Floats;
use rayon::prelude::*;

/// x (R, H, E), cos and sin (R, E/2) -> (R, H, E), halves turned against each other. The angles get no gradient.
///
/// # Errors
/// If the shapes do not fit.
pub fn rope(x: &Tensor, cos: &Tensor, sin: &Tensor) -> Result<Tensor> {
    if !here(x) {
        return chain(x, cos, sin);
    }
    x.contiguous()?.apply_op3(&cos.contiguous()?, &sin.contiguous()?, Rope { sign: 1.0 })
}

/// The same as a chain of candle operations, on any device.
pub(super) fn chain(x: &Tensor, cos: &Tensor, sin: &Tensor) -> Result<Tensor> {
    let (_, _, size) = x.dims3()?;
    let (cos, sin) = (cos.unsqueeze(1)?, sin.unsqueeze(1)?);
    let low = x.narrow(D::Minus1, 0, size / 2)?;
    let high = x.narrow(D::Minus1, size / 2, size / 2)?;
    let turned_low = (low.broadcast_mul(&cos)? - high.broadcast_mul(&sin)?)?;
    let turned_high = (high.broadcast_mul(&cos)? + low.broadcast_mul(&sin)?)?;
    Tensor::cat(&[turned_low, turned_high], D::Minus1)
}

struct Rope {
    /// 1 forward, -1 backward.
    sign: f32,
}

impl CustomOp3 for Rope {
    fn name(&self) -> &'static str {
        "rope-with-gradient"
    }

    fn cpu_fwd(
        &self,
        x: &CpuStorage,
        x_layout: &Layout,
        cos: &CpuStorage,
        cos_layout: &Layout,
        sin: &CpuStorage,
        sin_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let (_, heads, size) = x_layout.shape().dims3()?;
        let x = slice(x, x_layout)?;
        let (cos, sin) = (slice(cos, cos_layout)?, slice(sin, sin_layout)?);
        let half = size / 2;
        let mut out = vec![0.0; x.len()];
        let (part, table) = (ROWS_PER_PART * heads * size, ROWS_PER_PART * half);
        let tables = cos.par_chunks(table).zip(sin.par_chunks(table));
        out.par_chunks_mut(part).zip(x.par_chunks(part)).zip(tables).for_each(
            |((out, x), (cos, sin))| {
                let heads_out = out.chunks_exact_mut(size).zip(x.chunks_exact(size));
                for (index, (out, x)) in heads_out.enumerate() {
                    let row = index / heads * half;
                    let (cos, sin) = (&cos[row..row + half], &sin[row..row + half]);
                    let (low, high) = x.split_at(half);
                    let (out_low, out_high) = out.split_at_mut(half);
                    for i in 0..half {
                        let sin = self.sign * sin[i];
                        out_low[i] = low[i] * cos[i] - high[i] * sin;
                        out_high[i] = high[i] * cos[i] + low[i] * sin;
                    }
                }
            },
        );
        Ok((CpuStorage::F32(out), x_layout.shape().clone()))
    }

    #[cfg(feature = "cuda")]
    fn cuda_fwd(
        &self,
        x: &candle_core::CudaStorage,
        x_layout: &Layout,
        cos: &candle_core::CudaStorage,
        cos_layout: &Layout,
        sin: &candle_core::CudaStorage,
        sin_layout: &Layout,
    ) -> Result<(candle_core::CudaStorage, Shape)> {
        let (_, heads, size) = x_layout.shape().dims3()?;
        let (x, cos) = (Floats::new(x, x_layout)?, Floats::new(cos, cos_layout)?);
        let parts = [x, cos, Floats::new(sin, sin_layout)?];
        let out = coconut_cuda::rows::rope(parts, (heads, size), self.sign)?;
        Ok((out, x_layout.shape().clone()))
    }

    fn bwd(
        &self,
        _: &Tensor,
        cos: &Tensor,
        sin: &Tensor,
        _: &Tensor,
        dy: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let back = Self { sign: -self.sign };
        Ok((Some(dy.contiguous()?.apply_op3_no_bwd(cos, sin, &back)?), None, None))
    }
}
