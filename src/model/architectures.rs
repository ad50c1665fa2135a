//! From a config to the plan of its architecture, and what follows from the plan alone. Knows which file states which
//! architecture, and none of their blocks.

use crate::model::config::Architecture;
use crate::model::config::Config;
use crate::model::gpt2;
use crate::model::llama;
use crate::model::parameters::Stored;
use crate::model::plan::LinearPlan;
use crate::model::plan::Plan;
use crate::model::projector;

impl Plan {
    pub(crate) fn of(config: &Config) -> Self {
        let mut plan = match config.architecture {
            Architecture::Gpt2 => gpt2::plan(config),
            Architecture::Llama | Architecture::Qwen2 | Architecture::Qwen3 => llama::plan(config),
        };
        plan.head = (!config.tied).then(|| LinearPlan {
            name: "lm_head".to_owned(),
            inputs: config.width,
            outputs: config.vocab_size,
            stored: Stored::Transposed,
            bias: false,
        });
        plan.projector = config.projector.map(|projector| projector::plan(config.width, projector));
        plan
    }
}

impl Config {
    /// Number of weights, shared ones counted once; sizes that no file can hold give the largest number.
    pub fn parameter_count(&self) -> usize {
        let with = |layers| Plan::of(&Self { layers, ..self.clone() });
        // Blocks are alike. One is planned for all of them: config.json may name a million.
        let (ends, one) = (with(0), with(1));
        let blocks = (one.parameters() - ends.parameters()).saturating_mul(self.layers);
        let positions = ends.positions.map_or(0, |_| self.max_positions);
        let tables = (self.vocab_size + positions).saturating_mul(self.width);
        ends.parameters().saturating_add(blocks).saturating_add(tables)
    }
}
