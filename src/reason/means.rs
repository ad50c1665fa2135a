//! Mean thoughts by step, from a file that `coconut probe` writes: what thoughts are replaced with where a question asks for
//! means. Knows the file, no question.

use candle_core::DType;
use candle_core::Device;
use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;

/// The tensor's name in the file; (steps, D), f32.
pub const NAME: &str = "thought_means";

/// The mean thought of each step over a data set.
#[derive(Clone, Debug)]
pub struct ThoughtMeans(Vec<Arc<[f32]>>);

/// Why there are no means.
#[derive(Debug, thiserror::Error)]
#[error("{path}: {reason}", path = path.display())]
pub struct MeansError {
    /// The file.
    path: PathBuf,
    /// What is wrong with it.
    reason: String,
}

impl ThoughtMeans {
    /// Reads a safetensors file with a tensor `thought_means`, for a model of this width.
    ///
    /// # Errors
    /// Where it cannot be read, or its numbers do not fit.
    pub fn load(path: &Path, width: usize) -> Result<Self, MeansError> {
        let refused = |reason: String| MeansError { path: path.to_owned(), reason };
        let mut tensors = candle_core::safetensors::load(path, &Device::Cpu)
            .map_err(|error| refused(format!("cannot be read as safetensors: {error}")))?;
        let tensor = tensors.remove(NAME).ok_or_else(|| {
            refused(format!("has no tensor `{NAME}`: `coconut probe` writes such files"))
        })?;
        let [_, found] = *tensor.dims() else {
            return Err(refused(format!("`{NAME}` must have two dimensions, (steps, {width})")));
        };
        if found != width {
            let reason =
                format!("`{NAME}` has {found} numbers a step; this model's thoughts have {width}");
            return Err(refused(reason));
        }
        let numbers: Vec<f32> = tensor
            .to_dtype(DType::F32)
            .and_then(|tensor| tensor.flatten_all()?.to_vec1())
            .map_err(|error| refused(format!("`{NAME}`: {error}")))?;
        if !numbers.iter().all(|number| number.is_finite()) {
            return Err(refused(format!("`{NAME}` has numbers that are not finite")));
        }
        Ok(Self(numbers.chunks_exact(width.max(1)).map(Arc::from).collect()))
    }

    /// The mean of thought number `step`, counted from 1.
    pub fn at(&self, step: usize) -> Option<&Arc<[f32]>> {
        self.0.get(step.checked_sub(1)?)
    }

    /// How many steps there are means of.
    pub fn steps(&self) -> usize {
        self.0.len()
    }
}
