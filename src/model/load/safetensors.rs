//! Safetensors files of a checkpoint folder, memory-mapped: one `model.safetensors`, or shards named by
//! `model.safetensors.index.json`.

use crate::model::error::Error;
use crate::model::error::Result;
use crate::model::load::weights::Source;
use crate::model::load::weights::View;
use candle_core::DType;
use memmap2::Mmap;
use safetensors::SafeTensors;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::fs::File;
use std::path::Path;
use std::path::PathBuf;

/// All tensors of a folder.
#[derive(Debug)]
pub struct Safetensors {
    files: Vec<MappedFile>,
    tensors: BTreeMap<String, Entry>,
}

#[derive(Debug)]
struct MappedFile {
    bytes: Mmap,
}

#[derive(Debug)]
struct Entry {
    file: usize,
    dtype: DType,
    shape: Vec<usize>,
    start: usize,
    end: usize,
}

#[derive(Deserialize)]
struct Index {
    weight_map: BTreeMap<String, String>,
}

impl Safetensors {
    /// Maps the files of `folder`.
    pub fn open(folder: &Path) -> Result<Self> {
        let single = folder.join("model.safetensors");
        let index = folder.join("model.safetensors.index.json");
        let names = if index.exists() { shards(&index)? } else { vec![single] };
        let mut this = Self { files: Vec::new(), tensors: BTreeMap::new() };
        for path in names {
            this.add(&path)?;
        }
        Ok(this)
    }

    fn add(&mut self, path: &Path) -> Result<()> {
        let bytes = map(path)?;
        let malformed = |reason: String| Error::Malformed { path: path.to_owned(), reason };
        let parsed =
            SafeTensors::deserialize(&bytes).map_err(|error| malformed(error.to_string()))?;
        let base = bytes.as_ptr() as usize;
        for (name, view) in parsed.tensors() {
            let Ok(dtype) = DType::try_from(view.dtype()) else {
                return Err(malformed(format!(
                    "tensor `{name}` has unsupported dtype {:?}",
                    view.dtype()
                )));
            };
            let start = view.data().as_ptr() as usize - base;
            let end = start + view.data().len();
            let entry =
                Entry { file: self.files.len(), dtype, shape: view.shape().to_vec(), start, end };
            if self.tensors.insert(name.clone(), entry).is_some() {
                return Err(malformed(format!("tensor `{name}` is in two shards")));
            }
        }
        self.files.push(MappedFile { bytes });
        Ok(())
    }
}

impl Source for Safetensors {
    fn names(&self) -> BTreeSet<String> {
        self.tensors.keys().cloned().collect()
    }

    fn view(&self, name: &str) -> Option<View<'_>> {
        let entry = self.tensors.get(name)?;
        let data = &self.files[entry.file].bytes[entry.start..entry.end];
        Some(View { dtype: entry.dtype, shape: &entry.shape, data })
    }
}

/// The shard files that an index names, in order, each once.
fn shards(index: &Path) -> Result<Vec<PathBuf>> {
    let malformed = |reason: String| Error::Malformed { path: index.to_owned(), reason };
    let text = std::fs::read_to_string(index)
        .map_err(|source| Error::Io { path: index.to_owned(), source })?;
    let parsed: Index =
        serde_json::from_str(&text).map_err(|error| malformed(error.to_string()))?;
    let files: BTreeSet<String> = parsed.weight_map.into_values().collect();
    if let Some(name) = files.iter().find(|name| name.contains(['/', '\\'])) {
        return Err(malformed(format!("names `{name}`, which is not in the checkpoint's folder")));
    }
    Ok(files.iter().map(|name| index.with_file_name(name)).collect())
}

/// Maps a file for reading.
#[expect(unsafe_code, reason = "memory maps are unsafe by nature")]
pub(crate) fn map(path: &Path) -> Result<Mmap> {
    let io = |source| Error::Io { path: path.to_owned(), source };
    let file = File::open(path).map_err(io)?;
    // SAFETY: the map is read-only and lives only while the model loads. If another process truncates the file in that
    // time, this process is killed by a signal; weights are not memory-safety-relevant data, so changed bytes are not
    // undefined behaviour beyond that.
    unsafe { Mmap::map(&file) }.map_err(io)
}
