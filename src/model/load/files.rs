//! Which files of a folder hold the weights. Knows the names that trainers and hubs give them, and opens none but
//! indices of shards.

use crate::files;
use crate::model::error::Error;
use crate::model::error::Result;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::path::Path;
use std::path::PathBuf;

/// What the one file of a training run's checkpoint begins with; a number follows.
const RAW: &str = "checkpoint_";
/// What the name of an index is, after that of the file whose shards it lists.
const INDEX: &str = ".index.json";

/// The names of weights in the order in which they are preferred: transformers' own, then those of trainers.
const PREFERRED: [Name; 10] = [
    Name::One("model.safetensors"),
    Name::Index("model.safetensors.index.json"),
    Name::One("pytorch_model.bin"),
    Name::Index("pytorch_model.bin.index.json"),
    Name::One("state_dict.bin"),
    Name::ShardsOf("model.safetensors"),
    Name::ShardsOf("pytorch_model.bin"),
    Name::Raw,
    Name::One(ADAPTERS[0]),
    Name::One(ADAPTERS[1]),
];

/// What PEFT calls an adapter by itself, which needs its base model's weights.
const ADAPTERS: [&str; 2] = ["adapter_model.safetensors", "adapter_model.bin"];

#[derive(Clone, Copy)]
enum Name {
    /// A file with everything.
    One(&'static str),
    /// A list of shards.
    Index(&'static str),
    /// `model-00001-of-00004.safetensors` and the others, without a list.
    ShardsOf(&'static str),
    /// [`RAW`].
    Raw,
}

/// The files of a checkpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Files {
    /// Where config, tokenizer and manifest are looked for.
    pub folder: PathBuf,
    /// The files with weights.
    pub weights: Vec<PathBuf>,
}

#[derive(Deserialize)]
struct Index {
    weight_map: BTreeMap<String, String>,
}

/// Which files of a folder that is not here yet are to be fetched for its weights.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Choice<'a> {
    /// These: one file, or shards with their index.
    Fetch(Vec<&'a str>),
    /// One of these; they are different checkpoints.
    Several(Vec<&'a str>),
    /// There are no weights.
    Nothing,
}

/// One way to read the weights of a folder, by the names that are there.
enum Candidate<'a> {
    One(&'a str),
    Indexed { index: &'a str, shards: Vec<&'a str> },
    Shards(Vec<&'a str>),
    Raw(Vec<&'a str>),
}

impl<'a> Candidate<'a> {
    /// Of this name, if anything of it is there.
    fn of(name: Name, names: &[&'a str]) -> Option<Self> {
        let exactly = |wanted: &str| names.iter().copied().find(|name| *name == wanted);
        match name {
            Name::One(wanted) => exactly(wanted).map(Self::One),
            Name::Index(wanted) => exactly(wanted).map(|index| {
                let shards = shards_of(wanted.trim_end_matches(INDEX), names);
                Self::Indexed { index, shards }
            }),
            Name::ShardsOf(whole) => {
                Some(shards_of(whole, names)).filter(|shards| !shards.is_empty()).map(Self::Shards)
            }
            Name::Raw => {
                let raw: Vec<_> =
                    names.iter().copied().filter(|name| name.starts_with(RAW)).collect();
                Some(raw).filter(|raw| !raw.is_empty()).map(Self::Raw)
            }
        }
    }

    /// Whether all that its own names promise is there.
    fn is_whole(&self) -> bool {
        match self {
            Self::One(_) | Self::Raw(_) => true,
            Self::Indexed { shards, .. } | Self::Shards(shards) => {
                shards.first().is_some_and(|first| shard_count(first) == Some(shards.len()))
            }
        }
    }

    fn choice(self) -> Choice<'a> {
        match self {
            Self::One(name) => Choice::Fetch(vec![name]),
            Self::Indexed { index, shards } => {
                Choice::Fetch(std::iter::once(index).chain(shards).collect())
            }
            Self::Shards(shards) => Choice::Fetch(shards),
            Self::Raw(raw) if raw.len() == 1 => Choice::Fetch(raw),
            Self::Raw(raw) => Choice::Several(raw),
        }
    }

    /// The files, if none of them is missing.
    fn files(&self, folder: &Path) -> Result<Vec<PathBuf>> {
        match self {
            Self::One(name) => Ok(vec![folder.join(name)]),
            Self::Indexed { index, .. } => indexed(&folder.join(index)),
            Self::Shards(shards) if self.is_whole() => {
                Ok(shards.iter().map(|name| folder.join(name)).collect())
            }
            Self::Shards(shards) => {
                let count = shard_count(shards[0]).unwrap_or(0);
                let all = (1..=count).map(|number| with_number(shards[0], number));
                let missing = all.filter(|name| !shards.contains(&name.as_str())).collect();
                Err(Error::Shards { path: folder.to_owned(), count, missing })
            }
            Self::Raw(raw) => match raw[..] {
                [name] => Ok(vec![folder.join(name)]),
                _ => Err(Error::Layout {
                    path: folder.to_owned(),
                    seen: raw.join(", "),
                    missing: "a choice: name one of the files",
                }),
            },
        }
    }
}

/// Chooses as [`Files::find`] will, from the names of the files in a folder.
pub fn choose<'a>(names: &[&'a str]) -> Choice<'a> {
    let mut candidates: Vec<_> =
        PREFERRED.into_iter().filter_map(|name| Candidate::of(name, names)).collect();
    let whole = candidates.iter().position(Candidate::is_whole).unwrap_or(0);
    let chosen = match candidates.is_empty() {
        true => return Choice::Nothing,
        false => candidates.swap_remove(whole).choice(),
    };
    let adapter = names.iter().copied().find(|name| ADAPTERS.contains(name));
    match (chosen, adapter) {
        (Choice::Fetch(files), Some(adapter)) if files[0] != adapter => {
            Choice::Several(vec![files[0], adapter])
        }
        (chosen, _) => chosen,
    }
}

impl Files {
    /// Whether a path is that of an adapter by itself, or of a folder with nothing else.
    pub fn is_adapter(path: &Path) -> bool {
        Self::find(path).is_ok_and(|found| found.is_adapters())
    }

    /// Whether the weights are in a file that PEFT has named.
    pub(super) fn is_adapters(&self) -> bool {
        self.weights.iter().any(|file| is_adapter(file))
    }

    /// An adapter in the folder of a whole model.
    pub(super) fn adapter_beside(&self) -> Option<PathBuf> {
        if self.is_adapters() {
            return None;
        }
        ADAPTERS.iter().map(|name| self.folder.join(name)).find(|file| file.is_file())
    }

    /// `path` is a checkpoint's folder, or one file with weights in it, or an index of shards.
    pub fn find(path: &Path) -> Result<Self> {
        if path.is_file() {
            let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
            let folder = folder.unwrap_or(Path::new(".")).to_owned();
            let is_index = path.to_string_lossy().ends_with(INDEX);
            let weights = if is_index { indexed(path)? } else { vec![path.to_owned()] };
            return Ok(Self { folder, weights });
        }
        let names = names_in(path)?;
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let mut incomplete = None;
        for candidate in PREFERRED.into_iter().filter_map(|name| Candidate::of(name, &names)) {
            match candidate.files(path) {
                Ok(weights) => {
                    if let Some(error) = incomplete {
                        tracing::warn!(%error, "other weights are taken");
                    }
                    return Ok(Self { folder: path.to_owned(), weights });
                }
                // What was left over by a download or a training run is no reason to pass by what is whole.
                Err(error @ Error::Shards { .. }) => incomplete = incomplete.or(Some(error)),
                Err(error) => return Err(incomplete.unwrap_or(error)),
            }
        }
        Err(incomplete.unwrap_or_else(|| Error::Layout {
            path: path.to_owned(),
            seen: if names.is_empty() { "nothing".to_owned() } else { names.join(", ") },
            missing: "model.safetensors, pytorch_model.bin, state_dict.bin or checkpoint_N with the weights. A file of another name can be named itself",
        }))
    }
}

fn is_adapter(file: &Path) -> bool {
    file.file_name().is_some_and(|name| ADAPTERS.iter().any(|adapter| name == *adapter))
}

/// The names of the files in a folder, in order. Links that lead nowhere are among them: what is wanted and cannot be
/// opened is not absent.
fn names_in(folder: &Path) -> Result<Vec<String>> {
    let io = || Error::io(folder);
    let mut names = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(io())? {
        let entry = entry.map_err(io())?;
        if !entry.path().is_dir() {
            names.push(entry.file_name().to_string_lossy().into_owned());
        }
    }
    names.sort();
    Ok(names)
}

/// Of `model-00001-of-00004.safetensors`: what is before the first number, and behind the second.
fn around_numbers(name: &str) -> Option<(&str, usize, &str)> {
    let (stem, rest) = name.split_once('-')?;
    let (number, rest) = rest.split_once("-of-")?;
    let (count, _) = rest.split_once('.')?;
    number.parse::<usize>().ok()?;
    let parsed = count.parse().ok().filter(|count| *count > 0)?;
    Some((stem, parsed, &rest[count.len()..]))
}

/// Of `model-00001-of-00004.safetensors`, the 4.
fn shard_count(name: &str) -> Option<usize> {
    around_numbers(name).map(|(_, count, _)| count)
}

/// Those that belong to a file that was cut up. Of several ways to cut it, one that is whole, if there is one.
fn shards_of<'a>(whole: &str, names: &[&'a str]) -> Vec<&'a str> {
    let mut by_count: BTreeMap<usize, Vec<&str>> = BTreeMap::new();
    for name in names {
        if let Some((stem, count, ending)) = around_numbers(name)
            && whole.strip_prefix(stem) == Some(ending)
        {
            by_count.entry(count).or_default().push(name);
        }
    }
    let complete = by_count.iter().find(|(count, shards)| shards.len() == **count);
    let complete = complete.map(|(count, _)| *count);
    let count = complete.or_else(|| by_count.keys().next().copied());
    count.and_then(|count| by_count.remove(&count)).unwrap_or_default()
}

