//! What can go wrong between a folder of weights and hidden states. Knows no request and no status code.

use crate::model::device::Processor;
use std::path::Path;
use std::path::PathBuf;

/// An error of the model layer; each variant is something the caller can act on.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file is absent or cannot be read.
    #[error("{path}: {reason}", path = path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Why. Not called a source, which would be printed twice.
        reason: std::io::Error,
    },
    /// A file is there, but not what its name says.
    #[error("{path}: {reason}", path = path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// `config.json` asks for something that does not exist or that we do not compute.
    #[error("config.json: `{field}` {reason}")]
    Config {
        /// The field of config.json, with the objects around it.
        field: String,
        /// What is wrong with it.
        reason: String,
    },
    /// Tensors that the architecture needs are not in the checkpoint.
    #[error("missing from the checkpoint: {}", .0.join(", "))]
    Missing(Vec<String>),
    /// Tensors in the checkpoint that the architecture has no place for.
    #[error("not part of this architecture: {}", .0.join(", "))]
    Unexpected(Vec<String>),
    /// A tensor has another shape than config.json implies.
    #[error("tensor `{name}` has shape {found:?}, config.json implies {expected:?}")]
    Shape {
        /// The tensor.
        name: String,
        /// Its shape in the file.
        found: Vec<usize>,
        /// The shape that the architecture needs.
        expected: Vec<usize>,
    },
    /// The files do not add up to a checkpoint that can be computed here.
    #[error("{path}: found {seen}; missing: {missing}", path = path.display())]
    Layout {
        /// The folder or file.
        path: PathBuf,
        /// What was there.
        seen: String,
        /// What would be needed.
        missing: &'static str,
    },
    /// Weights are cut into shards, of which some are not there.
    #[error(
        "{path}: {} of {count} shards are not there ({}): download them, or remove what is left over",
        missing.len(), missing.join(", "), path = path.display()
    )]
    Shards {
        /// The index that names them, or their folder.
        path: PathBuf,
        /// How many there are to be.
        count: usize,
        /// The names of those that are not there.
        missing: Vec<String>,
    },
    /// There is no usable description of the architecture.
    #[error(
        "{path}: config.json is {what}; the weights look like {looks_like}. Name a folder with the base model's config.json and tokenizer.json (--base)",
        path = path.display()
    )]
    NoConfig {
        /// The checkpoint's folder.
        path: PathBuf,
        /// Absent, empty, or without an architecture.
        what: &'static str,
        /// What the tensors tell.
        looks_like: String,
    },
    /// Two tensors that must be the same are not.
    #[error("tensors `{one}` and `{other}` must be copies of each other and differ")]
    Disagree {
        /// The one.
        one: String,
        /// The other.
        other: String,
    },
    /// Two tensors claim one place.
    #[error("tensors `{one}` and `{other}` are both `{name}`")]
    Twice {
        /// The place.
        name: String,
        /// The one.
        one: String,
        /// The other.
        other: String,
    },
    /// How much a LoRA pair counts is said nowhere.
    #[error(
        "`{name}` is half of a LoRA pair, and nothing says its alpha, the number of the training that says how much the pair counts. Put the adapter_config.json that PEFT wrote beside the weights; if there is none, one that says {{\"lora_alpha\": 16}} with the right number, or `lora_alpha` into coconut.json"
    )]
    Scale {
        /// The pair's first half.
        name: String,
    },
    /// The system has no memory for the weights.
    #[error("there is no memory for the weights: {reason}")]
    Memory {
        /// What the system said. Not called a source, which would be printed twice.
        reason: std::io::Error,
    },
    /// A tensor's elements are no weights.
    #[error(
        "tensor `{name}` has elements of a type that is not read; floats and integers of 16 bits and more are. What is quantised must be dequantised first"
    )]
    Type {
        /// The tensor.
        name: String,
    },
    /// A weight is no number.
    #[error(
        "tensor `{name}` holds {value}: the file is damaged, or its training had diverged when it was saved"
    )]
    NotFinite {
        /// The tensor.
        name: String,
        /// Infinite, or no number.
        value: f32,
    },
    /// A weight would become infinite in the type that it is to be kept in.
    #[error(
        "tensor `{name}` holds {value:e}, which would be infinite in {kept}: choose a type with more range (--dtype)"
    )]
    Narrow {
        /// The tensor.
        name: String,
        /// The number.
        value: f64,
        /// The type.
        kept: &'static str,
    },
    /// A file cannot be written.
    #[error("{path}: {reason}", path = path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// A processor cannot be used.
    #[error("--device {processor}: {reason}")]
    Processor {
        /// Which.
        processor: Processor,
        /// Why. Not called a source, which would be printed twice.
        reason: candle_core::Error,
    },
    /// A processor does not compute with weights of this type.
    #[error("--dtype int8 is for the CPU; with --device {processor} take f32 or bf16")]
    Int8 {
        /// Which.
        processor: Processor,
    },
    /// The tensor library refused an operation.
    #[error(transparent)]
    Tensor(#[from] candle_core::Error),
}

impl Error {
    /// For `map_err` on file operations.
    pub(crate) fn io(path: &Path) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.to_owned();
        move |reason| Self::Io { path, reason }
    }

    /// `value` is not finite, or would not be in the type `kept`.
    pub(crate) fn unfit(name: &str, value: f32, kept: &'static str) -> Self {
        let name = name.to_owned();
        match value.is_finite() {
            true => Self::Narrow { name, value: value.into(), kept },
            false => Self::NotFinite { name, value },
        }
    }
}

/// The result of the model layer.
pub type Result<T, E = Error> = std::result::Result<T, E>;
