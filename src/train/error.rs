//! What can go wrong in a training run. Knows no status code.

use crate::data::error::Error as DataError;
use crate::latent::checkpoint::CheckpointError;
use crate::model::error::Error as ModelError;
use crate::text::TextError;
use std::path::Path;
use std::path::PathBuf;

/// Why a training run cannot start or go on; each variant is something its user can act on.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A configuration file is not one.
    #[error("{path}: {reason}", path = path.display())]
    Config {
        /// The file.
        path: PathBuf,
        /// What is wrong, with the field.
        reason: String,
    },
    /// A field has a value that cannot be used.
    #[error("`{field}` {reason}")]
    Field {
        /// The field of the configuration.
        field: &'static str,
        /// What is wrong with it.
        reason: String,
    },
    /// A file cannot be read or written.
    #[error("{path}: {reason}", path = path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// Why. Not called a source, which would be printed twice.
        reason: std::io::Error,
    },
    /// A saved state cannot be resumed from.
    #[error("{path}: {reason}", path = path.display())]
    State {
        /// Its folder or file.
        path: PathBuf,
        /// Why not.
        reason: String,
    },
    /// The loss, or a gradient, is no number any more.
    #[error(
        "the {what} is {value} at step {step}: lower the learning rate or clip gradients (`clip`); the last saved state is from before"
    )]
    Diverged {
        /// The step, counted over all phases.
        step: usize,
        /// What is no number.
        what: &'static str,
        /// The loss, or the norm of all gradients.
        value: f64,
    },
    /// The training data.
    #[error(transparent)]
    Data(#[from] DataError),
    /// The tokenizer.
    #[error(transparent)]
    Text(#[from] TextError),
    /// The checkpoint to start from.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// The model.
    #[error(transparent)]
    Model(#[from] ModelError),
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

    /// For `map_err` on states.
    pub(crate) fn state(path: &Path, reason: &dyn std::fmt::Display) -> Self {
        Self::State { path: path.to_owned(), reason: reason.to_string() }
    }
}

/// The result of the train layer.
pub type Result<T, E = Error> = std::result::Result<T, E>;
