//! `config.json` as Hugging Face writes it, read into the one description of a transformer that the rest uses.
//! Knows architectures by name and nothing of their weights; every refusal names the field.

use crate::model::error::Error;
use crate::model::error::Result;
use crate::model::ops::Activation;
use serde::Deserialize;
use serde_json::Value;
use std::path::Path;

/// The largest value any size in config.json may have: what is larger is a broken or hostile file.
const MAX_SIZE: usize = 1 << 20;

/// The architectures that are computed here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Architecture {
    /// Learned positions, layer norm, GELU.
    Gpt2,
    /// Rotary positions, RMS norm, SwiGLU, grouped-query attention.
    Llama,
}

impl Architecture {
    /// The `model_type` of config.json.
    pub fn name(self) -> &'static str {
        match self {
            Self::Gpt2 => "gpt2",
            Self::Llama => "llama",
        }
    }
}

/// A decoder-only transformer, sizes and all.
#[derive(Clone, Debug)]
pub struct Config {
    /// Which forward pass.
    pub architecture: Architecture,
    /// V: rows of the embedding.
    pub vocab_size: usize,
    /// T: the largest number of positions of one sequence.
    pub max_positions: usize,
    /// D: length of a hidden state.
    pub width: usize,
    /// Number of blocks.
    pub layers: usize,
    /// H: query heads.
    pub heads: usize,
    /// G: key and value heads; divides `heads`.
    pub kv_heads: usize,
    /// E: length of one head's vector.
    pub head_size: usize,
    /// Width inside the feed-forward block.
    pub inner: usize,
    /// Added to the variance in every norm.
    pub norm_eps: f64,
    /// The non-linearity of the feed-forward block.
    pub activation: Activation,
    /// The head shares the embedding's weights.
    pub tied: bool,
    /// Query, key and value projections have biases (always true of GPT-2, false of Llama as published).
    pub attention_bias: bool,
    /// Rotary embedding; `None` with learned positions.
    pub rope: Option<Rope>,
    /// End-of-sequence ids.
    pub eos_ids: Vec<u32>,
    /// The markers of the latent mode, where config.json carries them.
    pub latent: LatentIds,
}

/// Base and scaling of the rotary position embedding.
#[derive(Clone, Debug, PartialEq)]
pub struct Rope {
    /// Base of the geometric series of wavelengths.
    pub theta: f64,
    /// How the frequencies are stretched.
    pub scaling: RopeScaling,
}

/// Stretching of the rotary frequencies for contexts longer than those of pre-training.
#[derive(Clone, Debug, PartialEq)]
pub enum RopeScaling {
    /// As trained.
    Plain,
    /// All frequencies divided by one factor.
    Linear {
        /// The factor.
        factor: f64,
    },
    /// Llama 3: low frequencies divided, high ones kept, a smooth blend between.
    Llama3(Llama3Scaling),
}

/// The four numbers of Llama 3's scaling.
#[derive(Clone, Debug, Deserialize, PartialEq)]
pub struct Llama3Scaling {
    /// Divisor of the low frequencies.
    pub factor: f64,
    /// Wavelengths above `original_max_position_embeddings / low_freq_factor` are divided.
    pub low_freq_factor: f64,
    /// Wavelengths below `original_max_position_embeddings / high_freq_factor` are kept.
    pub high_freq_factor: f64,
    /// Context length of pre-training, in positions.
    pub original_max_position_embeddings: f64,
}

/// The extra ids of a latent-reasoning checkpoint.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq)]
pub struct LatentIds {
    /// The placeholder of a thought in token sequences; never fed to the model.
    pub latent_id: Option<u32>,
    /// The marker before the thoughts.
    pub latent_start_id: Option<u32>,
    /// The marker after the thoughts.
    pub latent_end_id: Option<u32>,
}

impl Config {
    /// Reads `config.json`.
    pub fn load(path: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(path)
            .map_err(|source| Error::Io { path: path.to_owned(), source })?;
        let value: Value = serde_json::from_str(&text).map_err(|error| Error::Malformed {
            path: path.to_owned(),
            reason: error.to_string(),
        })?;
        Self::from_json(&value)
    }

