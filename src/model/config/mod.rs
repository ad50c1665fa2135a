//! One description of a transformer, as plain data that the rest uses. Knows architectures by name and nothing of their
//! weights; how `config.json` becomes one is written in the files below.

mod fields;
mod gpt2;
pub(crate) mod json;
mod llama;
mod rope;

use coconut_kernels::activation::Activation;
use std::fmt;

/// The largest value any size in config.json may have: what is larger is a broken or hostile file. No model has more
/// positions, so no request needs more either.
pub const MAX_SIZE: usize = 1 << 20;

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
    /// All of them.
    pub(crate) const ALL: [Self; 4] = [Self::Gpt2, Self::Llama, Self::Qwen2, Self::Qwen3];

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
#[derive(Clone, Debug, PartialEq)]
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
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LatentIds {
    /// The placeholder of a thought in token sequences; never fed to the model.
    pub latent_id: Option<u32>,
    /// The marker before the thoughts.
    pub latent_start_id: Option<u32>,
    /// The marker after the thoughts.
    pub latent_end_id: Option<u32>,
}

impl Config {
    /// Numbers kept in KV memory for each position, over all layers.
    pub fn kv_floats_per_position(&self) -> usize {
        2 * self.layers * self.kv_heads * self.head_size
    }
}
