//! Weights to hidden states: embed, forward, logits. Knows no request, no text and no schedule.
//!
//! Letters in shapes: R rows (positions computed in one pass, of any mix of sequences), D width, H query heads, G key
//! and value heads, E head size, V vocabulary, B batch, T length.

pub mod attention;
pub mod config;
mod config_json;
pub mod error;
mod gpt2;
pub mod kernels;
mod llama;
pub mod load;
pub mod ops;
pub mod parameters;
mod projector;
mod qwen2;
mod qwen3;
mod rope;

use crate::model::attention::Attention;
use crate::model::config::Architecture;
use crate::model::config::Config;
use crate::model::error::Result;
use crate::model::gpt2::Gpt2;
use crate::model::llama::Llama;
use crate::model::ops::Kernels;
use crate::model::ops::Linear;
use crate::model::parameters::Parameters;
use crate::model::parameters::Stored;
use crate::model::projector::Projector;
use candle_core::Device;
use candle_core::Tensor;

/// A transformer with its weights.
#[derive(Debug)]
pub struct Model {
    config: Config,
    device: Device,
    /// (V, D)
    embedding: Tensor,
    blocks: Blocks,
    /// `None` where the embedding serves as head.
    head: Option<Linear>,
    /// `None` where hidden states are fed back as they are.
    projector: Option<Projector>,
}

#[derive(Debug)]
enum Blocks {
    Gpt2(Gpt2),
    Llama(Llama),
}

impl Model {
    /// Takes the tensors that `config` implies from `parameters`.
    pub fn new(config: Config, parameters: &mut dyn Parameters, device: &Device) -> Result<Self> {
        let name = embedding_name(config.architecture);
        let (vocabulary, width) = (config.vocab_size, config.width);
        let embedding = parameters.take(name, &[vocabulary, width], Stored::AsIs)?;
        let blocks = match config.architecture {
            Architecture::Gpt2 => Blocks::Gpt2(Gpt2::load(&config, parameters)?),
            Architecture::Llama | Architecture::Qwen2 | Architecture::Qwen3 => {
                Blocks::Llama(Llama::load(&config, parameters, device)?)
            }
        };
        let head = match config.tied {
            true => None,
            false => {
                let weight =
                    parameters.take("lm_head.weight", &[width, vocabulary], Stored::Transposed)?;
                Some(Linear { weight, bias: None })
            }
        };
        let projector = config.projector.map(|inner| Projector::load(width, inner, parameters));
        let projector = projector.transpose()?;
        Ok(Self { config, device: device.clone(), embedding, blocks, head, projector })
    }

    /// Sizes and kinds.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// Where the weights are.
    pub fn device(&self) -> &Device {
        &self.device
    }

    /// Token ids (R,) -> embeddings (R, D), without positions. A thought goes in as such a row.
    pub fn embed(&self, ids: &[u32]) -> candle_core::Result<Tensor> {
        self.embedding.index_select(&Tensor::new(ids, &self.device)?, 0)
    }

    /// Embeddings or thoughts x (R, D) at their positions -> hidden states after the final norm (R, D): what the head
    /// reads, and what Coconut feeds back (paper section 3).
    pub fn forward(
        &self,
        x: &Tensor,
        positions: &[u32],
        attention: &mut dyn Attention,
        kernels: Kernels,
    ) -> candle_core::Result<Tensor> {
        let positions = Tensor::new(positions, &self.device)?;
        match &self.blocks {
            Blocks::Gpt2(blocks) => blocks.forward(x, &positions, attention, kernels),
            Blocks::Llama(blocks) => blocks.forward(x, &positions, attention, kernels),
        }
    }

    /// Hidden states (R, D) -> thoughts (R, D): what is fed back. The same, or what the projector makes of them.
    pub fn thought(&self, hidden: &Tensor, kernels: Kernels) -> candle_core::Result<Tensor> {
        match &self.projector {
            Some(projector) => projector.forward(hidden, kernels),
            None => Ok(hidden.clone()),
        }
    }

    /// Hidden states (R, D) -> logits (R, V)
    pub fn logits(&self, hidden: &Tensor) -> candle_core::Result<Tensor> {
        match &self.head {
            Some(head) => head.forward(hidden),
            None => hidden.matmul(&self.embedding.t()?),
        }
    }

    /// Number of weights, shared ones counted once.
    pub fn parameter_count(&self) -> usize {
        self.config.parameter_count()
    }
}

fn embedding_name(architecture: Architecture) -> &'static str {
    match architecture {
        Architecture::Gpt2 => Gpt2::EMBEDDING,
        Architecture::Llama | Architecture::Qwen2 | Architecture::Qwen3 => Llama::EMBEDDING,
    }
}
