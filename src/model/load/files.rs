//! Which files of a folder hold the weights. Knows the names that trainers and hubs give them, and opens none but
//! indices of shards.

use crate::files;
use crate::model::error::Error;
use crate::model::error::Result;
use crate::model::load::tensors::Format;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::path::PathBuf;

/// Single files with weights, in the order in which they are preferred.
const SINGLE: [(&str, Format); 5] = [
    ("model.safetensors", Format::Safetensors),
    ("pytorch_model.bin", Format::Torch),
    ("state_dict.bin", Format::Torch),
    (ADAPTERS[0], Format::Safetensors),
    (ADAPTERS[1], Format::Torch),
];

/// What PEFT calls an adapter by itself, which needs its base model's weights.
const ADAPTERS: [&str; 2] = ["adapter_model.safetensors", "adapter_model.bin"];

/// Lists of shards, in the same order.
const INDICES: [(&str, Format); 2] = [
    ("model.safetensors.index.json", Format::Safetensors),
    ("pytorch_model.bin.index.json", Format::Torch),
];

/// What the one file of a training run's checkpoint begins with; a number follows.
const RAW: &str = "checkpoint_";

/// The files of a checkpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Files {
    /// Where config, tokenizer and manifest are looked for.
    pub folder: PathBuf,
    /// The files with weights.
    pub weights: Vec<PathBuf>,
    /// Their kind.
    pub format: Format,
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

/// Chooses as [`Files::find`] will, from the names of the files in a folder.
pub fn choose<'a>(names: &[&'a str]) -> Choice<'a> {
    for (index, _) in INDICES {
        if let Some(&index) = names.iter().find(|name| **name == index) {
            let shards = names.iter().copied().filter(|name| is_shard_of(name, index));
            return Choice::Fetch(std::iter::once(index).chain(shards).collect());
        }
    }
    for (single, _) in SINGLE {
        if let Some(&name) = names.iter().find(|name| **name == single) {
            return Choice::Fetch(vec![name]);
        }
    }
    let of = |wanted: &dyn Fn(&str) -> bool| -> Vec<&'a str> {
        names.iter().copied().filter(|name| wanted(name)).collect()
    };
    let shards = of(&|name| shard_count(name).is_some());
    if !shards.is_empty() {
        return Choice::Fetch(shards);
    }
    let checkpoints = of(&|name| name.starts_with(RAW));
    match checkpoints.len() {
        0 => Choice::Nothing,
        1 => Choice::Fetch(checkpoints),
        _ => Choice::Several(checkpoints),
    }
}

impl Files {
    /// `path` is a checkpoint's folder, or one file with weights in it.
    pub fn find(path: &Path) -> Result<Self> {
        if path.is_file() {
            let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
            let folder = folder.unwrap_or(Path::new(".")).to_owned();
            return Ok(Self { folder, weights: vec![path.to_owned()], format: format_of(path)? });
        }
        let folder = path.to_owned();
        for (name, format) in INDICES {
            let index = path.join(name);
            if index.is_file() {
                return Ok(Self { folder, weights: shards(&index)?, format });
            }
        }
        for (name, format) in SINGLE {
            let file = path.join(name);
            if file.is_file() {
                return Ok(Self { folder, weights: vec![file], format });
            }
        }
        Self::by_listing(folder)
    }

    /// Whether a path is that of an adapter by itself, or of a folder with nothing else.
    pub fn is_adapter(path: &Path) -> bool {
        let found = Self::find(path).ok();
        found.is_some_and(|found| found.weights.iter().any(|file| is_adapter(file)))
    }

    /// An adapter in the folder of a whole model.
    pub(super) fn adapter_beside(&self) -> Option<PathBuf> {
        if self.weights.iter().any(|file| is_adapter(file)) {
            return None;
        }
        ADAPTERS.iter().map(|name| self.folder.join(name)).find(|file| file.is_file())
    }