/// The name of another shard of the same file.
fn with_number(shard: &str, number: usize) -> String {
    let digits = shard.split(['-', '.']).nth(1).map_or(5, str::len);
    match (shard.split_once('-'), shard.split_once("-of-")) {
        (Some((stem, _)), Some((_, rest))) => format!("{stem}-{number:0digits$}-of-{rest}"),
        _ => shard.to_owned(),
    }
}

/// The shard files that an index names, in order, each once.
fn indexed(index: &Path) -> Result<Vec<PathBuf>> {
    let malformed = |reason: String| Error::Malformed { path: index.to_owned(), reason };
    let text = files::read(index).map_err(Error::io(index))?;
    if text.trim().is_empty() {
        return Err(malformed("is empty".to_owned()));
    }
    let parsed: Index =
        serde_json::from_str(&text).map_err(|error| malformed(error.to_string()))?;
    let files: BTreeSet<String> = parsed.weight_map.into_values().collect();
    if files.is_empty() {
        return Err(malformed("names no file".to_owned()));
    }
    if let Some(name) = files.iter().find(|name| name.contains(['/', '\\'])) {
        return Err(malformed(format!("names `{name}`, which is not in the checkpoint's folder")));
    }
    let here = |name: &String| index.with_file_name(name).is_file();
    let missing: Vec<String> = files.iter().filter(|name| !here(name)).cloned().collect();
    match missing.is_empty() {
        true => Ok(files.iter().map(|name| index.with_file_name(name)).collect()),
        false => Err(Error::Shards { path: index.to_owned(), count: files.len(), missing }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_fetched_is_what_is_read() {
        let both = ["README.md", "model.safetensors", "pytorch_model.bin", "checkpoint_3"];
        assert_eq!(choose(&both), Choice::Fetch(vec!["model.safetensors"]));
        let index = "pytorch_model.bin.index.json";
        let shards = ["pytorch_model-00001-of-00002.bin", "pytorch_model-00002-of-00002.bin"];
        let listed = [shards[0], "training_args.bin", index, shards[1]];
        assert_eq!(choose(&listed), Choice::Fetch(vec![index, shards[0], shards[1]]));
        assert_eq!(choose(&["checkpoint_3", "x"]), Choice::Fetch(vec!["checkpoint_3"]));
        let several = ["checkpoint_3", "checkpoint_4"];
        assert_eq!(choose(&several), Choice::Several(several.to_vec()));
        let adapter = ["adapter_model.safetensors", "adapter_config.json"];
        assert_eq!(choose(&adapter), Choice::Fetch(vec![adapter[0]]));
        let both = ["model.safetensors", adapter[0]];
        assert_eq!(choose(&both), Choice::Several(both.to_vec()));
        assert_eq!(choose(&["README.md"]), Choice::Nothing);
    }

    #[test]
    fn what_is_whole_goes_before_what_is_left_over() {
        let (index, bin_index) = ("model.safetensors.index.json", "pytorch_model.bin.index.json");
        let bin = "pytorch_model.bin";
        for (names, taken) in [
            (vec!["model.safetensors", index], vec!["model.safetensors"]),
            (vec!["model.safetensors", bin_index], vec!["model.safetensors"]),
            (vec![index, bin], vec![bin]),
            (vec![index, "model-00001-of-00002.safetensors", bin], vec![bin]),
            (vec![bin, bin_index], vec![bin]),
            (vec!["checkpoint_3", bin_index], vec!["checkpoint_3"]),
            (vec![index], vec![index]),
            (
                vec!["pytorch_model-1-of-1.bin", "pytorch_model-1-of-2.bin"],
                vec!["pytorch_model-1-of-1.bin"],
            ),
        ] {
            assert_eq!(choose(&names), Choice::Fetch(taken), "{names:?}");
        }
    }

    #[test]
    fn shards_have_names_of_their_own() {
        assert_eq!(shard_count("model-00001-of-00004.safetensors"), Some(4));
        for other in ["model.safetensors", "model-x-of-4.bin", "model-1-of-0.bin", "a-1-of-4"] {
            assert_eq!(shard_count(other), None, "{other}");
        }
        assert_eq!(with_number("m-00001-of-00012.bin", 12), "m-00012-of-00012.bin");
    }
}
