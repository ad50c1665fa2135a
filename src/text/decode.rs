//! Ids to text as they come: each piece is valid by itself (no character is split between pieces), and the pieces
//! concatenate to the whole text. Knows no stop strings.

use crate::text::Tokenizer;

/// What a decoder writes for bytes that do not (yet) make a character.
const UNFINISHED: char = char::REPLACEMENT_CHARACTER;

/// How many of the last tokens are decoded again with each new one, as context for joining rules (spaces, clean-up).
const CONTEXT: usize = 6;

/// The state of one answer being decoded.
#[derive(Clone, Debug, Default)]
pub struct IncrementalDecoder {
    ids: Vec<u32>,
    /// Start of the window that is decoded again.
    window: usize,
    /// Tokens before this one have been emitted.
    emitted: usize,
}

impl IncrementalDecoder {
    /// The text that became complete with `id`: possibly nothing, while a character is unfinished.
    pub fn push(&mut self, tokenizer: &Tokenizer, id: u32) -> String {
        self.ids.push(id);
        let whole = tokenizer.decode(&self.ids[self.window..]);
        if whole.ends_with(UNFINISHED) {
            return String::new();
        }
        self.take(tokenizer, &whole)
    }

    /// What is left at the end: bytes that never became a character, as U+FFFD.
    pub fn finish(&mut self, tokenizer: &Tokenizer) -> String {
        let whole = tokenizer.decode(&self.ids[self.window..]);
        self.take(tokenizer, &whole)
    }

    /// Whether the last tokens end within a character.
    pub fn is_unfinished(&self) -> bool {
        self.emitted < self.ids.len()
    }

    fn take(&mut self, tokenizer: &Tokenizer, whole: &str) -> String {
        let known = tokenizer.decode(&self.ids[self.window..self.emitted]);
        let fresh = whole.strip_prefix(known.as_str()).unwrap_or_default().to_owned();
        self.emitted = self.ids.len();
        self.window = self.emitted.saturating_sub(CONTEXT).max(self.window);
        fresh
    }
}
