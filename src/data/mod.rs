//! The questions that training and evaluation read: what one is, how files of them are read, and how they are made. Knows
//! text only: no tokenizer, no model.

pub mod icot;
pub mod multiplication;
pub mod prosqa;
pub mod read;
pub mod write;

use crate::data::read::Examples;
use serde::Deserialize;
use serde::Serialize;
use std::path::Path;
use std::path::PathBuf;

/// A question with the steps that lead to its answer, as the published data sets hold it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Example {
    /// The question, on one line.
    pub question: String,
    /// The reasoning in words, one step each; may be empty.
    pub steps: Vec<String>,
    /// The answer, without the `###` that a trained model writes before it.
    pub answer: String,
}

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
    /// A place in a file is no question.
    #[error("{path}: line {line}, question {number}: {reason}", path = path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: u64,
        /// Which question of the file, from 1.
        number: u64,
        /// What is wrong, with the name of the field.
        reason: String,
    },
    /// A file holds no question.
    #[error("{path}: holds no question", path = .0.display())]
    Empty(PathBuf),
    /// Questions like these do not exist.
    #[error("{0}")]
    Impossible(String),
}

/// All questions of a file, in its order; see [`Examples`] for the forms it may have.
///
/// # Errors
/// The first place that is not a question, and files without any.
pub fn read(path: &Path) -> Result<Vec<Example>, Error> {
    let examples = Examples::open(path)?.collect::<Result<Vec<_>, _>>()?;
    match examples.is_empty() {
        true => Err(Error::Empty(path.to_owned())),
        false => Ok(examples),
    }
}

impl Example {
    /// Says which field has nothing in it.
    fn check(self) -> Result<Self, String> {
        for (field, text) in [("question", &self.question), ("answer", &self.answer)] {
            if text.trim().is_empty() {
                return Err(format!("{field}: is empty"));
            }
        }
        match self.steps.iter().position(|step| step.trim().is_empty()) {
            Some(index) => Err(format!("steps[{index}]: is empty")),
            None => Ok(self),
        }
    }
}
