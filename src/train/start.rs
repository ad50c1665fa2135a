//! What a run starts from: random weights of a described size, or a checkpoint, which is given the markers of the latent
//! mode if it lacks them. Knows names of tensors and tokens, no data.

use crate::latent::checkpoint::CheckpointError;
use crate::model::Model;
use crate::model::config::Config;
use crate::model::config::json::check_sizes;
use crate::model::error::Result as ModelResult;
use crate::model::load::Found;
use crate::model::load::layer_of;
use crate::model::load::weights::Weights;
use crate::model::parameters::Parameters;
use crate::model::parameters::Stored;
use crate::text::Tokenizer;
use crate::train::encoded::Special;
use crate::train::error::Error;
use crate::train::error::Result;
use crate::train::init::RandomWeights;
use crate::train::variables::Role;
use crate::train::variables::Variables;
use candle_core::Device;
use candle_core::Tensor;
use serde_json::Value;
use serde_json::json;
use std::path::Path;

/// The most parameters of a model that begins at random: a billion take 16 GB with their gradients and averages.
const MAX_PARAMETERS: usize = 1_000_000_000;

/// The markers, in the order in which the paper's code adds them.
const MARKERS: [&str; 3] = ["<|start-latent|>", "<|end-latent|>", "<|latent|>"];
/// The token whose embedding new markers start with (the paper's code), where the tokenizer has it.
const LIKE: &str = "<<";
/// Where config.json counts blocks.
const LAYERS: [&str; 2] = ["num_hidden_layers", "n_layer"];
/// Standard deviation of random weights where config.json does not say.
const INITIALIZER_RANGE: f64 = 0.02;

/// Blocks behind those of a checkpoint. They begin by passing on what they are given: nothing that was learnt is lost.
#[derive(Clone, Copy, Debug, Default)]
pub struct MoreLayers {
    /// How many.
    pub count: usize,
    /// Of their random weights.
    pub seed: u64,
}

/// A model ready to be trained.
#[derive(Debug)]
pub struct Start {
    /// On the variables.
    pub model: Model,
    /// Its parameters.
    pub variables: Variables,
    /// With the markers.
    pub tokenizer: Tokenizer,
    /// config.json of what will be written.
    pub config_json: Value,
    /// The ids that are no text.
    pub special: Special,
}

impl Start {
    /// Random weights of the size that `config` (the fields of config.json) says; the vocabulary is the tokenizer's.
    ///
    /// # Errors
    /// A field of `config` or of the tokenizer that cannot be used.
    pub fn random(
        mut config: Value,
        mut tokenizer: Tokenizer,
        eos: &str,
        (seed, device): (u64, &Device),
    ) -> Result<Self> {
        check_sizes(&config)?;
        let special = special(&mut tokenizer, eos)?;
        config["vocab_size"] = json!(tokenizer.size());
        name_ids(&mut config, special);
        let parsed = Config::from_json(&config)?;
        affordable("model", &parsed)?;
        let mut weights = RandomWeights { seed, range: range(&config), layers: parsed.layers };
        let (variables, model) = Variables::new(parsed, &mut weights, device)?;
        Ok(Self { model, variables, tokenizer, config_json: config, special })
    }

    /// The weights of a checkpoint, and `more` blocks. `tokenizer` instead of its own, where given.
    ///
    /// # Errors
    /// If the checkpoint cannot be read or has no tokenizer, or where its config.json cannot have more blocks.
    pub fn checkpoint(
        folder: &Path,
        tokenizer: Option<Tokenizer>,
        eos: &str,
        more: MoreLayers,
        device: &Device,
    ) -> Result<Self> {
        let found = Found::open(folder, None)?;
        let own = found.files.folder.join("tokenizer.json");
        let mut tokenizer = match tokenizer {
            Some(tokenizer) => tokenizer,
            None if own.is_file() => Tokenizer::load(&own)?,
            None => {
                let path = found.files.folder.clone();
                return Err(CheckpointError::NoTokenizer { path }.into());
            }
        };
        let special = special(&mut tokenizer, eos)?;
        let mut config_json = found.config_json.clone();
        name_ids(&mut config_json, special);
        let old_rows = found.config.vocab_size;
        let rows = old_rows.max(tokenizer.size());
        config_json["vocab_size"] = json!(rows);
        let layers = found.config.layers.saturating_add(more.count);
        count_layers(&mut config_json, layers);
        let mut config = Config::from_json(&config_json)?;
        config.projector = found.config.projector;
        if more.count > 0 {
            affordable("more_layers", &config)?;
        }
        let mut weights = Weights::new(found.tensors(), &found.layout);
        let like = tokenizer.id(LIKE).map(|id| id as usize);
        let new = RandomWeights { seed: more.seed, range: range(&config_json), layers };
        let old_layers = found.config.layers;
        let mut grown = Grown { weights: &mut weights, old_rows, rows, like, old_layers, new };
        let (variables, model) = Variables::new(config, &mut grown, device)?;
        weights.check()?;
        Ok(Self { model, variables, tokenizer, config_json, special })
    }
}

