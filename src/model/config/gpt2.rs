//! The fields of GPT-2's config.json with the defaults of transformers. Each size has two names there, and files may carry
//! both.

use crate::model::config::Architecture;
use crate::model::config::Config;
use crate::model::config::LatentIds;
use crate::model::config::fields::Fields;
use crate::model::error::Result;

/// Names of the number of positions. transformers reads the first two, the common name first as for every size; GPT-2's
/// published files have the last two.
pub(super) const POSITIONS: [&str; 3] = ["max_position_embeddings", "n_positions", "n_ctx"];
const WIDTH: [&str; 2] = ["hidden_size", "n_embd"];
const LAYERS: [&str; 2] = ["num_hidden_layers", "n_layer"];
const HEADS: [&str; 2] = ["num_attention_heads", "n_head"];

/// Sizes that random weights cannot do without.
pub(super) const SIZES: [&[&str]; 3] = [&WIDTH, &LAYERS, &HEADS];

pub(super) fn read(fields: &Fields<'_>) -> Result<Config> {
    if fields.flag("scale_attn_weights")? == Some(false) {
        let reason = "is false; only scaled attention is computed".to_owned();
        return Err(fields.invalid("scale_attn_weights", reason));
    }
    fields.refuse("scale_attn_by_inverse_layer_idx")?;
    let width = size(fields, &WIDTH)?.unwrap_or(768);
    let heads = size(fields, &HEADS)?.unwrap_or(12);
    Ok(Config {
        architecture: Architecture::Gpt2,
        vocab_size: fields.size("vocab_size")?.unwrap_or(50257),
        max_positions: size(fields, &POSITIONS)?.unwrap_or(1024),
        width,
        layers: size(fields, &LAYERS)?.unwrap_or(12),
        heads,
        kv_heads: heads,
        head_size: fields.divided("n_head", width, heads)?,
        inner: fields.size("n_inner")?.unwrap_or(width.saturating_mul(4)),
        norm_eps: fields.number("layer_norm_epsilon")?.unwrap_or(1e-5),
        activation: fields.activation("activation_function", "gelu_new")?,
        tied: fields.flag("tie_word_embeddings")?.unwrap_or(true),
        attention_bias: true,
        output_bias: true,
        rope: None,
        eos_ids: Vec::new(),
        latent: LatentIds::default(),
        projector: None,
    })
}

/// By the first of its names that is there.
fn size(fields: &Fields<'_>, names: &[&str]) -> Result<Option<usize>> {
    for name in names {
        if let Some(size) = fields.size(name)? {
            return Ok(Some(size));
        }
    }
    Ok(None)
}
