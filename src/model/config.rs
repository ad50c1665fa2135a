//! `config.json` as Hugging Face writes it, read into the one description of a transformer that the rest uses.
//! Knows architectures by name and nothing of their weights; every refusal names the field.

use crate::model::config_json;
use crate::model::config_json::invalid;
use crate::model::error::Error;
use crate::model::error::Result;
use crate::model::projector;
use coconut_kernels::activation::Activation;
use serde::Deserialize;
use serde_json::Value;
use std::fmt;
use std::path::Path;

/// The largest value any size in config.json may have: what is larger is a broken or hostile file.
const MAX_SIZE: usize = 1 << 20;

/// The largest table of rotary angles, in numbers: a million positions of heads of 128.
const MAX_ANGLES: usize = 1 << 27;

/// The architectures that are computed here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Architecture {
    /// Learned positions, layer norm, GELU.
    Gpt2,
    /// Rotary positions, RMS norm, SwiGLU, grouped-query attention.
    Llama,
    /// Llama with biases on queries, keys and values.
    Qwen2,
    /// Llama with a norm on each head's queries and keys.
    Qwen3,
}

impl Architecture {
    /// The `model_type` of config.json.
    pub fn name(self) -> &'static str {
        match self {
            Self::Gpt2 => "gpt2",
            Self::Llama => "llama",
            Self::Qwen2 => "qwen2",
            Self::Qwen3 => "qwen3",
        }
    }

    /// The class that Hugging Face transformers loads it with.
    pub fn transformers_class(self) -> &'static str {
        match self {
            Self::Gpt2 => "GPT2LMHeadModel",
            Self::Llama => "LlamaForCausalLM",
            Self::Qwen2 => "Qwen2ForCausalLM",
            Self::Qwen3 => "Qwen3ForCausalLM",
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
    /// Query, key and value projections have biases (true of GPT-2 and Qwen2, false of Llama as published).
    pub attention_bias: bool,
    /// The projection after attention has a bias (true of GPT-2, false of Qwen2 and of Llama as published).
    pub output_bias: bool,
    /// Rotary embedding; `None` with learned positions.
    pub rope: Option<Rope>,
    /// End-of-sequence ids.
    pub eos_ids: Vec<u32>,
    /// The markers of the latent mode, where config.json carries them.
    pub latent: LatentIds,
    /// The projector that thoughts go through; `None` where hidden states are fed back as they are.
    pub projector: Option<Projector>,
}

/// CODI's projector.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Projector {
    /// Width inside it.
    pub inner: usize,
    /// Whether it ends with a norm (false after training with `--prj_no_ln`).
    pub norm: bool,
}

impl fmt::Display for Projector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let norm = if self.norm { "" } else { ", without norm" };
        write!(f, "{} wide inside{norm}", self.inner)
    }
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
        let mut config = config_json::read(value)?;
        // Some published configs keep the base model's end-of-sequence id beside a vocabulary of forty words.
        config.eos_ids.retain(|&id| (id as usize) < config.vocab_size);
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
        if self.rope.is_some() && self.max_positions.saturating_mul(self.head_size) > MAX_ANGLES {
            let reason = format!("is {}, too many for a table of angles", self.max_positions);
            return Err(invalid("max_position_embeddings", reason));
        }
        let ids = [self.latent.latent_start_id, self.latent.latent_end_id];
        for id in ids.into_iter().flatten() {
            if id as usize >= self.vocab_size {
                let reason =
                    format!("names id {id}, outside the vocabulary of {}", self.vocab_size);
                return Err(invalid("latent_start_id or latent_end_id", reason));
            }
        }
        Ok(())
    }

    /// Number of weights, shared ones counted once.
    pub fn parameter_count(&self) -> usize {
        let Self { width, inner, heads, kv_heads, head_size, .. } = *self;
        let (queries, keys) = (heads * head_size, kv_heads * head_size);
        let biases = match (self.attention_bias, self.output_bias) {
            (false, _) => 0,
            (true, false) => queries + 2 * keys,
            (true, true) => queries + 2 * keys + width,
        };
        let attention = width * (queries + 2 * keys) + queries * width + biases;
        let (block, ends) = match self.architecture {
            Architecture::Gpt2 => (
                attention + 2 * width * inner + inner + 5 * width,
                (self.max_positions + 2) * width,
            ),
            Architecture::Llama | Architecture::Qwen2 => {
                (attention + 3 * width * inner + 2 * width, width)
            }
            Architecture::Qwen3 => {
                (attention + 3 * width * inner + 2 * width + 2 * head_size, width)
            }
        };
        let tables = self.vocab_size * width * if self.tied { 1 } else { 2 };
        let projector =
            self.projector.map_or(0, |projector| projector::parameter_count(width, projector));
        self.layers * block + ends + tables + projector
    }

    /// Numbers kept in KV memory for each position, over all layers.
    pub fn kv_floats_per_position(&self) -> usize {
        2 * self.layers * self.kv_heads * self.head_size
    }
}
