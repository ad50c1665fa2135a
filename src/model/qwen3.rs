//! Qwen3: Llama with a norm on each head's queries and keys, before the rotation. The blocks are Llama's; this is what
//! differs.

use crate::model::config::Architecture;
use crate::model::config::Config;
use crate::model::config_json::LlamaJson;
use crate::model::config_json::llama;
use crate::model::error::Result;
use crate::model::plan::NormKind;
use crate::model::plan::NormPlan;
use crate::model::qwen2::check_window;

/// The head size where config.json names none; it does not follow from the width.
const HEAD_SIZE: usize = 128;

/// From the fields of config.json.
pub(super) fn config(json: &LlamaJson) -> Result<Config> {
    check_window(json)?;
    let llama = llama(json)?;
    Ok(Config {
        architecture: Architecture::Qwen3,
        head_size: json.head_dim.unwrap_or(HEAD_SIZE),
        ..llama
    })
}

/// Norms of each head's query and key; `None` for the architectures without.
pub(super) fn head_norms(config: &Config, layer: usize) -> Option<[NormPlan; 2]> {
    let norm = |name: &str| NormPlan {
        name: format!("model.layers.{layer}.self_attn.{name}"),
        width: config.head_size,
        eps: config.norm_eps,
        kind: NormKind::Rms,
    };
    (config.architecture == Architecture::Qwen3).then(|| ["q_norm", "k_norm"].map(norm))
}
