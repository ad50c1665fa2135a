//! CODI's projector: what a hidden state goes through before it is fed back as a thought. A linear layer, GELU by the
//! error function, a linear layer back, layer norm (`prj` in the CODI code). Knows no request.

use crate::model::error::Result;
use crate::model::ops::Activation;
use crate::model::ops::Kernels;
use crate::model::ops::LayerNorm;
use crate::model::ops::Linear;
use crate::model::parameters::Parameters;
use crate::model::parameters::Stored;
use candle_core::Tensor;

/// PyTorch's default, which the CODI code uses whatever the base model's norm has.
const NORM_EPS: f64 = 1e-5;

/// The projector's weights.
#[derive(Debug)]
pub(crate) struct Projector {
    up: Linear,
    down: Linear,
    norm: LayerNorm,
}

impl Projector {
    /// From width D through `inner` and back.
    pub(crate) fn load(
        width: usize,
        inner: usize,
        parameters: &mut dyn Parameters,
    ) -> Result<Self> {
        let mut linear = |name: &str, inputs, outputs| {
            let (weight, bias) = (format!("{name}.weight"), format!("{name}.bias"));
            Ok::<_, crate::model::error::Error>(Linear {
                weight: parameters.take(&weight, &[inputs, outputs], Stored::Transposed)?,
                bias: Some(parameters.take(&bias, &[outputs], Stored::AsIs)?),
            })
        };
        let up = linear("projector.1", width, inner)?;
        let down = linear("projector.3", inner, width)?;
        let norm = LayerNorm {
            weight: parameters.take("projector.4.weight", &[width], Stored::AsIs)?,
            bias: parameters.take("projector.4.bias", &[width], Stored::AsIs)?,
            eps: NORM_EPS,
        };
        Ok(Self { up, down, norm })
    }

    /// Hidden states (R, D) -> thoughts (R, D)
    pub(crate) fn forward(&self, hidden: &Tensor, kernels: Kernels) -> candle_core::Result<Tensor> {
        let inner = Activation::GeluErf.forward(&self.up.forward(hidden)?)?;
        self.norm.forward(&self.down.forward(&inner)?, kernels)
    }

    /// Number of weights.
    pub(crate) fn parameter_count(width: usize, inner: usize) -> usize {
        2 * width * inner + inner + 3 * width
    }
}
