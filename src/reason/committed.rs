//! The checkpoints of this repository, as tests of this library load them. Knows no weights.

use crate::engine::config::EngineConfig;
use crate::latent::checkpoint::Location;
use crate::model::device::Processor;
use crate::reason::reasoner::Precision;
use crate::reason::reasoner::ReasonerConfig;
use std::path::Path;

/// One of them, on the CPU, as everywhere where nobody says otherwise.
pub(crate) fn config(folder: &str, engine: EngineConfig) -> ReasonerConfig {
    ReasonerConfig {
        model: Location::folder(Path::new(env!("CARGO_MANIFEST_DIR")).join(folder)),
        name: None,
        processor: Processor::Cpu,
        precision: Precision::default(),
        engine,
        thought_means: None,
    }
}
