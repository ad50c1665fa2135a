//! Questions and answers as plain data.

use crate::engine::request::Failure;
use crate::engine::request::Finish;
use crate::engine::request::Rejected;
use crate::engine::request::Report;
use crate::engine::request::Reused;
use crate::engine::request::Thought;
use crate::latent::script::Sampling;
use crate::model::config::MAX_SIZE;
use crate::text::encode::Unknown;
use std::time::Duration;

/// A question with everything that shapes its answer.
#[derive(Clone, Debug)]
pub struct Question {
    /// The question as the user wrote it.
    pub text: String,
    /// Number of thoughts; the recipe's default where `None`.
    pub latent_steps: Option<usize>,
    /// Most answer tokens, or fewer where the model's positions leave fewer; where `None`, the recipe's number or
    /// [`DEFAULT_MAX_TOKENS`]. More than there are positions are refused.
    pub max_tokens: Option<usize>,
    /// End-of-sequence ids are tokens like others: the answer has exactly its most tokens, unless a stop string ends it.
    pub ignore_eos: bool,
    /// How answer tokens are chosen.
    pub sampling: Sampling,
    /// What to report beside the answer.
    pub report: Report,
    /// Strings that end the answer; they are not part of it.
    pub stop: Vec<String>,
    /// Time from now within which the answer must be complete.
    pub timeout: Duration,
}

/// Answer tokens where neither a question nor the recipe names a number.
pub const DEFAULT_MAX_TOKENS: usize = 64;

/// The most thoughts or answer tokens that any model has positions for.
pub const MAX_COUNT: usize = MAX_SIZE;

/// Why a question was not accepted; each variant names what the caller can change.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AskError {
    /// The question has no text.
    #[error("must not be empty")]
    EmptyQuestion,
    /// More latent steps than the recipe allows.
    #[error("{asked} is more than this model's maximum of {max}")]
    TooManyLatentSteps {
        /// What the question asked for.
        asked: usize,
        /// The recipe's maximum.
        max: usize,
    },
    /// The question's beginning alone has far more tokens than there are positions.
    #[error(
        "its first {bytes} bytes alone are {tokens} tokens, and {available} positions are available for prompt, thoughts \
         and answer"
    )]
    TooLong {
        /// How much was looked at.
        bytes: usize,
        /// What that comes to.
        tokens: usize,
        /// The smaller of the model's limit and the KV memory's.
        available: usize,
    },
    /// The tokenizer cannot encode the question.
    #[error("cannot be tokenized: {0}")]
    Tokenizer(String),
    /// The engine did not accept the request.
    #[error(transparent)]
    Rejected(#[from] Rejected),
}

/// A part of an answer as it comes into being.
#[derive(Clone, Debug)]
pub enum Part {
    /// A thought was computed.
    Thought(Thought),
    /// An answer token was chosen.
    Token(TokenText),
    /// The answer is complete; nothing follows.
    Done(Box<Answer>),
    /// There will be no complete answer; nothing follows.
    Failed(Failure),
}

/// An answer token with the text that it completes.
#[derive(Clone, Debug, PartialEq)]
pub struct TokenText {
    /// Counted from 0.
    pub index: usize,
    /// Token id.
    pub id: u32,
    /// Text that became complete with this token: never part of a character, possibly empty. The texts of all tokens
    /// concatenate to the answer's `text`.
    pub text: String,
    /// Natural logarithm of the token's probability at temperature 1, if asked for.
    pub logprob: Option<f32>,
}

/// A complete answer.
#[derive(Clone, Debug)]
pub struct Answer {
    /// What the recipe extracts from the text.
    pub answer: String,
    /// The whole decoded answer.
    pub text: String,
    /// Why it ended.
    pub finish: Finish,
    /// All thoughts, as far as asked for.
    pub thoughts: Vec<Thought>,
    /// All answer tokens.
    pub tokens: Vec<TokenText>,
    /// Logits (V,) that the first token was chosen from, if asked for.
    pub first_logits: Option<Vec<f32>>,
    /// Counts.
    pub usage: Usage,
    /// Durations.
    pub timings: Timings,
    /// What the caller should know.
    pub warnings: Vec<Warning>,
}

/// Something that may make an answer worth less than it looks.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Warning {
    /// The model did not see what the question says.
    #[error("the question is not all in the model's vocabulary: {0}")]
    UnknownTokens(Unknown),
}

/// How much was computed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Positions of the prompt, start marker included.
    pub prompt_tokens: usize,
    /// Thoughts.
    pub latent_steps: usize,
    /// Answer tokens, the end-of-sequence token not counted.
    pub completion_tokens: usize,
    /// Positions of the prompt, of these, that stand for text outside the vocabulary.
    pub unknown_tokens: usize,
    /// What of prompt and thoughts was not computed for this question because an earlier one began like it.
    pub reused: Reused,
}

impl Usage {
    /// Positions taken: prompt, thoughts, answer.
    pub fn total_tokens(self) -> usize {
        self.prompt_tokens + self.latent_steps + self.completion_tokens
    }
}

/// Where the time of a request went. The phases follow each other without gaps and add up to `total`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Timings {
    /// From submission to admission.
    pub queue: Duration,
    /// From admission until the whole prompt is in KV memory.
    pub prefill: Duration,
    /// From there to the first answer token.
    pub latent: Duration,
    /// From the first answer token to the end.
    pub decode: Duration,
    /// From submission to the end.
    pub total: Duration,
}