    /// Shards without an index, or the one `checkpoint_N` of a training run.
    fn by_listing(folder: PathBuf) -> Result<Self> {
        let io = |source| Error::Io { path: folder.clone(), source };
        let mut names = Vec::new();
        for entry in std::fs::read_dir(&folder).map_err(io)? {
            let entry = entry.map_err(io)?;
            if entry.path().is_file() {
                names.push(entry.file_name().to_string_lossy().into_owned());
            }
        }
        names.sort();
        let shards: Vec<&String> =
            names.iter().filter(|name| shard_count(name).is_some()).collect();
        if let Some(count) = shards.first().and_then(|name| shard_count(name)) {
            if shards.len() != count {
                let seen = format!("{} of {count} shards", shards.len());
                return Err(Error::Layout { path: folder, seen, missing: "the other shards" });
            }
            let weights = shards.iter().map(|name| folder.join(name)).collect();
            return Ok(Self { folder, weights, format: Format::Safetensors });
        }
        let checkpoints: Vec<&String> = names.iter().filter(|name| name.starts_with(RAW)).collect();
        match checkpoints[..] {
            [name] => {
                let file = folder.join(name);
                let format = format_of(&file)?;
                Ok(Self { folder, weights: vec![file], format })
            }
            [] => {
                let seen = names.join(", ");
                let missing = "model.safetensors, pytorch_model.bin, state_dict.bin or checkpoint_N with the weights";
                Err(Error::Layout { path: folder, seen, missing })
            }
            _ => {
                let seen =
                    checkpoints.iter().map(|name| name.as_str()).collect::<Vec<_>>().join(", ");
                Err(Error::Layout {
                    path: folder,
                    seen,
                    missing: "a choice: name one of the files",
                })
            }
        }
    }
}

fn is_adapter(file: &Path) -> bool {
    file.file_name().is_some_and(|name| ADAPTERS.iter().any(|adapter| name == *adapter))
}

/// By the first bytes: a zip archive, or a safetensors header.
fn format_of(path: &Path) -> Result<Format> {
    let io = |source| Error::Io { path: path.to_owned(), source };
    let mut start = [0; 9];
    let mut file = File::open(path).map_err(io)?;
    let read = file.read(&mut start).map_err(io)?;
    match &start[..read] {
        [b'P', b'K', 3, 4, ..] => Ok(Format::Torch),
        [_, _, _, _, _, _, _, _, b'{'] => Ok(Format::Safetensors),
        _ => {
            let reason =
                "is neither a safetensors file nor a torch.save archive (version 1.6 or later)";
            Err(Error::Malformed { path: path.to_owned(), reason: reason.to_owned() })
        }
    }
}

/// Of `model-00001-of-00004.safetensors`, the 4.
fn shard_count(name: &str) -> Option<usize> {
    let numbers = name.strip_prefix("model-")?.strip_suffix(".safetensors")?;
    let (_, count) = numbers.split_once("-of-")?;
    count.parse().ok().filter(|count| *count > 0)
}

/// `model-00001-of-00004.safetensors` belongs to `model.safetensors.index.json`.
fn is_shard_of(name: &str, index: &str) -> bool {
    let Some((stem, ending)) = index.trim_end_matches(".index.json").split_once('.') else {
        return false;
    };
    let numbers = name.strip_prefix(stem).and_then(|name| name.strip_suffix(ending));
    numbers.is_some_and(|numbers| numbers.starts_with('-') && numbers.contains("-of-"))
}

/// The shard files that an index names, in order, each once.
fn shards(index: &Path) -> Result<Vec<PathBuf>> {
    let malformed = |reason: String| Error::Malformed { path: index.to_owned(), reason };
    let text = files::read(index).map_err(|source| Error::Io { path: index.to_owned(), source })?;
    let parsed: Index =
        serde_json::from_str(&text).map_err(|error| malformed(error.to_string()))?;
    let files: BTreeSet<String> = parsed.weight_map.into_values().collect();
    if let Some(name) = files.iter().find(|name| name.contains(['/', '\\'])) {
        return Err(malformed(format!("names `{name}`, which is not in the checkpoint's folder")));
    }
    Ok(files.iter().map(|name| index.with_file_name(name)).collect())
}

#[cfg(test)]
mod tests {
    use super::Choice;
    use super::choose;

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
        assert_eq!(choose(&["README.md"]), Choice::Nothing);
    }
}
