//! Tokenizers for small vocabularies: one id a word, as Hugging Face's word level model. Knows no words itself.

use crate::text::TextError;
use crate::text::Tokenizer;
use crate::text::habits::Habits;
use tokenizers::AddedToken;
use tokenizers::DecoderWrapper;
use tokenizers::ModelWrapper;
use tokenizers::decoders::fuse::Fuse;
use tokenizers::decoders::sequence::Sequence;
use tokenizers::decoders::wordpiece::WordPiece;
use tokenizers::models::wordlevel::WordLevel;
use tokenizers::normalizers::replace::Replace;
use tokenizers::pre_tokenizers::split::Split;
use tokenizers::pre_tokenizers::split::SplitPattern;
use tokenizers::tokenizer::normalizer::SplitDelimiterBehavior;

/// What never begins a token, so that no token continues the one before it.
const NO_PREFIX: &str = "@@@@";
/// No space around the end of a line.
const LINES: [(&str, &str); 2] = [(" \n", "\n"), ("\n ", "\n")];

/// A vocabulary and what its tokens are.
#[derive(Clone, Debug)]
pub struct Words<'a> {
    /// All tokens; a token's id is its index.
    pub vocabulary: &'a [&'a str],
    /// A regular expression that tokens match, and nothing between them does.
    pub pattern: &'a str,
    /// The token of words that are not in the vocabulary.
    pub unknown: &'a str,
    /// Tokens that are left out of decoded text.
    pub special: &'a [&'a str],
    /// Tokens that are found as they are, before the pattern is tried, and shown in text.
    pub markers: &'a [&'a str],
    /// What decoding would write, and what the text has in its place: spaces that are not there.
    pub tight: &'a [(&'a str, &'a str)],
}

impl Tokenizer {
    /// A tokenizer of words. Text comes back from ids with one space between words, none before `.`, `,` and `?`, none
    /// around the end of a line, and none where the words say so.
    ///
    /// # Errors
    /// If the pattern or the vocabulary is wrong.
    pub fn of_words(words: &Words<'_>) -> Result<Self, TextError> {
        let refused = |error: tokenizers::Error| TextError::Encode(error.to_string());
        let ids = words.vocabulary.iter().zip(0_u32..).map(|(&word, id)| (word.to_owned(), id));
        let model = WordLevel::builder()
            .vocab(ids.collect())
            .unk_token(words.unknown.to_owned())
            .build()
            .map_err(refused)?;
        let mut inner = tokenizers::Tokenizer::new(ModelWrapper::WordLevel(model));
        // Inverted: what matches is kept, what is between is removed.
        let pattern = SplitPattern::Regex(words.pattern.to_owned());
        let split = Split::new(pattern, SplitDelimiterBehavior::Removed, true).map_err(refused)?;
        inner.with_pre_tokenizer(Some(split));
        inner.with_decoder(Some(decoder(words.tight).map_err(refused)?));
        let exact = |special| {
            move |&word: &&str| AddedToken::from(word.to_owned(), special).normalized(false)
        };
        inner
            .add_special_tokens(words.special.iter().map(exact(true)).collect::<Vec<_>>())
            .map_err(refused)?;
        inner
            .add_tokens(words.markers.iter().map(exact(false)).collect::<Vec<_>>())
            .map_err(refused)?;
        let habits = Habits::of_words(inner.token_to_id(words.unknown));
        Ok(Self::of(inner, habits))
    }
}

/// Spaces between words, cleaned up before punctuation, then taken away around the ends of lines.
fn decoder(tight: &[(&str, &str)]) -> Result<DecoderWrapper, tokenizers::Error> {
    let mut steps = vec![
        DecoderWrapper::WordPiece(WordPiece::new(NO_PREFIX.to_owned(), true)),
        DecoderWrapper::Fuse(Fuse::new()),
    ];
    for (loose, tight) in LINES.iter().chain(tight) {
        steps.push(DecoderWrapper::Replace(Replace::new(*loose, *tight)?));
    }
    Ok(DecoderWrapper::Sequence(Sequence::new(steps)))
}
