//! From a published checkpoint to a model: files found, layout understood, config completed from what the tensors say,
//! weights mapped, merged and read. Knows layouts of files and names of tensors, no recipe and no text.

pub mod adapter;
pub mod files;
mod known;
pub mod layout;
mod names;
mod peft;
pub mod pickle;
pub mod save;
pub mod tensors;
mod ties;
pub mod weights;

use crate::model::Model;
use crate::model::config::Config;
use crate::model::config::Projector;
use crate::model::error::Error;
use crate::model::error::Result;
use crate::model::host::HostModel;
use crate::model::load::adapter::ADAPTER_CONFIG;
use crate::model::load::adapter::Adapter;
use crate::model::load::files::Files;
use crate::model::load::layout::EMBEDDINGS;
use crate::model::load::layout::Layout;
use crate::model::load::layout::Wrapper;
use crate::model::load::tensors::Tensors;
use crate::model::load::weights::Weights;
use candle_core::DType;
use candle_core::Device;
use coconut_kernels::packed::Format;
use serde_json::Value;
use std::path::Path;
use std::path::PathBuf;

/// alpha / r of the published CODI checkpoints (32 / 128), which come without adapter_config.json.
const CODI_LORA_SCALE: f64 = 0.25;

/// A config.json longer than this is no config.json, in bytes.
const MAX_CONFIG_BYTES: u64 = 1 << 20;

/// A checkpoint that was found and understood; its weights are mapped and not read yet.
#[derive(Debug)]
pub struct Found {
    /// Where it lies.
    pub files: Files,
    /// What its names mean.
    pub layout: Layout,
    /// Its architecture, with the sizes that the tensors have.
    pub config: Config,
    /// config.json as it would be written for these weights.
    pub config_json: Value,
    /// The vocabulary that config.json names: that of the base model, where the markers came later.
    pub base_vocabulary: usize,
    /// The folder that config.json came from, if it was not the checkpoint's own.
    pub base: Option<PathBuf>,
    tensors: Tensors,
    /// What PEFT says of how the pairs were trained.
    adapter: Option<Adapter>,
}

impl Found {
    /// `path` is a folder or a file with weights; `base` a folder with config.json and tokenizer.json for checkpoints
    /// that lack their own, with the weights too for an adapter.
    pub fn open(path: &Path, base: Option<&Path>) -> Result<Self> {
        let Parts { files, tensors, mut layout, adapter } = Parts::read(path, base)?;
        let (mut config_json, from_base) = match (read_config(&files.folder)?, base) {
            (Own::Usable(value), _) => (value, false),
            (Own::Lacking(_), Some(base)) => match read_config(base)? {
                Own::Usable(value) => (value, true),
                Own::Lacking(what) => return Err(no_config(base, what, &layout, &tensors)),
            },
            (Own::Lacking(what), None) => match known_config(&layout, &tensors) {
                Some(value) => (value, false),
                None => return Err(no_config(&files.folder, what, &layout, &tensors)),
            },
        };
        let base_vocabulary = config_json.get("vocab_size").and_then(Value::as_u64).unwrap_or(0);
        fit_sizes(&mut config_json, &layout, &tensors);
        let mut config = Config::from_json(&config_json)?;
        config.projector = projector_of(&config_json, &layout, &tensors);
        check_layers(&config, &layout)?;
        if layout.settle_head(&tensors, config.tied)? != config.tied {
            config.tied = false;
            config_json["tie_word_embeddings"] = Value::Bool(false);
        }
        let base = base.filter(|_| from_base).map(Path::to_owned);
        let base_vocabulary = usize::try_from(base_vocabulary).unwrap_or(0);
        Ok(Self { files, layout, config, config_json, base_vocabulary, base, tensors, adapter })
    }

    /// Says the alpha of LoRA pairs that nothing beside the weights says, or confirms it.
    ///
    /// # Errors
    /// If adapter_config.json says another, or if nobody says one.
    pub fn scale_lora(&mut self, alpha: Option<f64>) -> Result<()> {
        match (alpha, &self.adapter) {
            (Some(alpha), Some(adapter)) => adapter.agrees(alpha)?,
            (Some(alpha), None) => {
                let tensors = &self.tensors;
                self.layout.scale_all(|lora| alpha / tensors.rank(lora).max(1) as f64);
            }
            (None, _) => {}
        }
        self.layout.lora.values().try_for_each(|lora| lora.scale().map(drop))
    }

