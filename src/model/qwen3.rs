//! Qwen3: Llama with a norm on each head's queries and keys, before the rotation. The blocks are Llama's; this is what
//! differs.

use crate::model::config::Architecture;
use crate::model::config::Config;
use crate::model::plan::NormKind;
use crate::model::plan::NormPlan;

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
