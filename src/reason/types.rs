//! Answers as plain data, whole and in parts.

use crate::engine::request::Failure;
use crate::engine::request::Finish;
use crate::engine::request::Given;
use crate::engine::request::InsideRow;
use crate::engine::request::Reused;
use crate::engine::request::Scored;
use crate::engine::request::Thought;
use crate::engine::request::Token;
use crate::text::encode::Unknown;
use crate::tools::call::Call;
use crate::tools::call::Observation;
use std::time::Duration;

/// A part of an answer as it comes into being.
#[derive(Clone, Debug)]
pub enum Part {
    /// A thought was computed.
    Thought {
        /// The only one of the choices that it belongs to; `None` where they have it in common.
        choice: Option<usize>,
        /// What it is.
        thought: Thought,
    },
    /// An answer token was chosen.
    Token {
        /// Of which of the choices.
        choice: usize,
        /// What it is.
        token: TokenText,
    },
    /// A row was computed that is to be looked into.
    Inside {
        /// The only one of the choices that it belongs to; `None` where they have it in common.
        choice: Option<usize>,
        /// What it is.
        row: InsideRow,
    },
    /// All ids of the prompt have their scores.
    Prompt(Vec<PromptToken>),
    /// Something is to be done.
    Action(Action),
    /// And what came of it.
    Observed {
        /// In which round.
        round: usize,
        /// What the model is told.
        observation: Observation,
    },
    /// A continuation has its scores.
    Scored {
        /// Which of the choices.
        choice: usize,
        /// After so many thoughts.
        latent_steps: usize,
        /// Id by id.
        scores: Vec<Given>,
    },
    /// The answer is complete; nothing follows.
    Done(Box<Answer>),
    /// There will be no complete answer; nothing follows.
    Failed(Failure),
}

/// What a model wants to be done.
#[derive(Clone, Debug, PartialEq)]
pub struct Action {
    /// Counted from 1.
    pub round: usize,
    /// Why, if it says so.
    pub thought: String,
    /// What; `None` where what it said is no call.
    pub call: Option<Call>,
    /// As it was said.
    pub said: String,
}

/// A round of a dialogue with tools.
#[derive(Clone, Debug, PartialEq)]
pub struct Turn {
    /// What was to be done.
    pub action: Action,
    /// What came of it; nothing where it was the last.
    pub observation: Option<Observation>,
    /// How long that took.
    pub took: Duration,
}

/// An answer token with the text that it completes.
#[derive(Clone, Debug, Default, PartialEq)]
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
    /// Entropy of the distribution that it was chosen from, in nats at temperature 1, if asked for.
    pub entropy: Option<f32>,
    /// The most likely ids in its place, most likely first, as many as asked for.
    pub top: Vec<Scored>,
}

impl TokenText {
    /// How `id` reads here, if that is the token: with the text that it has in this place, so that it is found by it.
    pub fn named(&self, id: u32) -> Option<String> {
        (id == self.id && !self.text.is_empty()).then(|| self.text.clone())
    }
}

/// An id of the prompt, with what the model made of it.
#[derive(Clone, Debug, PartialEq)]
pub struct PromptToken {
    /// Token id.
    pub id: u32,
    /// Natural logarithm of its probability after all before it; of the first one there is none.
    pub logprob: Option<f32>,
    /// The most likely ids in its place, most likely first, as many as asked for.
    pub top: Vec<Scored>,
}

/// Everything that came of a question.
#[derive(Clone, Debug)]
pub struct Answer {
    /// What was said or scored, in the order in which it was asked for: by number of thoughts, then by sample or
    /// continuation.
    pub choices: Vec<Choice>,
    /// The prompt, where its ids were to be scored.
    pub prompt: Vec<PromptToken>,
    /// The thoughts that choices have in common, as far as asked for.
    pub thoughts: Vec<Thought>,
    /// Rows that were to be looked into, each with the only choice that it belongs to, where there is one.
    pub insides: Vec<(Option<usize>, InsideRow)>,
    /// What was done on the way, where tools could be called.
    pub turns: Vec<Turn>,
    /// Counts.
    pub usage: Usage,
    /// Durations.
    pub timings: Timings,
    /// What the caller should know.
    pub warnings: Vec<Warning>,
}

/// One of the ends of a question: an answer, or a continuation with its scores.
#[derive(Clone, Debug)]
pub struct Choice {
    /// After so many thoughts; those left out count.
    pub latent_steps: usize,
    /// Which sample or continuation, from 0.
    pub number: usize,
    /// What the recipe extracts from the text.
    pub answer: String,
    /// The whole decoded answer.
    pub text: String,
    /// Why it ended.
    pub finish: Finish,
    /// The thoughts that are this one's alone, as far as asked for.
    pub thoughts: Vec<Thought>,
    /// All answer tokens.
    pub tokens: Vec<TokenText>,
    /// Logits (V,) that the first token was chosen from, if asked for.
    pub first_logits: Option<Vec<f32>>,
    /// Of a continuation, id by id.
    pub scores: Vec<Given>,
    /// The last end-of-sequence token that was chosen; it is none of the answer's.
    pub ending: Option<Token>,
}

/// What most samples say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Vote {
    /// The first of the choices that says so.
    pub choice: usize,
    /// How many do.
    pub agreeing: usize,
}

impl Answer {
    /// The answer that most choices have; of several the one that comes first. `None` where nothing was said.
    pub fn vote(&self) -> Option<Vote> {
        let agreeing =
            |answer: &str| self.choices.iter().filter(|choice| choice.answer == answer).count();
        let votes = (0..self.choices.len())
            .map(|choice| Vote { choice, agreeing: agreeing(&self.choices[choice].answer) });
        // The last of the largest is taken.
        votes.rev().max_by_key(|vote| vote.agreeing)
    }
}

/// Something that may make an answer worth less than it looks.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Warning {
    /// The model did not see what the question says.
    #[error("what was asked is not all in the model's vocabulary: {0}")]
    UnknownTokens(Unknown),
}

impl Warning {
    /// What is to be said of this, if it is anything.
    pub(crate) fn of(unknown: Unknown) -> Option<Self> {
        (unknown.tokens > 0).then_some(Self::UnknownTokens(unknown))
    }
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
    /// Pieces of the text of prompt, prefix and continuations outside the vocabulary, whether a position stands for them or none.
    pub unknown_tokens: usize,
    /// What of prompt and thoughts was not computed for this question because an earlier one began like it.
    pub reused: Reused,
}

impl Usage {
    /// Positions of the prompt that were not computed for this question.
    pub fn cached_prompt(self) -> usize {
        self.reused.positions.min(self.prompt_tokens)
    }

    /// Positions taken: prompt, thoughts, answer.
    pub fn total_tokens(self) -> usize {
        self.prompt_tokens + self.latent_steps + self.completion_tokens
    }
}

/// Where the time of a request went. The phases follow each other without gaps and add up to `total`; in a dialogue with
/// tools each is a sum over rounds, and the rest of `total` is what tools took and what lies between rounds.
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
