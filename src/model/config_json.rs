//! The fields of config.json, architecture by architecture, with the defaults of transformers. Every refusal names the
//! field.

use crate::model::config::Architecture;
use crate::model::config::Config;
use crate::model::config::LatentIds;
use crate::model::config::Rope;
use crate::model::config::RopeScaling;
use crate::model::error::Error;
use crate::model::error::Result;
use crate::model::qwen2;
use crate::model::qwen3;
use coconut_kernels::activation::Activation;
use serde::Deserialize;
use serde_json::Value;

/// Reads the fields; nothing about their sizes is checked yet.
pub(super) fn read(value: &Value) -> Result<Config> {
    let config = match value.get("model_type").and_then(Value::as_str) {
        Some("gpt2") => gpt2(&parse(value)?)?,
        Some("llama") => llama(&parse(value)?)?,
        Some("qwen2") => qwen2::config(&parse(value)?)?,
        Some("qwen3") => qwen3::config(&parse(value)?)?,
        Some(other) => {
            let reason = format!("is `{other}`; gpt2, llama, qwen2 and qwen3 are supported");
            return Err(invalid("model_type", reason));
        }
        None => return Err(invalid("model_type", "is missing".to_owned())),
    };
    let common: Common = parse(value)?;
    Ok(Config { eos_ids: common.eos_token_id.into(), latent: common.latent, ..config })
}

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

/// The fields of Llama and of the architectures that follow it.
#[derive(Deserialize)]
pub(super) struct LlamaJson {
    vocab_size: usize,
    max_position_embeddings: usize,
    hidden_size: usize,
    intermediate_size: usize,
    num_hidden_layers: usize,
    num_attention_heads: usize,
    num_key_value_heads: Option<usize>,
    pub(super) head_dim: Option<usize>,
    #[serde(default = "silu")]
    hidden_act: String,
    #[serde(default = "eps_1e6")]
    rms_norm_eps: f64,
    #[serde(default)]
    tie_word_embeddings: bool,
    #[serde(default = "theta_10k")]
    rope_theta: f64,
    rope_scaling: Option<Value>,
    /// Where transformers 5 keeps both of the above.
    rope_parameters: Option<Value>,
    #[serde(default)]
    pub(super) use_sliding_window: bool,
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
        output_bias: true,
        rope: None,
        eos_ids: Vec::new(),
        latent: LatentIds::default(),
        projector: None,
    })
}

/// Llama, and what Qwen starts from.
pub(super) fn llama(json: &LlamaJson) -> Result<Config> {
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
        output_bias: json.attention_bias,
        rope: Some(rope(json)?),
        eos_ids: Vec::new(),
        latent: LatentIds::default(),
        projector: None,
    })
}

fn rope(json: &LlamaJson) -> Result<Rope> {
    let Some(parameters) = &json.rope_parameters else {
        return Ok(Rope {
            theta: json.rope_theta,
            scaling: rope_scaling(json.rope_scaling.as_ref())?,
        });
    };
    let theta = parameters.get("rope_theta").and_then(Value::as_f64).unwrap_or(json.rope_theta);
    Ok(Rope { theta, scaling: rope_scaling(Some(parameters))? })
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

pub(super) fn invalid(field: &'static str, reason: String) -> Error {
    Error::Config { field, reason }
}
