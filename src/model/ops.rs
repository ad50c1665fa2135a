//! The few operations that the architectures are made of, each in two forms: one that gradients pass through, and
//! candle's fused kernel, which is faster and has no backward pass (gradients would stop silently). Knows no block.

use crate::model::error;
use crate::model::gradients;
use crate::model::parameters::Parameters;
use crate::model::parameters::Stored;
use crate::model::plan::LinearPlan;
use crate::model::plan::NormPlan;
use crate::model::plan::ProjectorPlan;
use candle_core::D;
use candle_core::DType;
use candle_core::Device;
use candle_core::Result;
use candle_core::Tensor;
use coconut_kernels::activation::Activation;

/// Which form of an operation runs. Serving takes `Fused`; training and the oracle take `Differentiable`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kernels {
    /// Chains of candle operations with gradients.
    Differentiable,
    /// candle's fused kernels, without gradients.
    Fused,
}

/// A matrix product with weights kept contiguous as (in, out): a transposed weight runs up to 40 times slower in gemm.
#[derive(Clone, Debug)]
pub struct Linear {
    /// (in, out)
    pub weight: Tensor,
    /// (out,)
    pub bias: Option<Tensor>,
}

impl Linear {
    /// Takes its parameters.
    pub(crate) fn load(plan: &LinearPlan, parameters: &mut dyn Parameters) -> error::Result<Self> {
        let shape = [plan.inputs, plan.outputs];
        let weight = parameters.take(&plan.weight(), &shape, plan.stored)?;
        let bias = plan.bias().map(|name| parameters.take(&name, &shape[1..], Stored::AsIs));
        Ok(Self { weight, bias: bias.transpose()? })
    }

    /// (R, in) -> (R, out)
    pub fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let y = product(x, &self.weight)?;
        match &self.bias {
            Some(bias) => y.broadcast_add(bias),
            None => Ok(y),
        }
    }
}

/// x (R, in) times weight (in, out) -> (R, out), sums in f32.
pub(crate) fn product(x: &Tensor, weight: &Tensor) -> Result<Tensor> {
    match (x.dtype(), x.device()) {
        // candle has no such product there. Nothing is served so; tests compute as a GPU would.
        (DType::BF16, Device::Cpu) => {
            x.to_dtype(DType::F32)?.matmul(&weight.to_dtype(DType::F32)?)?.to_dtype(DType::BF16)
        }
        _ => x.matmul(weight),
    }
}

/// A normalisation of the last dimension.
#[derive(Clone, Debug)]
pub(crate) enum Norm {
    /// With scale and shift (GPT-2).
    Layer { weight: Tensor, bias: Tensor, eps: f32 },
    /// By the root mean square, with scale (Llama and its kin).
    Rms { weight: Tensor, eps: f32 },
}

impl Norm {
    /// Takes its parameters.
    pub(crate) fn load(plan: &NormPlan, parameters: &mut dyn Parameters) -> error::Result<Self> {
        let (shape, eps) = ([plan.width], plan.eps as f32);
        let weight = parameters.take(&plan.weight(), &shape, Stored::AsIs)?;
        match plan.bias() {
            Some(bias) => {
                let bias = parameters.take(&bias, &shape, Stored::AsIs)?;
                Ok(Self::Layer { weight, bias, eps })
            }
            None => Ok(Self::Rms { weight, eps }),
        }
    }

    /// (..., D) -> (..., D)
    #[expect(clippy::disallowed_methods, reason = "the fused kernels, for serving only")]
    pub(crate) fn forward(&self, x: &Tensor, kernels: Kernels) -> Result<Tensor> {
        match (self, kernels) {
            (Self::Layer { weight, bias, eps }, Kernels::Differentiable) => {
                gradients::norm::layer_norm(x, weight, bias, *eps)
            }
            (Self::Layer { weight, bias, eps }, Kernels::Fused) => {
                candle_nn::ops::layer_norm(x, weight, bias, *eps)
            }
            (Self::Rms { weight, eps }, Kernels::Differentiable) => {
                gradients::norm::rms_norm(x, weight, *eps)
            }
            (Self::Rms { weight, eps }, Kernels::Fused) => {
                candle_nn::ops::rms_norm(x, weight, *eps)
            }
        }
    }
}

/// What hidden states go through to become thoughts.
#[derive(Clone, Debug)]
pub(crate) struct Projector {
    up: Linear,
    activation: Activation,
    down: Linear,
    norm: Option<Norm>,
}

impl Projector {
    /// Takes its parameters.
    pub(crate) fn load(
        plan: &ProjectorPlan,
        parameters: &mut dyn Parameters,
    ) -> error::Result<Self> {
        Ok(Self {
            up: Linear::load(&plan.up, parameters)?,
            activation: plan.activation,
            down: Linear::load(&plan.down, parameters)?,
            norm: plan.norm.as_ref().map(|norm| Norm::load(norm, parameters)).transpose()?,
        })
    }

    /// Hidden states (R, D) -> thoughts (R, D)
    pub(crate) fn forward(&self, hidden: &Tensor, kernels: Kernels) -> Result<Tensor> {
        let inner = activate(self.activation, &self.up.forward(hidden)?, kernels)?;
        let thoughts = self.down.forward(&inner)?;
        match &self.norm {
            Some(norm) => norm.forward(&thoughts, kernels),
            None => Ok(thoughts),
        }
    }
}

/// Softmax over the last dimension.
#[expect(clippy::disallowed_methods, reason = "the fused kernel, for serving only")]
pub fn softmax(x: &Tensor, kernels: Kernels) -> Result<Tensor> {
    match kernels {
        Kernels::Differentiable => candle_nn::ops::softmax(x, D::Minus1),
        Kernels::Fused => candle_nn::ops::softmax_last_dim(x),
    }
}

/// Rotary position embedding, each row at its own angle: x (R, H, E), cos and sin (R, E/2) -> (R, H, E), in the type of
/// the angles.
///
/// Halves are rotated against each other (element i with i + E/2), as Hugging Face stores Llama weights.
#[expect(clippy::disallowed_methods, reason = "the fused kernel, for serving only")]
pub fn rope(x: &Tensor, cos: &Tensor, sin: &Tensor, kernels: Kernels) -> Result<Tensor> {
    let (rows, heads, size) = x.dims3()?;
    let x = x.to_dtype(cos.dtype())?;
    match kernels {
        Kernels::Differentiable => gradients::rope::rope(&x, cos, sin),
        Kernels::Fused => {
            let x = x.contiguous()?.reshape((rows, heads, 1, size))?;
            let turned = candle_nn::rotary_emb::rope(&x, &cos.unsqueeze(1)?, &sin.unsqueeze(1)?)?;
            turned.reshape((rows, heads, size))
        }
    }
}

/// The non-linearity of a feed-forward block, any shape -> same shape.
pub fn activate(activation: Activation, x: &Tensor, kernels: Kernels) -> Result<Tensor> {
    match (activation, kernels) {
        (_, Kernels::Differentiable) if gradients::here(x) => {
            gradients::activation::activation(x, activation)
        }
        (Activation::GeluTanh, _) => x.gelu(),
        (Activation::GeluErf, _) => x.gelu_erf(),
        (Activation::Silu, _) => x.silu(),
    }
}
