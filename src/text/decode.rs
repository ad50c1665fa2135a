//! Ids to text as they come. What has been given out never changes: a piece holds only text that no later token can alter,
//! and all pieces together are the text of all tokens at once, as the `tokenizers` library writes it. Each step of the
//! tokenizer's decoder is done as far as it is certain; nothing is decoded twice, however long the answer.
//!
//! The library's own `DecodeStream` is not used: it gives up where the text of a window is not what it was (a character
//! of many byte tokens, a stripped space), and swallows what is unfinished at the end. Knows tokens, no ids and no stop strings.

use crate::text::steps::TextStep;
use crate::text::steps::TokenStep;
use tokenizers::DecoderWrapper;

/// How a tokenizer writes text, and how far it has come with one answer.
#[derive(Clone, Debug)]
pub struct IncrementalDecoder {
    /// Tokens into tokens.
    tokens: Vec<TokenStep>,
    /// Tokens into one text.
    join: Join,
    /// Text into text.
    text: Vec<TextStep>,
}

/// How tokens become one text.
#[derive(Clone, Debug)]
enum Join {
    /// Side by side.
    Plain,
    /// With a space between two of them: where a tokenizer has no decoder.
    Spaced { begun: bool },
    /// As bytes that are characters only together; here those of a character that is not complete.
    Bytes(Vec<u8>),
}

impl IncrementalDecoder {
    /// At the beginning of a text, for a tokenizer with this decoder.
    pub(super) fn new(decoder: Option<&DecoderWrapper>) -> Self {
        let mut this = Self { tokens: Vec::new(), join: Join::Plain, text: Vec::new() };
        let Some(decoder) = decoder else {
            this.join = Join::Spaced { begun: false };
            return this;
        };
        let mut all = flat(decoder).into_iter();
        for decoder in all.by_ref() {
            match decoder {
                DecoderWrapper::Fuse(_) => break,
                DecoderWrapper::ByteLevel(_) => {
                    this.join = Join::Bytes(Vec::new());
                    break;
                }
                other => this.tokens.push(TokenStep::new(other)),
            }
        }
        this.text = TextStep::all(all.collect());
        this
    }

    /// The text that became certain with a token, or with an id that has none: possibly nothing, while a character is
    /// unfinished.
    pub fn push(&mut self, token: Option<String>) -> String {
        let tokens = token.map(|token| self.through(0, token)).unwrap_or_default();
        let text = tokens.iter().map(|token| self.join.push(token)).collect();
        self.text.iter_mut().fold(text, |text, step| step.push(&text))
    }

    /// What is left at the end: bytes that never became a character, as U+FFFD.
    pub fn finish(&mut self) -> String {
        let mut text = String::new();
        for at in 0..self.tokens.len() {
            for token in self.tokens[at].finish() {
                for token in self.through(at + 1, token) {
                    text.push_str(&self.join.push(&token));
                }
            }
        }
        text.push_str(&self.join.finish());
        self.text.iter_mut().fold(text, |text, step| step.push(&text) + &step.finish())
    }

    /// Whether text of the ids so far is still to come.
    pub fn is_unfinished(&self) -> bool {
        let joining = matches!(&self.join, Join::Bytes(bytes) if !bytes.is_empty());
        joining
            || self.tokens.iter().any(TokenStep::is_holding)
            || self.text.iter().any(TextStep::is_holding)
    }

    /// A token through the steps on tokens, from one of them on.
    fn through(&mut self, first: usize, token: String) -> Vec<String> {
        let steps = self.tokens.iter_mut().skip(first);
        steps.fold(vec![token], |tokens, step| {
            tokens.into_iter().flat_map(|token| step.push(token)).collect()
        })
    }
}

/// The decoders of a sequence one by one.
fn flat(decoder: &DecoderWrapper) -> Vec<DecoderWrapper> {
    match decoder {
        DecoderWrapper::Sequence(sequence) => {
            sequence.get_decoders().iter().flat_map(flat).collect()
        }
        other => vec![other.clone()],
    }
}

impl Join {
    fn push(&mut self, token: &str) -> String {
        match self {
            Self::Plain => token.to_owned(),
            Self::Spaced { begun } => {
                let space = if std::mem::replace(begun, true) { " " } else { "" };
                format!("{space}{token}")
            }
            Self::Bytes(bytes) => {
                let own: Option<Vec<u8>> = token.chars().map(byte_of).collect();
                // A token with any other character is no bytes at all: an added one, found as it is.
                bytes.extend(own.unwrap_or_else(|| token.as_bytes().to_vec()));
                complete(bytes)
            }
        }
    }

    fn finish(&mut self) -> String {
        match self {
            Self::Plain | Self::Spaced { .. } => String::new(),
            Self::Bytes(bytes) => String::from_utf8_lossy(&std::mem::take(bytes)).into_owned(),
        }
    }
}

/// Takes the characters that are complete; what can never be one is U+FFFD.
fn complete(bytes: &mut Vec<u8>) -> String {
    let mut text = String::new();
    loop {
        let (valid, broken) = match std::str::from_utf8(bytes) {
            Ok(all) => (all.len(), None),
            Err(error) => (error.valid_up_to(), error.error_len()),
        };
        text.push_str(&String::from_utf8_lossy(&bytes[..valid]));
        bytes.drain(..valid + broken.unwrap_or(0));
        match broken {
            Some(_) => text.push(char::REPLACEMENT_CHARACTER),
            None => return text,
        }
    }
}

/// The byte that a byte-level tokenizer writes as this character: itself where it can be seen, else one from U+0100 on,
/// in order.
fn byte_of(letter: char) -> Option<u8> {
    const SEEN: fn(&u8) -> bool = |byte| matches!(byte, 0x21..=0x7e | 0xa1..=0xac | 0xae..=0xff);
    let code = u32::from(letter);
    match u8::try_from(code) {
        Ok(byte) => Some(byte).filter(SEEN),
        Err(_) => {
            let index = usize::try_from(code - 0x100).ok()?;
            (0..=u8::MAX).filter(|byte| !SEEN(byte)).nth(index)
        }
    }
}
