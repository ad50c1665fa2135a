//! What is being served, in words and numbers. Knows the checkpoint, nothing of who asks.

use crate::latent::checkpoint::Checkpoint;
use crate::latent::recipe::ToolForm;
use crate::model::attention::geometry::PAGE_POSITIONS;

/// What is being served.
#[derive(Clone, Debug)]
pub struct ModelCard {
    /// The name that clients use.
    pub name: String,
    /// What tells it from others of the same name.
    pub fingerprint: String,
    /// The recipe's family, such as `coconut`.
    pub family: String,
    /// Architecture, such as `gpt2`.
    pub architecture: String,
    /// Number of weights.
    pub parameters: usize,
    /// Blocks.
    pub layers: usize,
    /// Query heads of each.
    pub heads: usize,
    /// Rows of the embedding: ids are below it.
    pub vocabulary: usize,
    /// The longest sequence, in positions.
    pub max_positions: usize,
    /// Positions of a page of KV memory.
    pub page_positions: usize,
    /// Latent steps where a question names none.
    pub default_latent_steps: usize,
    /// The most latent steps a question may ask for.
    pub max_latent_steps: usize,
    /// Whether it calls tools on its way to an answer.
    pub calls_tools: bool,
    /// One readable line: what was found and how it is read.
    pub description: String,
}

impl ModelCard {
    pub(crate) fn of(name: String, checkpoint: &Checkpoint) -> Self {
        let (config, recipe) = (&checkpoint.found.config, &checkpoint.recipe);
        Self {
            name,
            fingerprint: checkpoint.fingerprint(),
            family: recipe.family.clone(),
            architecture: config.architecture.name().to_owned(),
            parameters: config.parameter_count(),
            layers: config.layers,
            heads: config.heads,
            vocabulary: config.vocab_size,
            max_positions: config.max_positions,
            page_positions: PAGE_POSITIONS,
            default_latent_steps: recipe.latent_steps.default,
            max_latent_steps: recipe.latent_steps.max,
            calls_tools: matches!(recipe.tools, Some(ToolForm::React(_))),
            description: checkpoint.description(),
        }
    }
}
