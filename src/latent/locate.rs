//! From what `--model` and `--base` say to files that lie here: a path that exists is one, anything else that could be an
//! id is looked for on the hub. Puts together what the hub has, which files make a checkpoint, and what is known of
//! published ids; reads no file itself.

use crate::hub::Hub;
use crate::hub::Snapshot;
use crate::hub::config::Config;
use crate::hub::id::Id;
use crate::latent::checkpoint::Location;
use crate::latent::published;
use crate::latent::recipe::MANIFEST;
use crate::model::load::adapter;
use crate::model::load::adapter::ADAPTER_CONFIG;
use crate::model::load::files::Choice;
use crate::model::load::files::Files;
use crate::model::load::files::choose;
use anyhow::Context as _;
use anyhow::bail;
use std::collections::BTreeSet;
use std::path::Path;
use std::path::PathBuf;

/// What makes a folder's weights a model.
const NEEDED: [&str; 2] = ["config.json", "tokenizer.json"];

/// Small files that are fetched where they are, with weights or a base model.
const BESIDE: [&str; 8] = [
    "config.json",
    "tokenizer.json",
    "added_tokens.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "generation_config.json",
    "chat_template.jinja",
    "chat_template.json",
];

/// What of a base model is needed.
#[derive(Clone, Copy, PartialEq)]
enum Wanted {
    /// Config and tokenizer.
    Companions,
    /// Its weights too: what is served is an adapter by itself.
    Weights,
}

/// A checkpoint as an operator names it.
#[derive(Clone, Debug)]
pub struct Sought {
    /// A path or an id.
    pub model: String,
    /// A path or an id with the base model's config and tokenizer.
    pub base: Option<String>,
    /// A manifest to use instead of what is found.
    pub recipe: Option<PathBuf>,
    /// Where ids are looked for.
    pub hub: Config,
}

/// A checkpoint among the files of a repository.
struct Chosen {
    /// The folder in the repository, empty for its top.
    folder: String,
    /// The file to be loaded, where the folder has others.
    file: Option<String>,
    /// Its weights, as they are named in the repository.
    weights: Vec<String>,
}

impl Sought {
    /// Finds the files, and downloads those that are not here.
    pub fn locate(&self) -> anyhow::Result<Location> {
        match id_of(&self.model) {
            Some(id) => self.on_hub(&id),
            None => {
                let (model, recipe) = (PathBuf::from(&self.model), self.recipe.clone());
                let wanted = wanted(&model);
                let named = match (&self.base, wanted) {
                    (None, Wanted::Weights) => adapter::base_of(folder_of(&model))?,
                    (base, _) => base.clone(),
                };
                let base = named.map(|base| self.base_folder(&base, wanted)).transpose()?;
                Ok(Location { model, base, recipe, id: None })
            }
        }
    }

    fn on_hub(&self, id: &Id) -> anyhow::Result<Location> {
        let hub = Hub::new(&self.hub)?;
        let snapshot = hub.snapshot(id).with_context(|| {
            format!("there is no file or folder `{}`, and as an id on the hub", self.model)
        })?;
        let chosen = chosen(&snapshot, id)?;
        let small =
            beside(&snapshot, &chosen.folder, &[&BESIDE[..], &[MANIFEST, ADAPTER_CONFIG]].concat());
        let weights = chosen.weights.iter().cloned();
        let names: Vec<String> = small.into_iter().chain(weights).collect();
        let root = snapshot.fetch(names.iter().map(String::as_str))?;
        let folder = root.join(&chosen.folder);
        let model = chosen.file.map_or_else(|| folder.clone(), |file| root.join(file));
        let wanted = wanted(&model);
        let base = match (&self.base, wanted) {
            (Some(base), _) => Some(self.base_folder(base, wanted)?),
            (None, Wanted::Companions) => self.known_base(&snapshot, id, &root, &folder)?,
            // A stranger's file names no path here.
            (None, Wanted::Weights) => match adapter::base_of(&folder)? {
                Some(base) if Id::parse(&base).is_some() => Some(self.fetched_base(&base, wanted)?),
                _ => None,
            },
        };
        let (recipe, id) = (self.recipe.clone(), Some(id.repository.clone()));
        Ok(Location { model, base, recipe, id })
    }

    /// Where config and tokenizer come from if the checkpoint has not both: the top of its repository, or the base model
    /// of a published id. The top may have but one of them, which is better than none. `folder` is the checkpoint's.
    fn known_base(
        &self,
        snapshot: &Snapshot<'_>,
        id: &Id,
        root: &Path,
        folder: &Path,
    ) -> anyhow::Result<Option<PathBuf>> {
        // Some published checkpoints have an empty config.json.
        let has = |name: &str| {
            std::fs::metadata(folder.join(name)).is_ok_and(|metadata| metadata.len() > 0)
        };
        let lacking = NEEDED.into_iter().filter(|name| !has(name));
        let at_top: Vec<bool> = lacking.map(|name| folder != root && snapshot.has(name)).collect();
        let published = published::find(&id.repository).and_then(|published| published.base);
        match published {
            Some(base) if at_top.contains(&false) => {
                Ok(Some(self.base_folder(base, Wanted::Companions)?))
            }
            _ if at_top.contains(&true) => {
                let top = beside(snapshot, "", &BESIDE);
                Ok(Some(snapshot.fetch(top.iter().map(String::as_str))?))
            }
            _ => Ok(None),
        }
    }

