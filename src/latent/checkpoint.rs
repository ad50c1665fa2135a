//! A checkpoint ready to be loaded: files, layout, tokenizer and recipe, each from the place that the published layouts
//! keep it in, with a readable account of what was found. The weights themselves are read last. Knows no engine.

use crate::files::digest::hexadecimal;
use crate::latent::added;
use crate::latent::chat::Chat;
use crate::latent::detect;
use crate::latent::ends;
use crate::latent::published;
use crate::latent::published::Published;
use crate::latent::recipe::MANIFEST;
use crate::latent::recipe::Recipe;
use crate::latent::recipe::RecipeError;
use crate::model::Model;
use crate::model::device::Processor;
use crate::model::error::Error as ModelError;
use crate::model::host::HostModel;
use crate::model::load::Found;
use crate::model::load::tensors::Format;
use crate::model::serving::Served;
use crate::text::TextError;
use crate::text::Tokenizer;
use candle_core::DType;
use candle_core::Device;
use coconut_kernels::packed::Format as Weights;
use sha2::Digest as _;
use sha2::Sha256;
use std::path::PathBuf;

/// Where a checkpoint is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Location {
    /// Its folder, or a file with weights in its folder.
    pub model: PathBuf,
    /// A folder with the base model's config.json, tokenizer.json or both, and what belongs to them, for checkpoints that
    /// lack their own.
    pub base: Option<PathBuf>,
    /// A manifest to use instead of what is found.
    pub recipe: Option<PathBuf>,
    /// The id under which it was published, such as `internlm/SIM_COT-GPT2-Coconut`.
    pub id: Option<String>,
}

/// A checkpoint whose weights are not read yet.
#[derive(Debug)]
pub struct Checkpoint {
    /// Files, names and sizes.
    pub found: Found,
    /// With the markers, where the family has them as text.
    pub tokenizer: Tokenizer,
    /// How a question becomes an answer.
    pub recipe: Recipe,
    /// What lies beside the tokenizer about conversations.
    pub chat: Chat,
    /// Where the recipe comes from, for people.
    pub recognised: String,
    /// Its entry in the table of published checkpoints.
    pub published: Option<&'static Published>,
}

/// Why a checkpoint cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum CheckpointError {
    /// Files, layout, config or weights.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// The recipe.
    #[error(transparent)]
    Recipe(#[from] RecipeError),
    /// The tokenizer.
    #[error(transparent)]
    Tokenizer(#[from] TextError),
    /// The tokenizer has ids that the embedding has not.
    #[error(
        "tokenizer.json: token id {id} ({text:?}) is outside the {rows} rows of the embedding: the tokenizer is not the one of these weights"
    )]
    Tokens {
        /// The id.
        id: u32,
        /// How it reads.
        text: String,
        /// Rows of the embedding.
        rows: usize,
    },
    /// There is no tokenizer.
    #[error(
        "{path}: no tokenizer.json. Name a folder with the base model's config.json and tokenizer.json (--base)",
        path = path.display()
    )]
    NoTokenizer {
        /// The checkpoint's folder.
        path: PathBuf,
    },
}

impl Location {
    /// A checkpoint that has all it needs beside it.
    pub fn folder(model: impl Into<PathBuf>) -> Self {
        Self { model: model.into(), ..Self::default() }
    }
}

impl Checkpoint {
    /// Finds and understands a checkpoint; reads all but the weights.
    pub fn open(location: &Location) -> Result<Self, CheckpointError> {
        let mut found = Found::open(&location.model, location.base.as_deref())?;
        let mut tokenizer = tokenizer(&found)?;
        let published = match &location.id {
            Some(id) => published::find(id),
            None => published::find_by_path(&location.model),
        };
        let (recipe, origin) = match manifest(location, &found)? {
            Some((recipe, path)) => (recipe, Origin::Manifest(path)),
            None => {
                let eos = ends::stated(&found, &tokenizer)?;
                let (recipe, how) = detect::detect(&found, &tokenizer, eos)?;
                match published {
                    Some(published) => {
                        (published.adjust(recipe), Origin::Recognised(format!("{how}, published")))
                    }
                    None => (recipe, Origin::Recognised(how)),
                }
            }
        };
        found.scale_lora(recipe.lora_alpha)?;
        detect::name_markers(&found, &mut tokenizer)?;
        let checked = recipe.check(&found.config, |id| tokenizer.name(id));
        let recognised = match (checked, origin) {
            // Clients are told this, too: folders of the server are none of theirs.
            (Ok(()), Origin::Manifest(path)) => {
                format!("by {}", path.file_name().unwrap_or_default().display())
            }
            (Ok(()), Origin::Recognised(how)) => how,
            (Err(reason), Origin::Manifest(path)) => {
                return Err(RecipeError::Malformed { path, reason }.into());
            }
            (Err(reason), Origin::Recognised(how)) => {
                return Err(RecipeError::Unfit { how, reason }.into());
            }
        };
        check_tokenizer(&found, &tokenizer, &recipe)?;
        let chat = Chat::find(&found)?;
        Ok(Self { found, tokenizer, recipe, chat, recognised, published })
    }

