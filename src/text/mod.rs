//! Text to ids and back, whole or token by token. Knows tokenizers, no model and no recipe.

pub mod decode;
pub mod encode;
mod habits;
pub mod stop;
pub mod units;
pub mod word_level;

use crate::contents;
use crate::text::habits::Facts;
use crate::text::habits::Habits;
use std::panic::catch_unwind;
use std::path::Path;
use std::path::PathBuf;
use tokenizers::AddedToken;
use tokenizers::Encoding;

/// A first text for every tokenizer.
const PROBE: &str = "Is 2 + 2 = 4? Déjà vu.\n";

/// A tokenizer as Hugging Face writes it (`tokenizer.json`).
#[derive(Clone, Debug)]
pub struct Tokenizer {
    inner: tokenizers::Tokenizer,
    habits: Habits,
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
        let refused = |reason| TextError::Load { path: path.to_owned(), reason };
        let text = contents::read(path).map_err(|error| refused(error.to_string()))?;
        if text.trim().is_empty() {
            return Err(refused("is empty".to_owned()));
        }
        parse(&text).map_err(refused)
    }

    /// From the text of a `tokenizer.json`.
    pub fn from_json(text: &str) -> Result<Self, TextError> {
        let path = PathBuf::from("tokenizer.json");
        parse(text).map_err(|reason| TextError::Load { path, reason })
    }

    /// Number of tokens, added ones included.
    pub fn size(&self) -> usize {
        self.inner.get_vocab_size(true)
    }

    /// The last id of those that are no added tokens.
    pub fn last_word(&self) -> Option<u32> {
        u32::try_from(self.inner.get_vocab_size(false)).ok()?.checked_sub(1)
    }

    /// The id of a token by its exact text.
    pub fn id(&self, token: &str) -> Option<u32> {
        self.inner.token_to_id(token)
    }

    /// Adds ordinary tokens behind all others, in this order, which get the next ids.
    pub fn add(&mut self, tokens: &[&str]) -> Result<(), TextError> {
        let added = tokens
            .iter()
            .map(|token| AddedToken::from((*token).to_owned(), false).normalized(false));
        match self.inner.add_tokens(added.collect::<Vec<_>>()) {
            Ok(_) => Ok(()),
            Err(error) => Err(TextError::Encode(error.to_string())),
        }
    }

    /// As the text of a `tokenizer.json`.
    pub fn to_json(&self) -> Result<String, TextError> {
        self.inner.to_string(true).map_err(|error| TextError::Encode(error.to_string()))
    }

    /// Text to ids.
    pub fn encode(&self, text: &str, add_special_tokens: bool) -> Result<Vec<u32>, TextError> {
        Ok(self.encoding(text, add_special_tokens)?.get_ids().to_vec())
    }

    fn encoding(&self, text: &str, add_special_tokens: bool) -> Result<Encoding, TextError> {
        let encoded = self.inner.encode(text, add_special_tokens);
        encoded.map_err(|error| TextError::Encode(error.to_string()))
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

/// The tokenizer library panics on some malformed files, which come from strangers: JSON is checked first, and what
/// remains is caught, with a first text encoded under the same guard.
fn parse(text: &str) -> Result<Tokenizer, String> {
    let facts: Facts = serde_json::from_str(text).map_err(|error| error.to_string())?;
    let parsed = catch_unwind(|| {
        let mut inner: tokenizers::Tokenizer =
            text.parse().map_err(|error: tokenizers::Error| error.to_string())?;
        // A question is never cut or filled up silently.
        inner.with_padding(None);
        inner.with_truncation(None).map_err(|error| error.to_string())?;
        let encoding = inner.encode(PROBE, true).map_err(|error| error.to_string())?;
        inner.decode(encoding.get_ids(), true).map_err(|error| error.to_string())?;
        let habits = Habits::of(&facts, &inner);
        Ok(Tokenizer { inner, habits })
    });
    parsed.unwrap_or_else(|_| Err("is no tokenizer that can be used".to_owned()))
}