    /// From parsed JSON.
    pub fn from_json(value: &Value) -> Result<Self> {
        let config = match value.get("model_type").and_then(Value::as_str) {
            Some("gpt2") => gpt2(&parse(value)?)?,
            Some("llama") => llama(&parse(value)?)?,
            Some(other) => {
                return Err(invalid(
                    "model_type",
                    format!("is `{other}`; gpt2 and llama are supported"),
                ));
            }
            None => return Err(invalid("model_type", "is missing".to_owned())),
        };
        let common: Common = parse(value)?;
        let config = Self { eos_ids: common.eos_token_id.into(), latent: common.latent, ..config };
        config.check()?;
        Ok(config)
    }

    fn check(&self) -> Result<()> {
        let sizes = [
            ("vocab_size", self.vocab_size),
            ("max_position_embeddings", self.max_positions),
            ("hidden_size", self.width),
            ("num_hidden_layers", self.layers),
            ("num_attention_heads", self.heads),
            ("num_key_value_heads", self.kv_heads),
            ("head_dim", self.head_size),
            ("intermediate_size", self.inner),
        ];
        for (field, size) in sizes {
            if size == 0 || size > MAX_SIZE {
                return Err(invalid(field, format!("is {size}; 1 to {MAX_SIZE} is possible")));
            }
        }
        if !self.heads.is_multiple_of(self.kv_heads) {
            let reason =
                format!("is {}, which does not divide the {} heads", self.kv_heads, self.heads);
            return Err(invalid("num_key_value_heads", reason));
        }
        if self.rope.is_some() && !self.head_size.is_multiple_of(2) {
            return Err(invalid("head_dim", "is odd; rotary positions need pairs".to_owned()));
        }
        let ids = [self.latent.latent_start_id, self.latent.latent_end_id];
        for id in ids.into_iter().flatten().chain(self.eos_ids.iter().copied()) {
            if id as usize >= self.vocab_size {
                let reason =
                    format!("names id {id}, outside the vocabulary of {}", self.vocab_size);
                return Err(invalid("latent_start_id, latent_end_id or eos_token_id", reason));
            }
        }
        Ok(())
    }

    /// Numbers kept in KV memory for each position, over all layers.
    pub fn kv_floats_per_position(&self) -> usize {
        2 * self.layers * self.kv_heads * self.head_size
    }
}

// ===== the raw file =====

#[derive(Deserialize)]
struct Common {
    #[serde(default)]
    eos_token_id: OneOrMany,
    #[serde(flatten)]
    latent: LatentIds,
}

#[derive(Default, Deserialize)]
#[serde(untagged)]
enum OneOrMany {
    One(u32),
    Many(Vec<u32>),
    #[default]
    None,
}

impl From<OneOrMany> for Vec<u32> {
    fn from(ids: OneOrMany) -> Self {
        match ids {
            OneOrMany::One(id) => vec![id],
            OneOrMany::Many(ids) => ids,
            OneOrMany::None => Self::new(),
        }
    }
}

#[derive(Deserialize)]
struct Gpt2Json {
    vocab_size: usize,
    #[serde(alias = "n_ctx")]
    n_positions: usize,
    n_embd: usize,
    n_layer: usize,
    n_head: usize,
    n_inner: Option<usize>,
    #[serde(default = "gelu_new")]
    activation_function: String,
    #[serde(default = "eps_1e5")]
    layer_norm_epsilon: f64,
    #[serde(default = "yes")]
    tie_word_embeddings: bool,
    #[serde(default = "yes")]
    scale_attn_weights: bool,
    #[serde(default)]
    scale_attn_by_inverse_layer_idx: bool,
}

#[derive(Deserialize)]
struct LlamaJson {
    vocab_size: usize,
    max_position_embeddings: usize,
    hidden_size: usize,
    intermediate_size: usize,
    num_hidden_layers: usize,
    num_attention_heads: usize,
    num_key_value_heads: Option<usize>,
    head_dim: Option<usize>,
    #[serde(default = "silu")]
    hidden_act: String,
    #[serde(default = "eps_1e6")]
    rms_norm_eps: f64,
    #[serde(default)]
    tie_word_embeddings: bool,
    #[serde(default = "theta_10k")]
    rope_theta: f64,
    rope_scaling: Option<Value>,
    #[serde(default)]
    attention_bias: bool,
    #[serde(default)]
    mlp_bias: bool,
}

fn gelu_new() -> String {
    "gelu_new".to_owned()
}

fn silu() -> String {
    "silu".to_owned()
}

