//! Weights to hidden states: embed, forward, logits. Knows no request, no text and no schedule.
//!
//! Letters in shapes: R rows (positions computed in one pass, of any mix of sequences), D width, H query heads, G key
//! and value heads, E head size, V vocabulary, B batch, T length.
//!
//! ```
//! use candle_core::Device;
//! use coconut::model::attention::causal::Causal;
//! use coconut::model::load::load_model;
//! use coconut::model::ops::Kernels;
//! use std::path::Path;
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let model = load_model(Path::new("models/prosqa"), &Device::Cpu)?;
//! let (ids, positions) = ([5, 6, 7], [0, 1, 2]);
//!
//! // One sequence of three rows: (R, D) to (R, D) to (R, V).
//! let mut attention = Causal::new(1, ids.len(), model.device())?;
//! let x = model.embed(&ids)?;
//! let hidden = model.forward(&x, &positions, &mut attention, Kernels::Fused)?;
//! assert_eq!(hidden.dims(), [3, model.config().width]);
//! assert_eq!(model.logits(&hidden)?.dims(), [3, model.config().vocab_size]);
//!
//! // The last row is what Coconut feeds back, as it is.
//! let thought = model.thought(&hidden.narrow(0, 2, 1)?, Kernels::Fused)?;
//! assert_eq!(thought.dims(), [1, model.config().width]);
//! # Ok(())
//! # }
//! ```

mod architectures;
pub mod attention;
mod chain;
pub mod config;
pub mod device;
pub mod error;
mod gpt2;
pub mod gradients;
pub mod host;
mod llama;
pub mod load;
pub mod look;
mod numbers;
pub mod ops;
pub mod parameters;
pub mod pass;
mod plan;
mod projector;
mod qwen3;
mod rope;
pub mod serving;

use crate::model::attention::Attention;
use crate::model::chain::Chain;
use crate::model::config::Config;
use crate::model::error::Result;
use crate::model::ops::Kernels;
use crate::model::ops::Linear;
use crate::model::ops::Projector;
use crate::model::parameters::Parameters;
use crate::model::parameters::Stored;
use crate::model::plan::Plan;
use candle_core::DType;
use candle_core::Device;
use candle_core::Tensor;

/// A transformer with its weights, as tensors: for training, for the oracle, and for serving on devices other than the
/// CPU.
#[derive(Debug)]
pub struct Model {
    config: Config,
    device: Device,
    /// (V, D)
    embedding: Tensor,
    chain: Chain,
    /// `None` where the embedding serves as head.
    head: Option<Linear>,
    /// `None` where hidden states are fed back as they are.
    projector: Option<Projector>,
}

impl Model {
    /// Takes the tensors that `config` implies from `parameters`.
    pub fn new(config: Config, parameters: &mut dyn Parameters, device: &Device) -> Result<Self> {
        let plan = Plan::of(&config);
        let shape = [config.vocab_size, config.width];
        let embedding = parameters.take(plan.embedding, &shape, Stored::AsIs)?;
        let chain = Chain::load(&config, &plan, parameters, device)?;
        let head = plan.head.map(|head| Linear::load(&head, parameters)).transpose()?;
        let projector =
            plan.projector.map(|plan| Projector::load(&plan, parameters)).transpose()?;
        Ok(Self { config, device: device.clone(), embedding, chain, head, projector })
    }

    /// Sizes and kinds.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// Where the weights are.
    pub fn device(&self) -> &Device {
        &self.device
    }

    /// What weights and hidden states are kept in.
    pub fn dtype(&self) -> DType {
        self.embedding.dtype()
    }

    /// Token ids (R,) -> embeddings (R, D), without positions. A thought goes in as such a row.
    pub fn embed(&self, ids: &[u32]) -> candle_core::Result<Tensor> {
        match self.embedding.is_variable() {
            true => gradients::gather::gather(&self.embedding, ids),
            false => self.embedding.index_select(&Tensor::new(ids, &self.device)?, 0),
        }
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
        self.chain.forward(x, &Tensor::new(positions, &self.device)?, attention, kernels)
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
            None => ops::product(hidden, &self.embedding.t()?),
        }
    }

    /// The final norm of what a block leaves, (R, D) -> (R, D)
    pub fn norm(&self, x: &Tensor, kernels: Kernels) -> candle_core::Result<Tensor> {
        self.chain.norm(x, kernels)
    }

    /// Number of weights, shared ones counted once.
    pub fn parameter_count(&self) -> usize {
        self.config.parameter_count()
    }
}
