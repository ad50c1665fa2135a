//! Qwen2: Llama whose queries, keys and values have biases. The blocks are Llama's; this is what differs.

use crate::model::config::Architecture;
use crate::model::config::Config;
use crate::model::config_json::LlamaJson;
use crate::model::config_json::invalid;
use crate::model::config_json::llama;
use crate::model::error::Result;

/// From the fields of config.json, which names no biases: they are always there.
pub(super) fn config(json: &LlamaJson) -> Result<Config> {
    check_window(json)?;
    let llama = llama(json)?;
    Ok(Config {
        architecture: Architecture::Qwen2,
        attention_bias: true,
        output_bias: false,
        ..llama
    })
}

/// Attention over a sliding window, which no published Qwen of these sizes turns on.
pub(super) fn check_window(json: &LlamaJson) -> Result<()> {
    match json.use_sliding_window {
        true => Err(invalid("use_sliding_window", "is true, which is not computed".to_owned())),
        false => Ok(()),
    }
}
