//! What can go wrong between a folder of weights and hidden states. Knows no request and no status code.

use std::path::PathBuf;

/// An error of the model layer; each variant is something the caller can act on.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file is absent or cannot be read.
    #[error("{path}: {source}", path = path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
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
        /// The field of config.json.
        field: &'static str,
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
    /// The tensor library refused an operation.
    #[error(transparent)]
    Tensor(#[from] candle_core::Error),
}

/// The result of the model layer.
pub type Result<T, E = Error> = std::result::Result<T, E>;