fn eps_1e5() -> f64 {
    1e-5
}

fn eps_1e6() -> f64 {
    1e-6
}

fn theta_10k() -> f64 {
    10_000.0
}

fn yes() -> bool {
    true
}

fn gpt2(json: &Gpt2Json) -> Result<Config> {
    if !json.scale_attn_weights {
        return Err(invalid(
            "scale_attn_weights",
            "is false; only scaled attention is computed".to_owned(),
        ));
    }
    if json.scale_attn_by_inverse_layer_idx {
        return Err(invalid(
            "scale_attn_by_inverse_layer_idx",
            "is true, which is not computed".to_owned(),
        ));
    }
    Ok(Config {
        architecture: Architecture::Gpt2,
        vocab_size: json.vocab_size,
        max_positions: json.n_positions,
        width: json.n_embd,
        layers: json.n_layer,
        heads: json.n_head,
        kv_heads: json.n_head,
        head_size: divided("n_head", json.n_embd, json.n_head)?,
        inner: json.n_inner.unwrap_or(json.n_embd.saturating_mul(4)),
        norm_eps: json.layer_norm_epsilon,
        activation: activation("activation_function", &json.activation_function)?,
        tied: json.tie_word_embeddings,
        attention_bias: true,
        rope: None,
        eos_ids: Vec::new(),
        latent: LatentIds::default(),
    })
}

fn llama(json: &LlamaJson) -> Result<Config> {
    if json.mlp_bias {
        return Err(invalid("mlp_bias", "is true, which is not computed".to_owned()));
    }
    let head_size = match json.head_dim {
        Some(size) => size,
        None => divided("num_attention_heads", json.hidden_size, json.num_attention_heads)?,
    };
    Ok(Config {
        architecture: Architecture::Llama,
        vocab_size: json.vocab_size,
        max_positions: json.max_position_embeddings,
        width: json.hidden_size,
        layers: json.num_hidden_layers,
        heads: json.num_attention_heads,
        kv_heads: json.num_key_value_heads.unwrap_or(json.num_attention_heads),
        head_size,
        inner: json.intermediate_size,
        norm_eps: json.rms_norm_eps,
        activation: activation("hidden_act", &json.hidden_act)?,
        tied: json.tie_word_embeddings,
        attention_bias: json.attention_bias,
        rope: Some(Rope {
            theta: json.rope_theta,
            scaling: rope_scaling(json.rope_scaling.as_ref())?,
        }),
        eos_ids: Vec::new(),
        latent: LatentIds::default(),
    })
}

fn rope_scaling(value: Option<&Value>) -> Result<RopeScaling> {
    let Some(value) = value else { return Ok(RopeScaling::Plain) };
    let kind = value.get("rope_type").or_else(|| value.get("type")).and_then(Value::as_str);
    match kind {
        Some("default") => Ok(RopeScaling::Plain),
        Some("linear") => match value.get("factor").and_then(Value::as_f64) {
            Some(factor) if factor > 0.0 => Ok(RopeScaling::Linear { factor }),
            _ => Err(invalid("rope_scaling.factor", "is missing or not positive".to_owned())),
        },
        Some("llama3") => serde_json::from_value(value.clone())
            .map(RopeScaling::Llama3)
            .map_err(|error| invalid("rope_scaling", error.to_string())),
        other => {
            let name = other.unwrap_or("missing");
            Err(invalid(
                "rope_scaling.rope_type",
                format!("is {name}; default, linear and llama3 are supported"),
            ))
        }
    }
}

fn parse<T: serde::de::DeserializeOwned>(value: &Value) -> Result<T> {
    T::deserialize(value).map_err(|error| invalid("", error.to_string()))
}

fn activation(field: &'static str, name: &str) -> Result<Activation> {
    Activation::from_name(name)
        .ok_or_else(|| invalid(field, format!("is `{name}`, which is not computed")))
}

fn divided(field: &'static str, width: usize, heads: usize) -> Result<usize> {
    match heads {
        0 => Err(invalid(field, "is 0".to_owned())),
        _ if !width.is_multiple_of(heads) => {
            Err(invalid(field, format!("is {heads}, which does not divide {width}")))
        }
        _ => Ok(width / heads),
    }
}

fn invalid(field: &'static str, reason: String) -> Error {
    Error::Config { field, reason }
}