fn affordable(field: &'static str, config: &Config) -> Result<()> {
    let parameters = config.parameter_count();
    if parameters > MAX_PARAMETERS {
        let reason = format!("comes to {parameters} parameters; {MAX_PARAMETERS} are the most");
        return Err(Error::Field { field, reason });
    }
    Ok(())
}

/// The ids that are no text; markers that the tokenizer lacks are added behind all others.
fn special(tokenizer: &mut Tokenizer, eos: &str) -> Result<Special> {
    if MARKERS.iter().any(|marker| tokenizer.id(marker).is_none()) {
        tokenizer.add(&MARKERS)?;
    }
    let id = |token: &str| {
        let reason = format!("is `{token}`, which the tokenizer does not have");
        tokenizer.id(token).ok_or(Error::Field { field: "eos", reason })
    };
    let [start, end, latent] = MARKERS.map(id);
    Ok(Special { start: start?, end: end?, latent: latent?, eos: id(eos)? })
}

/// Of whatever kind the last block is.
fn count_layers(config: &mut Value, layers: usize) {
    for field in LAYERS {
        if let Some(count) = config.get_mut(field) {
            *count = json!(layers);
        }
    }
    if let Some(kinds) = config.get_mut("layer_types").and_then(Value::as_array_mut)
        && let Some(last) = kinds.last().cloned()
    {
        kinds.resize(layers, last);
    }
}

/// Standard deviation of random weights.
fn range(config: &Value) -> f64 {
    config.get("initializer_range").and_then(Value::as_f64).unwrap_or(INITIALIZER_RANGE)
}

/// The ids by which other tools know the latent mode.
fn name_ids(config: &mut Value, special: Special) {
    config["eos_token_id"] = json!(special.eos);
    config["latent_start_id"] = json!(special.start);
    config["latent_end_id"] = json!(special.end);
    config["latent_id"] = json!(special.latent);
}

/// A checkpoint's weights, with rows for new tokens and blocks behind its own.
struct Grown<'a, 'w> {
    weights: &'a mut Weights<'w>,
    old_rows: usize,
    rows: usize,
    /// The row that new ones are copies of; the last one where there is no better.
    like: Option<usize>,
    old_layers: usize,
    new: RandomWeights,
}

impl Parameters for Grown<'_, '_> {
    fn take(&mut self, name: &str, shape: &[usize], stored: Stored) -> ModelResult<Tensor> {
        if layer_of(name).is_some_and(|layer| layer >= self.old_layers) {
            let tensor = self.new.take(name, shape, stored)?;
            return Ok(if writes_into_the_stream(name) { tensor.zeros_like()? } else { tensor });
        }
        // The head is kept as (D, V), the embedding as (V, D).
        let rows_at = match (Role::of(name, shape.len()), stored) {
            (Role::Embedding, Stored::AsIs) if shape[0] == self.rows && !name.contains("wpe") => 0,
            (Role::Embedding, Stored::Transposed) => 1,
            _ => return self.weights.take(name, shape, stored),
        };
        let mut old_shape = shape.to_vec();
        old_shape[rows_at] = self.old_rows;
        let old = self.weights.take(name, &old_shape, stored)?;
        if self.old_rows == self.rows {
            return Ok(old);
        }
        let like = self.like.unwrap_or(self.old_rows - 1);
        let row = old.narrow(rows_at, like.min(self.old_rows - 1), 1)?;
        let new = vec![row; self.rows - self.old_rows];
        Ok(Tensor::cat(&[vec![old], new].concat(), rows_at)?)
    }
}

/// The last product of attention and of the feed-forward part: with zeros there, a block changes nothing.
fn writes_into_the_stream(name: &str) -> bool {
    ["o_proj.weight", "down_proj.weight", "c_proj.weight"].iter().any(|last| name.ends_with(last))
}
