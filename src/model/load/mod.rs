//! From a published checkpoint to a model: files found, layout understood, config completed from what the tensors say,
//! weights mapped, merged and read. Knows layouts of files and names of tensors, no recipe and no text.

pub mod adapter;
pub mod beside;
pub mod files;
mod known;
pub mod layout;
mod names;
mod parts;
mod peft;
pub mod pickle;
pub mod save;
pub mod tensors;
mod ties;
mod wanted;
pub mod weights;

use crate::model::Model;
use crate::model::config::Config;
use crate::model::config::Projector;
use crate::model::config::json::state_rows;
use crate::model::error::Error;
use crate::model::error::Result;
use crate::model::host::HostModel;
use crate::model::load::adapter::Adapter;
use crate::model::load::beside::Beside;
use crate::model::load::files::Files;
use crate::model::load::layout::Layout;
use crate::model::load::names::EMBEDDINGS;
use crate::model::load::parts::Parts;
use crate::model::load::tensors::Tensors;
use crate::model::load::wanted::Wanted;
use crate::model::load::wanted::wanted;
use crate::model::load::weights::Weights;
use candle_core::DType;
use candle_core::Device;
use coconut_kernels::packed::Format;
use serde_json::Value;
use std::path::Path;
use std::path::PathBuf;

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
    /// What config.json was found to be, and where.
    pub config_from: ConfigFrom,
    /// The folder with what the checkpoint lacks.
    base: Option<PathBuf>,
    tensors: Tensors,
    /// What PEFT says of how the pairs were trained.
    adapter: Option<Adapter>,
}

impl Found {
    /// `path` is a folder or a file with weights; `base` a folder with config.json, tokenizer.json or both for
    /// checkpoints that lack their own, and with weights for an adapter.
    pub fn open(path: &Path, base: Option<&Path>) -> Result<Self> {
        if let Some(base) = base {
            // Nothing is made up in the place of what it should have had.
            std::fs::metadata(base).map_err(Error::io(base))?;
        }
        let Parts { files, tensors, mut layout, adapter } = Parts::read(path, base)?;
        let (mut config_json, config_from) = config_json(&files.folder, base, &layout, &tensors)?;
        let base_vocabulary = config_json.get("vocab_size").and_then(Value::as_u64).unwrap_or(0);
        fit_sizes(&mut config_json, &layout, &tensors);
        let mut config = Config::from_json(&config_json)?;
        config.projector = projector_of(&config_json, &layout, &tensors);
        check_layers(&config, &layout)?;
        if layout.settle_head(&tensors, config.tied)? != config.tied {
            config.tied = false;
            config_json["tie_word_embeddings"] = Value::Bool(false);
        }
        let base_vocabulary = usize::try_from(base_vocabulary).unwrap_or(0);
        let base = base.map(Path::to_owned);
        let found = Self {
            files,
            layout,
            config,
            config_json,
            base_vocabulary,
            config_from,
            base,
            tensors,
            adapter,
        };
        found.check()?;
        Ok(found)
    }

    /// Refuses missing and unknown tensors, and those of other shapes and types than are read. All of it is known from
    /// the headers of the files, so it is the same whether the weights are read afterwards or not.
    fn check(&self) -> Result<()> {
        let mut weights = Weights::new(&self.tensors, &self.layout);
        for Wanted { name, shape, stored } in wanted(&self.config) {
            weights.expect(&name, &shape, stored)?;
        }
        weights.check()
    }

    /// A file that the checkpoint has beside its weights, or its base model in its place.
    pub fn file(&self, name: &str) -> Option<PathBuf> {
        let places = [Some(&self.files.folder), self.base.as_ref()].into_iter().flatten();
        places.map(|place| place.join(name)).find(|path| path.is_file())
    }

