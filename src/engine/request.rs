//! What goes into the engine and what comes out of it, as plain data: ids and vectors. Knows no text, no JSON, no HTTP.

use crate::latent::program::Program;
use std::time::Duration;
use std::time::Instant;

/// One request to the engine.
#[derive(Clone, Debug)]
pub struct Request {
    /// What to run.
    pub program: Program,
    /// How answer tokens are chosen.
    pub sampling: Sampling,
    /// What to report beside the answer's ids.
    pub report: Report,
    /// The moment after which the request fails with [`Failure::Deadline`].
    pub deadline: Instant,
}

/// How answer tokens are chosen from the logits.
#[derive(Clone, Debug, PartialEq)]
pub struct Sampling {
    /// 0 takes the most likely token.
    pub temperature: f64,
    /// Only the smallest set of tokens whose probabilities reach this sum; `None` or 1 for all.
    pub top_p: Option<f64>,
    /// Only this many most likely tokens.
    pub top_k: Option<usize>,
    /// Seed of the request's own random numbers.
    pub seed: u64,
}

impl Sampling {
    /// The most likely token, always.
    pub const GREEDY: Self = Self { temperature: 0.0, top_p: None, top_k: None, seed: 0 };
}

/// What a request wants to see beside its answer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// This many most likely tokens per thought (the head applied to the thought); 0 for none.
    pub top_thought_tokens: usize,
    /// The thoughts themselves.
    pub thought_vectors: bool,
    /// The logits that the first answer token is chosen from.
    pub first_logits: bool,
    /// The log-probability of each answer token.
    pub logprobs: bool,
}

/// Something that happened to a request, and when.
#[derive(Clone, Debug)]
pub struct Event {
    /// Read off the monotonic clock in the engine, so that a slow reader does not distort timings.
    pub at: Instant,
    /// What happened.
    pub kind: EventKind,
}

/// In this order: `Admitted`, `Prefilled`, `Thought` n times, `FirstLogits` if asked for, `Token`s, then `Finished`;
/// or `Failed` at any point. Nothing follows the last two.
#[derive(Clone, Debug)]
pub enum EventKind {
    /// KV memory is reserved, the request takes part in steps from now on.
    Admitted(Reused),
    /// The whole prompt is in KV memory.
    Prefilled,
    /// A thought was computed; it is fed back in the next step.
    Thought(Thought),
    /// Logits (V,) at the last forced position.
    FirstLogits(Vec<f32>),
    /// An answer token.
    Token(Token),
    /// The answer is complete.
    Finished(Finish),
    /// The request ends without a complete answer.
    Failed(Failure),
}

/// What of a request is not computed because an earlier one began like it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Reused {
    /// Positions of prompt and thoughts whose keys and values are read from its pages.
    pub positions: usize,
    /// Thoughts.
    pub thoughts: usize,
}

/// A continuous thought, as far as the request asked to see it.
#[derive(Clone, Debug, PartialEq)]
pub struct Thought {
    /// Counted from 1.
    pub step: usize,
    /// Euclidean length.
    pub norm: f32,
    /// The vector that is fed back, (D,).
    pub vector: Option<Vec<f32>>,
    /// What the head makes of the thought, most likely first.
    pub top_tokens: Vec<TopToken>,
}

/// A token and its probability.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TopToken {
    /// Token id.
    pub id: u32,
    /// 0 to 1.
    pub probability: f32,
}

/// A chosen answer token.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Token {
    /// Token id.
    pub id: u32,
    /// Natural logarithm of its probability at temperature 1, if asked for.
    pub logprob: Option<f32>,
}

/// Why an answer ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Finish {
    /// An end-of-sequence token (not reported as a `Token`), or a stop string.
    Stop,
    /// `max_tokens` answer tokens.
    Length,
}

/// Why an accepted request ended without an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// The request's deadline passed.
    #[error("the request's deadline passed")]
    Deadline,
    /// A hidden state or a logit was not finite.
    #[error(
        "what the model computed for this request is not finite: its weights are wrong, or too large for the type they are computed in"
    )]
    NonFinite,
    /// A step failed that the request took part in; the engine goes on without it.
    #[error("a step of the engine failed while it computed this request")]
    Step,
    /// The engine failed and will take no more requests.
    #[error("the engine failed")]
    Engine,
    /// The server stopped before the answer was complete.
    #[error("the server is stopping")]
    Stopped,
}

/// Why a request was not accepted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Rejected {
    /// The queue is full.
    #[error("the queue is full")]
    Full {
        /// When the work accepted so far should be done.
        retry_after: Duration,
    },
    /// More positions than the model or the KV memory has.
    #[error(
        "the request needs {needed} positions (prompt {prompt}, thoughts and markers {latent}, answer {answer}); {available} are available"
    )]
    TooLong {
        /// Positions of the prompt.
        prompt: usize,
        /// Positions of thoughts and forced markers.
        latent: usize,
        /// Positions of the answer.
        answer: usize,
        /// The sum.
        needed: usize,
        /// The smaller of the model's limit and the KV memory's.
        available: usize,
    },
    /// An id that the model has no embedding for.
    #[error("token id {id} is outside the model's vocabulary")]
    UnknownId {
        /// The id.
        id: u32,
    },
    /// No prompt, or no answer asked for.
    #[error("prompt and answer need at least one position each")]
    Empty,
    /// The engine takes no new requests because the server is stopping.
    #[error("the server is stopping")]
    Stopping,
    /// The engine failed.
    #[error("the engine failed")]
    Dead,
}
