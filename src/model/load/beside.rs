//! The small JSON files beside weights: `config.json`, `generation_config.json` and the like. They come from strangers,
//! may be missing, and are often there and empty. Knows no field of any.

use crate::files;
use crate::model::error::Error;
use crate::model::error::Result;
use serde_json::Value;
use std::path::Path;

/// A file longer than this is none of these, in bytes. Those of tokenizers with many added tokens have more than a
/// million.
const MAX_BYTES: u64 = 16 << 20;

/// What is under a name.
#[derive(Clone, Debug, PartialEq)]
pub enum Beside {
    /// Nothing.
    Absent,
    /// A file without a word in it.
    Empty,
    /// A JSON object.
    Object(Value),
}

/// Reads a file, if it is there.
///
/// # Errors
/// If it is neither empty nor a JSON object.
pub fn read(path: &Path) -> Result<Beside> {
    match std::fs::metadata(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Beside::Absent),
        Err(error) => return Err(Error::io(path)(error)),
        Ok(metadata) if metadata.len() > MAX_BYTES => {
            let reason = format!("has {} bytes, {MAX_BYTES} at most are read", metadata.len());
            return Err(malformed(path, reason));
        }
        Ok(_) => {}
    }
    let text = files::read(path).map_err(Error::io(path))?;
    if text.trim().is_empty() {
        return Ok(Beside::Empty);
    }
    match serde_json::from_str(&text) {
        Ok(value @ Value::Object(_)) => Ok(Beside::Object(value)),
        Ok(_) => Err(malformed(path, "is JSON, but no object with fields".to_owned())),
        Err(error) => Err(malformed(path, error.to_string())),
    }
}

/// A refusal of what is in a file.
pub fn malformed(path: &Path, reason: String) -> Error {
    Error::Malformed { path: path.to_owned(), reason }
}