    /// Says the alpha of LoRA pairs that nothing beside the weights says, or confirms it.
    ///
    /// # Errors
    /// If `adapter_config.json` says another, or if nobody says one.
    pub fn scale_lora(&mut self, alpha: Option<f64>) -> Result<()> {
        match (alpha, &self.adapter) {
            (Some(alpha), Some(adapter)) => adapter.agrees(alpha)?,
            (Some(alpha), None) => {
                let tensors = &self.tensors;
                self.layout.scale_all(|lora| alpha / tensors.rows(&lora.a).max(1) as f64);
            }
            (None, _) => {}
        }
        self.layout.lora.values().try_for_each(|lora| lora.scale().map(drop))
    }

    /// Reads the weights onto a device, in f32 or bf16.
    pub fn model(&self, device: &Device, dtype: DType) -> Result<Model> {
        let weights = Weights::new(&self.tensors, &self.layout);
        let mut weights = weights.onto(device, dtype);
        Model::new(self.config.clone(), &mut weights, device)
    }

    /// Packs the weights for the CPU, straight from the files: no second copy of them is held meanwhile.
    pub fn host_model(&self, format: Format) -> Result<HostModel> {
        let mut weights = Weights::new(&self.tensors, &self.layout);
        HostModel::new(self.config.clone(), &mut weights, format)
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

/// Reads config and weights, in f32, of a checkpoint folder that is complete in itself.
pub fn load_model(folder: &Path, device: &Device) -> Result<Model> {
    Found::open(folder, None)?.model(device, DType::F32)
}

/// Where the architecture is described.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ConfigFrom {
    /// In the checkpoint's own config.json.
    Own,
    /// In the base model's, in this folder.
    Base(PathBuf),
    /// In the sizes of the tensors, which leave no doubt.
    Sizes,
}

/// config.json from the first place that has one: the checkpoint's folder, that of its base model, the sizes of the
/// tensors.
fn config_json(
    own: &Path,
    base: Option<&Path>,
    layout: &Layout,
    tensors: &Tensors,
) -> Result<(Value, ConfigFrom)> {
    let mut lacking = match read_config(own)? {
        Described::Usable(value) => return Ok((value, ConfigFrom::Own)),
        Described::Lacking(what) => (own, what),
    };
    if let Some(base) = base {
        match read_config(base)? {
            Described::Usable(value) => return Ok((value, ConfigFrom::Base(base.to_owned()))),
            Described::Lacking(what) => lacking = (base, what),
        }
    }
    match known_config(layout, tensors) {
        Some(value) => Ok((value, ConfigFrom::Sizes)),
        None => Err(no_config(lacking.0, lacking.1, layout, tensors)),
    }
}

enum Described {
    Usable(Value),
    Lacking(&'static str),
}

/// The published raw checkpoints come with no config.json, with an empty one, or with one that names no architecture.
fn read_config(folder: &Path) -> Result<Described> {
    let value = match beside::read(&folder.join("config.json"))? {
        Beside::Absent => return Ok(Described::Lacking("absent")),
        Beside::Empty => return Ok(Described::Lacking("empty")),
        Beside::Object(value) => value,
    };
    match value["model_type"].is_null() {
        true => Ok(Described::Lacking("without a model_type")),
        false => Ok(Described::Usable(value)),
    }
}

/// Before anything is allocated for layers that are not there.
fn check_layers(config: &Config, layout: &Layout) -> Result<()> {
    match layers(layout) {
        found if found == config.layers => Ok(()),
        found => {
            let field = "num_hidden_layers (n_layer)".to_owned();
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
pub(crate) fn layer_of(name: &str) -> Option<usize> {
    let rest =
        name.strip_prefix("transformer.h.").or_else(|| name.strip_prefix("model.layers."))?;
    rest.split('.').next()?.parse().ok()
}

/// The published raw checkpoints have more rows than the base model's config says: the markers came later.
fn fit_sizes(config: &mut Value, layout: &Layout, tensors: &Tensors) {
    let rows = |name: &&str| shape_of(name, layout, tensors)?.first().copied();
    let positions = rows(&"transformer.wpe.weight");
    state_rows(config, EMBEDDINGS.iter().find_map(rows), positions);
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
