//! The decoders of the `tokenizers` library, one token after the other instead of all at once: what each must know of the
//! tokens before, and what it must hold back until the next. What a decoder writes is left to the library. Knows no ids.

use std::sync::Arc;
use tokenizers::Decoder as _;
use tokenizers::DecoderWrapper;
use tokenizers::decoders::strip::Strip;

/// What a byte is written as that is no character, neither alone nor with its neighbours.
const BROKEN: &str = "\u{fffd}";

/// A decoder on tokens, before they are one text.
#[derive(Clone, Debug)]
pub(super) struct TokenStep {
    decoder: Arc<DecoderWrapper>,
    state: State,
}

/// What a decoder must know besides a token.
#[derive(Clone, Debug)]
enum State {
    /// Nothing.
    Alone,
    /// Whether it is the first (a space that only words after others have).
    First { begun: bool },
    /// Whether it is the last (a space that only words before others have): the token before is held back.
    Last { held: Option<String> },
    /// The token before, whose repetition counts once.
    Distinct { previous: Option<String> },
    /// The bytes side by side, which are characters only if all of them are.
    Run(Run),
}

/// Byte tokens side by side.
#[derive(Clone, Debug)]
enum Run {
    /// As far as one can see these are characters; the next byte may make all of them broken.
    Open(Vec<u8>),
    /// Whatever follows, each byte is broken.
    Broken,
}

impl TokenStep {
    pub(super) fn new(decoder: DecoderWrapper) -> Self {
        let state = match &decoder {
            DecoderWrapper::Metaspace(_) | DecoderWrapper::WordPiece(_) => {
                State::First { begun: false }
            }
            DecoderWrapper::BPE(_) => State::Last { held: None },
            DecoderWrapper::CTC(_) => State::Distinct { previous: None },
            DecoderWrapper::ByteFallback(_) => State::Run(Run::Open(Vec::new())),
            DecoderWrapper::ByteLevel(_)
            | DecoderWrapper::Sequence(_)
            | DecoderWrapper::Replace(_)
            | DecoderWrapper::Fuse(_)
            | DecoderWrapper::Strip(_) => State::Alone,
        };
        Self { decoder: Arc::new(decoder), state }
    }

    /// The tokens that became certain with `token`.
    pub(super) fn push(&mut self, token: String) -> Vec<String> {
        match &mut self.state {
            State::Alone => apply(&self.decoder, vec![token]),
            State::First { begun } => match std::mem::replace(begun, true) {
                false => apply(&self.decoder, vec![token]),
                true => apply(&self.decoder, vec![String::new(), token]).split_off(1),
            },
            State::Last { held } => match held.replace(token) {
                None => Vec::new(),
                Some(before) => {
                    let mut tokens = apply(&self.decoder, vec![before, String::new()]);
                    tokens.truncate(1);
                    tokens
                }
            },
            State::Distinct { previous } => match previous.as_ref() == Some(&token) {
                true => Vec::new(),
                false => {
                    *previous = Some(token.clone());
                    apply(&self.decoder, vec![token])
                }
            },
            State::Run(run) => match byte_token(&token) {
                Some(byte) => run.push(byte),
                None => run.end().into_iter().chain([token]).collect(),
            },
        }
    }

    /// The tokens that were held back, once nothing follows.
    pub(super) fn finish(&mut self) -> Vec<String> {
        match &mut self.state {
            State::Alone | State::First { .. } | State::Distinct { .. } => Vec::new(),
            State::Last { held } => match held.take() {
                None => Vec::new(),
                Some(last) => apply(&self.decoder, vec![last]),
            },
            State::Run(run) => run.end(),
        }
    }

    pub(super) fn is_holding(&self) -> bool {
        match &self.state {
            State::Alone | State::First { .. } | State::Distinct { .. } => false,
            State::Last { held } => held.is_some(),
            State::Run(run) => matches!(run, Run::Open(bytes) if !bytes.is_empty()),
        }
    }
}

