//! What goes into the engine and what comes out of it, as plain data: ids and vectors. Knows no text, no JSON, no HTTP.

use crate::engine::inside::Inside;
use crate::engine::inside::NotThere;
use crate::engine::inside::Role;
use crate::latent::script::Script;
use std::sync::Arc;
use std::time::Duration;
use std::time::Instant;

/// One request to the engine.
#[derive(Clone, Debug)]
pub struct Request {
    /// What to run.
    pub script: Script,
    /// What to report beside the answer's ids.
    pub report: Report,
    /// The moment after which the request fails with [`Failure::Deadline`].
    pub deadline: Instant,
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
    /// This many most likely ids in the place of each answer token, and of each id that is scored; 0 for none.
    pub top_logprobs: usize,
    /// How undecided the head is about each thought, and about each answer token.
    pub entropy: bool,
    /// How much each thought points where the one before pointed.
    pub cosine: bool,
    /// What is inside the model at some rows.
    pub inside: Option<Arc<Inside>>,
}

/// Something that happened to a request, and when.
#[derive(Clone, Debug)]
pub struct Event {
    /// Read off the monotonic clock in the engine, so that a slow reader does not distort timings.
    pub at: Instant,
    /// The branch that it happened to, by its number in the script.
    pub branch: usize,
    /// What happened.
    pub kind: EventKind,
}

/// First `Admitted` and `Prefilled`, of the root. Then of each branch, in the order of its acts, `Thought`s, `FirstLogits` if
/// asked for and `Token`s, `Scored`, and `Inside` in the order of
/// positions, each row before what was decided there. Last, once for each branch that none goes on from, `Finished`.
///
/// `Failed` may come at any point: nothing follows of this branch, nor of those that would go on from it. Of the root it is
/// the last event.
#[derive(Clone, Debug)]
pub enum EventKind {
    /// KV memory is reserved, the request takes part in steps from now on.
    Admitted(Reused),
    /// The whole prompt is in KV memory.
    Prefilled,
    /// A thought was computed; it is fed back when the next input is needed.
    Thought(Thought),
    /// Logits (V,) that the branch's first token is chosen from.
    FirstLogits(Vec<f32>),
    /// An answer token.
    Token(Token),
    /// An end-of-sequence token was chosen, and its probability was asked for: it is no part of the answer.
    Ended(Token),
    /// The next ids that are given have their scores.
    Scored(Vec<Given>),
    /// A row was computed that was to be looked into.
    Inside(InsideRow),
    /// The branch is complete.
    Finished(Finish),
    /// The branch ends before that, with all that would go on from it.
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
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Thought {
    /// Counted from 1, along the branches that led here; thoughts left out count.
    pub step: usize,
    /// Euclidean length of what is fed.
    pub norm: f32,
    /// Euclidean length of what was computed, where something was done to it.
    pub computed_norm: Option<f32>,
    /// The vector that is fed back, (D,).
    pub vector: Option<Vec<f32>>,
    /// What the head makes of the thought as it was computed, most likely first.
    pub top_tokens: Vec<TopToken>,
    /// Entropy of what the head makes of the thought as it was computed, in nats, if asked for.
    pub entropy: Option<f32>,
    /// Cosine of the angle between what is fed and what was fed as the thought before, if there is one and it was asked for;
    /// 0 where one of them has no length.
    pub cosine: Option<f32>,
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
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Token {
    /// Token id.
    pub id: u32,
    /// Natural logarithm of its probability at temperature 1, if asked for.
    pub logprob: Option<f32>,
    /// Entropy of the distribution at temperature 1, in nats, with nothing masked, if asked for.
    pub entropy: Option<f32>,
    /// The most likely ids in its place, most likely first, as many as asked for.
    pub top: Vec<Scored>,
}

/// A given id, and what else could have come in its place.
#[derive(Clone, Debug, PartialEq)]
pub struct Given {
    /// Its own place among them.
    pub scored: Scored,
    /// The most likely ids, most likely first, as many as asked for.
    pub top: Vec<Scored>,
}

/// A given id's place among all that could have come next.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Scored {
    /// Token id.
    pub id: u32,
    /// Natural logarithm of its probability at temperature 1, with nothing masked.
    pub logprob: f32,
    /// How many ids are more likely.
    pub rank: usize,
}

/// A row, as far as the request asked to look into it.
#[derive(Clone, Debug, PartialEq)]
pub struct InsideRow {
    /// What it is fed as.
    pub role: Role,
    /// Its position in its sequence.
    pub position: usize,
    /// (layers, D), in the order in which they were asked for.
    pub hidden_states: Vec<f32>,
    /// One entry a layer.
    pub lens: Vec<LensView>,
    /// (layers but 0, heads, position + 1): what each position up to its own weighs.
    pub attention: Vec<f32>,
}

/// What the head makes of a hidden state.
#[derive(Clone, Debug, PartialEq)]
pub struct LensView {
    /// Most likely first.
    pub top_tokens: Vec<TopToken>,
    /// In nats.
    pub entropy: f32,
    /// The ids that were to be ranked, in the order in which they were asked for.
    pub ranked: Vec<Scored>,
}

/// Why an answer ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Finish {
    /// An end-of-sequence token (not reported as a `Token`), or a stop string.
    Stop,
    /// `max_tokens` answer tokens.
    Length,
    /// All that was asked for was done, and nothing was to be said.
    Done,
}

/// Why an accepted request ended without an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// The request's deadline passed.
    #[error("the request's deadline passed")]
    Deadline,
    /// A hidden state or a logit was not finite.
    #[error(
        "what the model computed for this request is not finite: damaged weights, a type too small for them, or an intervention too large"
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
    /// More branches than any request may have.
    #[error("the request branches into {branches}; at most {available} are possible")]
    TooManyBranches {
        /// Ends of the script.
        branches: usize,
        /// The most.
        available: usize,
    },
    /// All branches together need more memory than there is.
    #[error(
        "the request and its branches need {needed} positions of KV memory; there are {available}"
    )]
    TooLarge {
        /// In whole pages.
        needed: usize,
        /// The KV memory's.
        available: usize,
    },
    /// The script is none that can be run.
    #[error(transparent)]
    Malformed(#[from] Malformed),
    /// The engine takes no new requests because the server is stopping.
    #[error("the server is stopping")]
    Stopping,
    /// The engine failed.
    #[error("the engine failed")]
    Dead,
}

/// What in a request cannot be meant.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// It is too deep, or a branch has too many acts.
    #[error("the request has more than {max} branches in a row, or acts in a branch")]
    TooDeep {
        /// The most.
        max: usize,
    },
    /// A vector is none that can be fed.
    #[error("a vector of the request has {found} numbers; this model's have {width}")]
    Width {
        /// Numbers in the vector.
        found: usize,
        /// D
        width: usize,
    },
    /// It asks to see what the model does not have.
    #[error(transparent)]
    NotThere(#[from] NotThere),
    /// A number is none.
    #[error("a number of the request is not finite")]
    NotFinite,
    /// There is no thought before the one that is to repeat it.
    #[error("thought {step} cannot repeat the one before it: there is none")]
    NothingToRepeat {
        /// Counted from 1.
        step: usize,
    },
}
