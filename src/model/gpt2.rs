//! GPT-2: learned positions, layer norms before attention and feed-forward, tanh GELU. Tensor names as Hugging Face
//! writes them; linear weights are stored (in, out) already. Knows what the blocks are, not how they are computed.

use crate::model::config::Config;
use crate::model::parameters::Stored;
use crate::model::plan::BlockPlan;
use crate::model::plan::LinearPlan;
use crate::model::plan::NormKind;
use crate::model::plan::NormPlan;
use crate::model::plan::Plan;

/// All but head and projector.
pub(super) fn plan(config: &Config) -> Plan {
    Plan {
        embedding: "transformer.wte.weight",
        positions: Some("transformer.wpe.weight"),
        blocks: (0..config.layers).map(|layer| block(config, layer)).collect(),
        norm: norm(config, "transformer.ln_f".to_owned()),
        head: None,
        projector: None,
    }
}

fn block(config: &Config, layer: usize) -> BlockPlan {
    let (width, inner) = (config.width, config.inner);
    let named = |name: &str| format!("transformer.h.{layer}.{name}");
    let linear = |name, inputs, outputs| LinearPlan {
        name: named(name),
        inputs,
        outputs,
        stored: Stored::AsIs,
        bias: true,
    };
    BlockPlan {
        norm_1: norm(config, named("ln_1")),
        qkv: vec![linear("attn.c_attn", width, 3 * width)],
        head_norms: None,
        attention_out: linear("attn.c_proj", width, width),
        norm_2: norm(config, named("ln_2")),
        gate: None,
        up: linear("mlp.c_fc", width, inner),
        activation: config.activation,
        down: linear("mlp.c_proj", inner, width),
    }
}

fn norm(config: &Config, name: String) -> NormPlan {
    NormPlan { name, width: config.width, eps: config.norm_eps, kind: NormKind::Layer }
}