impl Run {
    fn push(&mut self, byte: u8) -> Vec<String> {
        let Self::Open(bytes) = self else { return vec![BROKEN.to_owned()] };
        bytes.push(byte);
        // What came before the last character is known to be good: a long run is not looked through again.
        let since = bytes.len().saturating_sub(4);
        let since = (since..bytes.len()).find(|&at| bytes[at] & 0xc0 != 0x80).unwrap_or(since);
        match std::str::from_utf8(&bytes[since..]) {
            Err(error) if error.error_len().is_some() => {
                let broken = vec![BROKEN.to_owned(); bytes.len()];
                *self = Self::Broken;
                broken
            }
            _ => Vec::new(),
        }
    }

    /// A run that ends within a character is broken as a whole.
    fn end(&mut self) -> Vec<String> {
        match std::mem::replace(self, Self::Open(Vec::new())) {
            Self::Open(bytes) if bytes.is_empty() => Vec::new(),
            Self::Open(bytes) => {
                let count = bytes.len();
                String::from_utf8(bytes)
                    .map_or_else(|_| vec![BROKEN.to_owned(); count], |text| vec![text])
            }
            Self::Broken => Vec::new(),
        }
    }
}

/// The byte of a token such as `<0x0A>`.
fn byte_token(token: &str) -> Option<u8> {
    let digits = token.strip_prefix("<0x")?.strip_suffix('>')?;
    (digits.len() == 2).then(|| u8::from_str_radix(digits, 16).ok()).flatten()
}

/// What a decoder makes of tokens; the tokens as they are where it refuses them. The library panics where less is left
/// of a token than is to be stripped.
fn apply(decoder: &DecoderWrapper, tokens: Vec<String>) -> Vec<String> {
    match decoder {
        DecoderWrapper::Strip(strip) => {
            tokens.iter().map(|token| stripped(strip, token).to_owned()).collect()
        }
        _ => decoder.decode_chain(tokens.clone()).unwrap_or(tokens),
    }
}

/// A text without up to so many of a character at its ends.
fn stripped<'a>(strip: &Strip, text: &'a str) -> &'a str {
    let mut text = text;
    for _ in 0..strip.start {
        text = text.strip_prefix(strip.content).unwrap_or(text);
    }
    for _ in 0..strip.stop {
        text = text.strip_suffix(strip.content).unwrap_or(text);
    }
    text
}

/// A decoder on the one text that tokens have become.
#[derive(Clone, Debug)]
pub(super) enum TextStep {
    /// Each `from` becomes `to`.
    Replace { from: Arc<str>, to: Arc<str>, held: String, ahead: usize },
    /// Up to so many of a character are taken off at the beginning and at the end.
    Strip { content: char, start: usize, stop: usize, held: usize },
    /// Decoders that must see the whole text.
    Whole { decoders: Arc<[DecoderWrapper]>, text: String },
}

impl TextStep {
    /// For decoders in order. From the first on that must see the whole text, all do.
    pub(super) fn all(mut decoders: Vec<DecoderWrapper>) -> Vec<Self> {
        // One text cannot be fused any more.
        decoders.retain(|decoder| !matches!(decoder, DecoderWrapper::Fuse(_)));
        let mut steps: Vec<Self> = decoders.iter().map_while(Self::streamed).collect();
        let whole: Arc<[DecoderWrapper]> = decoders.drain(steps.len()..).collect();
        if !whole.is_empty() {
            steps.push(Self::Whole { decoders: whole, text: String::new() });
        }
        steps
    }

    /// The step for a decoder that need not see the whole text.
    fn streamed(decoder: &DecoderWrapper) -> Option<Self> {
        match decoder {
            DecoderWrapper::Strip(Strip { content, start, stop, .. }) => {
                Some(Self::Strip { content: *content, start: *start, stop: *stop, held: 0 })
            }
            DecoderWrapper::Replace(replace) => {
                let (from, to) = (literal(decoder)?.into(), replace.content.as_str().into());
                Some(Self::Replace { from, to, held: String::new(), ahead: 0 })
            }
            _ => None,
        }
    }

