//! Text to ids and back, whole or token by token. Knows tokenizers, no model and no recipe.

pub mod decode;
pub mod stop;

use std::path::Path;
use std::path::PathBuf;

/// A tokenizer as Hugging Face writes it (`tokenizer.json`).
#[derive(Clone, Debug)]
pub struct Tokenizer {
    inner: tokenizers::Tokenizer,
}

/// Why text and ids do not convert.
#[derive(Debug, thiserror::Error)]
pub enum TextError {
    /// The tokenizer file cannot be read.
    #[error("{path}: {reason}", path = path.display())]
    Load {
        /// The file.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// The tokenizer refuses the text.
    #[error("{0}")]
    Encode(String),
}

impl Tokenizer {
    /// Reads `tokenizer.json`.
    pub fn load(path: &Path) -> Result<Self, TextError> {
        let mut inner = tokenizers::Tokenizer::from_file(path).map_err(|error| {
            TextError::Load { path: path.to_owned(), reason: error.to_string() }
        })?;
        // A question is never cut or filled up silently.
        inner.with_padding(None);
        inner.with_truncation(None).map_err(|error| TextError::Load {
            path: path.to_owned(),
            reason: error.to_string(),
        })?;
        Ok(Self { inner })
    }

    /// Text to ids.
    pub fn encode(&self, text: &str, add_special_tokens: bool) -> Result<Vec<u32>, TextError> {
        let encoding = self
            .inner
            .encode(text, add_special_tokens)
            .map_err(|error| TextError::Encode(error.to_string()))?;
        Ok(encoding.get_ids().to_vec())
    }

    /// Ids to text; special tokens are left out, bytes that are no UTF-8 become U+FFFD.
    pub fn decode(&self, ids: &[u32]) -> String {
        self.inner.decode(ids, true).unwrap_or_default()
    }

    /// The text of one id by itself, special tokens shown.
    pub fn token_text(&self, id: u32) -> String {
        match self.inner.decode(&[id], false) {
            Ok(text) if !text.is_empty() => text,
            _ => self.inner.id_to_token(id).unwrap_or_else(|| format!("<{id}>")),
        }
    }
}