    /// Reads the weights onto a device, in f32 or bf16.
    pub fn model(&self, device: &Device, dtype: DType) -> Result<Model> {
        let weights = Weights::new(&self.tensors, &self.layout);
        let mut weights = weights.onto(device, dtype);
        let model = Model::new(self.config.clone(), &mut weights, device)?;
        weights.check()?;
        Ok(model)
    }

    /// Packs the weights for the CPU, straight from the files: no second copy of them is held meanwhile.
    pub fn host_model(&self, format: Format) -> Result<HostModel> {
        let mut weights = Weights::new(&self.tensors, &self.layout);
        let model = HostModel::new(self.config.clone(), &mut weights, format)?;
        weights.check()?;
        Ok(model)
    }

    /// The tensors as they lie in the files.
    pub fn tensors(&self) -> &Tensors {
        &self.tensors
    }

    /// The type that most of the weights are stored in, as torch names it.
    pub fn stored_type(&self) -> &'static str {
        let embedding = self.layout.embedding().and_then(|name| self.layout.tensors.get(name));
        let info = embedding.and_then(|raw| self.tensors.info(raw));
        info.and_then(|info| info.dtype).map_or("unknown", |dtype| dtype.as_str())
    }
}

/// Files and what their names mean.
struct Parts {
    files: Files,
    tensors: Tensors,
    layout: Layout,
    adapter: Option<Adapter>,
}

impl Parts {
    fn read(path: &Path, base: Option<&Path>) -> Result<Self> {
        let files = Files::find(path)?;
        let tensors = Tensors::open(&files.weights, files.format)?;
        let layout = Layout::read(&tensors, path)?;
        if let (true, Some(adapter)) = (path.is_dir(), files.adapter_beside()) {
            let seen = format!("a whole model and {}, an adapter", adapter.display());
            let missing = "a choice: name one of the files (the adapter with --base)";
            return Err(Error::Layout { path: path.to_owned(), seen, missing });
        }
        let adapter = match layout.is_adapted() {
            true => Adapter::beside(&files.folder)?,
            false => None,
        };
        let parts = Self { files, tensors, layout, adapter };
        let Self { files, tensors, mut layout, adapter } = match (parts.layout.is_partial(), base) {
            (true, Some(base)) => parts.over(base)?,
            _ => parts,
        };
        layout.complete(&tensors, path)?;
        match &adapter {
            Some(adapter) => layout.apply(adapter, &tensors)?,
            None if layout.wrapper == Wrapper::Codi => layout.scale_all(|_| CODI_LORA_SCALE),
            None => {}
        }
        Ok(Self { files, tensors, layout, adapter })
    }

    /// An adapter by itself needs its base model's weights.
    fn over(self, base: &Path) -> Result<Self> {
        let Some(adapter) = self.adapter else {
            let (path, seen) = (self.files.folder, "an adapter by itself".to_owned());
            return Err(Error::Layout { path, seen, missing: ADAPTER_CONFIG });
        };
        adapter.check_base()?;
        let mut files = Files::find(base)?;
        let tensors = Tensors::open(&files.weights, files.format)?;
        let mut layout = Layout::of(&tensors, base)?;
        if layout.is_adapted() {
            let seen = "an adapter in the base model too".to_owned();
            let missing = "a base model without one: `coconut convert` merges it";
            return Err(Error::Layout { path: base.to_owned(), seen, missing });
        }
        layout.lay_over(self.layout, &adapter);
        files.weights.extend(self.files.weights);
        let files = Files { weights: files.weights, ..self.files };
        Ok(Self { files, tensors: tensors.with(self.tensors)?, layout, adapter: Some(adapter) })
    }
}

/// Reads config and weights, in f32, of a checkpoint folder that is complete in itself.
pub fn load_model(folder: &Path, device: &Device) -> Result<Model> {
    Found::open(folder, None)?.model(device, DType::F32)
}