    /// The text that became certain with `fresh`.
    pub(super) fn push(&mut self, fresh: &str) -> String {
        match self {
            Self::Replace { from, to, held, ahead } => {
                held.push_str(fresh);
                replaced((from, to), held, ahead)
            }
            Self::Strip { content, start, stop, held } => {
                let mut rest = fresh;
                while *start > 0 && !rest.is_empty() {
                    match rest.strip_prefix(*content) {
                        Some(less) => (rest, *start) = (less, *start - 1),
                        None => *start = 0,
                    }
                }
                let body = rest.trim_end_matches(*content);
                let ends = rest[body.len()..].chars().count();
                let before = if body.is_empty() { 0 } else { std::mem::take(held) };
                let sure = (*held + ends).saturating_sub(*stop);
                *held = *held + ends - sure;
                let repeated = |count| content.to_string().repeat(count);
                repeated(before) + body + &repeated(sure)
            }
            Self::Whole { text, .. } => {
                text.push_str(fresh);
                String::new()
            }
        }
    }

    /// What was held back, once nothing follows.
    pub(super) fn finish(&mut self) -> String {
        match self {
            Self::Replace { held, ahead, .. } => {
                std::mem::take(held).split_off(std::mem::take(ahead))
            }
            Self::Strip { held, .. } => {
                *held = 0;
                String::new()
            }
            Self::Whole { decoders, text } => {
                let text = vec![std::mem::take(text)];
                decoders.iter().fold(text, |text, decoder| apply(decoder, text)).concat()
            }
        }
    }

    pub(super) fn is_holding(&self) -> bool {
        match self {
            Self::Replace { held, ahead, .. } => held.len() > *ahead,
            Self::Strip { held, .. } => *held > 0,
            Self::Whole { text, .. } => !text.is_empty(),
        }
    }
}

/// What a replacing decoder looks for, if that is a text and not a regular expression. The library keeps it to itself, but
/// writes it to `tokenizer.json`.
fn literal(decoder: &DecoderWrapper) -> Option<String> {
    let written = serde_json::to_value(decoder).ok()?;
    let text = written.get("pattern")?.get("String")?.as_str()?;
    (!text.is_empty()).then(|| text.to_owned())
}

/// Replaces all that is complete in `held` and leaves there what may be the beginning of a match, of which `ahead` bytes
/// are given out already: those that are the same whether or not it becomes one.
fn replaced((from, to): (&str, &str), held: &mut String, ahead: &mut usize) -> String {
    let (mut out, mut last) = (String::new(), held.as_str());
    while let Some((before, after)) = last.split_once(from) {
        out.push_str(before);
        out.push_str(to);
        last = after;
    }
    let kept = overlap(last, from);
    out.push_str(&last[..last.len() - kept]);
    let rest = last[last.len() - kept..].to_owned();
    let alike: usize =
        rest.chars().zip(to.chars()).take_while(|(a, b)| a == b).map(|(a, _)| a.len_utf8()).sum();
    // Where this is no match, one may still begin within it.
    let first = rest.chars().next().map_or(0, char::len_utf8);
    let sure = alike.min(rest.len() - overlap(&rest[first..], from));
    out.push_str(&rest[..sure]);
    *held = rest;
    let before = std::mem::replace(ahead, sure);
    out.split_off(before)
}

/// The length of the longest end of `text` that is a beginning of `whole` and not all of it, in bytes.
pub(super) fn overlap(text: &str, whole: &str) -> usize {
    (1..whole.len())
        .rev()
        .find(|&length| whole.is_char_boundary(length) && text.ends_with(&whole[..length]))
        .unwrap_or(0)
}
