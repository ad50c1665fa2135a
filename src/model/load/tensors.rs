//! All tensors of a checkpoint's files, memory-mapped and by name, wherever they lie: safetensors or `torch.save`
//! archives, told apart by their bytes, one file or several. Knows bytes and shapes, no layout.

use crate::files::contents;
use crate::files::contents::Contents;
use crate::files::contents::START_BYTES;
use crate::model::error::Error;
use crate::model::error::Result;
use crate::model::load::pickle;
use crate::model::load::pickle::Element;
use crate::model::load::pickle::Lying;
use candle_core::DType;
use memmap2::Mmap;
use safetensors::SafeTensorError;
use safetensors::SafeTensors;
use serde_json::Value;
use sha2::Digest as _;
use sha2::Sha256;
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fs::File;
use std::ops::Deref;
use std::ops::Range;
use std::path::Path;

/// Bytes that `tell_apart` reads of a file: its beginning, and so many pieces of such a length.
const BEGINNING: usize = 1 << 16;
const PIECES: usize = 1 << 10;
const PIECE: usize = 64;

/// The kind of file that weights lie in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// A header of JSON and plain data.
    Safetensors,
    /// A zip archive of `torch.save`.
    Torch,
}

/// The tensors of one or several files.
#[derive(Debug, Default)]
pub struct Tensors {
    /// Of the last file.
    format: Option<Format>,
    files: Vec<Bytes>,
    entries: BTreeMap<String, Entry>,
}

/// Type and shape of a tensor as stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Info<'a> {
    /// `None` for types that no weight has.
    pub dtype: Option<DType>,
    /// As stored.
    pub shape: &'a [usize],
}

#[derive(Debug)]
enum Bytes {
    Mapped(Mmap),
    Owned(Vec<u8>),
}

impl Deref for Bytes {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match self {
            Self::Mapped(map) => map,
            Self::Owned(bytes) => bytes,
        }
    }
}

#[derive(Debug)]
struct Entry {
    file: usize,
    dtype: Option<DType>,
    place: Place,
}

#[derive(Debug)]
enum Place {
    Plain { shape: Vec<usize>, range: Range<usize> },
    Torch(Lying),
}

impl Tensors {
    /// Maps files.
    pub fn open(paths: &[impl AsRef<Path>]) -> Result<Self> {
        let mut this = Self::default();
        for path in paths {
            this.add(path.as_ref())?;
        }
        Ok(this)
    }

    /// A file that is in memory already; `path` is for messages only.
    pub fn from_memory(bytes: Vec<u8>, path: &Path) -> Result<Self> {
        let mut this = Self::default();
        this.add_bytes(Bytes::Owned(bytes), path)?;
        Ok(this)
    }

    /// With the files of an adapter, whose names must be others.
    pub(super) fn with(mut self, adapter: Self) -> Result<Self> {
        let before = self.files.len();
        self.files.extend(adapter.files);
        for (name, entry) in adapter.entries {
            let entry = Entry { file: entry.file + before, ..entry };
            if self.entries.insert(name.clone(), entry).is_some() {
                let (one, other) = (format!("{name} (base)"), format!("{name} (adapter)"));
                return Err(Error::Twice { name, one, other });
            }
        }
        Ok(self)
    }

    fn add(&mut self, path: &Path) -> Result<()> {
        self.add_bytes(Bytes::Mapped(map(path)?), path)
    }

    fn add_bytes(&mut self, bytes: Bytes, path: &Path) -> Result<()> {
        let malformed = |reason: String| Error::Malformed { path: path.to_owned(), reason };
        let file = self.files.len();
        let format = format_of(&bytes).map_err(malformed)?;
        let read = match format {
            Format::Safetensors => safetensors_entries(&bytes, file),
            Format::Torch => torch_entries(&bytes, file),
        };
        self.format = Some(format);
        for (name, entry) in read.map_err(malformed)? {
            if self.entries.contains_key(&name) {
                return Err(malformed(format!("tensor `{name}` is in two files")));
            }
            self.entries.insert(name, entry);
        }
        self.files.push(bytes);
        Ok(())
    }

    /// The kind of the files, where there are any.
    pub fn format(&self) -> Option<Format> {
        self.format
    }