    /// The folder with the files of a base model.
    fn base_folder(&self, base: &str, wanted: Wanted) -> anyhow::Result<PathBuf> {
        match id_of(base) {
            None => Ok(PathBuf::from(base)),
            Some(_) => self.fetched_base(base, wanted),
        }
    }

    fn fetched_base(&self, base: &str, wanted: Wanted) -> anyhow::Result<PathBuf> {
        let fetched = || -> anyhow::Result<PathBuf> {
            let id = Id::parse(base).context("is no id")?;
            let hub = Hub::new(&self.hub)?;
            let snapshot = hub.snapshot(&id)?;
            let (folder, weights) = match wanted {
                Wanted::Companions => (id.within.clone(), Vec::new()),
                Wanted::Weights => {
                    let chosen = chosen(&snapshot, &id)?;
                    (chosen.folder, chosen.weights)
                }
            };
            let names = beside(&snapshot, &folder, &BESIDE).into_iter().chain(weights);
            let names: Vec<String> = names.collect();
            Ok(snapshot.fetch(names.iter().map(String::as_str))?.join(folder))
        };
        let needs = match wanted {
            Wanted::Companions => "config.json and tokenizer.json",
            Wanted::Weights => "weights, config.json and tokenizer.json",
        };
        fetched().with_context(|| {
            format!(
                "{} needs {needs} of its base model {base}; --base names another place for them",
                self.model
            )
        })
    }
}

fn wanted(model: &Path) -> Wanted {
    if Files::is_adapter(model) { Wanted::Weights } else { Wanted::Companions }
}

fn folder_of(model: &Path) -> &Path {
    if model.is_dir() { model } else { model.parent().unwrap_or(Path::new("")) }
}

/// A path that exists is a path.
fn id_of(text: &str) -> Option<Id> {
    if Path::new(text).exists() { None } else { Id::parse(text) }
}

/// Those of `names` that lie in a folder of the repository.
fn beside(snapshot: &Snapshot<'_>, folder: &str, names: &[&str]) -> Vec<String> {
    let names = names.iter().map(|name| within(folder, name));
    names.filter(|name| snapshot.has(name)).collect()
}

fn within(folder: &str, name: &str) -> String {
    if folder.is_empty() { name.to_owned() } else { format!("{folder}/{name}") }
}

/// The checkpoint at the place that an id names, or the only one below it.
fn chosen(snapshot: &Snapshot<'_>, id: &Id) -> anyhow::Result<Chosen> {
    let place = id.within.as_str();
    if snapshot.has(place) {
        let folder = place.rsplit_once('/').map_or("", |(folder, _)| folder);
        let (file, weights) = (Some(place.to_owned()), vec![place.to_owned()]);
        return Ok(Chosen { folder: folder.to_owned(), file, weights });
    }
    let folders: BTreeSet<&str> = snapshot
        .files()
        .map(|name| name.rsplit_once('/').map_or("", |(folder, _)| folder))
        .filter(|folder| is_at_or_below(folder, place))
        .collect();
    let mut candidates = Vec::new();
    for folder in folders {
        let names = names_in(snapshot, folder);
        match choose(&names) {
            Choice::Fetch(weights) => {
                let weights = weights.into_iter().map(|name| within(folder, name)).collect();
                let found = Chosen { folder: folder.to_owned(), file: None, weights };
                if folder == place {
                    return Ok(found);
                }
                candidates.push(found);
            }
            Choice::Several(weights) => candidates.extend(weights.into_iter().map(|name| {
                let file = within(folder, name);
                let weights = vec![file.clone()];
                Chosen { folder: folder.to_owned(), file: Some(file), weights }
            })),
            Choice::Nothing => {}
        }
    }
    match candidates.len() {
        1 => Ok(candidates.remove(0)),
        0 => bail!(
            "{id} has no model.safetensors, pytorch_model.bin, state_dict.bin or checkpoint_N; {}: {}",
            if snapshot.is_cached() { "the cache has" } else { "it has" },
            snapshot.files().filter(|name| !name.starts_with('.')).collect::<Vec<_>>().join(", ")
        ),
        _ => {
            let place = |found: Chosen| found.file.unwrap_or(found.folder);
            let names: Vec<_> = candidates.into_iter().map(place).collect();
            let (first, all) = (&names[0], names.join(", "));
            bail!(
                "{id} has several checkpoints ({all}); name one, such as {}/{first}",
                id.repository
            )
        }
    }
}

fn is_at_or_below(folder: &str, place: &str) -> bool {
    let below = folder.strip_prefix(place);
    place.is_empty() || below.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// The files directly in a folder, by their own names.
fn names_in<'a>(snapshot: &'a Snapshot<'_>, folder: &str) -> Vec<&'a str> {
    let prefix = within(folder, "");
    let names = snapshot.files().filter_map(|name| name.strip_prefix(prefix.as_str()));
    names.filter(|name| !name.contains('/')).collect()
}
