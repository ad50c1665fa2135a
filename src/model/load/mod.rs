//! From a folder of files to a model: `config.json`, safetensors (one file or sharded), memory-mapped. Knows layouts of
//! files and names of tensors, no recipe and no text.

pub mod pickle;
pub mod safetensors;
pub mod weights;

use crate::model::Model;
use crate::model::config::Config;
use crate::model::error::Result;
use crate::model::load::safetensors::Safetensors;
use crate::model::load::weights::Weights;
use candle_core::Device;
use std::path::Path;

/// Reads config and weights of a checkpoint folder.
pub fn load_model(folder: &Path, device: &Device) -> Result<Model> {
    let config = Config::load(&folder.join("config.json"))?;
    let files = Safetensors::open(folder)?;
    let mut weights = Weights::new(&files, device);
    let model = Model::new(config, &mut weights, device)?;
    weights.finish(&model)?;
    Ok(model)
}
