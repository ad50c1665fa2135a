//! Qwen3: Llama with a norm on each head's queries and keys, before the rotation. The blocks are Llama's; this is what
//! differs.

use crate::model::config::Architecture;
use crate::model::config::Config;
use crate::model::config_json::LlamaJson;
use crate::model::config_json::llama;
use crate::model::error::Result;
use crate::model::ops::Kernels;
use crate::model::ops::RmsNorm;
use crate::model::parameters::Parameters;
use crate::model::parameters::Stored;
use crate::model::qwen2::check_window;
use candle_core::Tensor;

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

/// The norms of one block.
#[derive(Debug)]
pub(super) struct HeadNorms {
    query: RmsNorm,
    key: RmsNorm,
}

impl HeadNorms {
    /// `None` for the architectures without.
    pub(super) fn load(
        config: &Config,
        prefix: &str,
        parameters: &mut dyn Parameters,
    ) -> Result<Option<Self>> {
        if config.architecture != Architecture::Qwen3 {
            return Ok(None);
        }
        let mut norm = |name: &str| {
            let name = format!("{prefix}.self_attn.{name}.weight");
            let weight = parameters.take(&name, &[config.head_size], Stored::AsIs)?;
            Ok::<_, crate::model::error::Error>(RmsNorm { weight, eps: config.norm_eps })
        };
        Ok(Some(Self { query: norm("q_norm")?, key: norm("k_norm")? }))
    }

    /// q (R, H, E) and k (R, G, E) -> the same shapes
    pub(super) fn forward(
        &self,
        q: &Tensor,
        k: &Tensor,
        kernels: Kernels,
    ) -> candle_core::Result<(Tensor, Tensor)> {
        Ok((self.query.forward(q, kernels)?, self.key.forward(k, kernels)?))
    }
}