enum Own {
    Usable(Value),
    Lacking(&'static str),
}

/// The published raw checkpoints come with no config.json, with an empty one, or with one that names no architecture.
fn read_config(folder: &Path) -> Result<Own> {
    let path = folder.join("config.json");
    let io = |source| Error::Io { path: path.clone(), source };
    let malformed = |reason: String| Error::Malformed { path: path.clone(), reason };
    match std::fs::metadata(&path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            return Ok(Own::Lacking("absent"));
        }
        Err(error) => return Err(io(error)),
        Ok(metadata) if metadata.len() > MAX_CONFIG_BYTES => {
            return Err(malformed("is too long to be a config".to_owned()));
        }
        Ok(_) => {}
    }
    let text = std::fs::read_to_string(&path).map_err(io)?;
    if text.trim().is_empty() {
        return Ok(Own::Lacking("empty"));
    }
    let value: Value = serde_json::from_str(&text).map_err(|error| malformed(error.to_string()))?;
    match value.get("model_type") {
        Some(_) => Ok(Own::Usable(value)),
        None => Ok(Own::Lacking("without a model_type")),
    }
}

/// Before anything is allocated for layers that are not there.
fn check_layers(config: &Config, layout: &Layout) -> Result<()> {
    match layers(layout) {
        found if found == config.layers => Ok(()),
        found => {
            let field = "num_hidden_layers (n_layer)";
            let reason = format!("is {}, the weights have {found} layers", config.layers);
            Err(Error::Config { field, reason })
        }
    }
}

fn layers(layout: &Layout) -> usize {
    let last = layout.tensors.keys().filter_map(|name| layer_of(name)).max();
    last.map_or(0, |last| last.saturating_add(1))
}

fn known_config(layout: &Layout, tensors: &Tensors) -> Option<Value> {
    let &[rows, width] = shape_of(EMBEDDINGS[0], layout, tensors)? else { return None };
    let positions = shape_of("transformer.wpe.weight", layout, tensors)?.first()?;
    known::gpt2(rows, *positions, width, layers(layout))
}

fn no_config(path: &Path, what: &'static str, layout: &Layout, tensors: &Tensors) -> Error {
    let kind = match layout.tensors.contains_key(EMBEDDINGS[0]) {
        true => "GPT-2",
        false => "Llama or Qwen",
    };
    let layers = layers(layout);
    let shape = EMBEDDINGS.iter().find_map(|name| shape_of(name, layout, tensors));
    let looks_like = match shape {
        Some([rows, width]) => {
            format!("{kind} with {layers} layers of width {width} and {rows} tokens")
        }
        _ => kind.to_owned(),
    };
    Error::NoConfig { path: path.to_owned(), what, looks_like }
}

/// Of `transformer.h.3.ln_1.weight` or `model.layers.3.mlp...`, the 3.
fn layer_of(name: &str) -> Option<usize> {
    let rest =
        name.strip_prefix("transformer.h.").or_else(|| name.strip_prefix("model.layers."))?;
    rest.split('.').next()?.parse().ok()
}

/// The published raw checkpoints have more rows than the base model's config says: the markers came later.
fn fit_sizes(config: &mut Value, layout: &Layout, tensors: &Tensors) {
    let fields = [(EMBEDDINGS[0], "vocab_size"), (EMBEDDINGS[1], "vocab_size")];
    let positions =
        [("transformer.wpe.weight", "n_positions"), ("transformer.wpe.weight", "n_ctx")];
    for (name, field) in fields.into_iter().chain(positions) {
        if let Some(&[rows, _]) = shape_of(name, layout, tensors)
            && config.get(field).is_some()
        {
            config[field] = Value::from(rows);
        }
    }
}

fn shape_of<'a>(name: &str, layout: &Layout, tensors: &'a Tensors) -> Option<&'a [usize]> {
    Some(tensors.info(layout.tensors.get(name)?)?.shape)
}

/// The projector, where there is one. CODI's `prj` may have been trained without its norm; in a folder of another writer
/// config.json says so, or the norm is missing.
fn projector_of(config: &Value, layout: &Layout, tensors: &Tensors) -> Option<Projector> {
    let up = "projector.1.weight";
    let inner = shape_of(up, layout, tensors)?.first().copied()?;
    let has_norm = layout.tensors.keys().any(|name| name.starts_with("projector.4."));
    let is_codis = layout.tensors.get(up).is_some_and(|raw| raw.contains("prj."));
    let says_none = config.get("projector_norm").and_then(Value::as_bool) == Some(false);
    Some(Projector { inner, norm: has_norm || !(is_codis || says_none) })
}