    /// Reads the weights, in f32: for the oracle.
    pub fn model(&self, device: &Device) -> Result<Model, ModelError> {
        self.tensors(device, DType::F32)
    }

    /// Reads the weights as they are served: packed on the CPU, as tensors elsewhere.
    pub fn served(&self, processor: Processor, weights: Weights) -> Result<Served, ModelError> {
        let dtype = match (processor, weights) {
            (Processor::Cpu, _) => return Ok(self.host_model(weights)?.into()),
            (Processor::Cuda(_), Weights::F32) => DType::F32,
            (Processor::Cuda(_), Weights::Bf16) => DType::BF16,
            (Processor::Cuda(_), Weights::Int8) => return Err(ModelError::Int8 { processor }),
        };
        let device =
            processor.open().map_err(|reason| ModelError::Processor { processor, reason })?;
        Ok(self.tensors(&device, dtype)?.into())
    }

    /// Reads the weights onto a device, in f32 or bf16.
    pub fn tensors(&self, device: &Device, dtype: DType) -> Result<Model, ModelError> {
        self.found.model(device, dtype)
    }

    /// Packs the weights for the CPU.
    pub fn host_model(&self, format: Weights) -> Result<HostModel, ModelError> {
        self.found.host_model(format)
    }

    /// What tells it from other checkpoints, whatever these are called: 16 hexadecimal digits that follow from weights and
    /// recipe.
    pub fn fingerprint(&self) -> String {
        let mut digest = Sha256::new();
        self.found.tensors().tell_apart(&mut digest);
        digest.update(format!("{:?}", self.recipe));
        hexadecimal(&digest.finalize()[..8])
    }

    /// What was found, in one readable line.
    pub fn description(&self) -> String {
        let (config, layout) = (&self.found.config, &self.found.layout);
        let format = match self.found.tensors().format() {
            Some(Format::Torch) => "torch",
            Some(Format::Safetensors) | None => "safetensors",
        };
        let files = match self.found.files.weights.len() {
            1 => format!("one {format} file"),
            count => format!("{count} {format} files"),
        };
        let mut parts = vec![
            format!("{} ({})", self.recipe.family, self.recognised),
            format!(
                "{}, {:.1} M parameters, {} layers of width {}, {} tokens",
                config.architecture.name(),
                config.parameter_count() as f64 / 1e6,
                config.layers,
                config.width,
                config.vocab_size
            ),
            format!(
                "{} latent steps (at most {})",
                self.recipe.latent_steps.default, self.recipe.latent_steps.max
            ),
            format!("{files}, stored as {}", self.found.stored_type()),
        ];
        if !layout.lora.is_empty() {
            parts.push(format!("{} LoRA pairs merged", layout.lora.len()));
        }
        if let Some(projector) = config.projector {
            parts.push(format!("projector {projector}"));
        }
        let dropped: usize = layout.dropped.iter().map(|dropped| dropped.names.len()).sum();
        match dropped {
            0 => {}
            1 => parts.push("1 tensor not needed".to_owned()),
            _ => parts.push(format!("{dropped} tensors not needed")),
        }
        parts.join("; ")
    }
}

/// Where a recipe comes from.
enum Origin {
    Manifest(PathBuf),
    Recognised(String),
}

/// Refuses a tokenizer that says what the weights have no row for: in every prompt, or as a word of its own language.
/// Tokens that were added to it and that a question need not have, such as padding, may lie outside.
fn check_tokenizer(
    found: &Found,
    tokenizer: &Tokenizer,
    recipe: &Recipe,
) -> Result<(), CheckpointError> {
    let rows = found.config.vocab_size;
    let always = tokenizer.encode(&recipe.render(""), recipe.add_special_tokens)?;
    let words = tokenizer.last_word().into_iter();
    match always.into_iter().chain(words).find(|&id| id as usize >= rows) {
        None => Ok(()),
        Some(id) => Err(CheckpointError::Tokens { id, text: tokenizer.name(id), rows }),
    }
}

/// The manifest that counts, and where it lies: the one named, or the checkpoint's own.
fn manifest(
    location: &Location,
    found: &Found,
) -> Result<Option<(Recipe, PathBuf)>, CheckpointError> {
    if let Some(path) = &location.recipe {
        return Ok(Some((Recipe::read(path)?, path.clone())));
    }
    let own = Recipe::load(&found.files.folder)?;
    Ok(own.map(|recipe| (recipe, found.files.folder.join(MANIFEST))))
}

fn tokenizer(found: &Found) -> Result<Tokenizer, CheckpointError> {
    match found.file("tokenizer.json") {
        Some(path) => {
            let mut tokenizer = Tokenizer::load(&path)?;
            let lacking = added::lacking(found, &path, &tokenizer)?;
            added::tell(&tokenizer.add_at(lacking)?);
            Ok(tokenizer)
        }
        None => match published::graph_tokenizer(&found.config) {
            Some(text) => Ok(Tokenizer::from_json(&text)?),
            None => Err(CheckpointError::NoTokenizer { path: found.files.folder.clone() }),
        },
    }
}
