//! CODI's projector: what a hidden state goes through before it is fed back as a thought. A linear layer, GELU by the
//! error function, a linear layer back, layer norm unless `--prj_no_ln` (`prj` in the CODI code). Knows what it is, not how it is computed.

use crate::model::config::Projector;
use crate::model::parameters::Stored;
use crate::model::plan::LinearPlan;
use crate::model::plan::NormKind;
use crate::model::plan::NormPlan;
use crate::model::plan::ProjectorPlan;
use coconut_kernels::activation::Activation;

/// PyTorch's default, which the CODI code uses whatever the base model's norm has.
const NORM_EPS: f64 = 1e-5;

/// From width D through the inner one and back.
pub(super) fn plan(width: usize, Projector { inner, norm }: Projector) -> ProjectorPlan {
    let linear = |name: &str, inputs, outputs| LinearPlan {
        name: name.to_owned(),
        inputs,
        outputs,
        stored: Stored::Transposed,
        bias: true,
    };
    ProjectorPlan {
        up: linear("projector.1", width, inner),
        activation: Activation::GeluErf,
        down: linear("projector.3", inner, width),
        norm: norm.then(|| NormPlan {
            name: "projector.4".to_owned(),
            width,
            eps: NORM_EPS,
            kind: NormKind::Layer,
        }),
    }
}
