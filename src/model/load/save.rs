//! A checkpoint written as Hugging Face would: merged, plain names, one safetensors file. One tensor is in memory at a
//! time. Knows no recipe.

use crate::model::config::Architecture;
use crate::model::error::Error;
use crate::model::error::Result;
use crate::model::load::Found;
use crate::model::load::wanted::Wanted;
use crate::model::load::wanted::wanted;
use crate::model::load::weights::Weights;
use crate::model::numbers::unfit;
use crate::model::parameters::Stored;
use candle_core::DType;
use half::bf16;
use half::f16;
use indicatif::ProgressBar;
use indicatif::ProgressStyle;
use safetensors::Dtype;
use safetensors::tensor::View;
use serde_json::Value;
use serde_json::json;
use std::borrow::Cow;
use std::cell::RefCell;
use std::collections::HashMap;
use std::fs::File;
use std::path::Path;

/// The type that weights are written in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SavedType {
    /// 32 bits.
    F32,
    /// 16 bits, the range of f32.
    BF16,
    /// 16 bits, more digits and less range.
    F16,
}

impl SavedType {
    /// As `torch_dtype` in config.json.
    pub fn torch_name(self) -> &'static str {
        match self {
            Self::F32 => "float32",
            Self::BF16 => "bfloat16",
            Self::F16 => "float16",
        }
    }

    fn stored(self) -> Dtype {
        match self {
            Self::F32 => Dtype::F32,
            Self::BF16 => Dtype::BF16,
            Self::F16 => Dtype::F16,
        }
    }

    fn size(self) -> usize {
        match self {
            Self::F32 => 4,
            Self::BF16 | Self::F16 => 2,
        }
    }

    fn kept(self) -> DType {
        match self {
            Self::F32 => DType::F32,
            Self::BF16 => DType::BF16,
            Self::F16 => DType::F16,
        }
    }

    /// Numbers in this type, little-endian. `name` is for messages only.
    pub(crate) fn bytes(self, name: &str, numbers: &[f32]) -> Result<Vec<u8>> {
        if let Some(value) = unfit(numbers, self.kept()) {
            return Err(Error::unfit(name, value, self.torch_name()));
        }
        let numbers = numbers.iter();
        Ok(match self {
            Self::F32 => numbers.flat_map(|x| x.to_le_bytes()).collect(),
            Self::BF16 => numbers.flat_map(|x| bf16::from_f32(*x).to_le_bytes()).collect(),
            Self::F16 => numbers.flat_map(|x| f16::from_f32(*x).to_le_bytes()).collect(),
        })
    }
}

/// Says in a config.json what transformers loads the weights with, and the type they are written in.
pub fn declare(config: &mut Value, architecture: Architecture, dtype: SavedType) {
    config["architectures"] = json!([architecture.transformers_class()]);
    // transformers 5 renamed the field. It reads the old name where the new one is absent; transformers 4 knows no other.
    if !config["dtype"].is_null() {
        config["dtype"] = json!(dtype.torch_name());
    }
    config["torch_dtype"] = json!(dtype.torch_name());
}

impl Found {
    /// The type in which nothing is lost: that of the file, unless merging makes new numbers.
    pub fn lossless_type(&self) -> SavedType {
        match (self.layout.is_plain(), self.stored_type()) {
            (true, "bf16") => SavedType::BF16,
            (true, "f16") => SavedType::F16,
            _ => SavedType::F32,
        }
    }

    /// Writes the weights to `path`, whose content is of no use after an error.
    pub fn save(&self, path: &Path, dtype: SavedType) -> Result<()> {
        let weights = Weights::new(self.tensors(), &self.layout);
        let (failure, bar) = (RefCell::new(None), bar());
        let views = wanted(&self.config).into_iter().map(|wanted| {
            let shape = wanted.on_disk();
            let name = wanted.name.clone();
            let (weights, failure, bar) = (&weights, &failure, &bar);
            let pending = Pending { wanted, shape, dtype, weights, failure, bar };
            bar.inc_length(pending.data_len() as u64);
            (name, pending)
        });
        let written = write(views, path);
        bar.finish_and_clear();
        if let Some(error) = failure.take() {
            return Err(error);
        }
        written
    }
}

/// Writes a safetensors file as transformers would. The crate's own writer makes it readable for nobody else; here it is
/// as readable as any file that the process makes.
///
/// # Errors
/// If it cannot be written.
pub fn write<V: View>(views: impl IntoIterator<Item = (String, V)>, path: &Path) -> Result<()> {
    let failed = |reason: String| Error::Write { path: path.to_owned(), reason };
    let usual = File::create(path).and_then(|file| Ok(file.metadata()?.permissions()));
    let usual = usual.map_err(|error| failed(error.to_string()))?;
    let metadata = HashMap::from([("format".to_owned(), "pt".to_owned())]);
    safetensors::serialize_to_file(views, Some(metadata), path)
        .map_err(|error| failed(error.to_string()))?;
    std::fs::set_permissions(path, usual).map_err(|error| failed(error.to_string()))
}

/// A tensor that is read when it is written.
struct Pending<'a> {
    wanted: Wanted,
    /// As on disk.
    shape: Vec<usize>,
    dtype: SavedType,
    weights: &'a Weights<'a>,
    failure: &'a RefCell<Option<Error>>,
    bar: &'a ProgressBar,
}

/// How much of a file is written, on a terminal.
fn bar() -> ProgressBar {
    let style = ProgressStyle::with_template("{wide_bar} {bytes} of {total_bytes}, {eta} left");
    let style = style.expect("the template is a constant that is valid");
    ProgressBar::new(0).with_style(style)
}

impl Pending<'_> {
    fn bytes(&self) -> Result<Vec<u8>> {
        let Wanted { name, stored, .. } = &self.wanted;
        let tensor = self.weights.read(name, *stored)?;
        let tensor = match stored {
            Stored::AsIs => tensor,
            Stored::Transposed => tensor.t()?.contiguous()?,
        };
        self.dtype.bytes(name, &tensor.flatten_all()?.to_vec1()?)
    }
}

impl View for Pending<'_> {
    fn dtype(&self) -> Dtype {
        self.dtype.stored()
    }

    fn shape(&self) -> &[usize] {
        &self.shape
    }

    fn data(&self) -> Cow<'_, [u8]> {
        // The interface has no place for an error: it is kept, and the file is thrown away.
        self.bar.inc(self.data_len() as u64);
        Cow::Owned(self.bytes().unwrap_or_else(|error| {
            // The first one; the file is written to its end all the same.
            self.failure.borrow_mut().get_or_insert(error);
            vec![0; self.data_len()]
        }))
    }

    fn data_len(&self) -> usize {
        self.shape.iter().product::<usize>() * self.dtype.size()
    }
}
