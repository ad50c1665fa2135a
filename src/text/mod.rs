//! Text to ids and back, whole or token by token. Knows tokenizers, no model and no recipe.
//!
//! ```
//! use coconut::text::Tokenizer;
//! use coconut::text::stop::StopWatch;
//! use coconut::text::stop::Watched;
//! use std::path::Path;
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let tokenizer = Tokenizer::load(Path::new("models/prosqa/tokenizer.json"))?;
//! let question = "Every rempus is a jelpus. Is Sam a jelpus?";
//! let ids = tokenizer.encode(question, false)?;
//! assert_eq!(tokenizer.decode(&ids), question);
//!
//! // The same token by token, as answers come.
//! let mut decoder = tokenizer.decoder();
//! let pieces: Vec<String> = ids.iter().map(|&id| decoder.push(tokenizer.token(id))).collect();
//! assert_eq!(pieces.concat() + &decoder.finish(), question);
//!
//! let mut watch = StopWatch::new(vec!["\n\n".to_owned()]);
//! assert_eq!(watch.push("a jelpus\n"), Watched::Go("a jelpus".to_owned()));
//! let stopped = Watched::Stopped { before: String::new(), by: "\n\n".to_owned() };
//! assert_eq!(watch.push("\nEvery"), stopped);
//! # Ok(())
//! # }
//! ```

pub mod chat;
pub mod decode;
pub mod encode;
mod habits;
mod jinja;
mod steps;
pub mod stop;
pub mod units;
pub mod word_level;

use crate::files;
use crate::text::decode::IncrementalDecoder;
use crate::text::habits::Facts;
use crate::text::habits::Habits;
use std::collections::BTreeMap;
use std::panic::catch_unwind;
use std::path::Path;
use std::path::PathBuf;
use tokenizers::AddedToken;
use tokenizers::Encoding;
use tokenizers::Model as _;

/// A first text for every tokenizer.
const PROBE: &str = "Is 2 + 2 = 4? Déjà vu.\n";

/// Letters between which a token is put to see how it reads; not the same, since some kinds write what is repeated once.
const NEIGHBOURS: [&str; 2] = ["x", "z"];

/// A tokenizer as Hugging Face writes it (`tokenizer.json`).
#[derive(Clone, Debug)]
pub struct Tokenizer {
    inner: tokenizers::Tokenizer,
    habits: Habits,
    /// At the beginning of a text.
    decoder: IncrementalDecoder,
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
        let text = files::read(path).map_err(|error| refused(error.to_string()))?;
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

    fn of(inner: tokenizers::Tokenizer, habits: Habits) -> Self {
        let decoder = IncrementalDecoder::new(inner.get_decoder());
        Self { inner, habits, decoder }
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

    /// Adds tokens that another file says, each under the id that it says. Those that cannot have theirs, since others come
    /// before or it is taken, are given back.
    pub(crate) fn add_at(
        &mut self,
        tokens: BTreeMap<u32, AddedToken>,
    ) -> Result<BTreeMap<u32, AddedToken>, TextError> {
        let words = u32::try_from(self.inner.get_vocab_size(false)).unwrap_or(u32::MAX);
        let last = self.inner.get_added_tokens_decoder().into_keys().max();
        let mut next = last.map_or(words, |last| words.max(last.saturating_add(1)));
        let (mut fit, mut left) = (Vec::new(), BTreeMap::new());
        for (id, token) in tokens {
            match self.id(&token.content) {
                Some(own) if own == id => fit.push(token),
                None if id == next && self.inner.id_to_token(id).is_none() => {
                    next = next.saturating_add(1);
                    fit.push(token);
                }
                _ => drop(left.insert(id, token)),
            }
        }
        match self.inner.add_tokens(fit) {
            Ok(_) => Ok(left),
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
        let mut decoder = self.decoder();
        let text: String = ids.iter().map(|&id| decoder.push(self.token(id))).collect();
        text + &decoder.finish()
    }

    /// The texts that ids add to each other, in which markers stand by their names; all of them together are the whole text.
    pub fn pieces(&self, ids: &[u32]) -> Vec<String> {
        let mut decoder = self.decoder();
        let mut pieces: Vec<String> = Vec::with_capacity(ids.len());
        for &id in ids {
            if self.is_added(id) {
                // Behind a marker a text begins anew.
                let rest = std::mem::replace(&mut decoder, self.decoder()).finish();
                pieces.last_mut().into_iter().for_each(|last| last.push_str(&rest));
                pieces.push(self.name(id));
            } else {
                pieces.push(decoder.push(Some(self.name(id))));
            }
        }
        let rest = decoder.finish();
        pieces.last_mut().into_iter().for_each(|last| last.push_str(&rest));
        pieces
    }

    /// Tokens to text as they come.
    pub fn decoder(&self) -> IncrementalDecoder {
        self.decoder.clone()
    }

    /// The token of an id as the vocabulary has it; none for special ones and ids that are not in it.
    pub fn token(&self, id: u32) -> Option<String> {
        let added = self.inner.get_added_vocabulary();
        let token = added.simple_id_to_token(id).or_else(|| self.inner.get_model().id_to_token(id));
        token.filter(|token| !added.is_special_token(token))
    }

    /// Whether an id is beside the vocabulary proper: a marker, special or not.
    pub fn is_added(&self, id: u32) -> bool {
        self.inner.get_added_vocabulary().simple_id_to_token(id).is_some()
    }

    /// How an id reads in the middle of a text, for people: with the space before it, if it has one. What adds nothing to
    /// a text is shown by its name.
    pub fn token_text(&self, id: u32) -> String {
        let text = self.token(id).and_then(|token| self.amid(token));
        text.filter(|text| !text.is_empty()).unwrap_or_else(|| self.name(id))
    }

    /// An id as files name it: the token of the vocabulary, special or not.
    pub fn name(&self, id: u32) -> String {
        self.inner.id_to_token(id).unwrap_or_else(|| format!("<{id}>"))
    }

    /// What a token adds to a text that goes on after it; `None` where it changes the letters beside it.
    fn amid(&self, token: String) -> Option<String> {
        let written = |tokens: Vec<String>| {
            let mut decoder = self.decoder();
            let text: String = tokens.into_iter().map(|token| decoder.push(Some(token))).collect();
            text + &decoder.finish()
        };
        let [before, after] = NEIGHBOURS.map(str::to_owned);
        let without = written(vec![before.clone(), after.clone()]);
        let with = written(vec![before, token, after]);
        let [before, _] = NEIGHBOURS;
        let text = with.strip_prefix(before)?.strip_suffix(without.strip_prefix(before)?)?;
        Some(text.to_owned())
    }
}

/// The tokenizer library panics on some malformed files, which come from strangers: JSON is checked first, and what
/// remains is caught, with a first text encoded under the same guard.
fn parse(text: &str) -> Result<Tokenizer, String> {
    let text = files::text::text(text.as_bytes()).map_err(|error| error.to_string())?;
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
        Ok(Tokenizer::of(inner, habits))
    });
    parsed.unwrap_or_else(|_| Err("is no tokenizer that can be used".to_owned()))
}