    /// All names, in order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.entries.keys().map(String::as_str)
    }

    /// Length of all files together.
    pub fn file_bytes(&self) -> usize {
        self.files.iter().map(|file| file.len()).sum()
    }

    /// Adds to a digest what tells these files from others: length and beginning of each, and pieces all over it. What
    /// differs in a few bytes may look alike; no two trained checkpoints do.
    pub fn tell_apart(&self, digest: &mut Sha256) {
        for file in &self.files {
            digest.update(file.len().to_le_bytes());
            digest.update(&file[..file.len().min(BEGINNING)]);
            let stride = file.len().div_ceil(PIECES).max(PIECE);
            for piece in file.chunks(stride) {
                digest.update(&piece[..piece.len().min(PIECE)]);
            }
        }
    }

    /// Type and shape of a tensor.
    pub fn info(&self, name: &str) -> Option<Info<'_>> {
        let entry = self.entries.get(name)?;
        let shape = match &entry.place {
            Place::Plain { shape, .. } => shape,
            Place::Torch(lying) => lying.shape(),
        };
        Some(Info { dtype: entry.dtype, shape })
    }

    /// How many rows a tensor has: of the first of a LoRA pair, its rank. 0 where there is no such tensor.
    pub(super) fn rows(&self, name: &str) -> usize {
        self.info(name).and_then(|info| info.shape.first().copied()).unwrap_or(0)
    }

    /// The elements of a tensor in row-major order, little-endian; borrowed unless they lie in another order.
    pub fn bytes(&self, name: &str) -> Option<Cow<'_, [u8]>> {
        let entry = self.entries.get(name)?;
        let file = &self.files[entry.file];
        Some(match &entry.place {
            Place::Plain { range, .. } => Cow::Borrowed(&file[range.clone()]),
            Place::Torch(lying) => lying.bytes(file),
        })
    }

    /// Whether two tensors hold the same numbers.
    pub fn same(&self, one: &str, other: &str) -> bool {
        // Tied tensors share one storage in torch's files; nothing needs to be read to see it.
        if let (Some(one), Some(other)) = (self.entries.get(one), self.entries.get(other))
            && let (Place::Torch(lying), Place::Torch(also)) = (&one.place, &other.place)
            && one.file == other.file
            && lying == also
        {
            return true;
        }
        self.info(one).is_some()
            && self.info(one) == self.info(other)
            && self.bytes(one) == self.bytes(other)
    }
}

/// By the first bytes: names say anything.
fn format_of(bytes: &[u8]) -> Result<Format, String> {
    match contents::recognise(&bytes[..bytes.len().min(START_BYTES)]) {
        Contents::Safetensors => Ok(Format::Safetensors),
        Contents::Torch => Ok(Format::Torch),
        Contents::Empty => Err("is empty: download it again".to_owned()),
        Contents::Foreign(foreign) => Err(foreign.to_string()),
        Contents::Other => Err("is neither a safetensors file nor a torch.save archive".to_owned()),
    }
}

fn safetensors_entries(bytes: &[u8], file: usize) -> Result<Vec<(String, Entry)>, String> {
    let parsed = SafeTensors::deserialize(bytes).map_err(|error| unreadable(bytes, &error))?;
    let base = bytes.as_ptr() as usize;
    let entries = parsed.tensors().into_iter().map(|(name, view)| {
        let start = view.data().as_ptr() as usize - base;
        let range = start..start + view.data().len();
        let dtype = DType::try_from(view.dtype()).ok();
        (name, Entry { file, dtype, place: Place::Plain { shape: view.shape().to_vec(), range } })
    });
    Ok(entries.collect())
}

/// What is wrong with a safetensors file: mostly that its end did not arrive.
fn unreadable(bytes: &[u8], error: &SafeTensorError) -> String {
    let header = bytes.first_chunk().map_or(0, |length| u64::from_le_bytes(*length));
    let (here, data) = (bytes.len() as u64, header.saturating_add(8));
    let wanted = match error {
        SafeTensorError::InvalidHeaderLength => data,
        SafeTensorError::MetadataIncompleteBuffer => {
            data.saturating_add(data_bytes(&bytes[8..usize::try_from(data).unwrap_or(8)]))
        }
        other => return other.to_string(),
    };
    match wanted > here {
        true => format!("is truncated: {here} of at least {wanted} bytes: download it again"),
        false => format!("has {} bytes that belong to no tensor", here - wanted),
    }
}

/// Where the last tensor of a header ends.
fn data_bytes(header: &[u8]) -> u64 {
    let entries: BTreeMap<String, Value> = serde_json::from_slice(header).unwrap_or_default();
    let ends = entries.values().filter_map(|entry| entry.get("data_offsets")?.get(1)?.as_u64());
    ends.max().unwrap_or(0)
}

fn torch_entries(bytes: &[u8], file: usize) -> Result<Vec<(String, Entry)>, String> {
    let tensors = pickle::read(bytes).map_err(|refused| refused.to_string())?;
    let entries = tensors.into_iter().map(|(name, lying)| {
        let dtype = match lying.element() {
            Element::F64 => Some(DType::F64),
            Element::F32 => Some(DType::F32),
            Element::F16 => Some(DType::F16),
            Element::BF16 => Some(DType::BF16),
            Element::I64 => Some(DType::I64),
            Element::I32 => Some(DType::I32),
            Element::I16 => Some(DType::I16),
            Element::I8 | Element::U8 | Element::Bool => None,
        };
        (name, Entry { file, dtype, place: Place::Torch(lying) })
    });
    Ok(entries.collect())
}

/// Maps a file for reading.
#[expect(unsafe_code, reason = "memory maps are unsafe by nature")]
pub(crate) fn map(path: &Path) -> Result<Mmap> {
    let file = File::open(path).map_err(Error::io(path))?;
    // SAFETY: the map is read-only and lives only while the model loads. If another process truncates the file in that
    // time, this process is killed by a signal; weights are not memory-safety-relevant data, so changed bytes are not
    // undefined behaviour beyond that.
    unsafe { Mmap::map(&file) }.map_err(Error::io(path))
}
