//! Llama: rotary positions, RMS norms, SwiGLU, grouped-query attention. Tensor names as Hugging Face writes them. Qwen2
//! and Qwen3 are this with biases, or with norms on queries and keys. Knows what the blocks are, not how they are
//! computed.

use crate::model::config::Config;
use crate::model::parameters::Stored;
use crate::model::plan::BlockPlan;
use crate::model::plan::LinearPlan;
use crate::model::plan::NormKind;
use crate::model::plan::NormPlan;
use crate::model::plan::Plan;
use crate::model::qwen3;

/// All but head and projector.
pub(super) fn plan(config: &Config) -> Plan {
    Plan {
        embedding: "model.embed_tokens.weight",
        positions: None,
        blocks: (0..config.layers).map(|layer| block(config, layer)).collect(),
        norm: norm(config, "model.norm".to_owned()),
        head: None,
        projector: None,
    }
}

fn block(config: &Config, layer: usize) -> BlockPlan {
    let (width, inner) = (config.width, config.inner);
    let queries = config.heads * config.head_size;
    let keys = config.kv_heads * config.head_size;
    let named = |name: &str| format!("model.layers.{layer}.{name}");
    let linear = |name, inputs, outputs, bias| LinearPlan {
        name: named(name),
        inputs,
        outputs,
        stored: Stored::Transposed,
        bias,
    };
    BlockPlan {
        norm_1: norm(config, named("input_layernorm")),
        qkv: vec![
            linear("self_attn.q_proj", width, queries, config.attention_bias),
            linear("self_attn.k_proj", width, keys, config.attention_bias),
            linear("self_attn.v_proj", width, keys, config.attention_bias),
        ],
        head_norms: qwen3::head_norms(config, layer),
        attention_out: linear("self_attn.o_proj", queries, width, config.output_bias),
        norm_2: norm(config, named("post_attention_layernorm")),
        gate: Some(linear("mlp.gate_proj", width, inner, false)),
        up: linear("mlp.up_proj", width, inner, false),
        activation: config.activation,
        down: linear("mlp.down_proj", inner, width, false),
    }
}

fn norm(config: &Config, name: String) -> NormPlan {
    NormPlan { name, width: config.width, eps: config.norm_eps, kind: NormKind::Rms }
}
