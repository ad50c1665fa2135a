//! Text to ids where a user's text is concerned: what of it the vocabulary does not have, and whether it is too long to
//! be worth reading. Knows no model.

use crate::text::TextError;
use crate::text::Tokenizer;
use std::fmt;
use std::ops::Range;

/// So many different unknown pieces are named, so much of each.
const MOST_PIECES: usize = 8;
const MOST_CHARACTERS: usize = 32;

/// The least that is looked at of a long text, in bytes: by position, and in all.
const BYTES_PER_POSITION: usize = 16;
const FEW_BYTES: usize = 4 << 10;

/// A text as ids.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Encoded {
    /// Token ids.
    pub ids: Vec<u32>,
    /// What of the text they do not tell.
    pub unknown: Unknown,
}

/// What of a text a vocabulary does not have: it is read as one and the same token, or left out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Unknown {
    /// How many tokens of the text are that one, and how many pieces between tokens are left out.
    pub tokens: usize,
    /// What these are: the first few, each once.
    pub pieces: Vec<String>,
}

/// A text that may be too long.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Within {
    /// All of it; it may still be too long.
    Whole(Encoded),
    /// Its beginning alone is far too long.
    TooLong {
        /// How much of it was looked at.
        bytes: usize,
        /// What that comes to.
        tokens: usize,
    },
}

impl Tokenizer {
    /// Text to ids, unless it is certain from its beginning that there are more than `most`.
    ///
    /// Bytes alone tell little: one token may stand for any number of them (an unknown word, spaces that are dropped). So
    /// growing beginnings are encoded, and one that comes to more than twice `most` is too long: what follows changes how
    /// a beginning's last word is read, not every second token of it. Where that does not hold, all is encoded.
    ///
    /// # Errors
    /// If the tokenizer refuses the text.
    pub fn encode_within(
        &self,
        text: &str,
        add_special_tokens: bool,
        most: usize,
    ) -> Result<Within, TextError> {
        let mut bytes = most.saturating_mul(BYTES_PER_POSITION).max(FEW_BYTES);
        while self.habits.local && bytes < text.len() {
            bytes = text.floor_char_boundary(bytes);
            let tokens = self.encode(&text[..bytes], add_special_tokens)?.len();
            if tokens > most.saturating_mul(2) {
                return Ok(Within::TooLong { bytes, tokens });
            }
            bytes = bytes.saturating_mul(4);
        }
        self.encode_whole(text, add_special_tokens).map(Within::Whole)
    }

    /// All of a text to ids.
    pub(crate) fn encode_whole(
        &self,
        text: &str,
        add_special_tokens: bool,
    ) -> Result<Encoded, TextError> {
        let encoding = self.encoding(text, add_special_tokens)?;
        let (mut unknown, mut read) = (Unknown::default(), 0);
        for (&id, &(start, end)) in encoding.get_ids().iter().zip(encoding.get_offsets()) {
            unknown.add_left_out(text, read..start);
            read = read.max(end);
            let piece = text.get(start..end).unwrap_or_default();
            // Who writes the token itself means it.
            if Some(id) == self.habits.unknown && self.id(piece) != Some(id) {
                unknown.add(piece);
            }
        }
        unknown.add_left_out(text, read..text.len());
        Ok(Encoded { ids: encoding.get_ids().to_vec(), unknown })
    }
}

impl Unknown {
    /// Takes in what is unknown of a text beside this one.
    pub(crate) fn extend(&mut self, other: Self) {
        self.tokens += other.tokens;
        other.pieces.into_iter().for_each(|piece| self.name(piece));
    }

    /// What lies between two tokens; space is not missed.
    fn add_left_out(&mut self, text: &str, between: Range<usize>) {
        let piece = text.get(between).unwrap_or_default().trim();
        if !piece.is_empty() {
            self.add(piece);
        }
    }

    fn add(&mut self, piece: &str) {
        self.tokens += 1;
        self.name(piece.chars().take(MOST_CHARACTERS).collect());
    }

    fn name(&mut self, piece: String) {
        if self.pieces.len() < MOST_PIECES && !self.pieces.contains(&piece) {
            self.pieces.push(piece);
        }
    }
}

impl fmt::Display for Unknown {
    /// Such as: 3 unknown tokens (`Grace`, `apples`).
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let plural = if self.tokens == 1 { "" } else { "s" };
        let more = if self.pieces.len() == MOST_PIECES { ", …" } else { "" };
        let pieces: Vec<_> =
            self.pieces.iter().map(|piece| format!("`{}`", piece.escape_debug())).collect();
        write!(f, "{} unknown token{plural} ({}{more})", self.tokens, pieces.join(", "))
    }
}
