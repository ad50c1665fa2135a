//! The fields of Llama's config.json, and of Qwen2's and Qwen3's, which follow it, with the defaults of transformers.

use crate::model::config::Architecture;
use crate::model::config::Config;
use crate::model::config::LatentIds;
use crate::model::config::fields::Fields;
use crate::model::config::rope;
use crate::model::error::Result;

/// Sizes that random weights cannot do without.
pub(super) const SIZES: [&[&str]; 4] =
    [&["hidden_size"], &["intermediate_size"], &["num_hidden_layers"], &["num_attention_heads"]];

/// The window of Qwen's sliding attention, and the first layer that has it.
const WINDOW: usize = 4096;
const FIRST_WINDOWED_LAYER: usize = 28;

/// Sizes where config.json names none.
struct Defaults {
    vocab_size: usize,
    max_positions: usize,
    inner: usize,
    /// `None`: as many as query heads.
    kv_heads: Option<usize>,
    /// `None`: the width divided by the heads.
    head_size: Option<usize>,
}

const LLAMA: Defaults = Defaults {
    vocab_size: 32000,
    max_positions: 2048,
    inner: 11008,
    kv_heads: None,
    head_size: None,
};
const QWEN2: Defaults = Defaults {
    vocab_size: 151_936,
    max_positions: 32768,
    inner: 22016,
    kv_heads: Some(32),
    head_size: None,
};
/// Qwen3's head size does not follow from the width.
const QWEN3: Defaults = Defaults { head_size: Some(128), ..QWEN2 };

/// Llama. One field says whether projections of attention have biases.
pub(super) fn llama(fields: &Fields<'_>) -> Result<Config> {
    let bias = fields.flag("attention_bias")?.unwrap_or(false);
    let config = read(fields, Architecture::Llama, &LLAMA)?;
    Ok(Config { attention_bias: bias, output_bias: bias, ..config })
}

/// Qwen2: Llama whose queries, keys and values always have biases.
pub(super) fn qwen2(fields: &Fields<'_>) -> Result<Config> {
    let config = read(fields, Architecture::Qwen2, &QWEN2)?;
    check_window(fields, &config)?;
    Ok(Config { attention_bias: true, output_bias: false, ..config })
}

/// Qwen3: Llama with a norm on each head's queries and keys.
pub(super) fn qwen3(fields: &Fields<'_>) -> Result<Config> {
    let bias = fields.flag("attention_bias")?.unwrap_or(false);
    let config = read(fields, Architecture::Qwen3, &QWEN3)?;
    check_window(fields, &config)?;
    Ok(Config { attention_bias: bias, output_bias: bias, ..config })
}

fn read(fields: &Fields<'_>, architecture: Architecture, defaults: &Defaults) -> Result<Config> {
    fields.refuse("mlp_bias")?;
    let width = fields.size("hidden_size")?.unwrap_or(4096);
    let heads = fields.size("num_attention_heads")?.unwrap_or(32);
    let max_positions = fields.size("max_position_embeddings")?.unwrap_or(defaults.max_positions);
    // Here null does not mean the default, but as many as query heads.
    let kv_heads = match fields.names("num_key_value_heads") {
        true => fields.size("num_key_value_heads")?,
        false => defaults.kv_heads,
    };
    let head_size = match fields.size("head_dim")?.or(defaults.head_size) {
        Some(size) => size,
        None => fields.divided("num_attention_heads", width, heads)?,
    };
    Ok(Config {
        architecture,
        vocab_size: fields.size("vocab_size")?.unwrap_or(defaults.vocab_size),
        max_positions,
        width,
        layers: fields.size("num_hidden_layers")?.unwrap_or(32),
        heads,
        kv_heads: kv_heads.unwrap_or(heads),
        head_size,
        inner: fields.size("intermediate_size")?.unwrap_or(defaults.inner),
        norm_eps: fields.number("rms_norm_eps")?.unwrap_or(1e-6),
        activation: fields.activation("hidden_act", "silu")?,
        tied: fields.flag("tie_word_embeddings")?.unwrap_or(false),
        attention_bias: false,
        output_bias: false,
        rope: Some(rope::read(fields, max_positions)?),
        eos_ids: Vec::new(),
        latent: LatentIds::default(),
        projector: None,
    })
}

/// Attention over a sliding window is not computed. Qwen's files name a window that is not used, or a layer behind the
/// last that it begins with; a window as long as the longest sequence is none.
fn check_window(fields: &Fields<'_>, config: &Config) -> Result<()> {
    let used = fields.flag("use_sliding_window")?.unwrap_or(false);
    let window = match (used, fields.names("sliding_window")) {
        (false, _) => None,
        (true, true) => fields.size("sliding_window")?,
        (true, false) => Some(WINDOW),
    };
    let shortens = window.is_some_and(|window| window < config.max_positions);
    let not_computed = |kind: &str| format!("asks for {kind}, which is not computed");
    let Some(kinds) = fields.texts("layer_types")? else {
        let first = fields.size("max_window_layers")?.unwrap_or(FIRST_WINDOWED_LAYER);
        return match shortens && first < config.layers {
            true => Err(fields.invalid("use_sliding_window", not_computed("a sliding window"))),
            false => Ok(()),
        };
    };
    let computed = |kind: &str| {
        kind == "full_attention" || kind == "sliding_attention" && window.is_some() && !shortens
    };
    match kinds.into_iter().find(|kind| !computed(kind)) {
        Some(kind) => Err(fields.invalid("layer_types", not_computed(&format!("`{kind}`")))),
        None => Ok(()),
    }
}
