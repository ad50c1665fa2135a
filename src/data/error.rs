//! Why questions cannot be read or made.

use std::path::PathBuf;

/// Why questions cannot be read or made.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file cannot be read or written.
    #[error("{path}: {reason}", path = path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Why. Not called a source, which would be printed twice.
        reason: std::io::Error,
    },
    /// A row of a file is no question; the next one may be.
    #[error("{path}: line {line}, question {number}: {reason}", path = path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: u64,
        /// Which row of the file, from 1.
        number: u64,
        /// What is wrong, with the name of the field.
        reason: String,
    },
    /// From a place on, a file cannot be read.
    #[error("{path}: line {line}, after question {number}: {reason}", path = path.display())]
    Broken {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: u64,
        /// The last row before.
        number: u64,
        /// What is wrong.
        reason: String,
    },
    /// A file holds no question.
    #[error("{path}: holds no question", path = .0.display())]
    Empty(PathBuf),
    /// None of the rows of a file is a question.
    #[error("{path}: holds no question that can be used: {skipped}", path = path.display())]
    Unusable {
        /// The file.
        path: PathBuf,
        /// How many rows there are, and what is wrong with the first.
        skipped: String,
    },
    /// Questions like these do not exist.
    #[error("{0}")]
    Impossible(String),
}
