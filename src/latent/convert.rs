//! `coconut convert`: any published checkpoint as a folder of ours, which Hugging Face transformers reads too. Written
//! under a temporary name and renamed when complete.

use crate::files::digest::sha256;
use crate::latent::checkpoint::Checkpoint;
use crate::latent::checkpoint::CheckpointError;
use crate::latent::checkpoint::Location;
use crate::latent::recipe::MANIFEST;
use crate::latent::recipe::Recipe;
use crate::model::config::Projector;
use crate::model::load::beside;
use crate::model::load::beside::Beside;
use crate::model::load::save::SavedType;
use crate::model::load::save::declare;
use indicatif::ProgressBar;
use indicatif::ProgressStyle;
use serde_json::Value;
use serde_json::json;
use std::fs::File;
use std::path::Path;
use std::path::PathBuf;

/// Files that transformers likes to find beside a tokenizer; copied where the checkpoint or its base has them.
const COMPANIONS: [&str; 5] = [
    "tokenizer_config.json",
    "special_tokens_map.json",
    "generation_config.json",
    "chat_template.jinja",
    "chat_template.json",
];

/// What to convert, and how.
#[derive(Clone, Debug)]
pub struct Conversion {
    /// The checkpoint.
    pub from: Location,
    /// The folder to write, which must not exist or be empty.
    pub to: PathBuf,
    /// The type of the weights; `None` for the one in which nothing is lost.
    pub dtype: Option<SavedType>,
}

/// What was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Converted {
    /// What the checkpoint was found to be.
    pub description: String,
    /// SHA-256 of `model.safetensors`, in hexadecimal.
    pub sha256: String,
    /// Length of `model.safetensors`.
    pub bytes: u64,
    /// The type of the weights, as torch names it.
    pub dtype: &'static str,
}

/// Why nothing was written.
#[derive(Debug, thiserror::Error)]
pub enum ConvertError {
    /// The checkpoint cannot be read.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// The folder to write is in use.
    #[error("{path}: is there already and not empty", path = .0.display())]
    Exists(PathBuf),
    /// A file cannot be written.
    #[error("cannot write {path}", path = path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
}

/// Converts a checkpoint.
pub fn convert(conversion: &Conversion) -> Result<Converted, ConvertError> {
    let to = conversion.to.as_path();
    if std::fs::read_dir(to).is_ok_and(|mut entries| entries.next().is_some()) || to.is_file() {
        return Err(ConvertError::Exists(to.to_owned()));
    }
    let checkpoint = Checkpoint::open(&conversion.from)?;
    let name = to.file_name().map_or_else(|| "model".into(), |name| name.to_string_lossy());
    let unfinished = to.with_file_name(format!(".{name}.{}.unfinished", std::process::id()));
    std::fs::create_dir_all(&unfinished).map_err(io(&unfinished))?;
    let converted = write(&checkpoint, conversion, &unfinished).and_then(|converted| {
        // An empty folder may be in the way of the new name.
        let _ = std::fs::remove_dir(to);
        std::fs::rename(&unfinished, to).map_err(io(to))?;
        Ok(converted)
    });
    if converted.is_err() {
        let _ = std::fs::remove_dir_all(&unfinished);
    }
    converted
}

fn write(
    checkpoint: &Checkpoint,
    conversion: &Conversion,
    folder: &Path,
) -> Result<Converted, ConvertError> {
    let found = &checkpoint.found;
    let dtype = conversion.dtype.unwrap_or_else(|| found.lossless_type());
    let weights = folder.join("model.safetensors");
    found.save(&weights, dtype).map_err(CheckpointError::Model)?;
    write_json(&folder.join("config.json"), &config(checkpoint, dtype))?;
    let recipe = Recipe { lora_alpha: None, ..checkpoint.recipe.clone() };
    write_json(&folder.join(MANIFEST), &json!(recipe))?;
    let tokenizer = folder.join("tokenizer.json");
    let text = checkpoint.tokenizer.to_json().map_err(CheckpointError::Tokenizer)?;
    std::fs::write(&tokenizer, text).map_err(io(&tokenizer))?;
    write_companions(checkpoint, folder)?;
    let (sha256, bytes) = digest(&weights)?;
    Ok(Converted {
        description: checkpoint.description(),
        sha256,
        bytes,
        dtype: dtype.torch_name(),
    })
}

/// config.json for the weights as they are written, with the extras by which other tools know the latent mode.
fn config(checkpoint: &Checkpoint, dtype: SavedType) -> Value {
    let (found, recipe) = (&checkpoint.found, &checkpoint.recipe);
    let mut config = found.config_json.clone();
    declare(&mut config, found.config.architecture, dtype);
    config["eos_token_id"] = eos_token_id(recipe);
    if let ([start], [end]) = (&recipe.start[..], &recipe.end[..]) {
        config["latent_start_id"] = json!(start);
        config["latent_end_id"] = json!(end);
    }
    if let Some(latent) = checkpoint.tokenizer.id("<|latent|>") {
        config["latent_id"] = json!(latent);
    }
    if let Some(Projector { inner, norm }) = found.config.projector {
        config["projector"] = json!(true);
        config["projector_hidden_size"] = json!(inner);
        config["projector_norm"] = json!(norm);
        config["projector_dropout"] = json!(0.0);
    }
    config
}

fn eos_token_id(recipe: &Recipe) -> Value {
    match recipe.eos[..] {
        [one] => json!(one),
        _ => json!(recipe.eos),
    }
}

fn write_companions(checkpoint: &Checkpoint, folder: &Path) -> Result<(), ConvertError> {
    for name in COMPANIONS {
        if let Some(from) = checkpoint.found.file(name) {
            let to = folder.join(name);
            std::fs::copy(&from, &to).map_err(io(&to))?;
        }
    }
    let generation = folder.join("generation_config.json");
    if let Beside::Object(mut config) = beside::read(&generation).map_err(CheckpointError::Model)? {
        // Other programs end answers by this file where it is there, and by config.json where it is not.
        config["eos_token_id"] = eos_token_id(&checkpoint.recipe);
        write_json(&generation, &config)?;
    }
    let config = folder.join("tokenizer_config.json");
    match config.exists() {
        true => Ok(()),
        false => {
            let eos = checkpoint.recipe.eos.first().map(|&id| checkpoint.tokenizer.name(id));
            let class = "PreTrainedTokenizerFast";
            let clean = false;
            write_json(
                &config,
                &json!({ "tokenizer_class": class, "eos_token": eos, "clean_up_tokenization_spaces": clean }),
            )
        }
    }
}

fn write_json(path: &Path, value: &Value) -> Result<(), ConvertError> {
    std::fs::write(path, format!("{value:#}\n")).map_err(io(path))
}

/// SHA-256 in hexadecimal, and length.
fn digest(path: &Path) -> Result<(String, u64), ConvertError> {
    let file = File::open(path).map_err(io(path))?;
    let length = file.metadata().map_err(io(path))?.len();
    let style = "checksum {wide_bar} {bytes} of {total_bytes}, {eta} left";
    let style = ProgressStyle::with_template(style);
    let style = style.expect("the template is a constant that is valid");
    let bar = ProgressBar::new(length).with_style(style);
    sha256(bar.wrap_read(file)).map_err(io(path))
}

fn io(path: &Path) -> impl FnOnce(std::io::Error) -> ConvertError {
    let path = path.to_owned();
    move |source| ConvertError::Io { path, source }
}
