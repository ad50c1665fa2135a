//! A checkpoint written as Hugging Face would: merged, plain names, one safetensors file. One tensor is in memory at a
//! time. Knows no recipe.

use crate::model::Model;
use crate::model::config::Architecture;
use crate::model::error::Error;
use crate::model::error::Result;
use crate::model::load::Found;
use crate::model::load::weights::Weights;
use crate::model::parameters::Parameters;
use crate::model::parameters::Stored;
use candle_core::DType;
use candle_core::Device;
use candle_core::Tensor;
use half::bf16;
use half::f16;
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

    /// The elements of an f32 tensor in this type, little-endian.
    fn bytes(self, tensor: &Tensor) -> candle_core::Result<Vec<u8>> {
        let flat = tensor.flatten_all()?;
        Ok(match self {
            Self::F32 => flat.to_vec1::<f32>()?.into_iter().flat_map(f32::to_le_bytes).collect(),
            Self::BF16 => {
                let flat = flat.to_dtype(DType::BF16)?.to_vec1::<bf16>()?;
                flat.into_iter().flat_map(bf16::to_le_bytes).collect()
            }
            Self::F16 => {
                let flat = flat.to_dtype(DType::F16)?.to_vec1::<f16>()?;
                flat.into_iter().flat_map(f16::to_le_bytes).collect()
            }
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

    /// Writes the weights to `path`. A checkpoint that could not be loaded is refused before anything is written.
    pub fn save(&self, path: &Path, dtype: SavedType) -> Result<()> {
        let mut weights = Weights::new(self.tensors(), &self.layout);
        let mut listing = Listing { weights: &mut weights, wanted: Vec::new() };
        Model::new(self.config.clone(), &mut listing, &Device::Cpu)?;
        let wanted = listing.wanted;
        weights.check()?;
        let failure = RefCell::new(None);
        let views = wanted.into_iter().map(|Wanted { name, shape, stored }| {
            let view = Pending {
                name: name.clone(),
                shape,
                stored,
                dtype,
                weights: &weights,
                failure: &failure,
            };
            (name, view)
        });
        let written = write(views, path);
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

/// Notes what an architecture takes, without reading it.
struct Listing<'a, 'w> {
    weights: &'w mut Weights<'a>,
    wanted: Vec<Wanted>,
}

struct Wanted {
    name: String,
    /// As on disk.
    shape: Vec<usize>,
    stored: Stored,
}

impl Parameters for Listing<'_, '_> {
    fn take(&mut self, name: &str, shape: &[usize], stored: Stored) -> Result<Tensor> {
        self.weights.expect(name, shape, stored)?;
        let mut on_disk = shape.to_vec();
        if stored == Stored::Transposed {
            on_disk.reverse();
        }
        self.wanted.push(Wanted { name: name.to_owned(), shape: on_disk, stored });
        Ok(Tensor::zeros(1, DType::F32, &Device::Cpu)?.broadcast_as(shape)?)
    }
}

/// A tensor that is read when it is written.
struct Pending<'a> {
    name: String,
    shape: Vec<usize>,
    stored: Stored,
    dtype: SavedType,
    weights: &'a Weights<'a>,
    failure: &'a RefCell<Option<Error>>,
}

impl Pending<'_> {
    fn bytes(&self) -> Result<Vec<u8>> {
        let tensor = self.weights.read(&self.name, self.stored)?;
        let tensor = match self.stored {
            Stored::AsIs => tensor,
            Stored::Transposed => tensor.t()?.contiguous()?,
        };
        Ok(self.dtype.bytes(&tensor)?)
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
        Cow::Owned(self.bytes().unwrap_or_else(|error| {
            self.failure.replace(Some(error));
            vec![0; self.data_len()]
        }))
    }

    fn data_len(&self) -> usize {
        self.shape.iter().product::<usize>() * self.dtype.size()
    }
}
