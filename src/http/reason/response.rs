//! The JSON of an answer and of its parts. Does not know how they travel.

use super::request::Include;
use crate::engine::request::Finish;
use crate::engine::request::Thought;
use crate::engine::request::TopToken;
use crate::http::state::unix_seconds;
use crate::reason::reasoner::Reasoner;
use crate::reason::types::Answer;
use crate::reason::types::Timings;
use crate::reason::types::TokenText;
use crate::reason::types::Usage;
use crate::reason::types::Warning;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde::Serialize;
use std::sync::Arc;
use std::time::Duration;
use std::time::SystemTime;
use utoipa::ToSchema;
use uuid::Uuid;

/// An answer that was complete in time is also written.
pub(super) const LAST_WORK: Duration = Duration::from_secs(5);

/// A complete answer.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::http) struct ReasonResponse {
    /// `reason-` and a UUID.
    id: String,
    /// `reason`.
    object: &'static str,
    /// When the question arrived, in seconds since 1970.
    created: u64,
    /// The model that answered.
    model: String,
    /// The part of the text that is the answer, by the model's recipe.
    answer: String,
    /// The whole decoded answer.
    text: String,
    /// `stop` (end of sequence or a stop string) or `length` (`max_tokens`, or the model's last position).
    #[schema(example = "stop")]
    finish_reason: &'static str,
    /// One entry per latent step, with `thoughts` or `thought_vectors` in `include`.
    #[serde(skip_serializing_if = "Option::is_none")]
    thoughts: Option<Vec<ThoughtBody>>,
    /// Base64 of little-endian f32: the logits that the first answer token is chosen from.
    #[serde(skip_serializing_if = "Option::is_none")]
    first_logits: Option<String>,
    /// One entry per answer token, with `logprobs` in `include`.
    #[serde(skip_serializing_if = "Option::is_none")]
    logprobs: Option<Vec<Logprob>>,
    usage: UsageBody,
    timings: TimingsBody,
    /// What may make the answer worth less than it looks; absent where there is nothing to warn of.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(required = false)]
    warnings: Vec<WarningBody>,
}

/// Something that the caller should know about an answer.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::http) struct WarningBody {
    /// For programs; does not change: `unknown_tokens`, text of the question is outside the model's vocabulary.
    #[schema(example = "unknown_tokens")]
    code: &'static str,
    /// For people.
    message: String,
}

/// A thought, as far as it was asked for.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::http) struct ThoughtBody {
    /// Counted from 1.
    step: usize,
    /// Euclidean length.
    #[serde(skip_serializing_if = "Option::is_none")]
    norm: Option<f32>,
    /// What the model's head makes of the thought, most likely first.
    #[serde(skip_serializing_if = "Option::is_none")]
    top_tokens: Option<Vec<TopTokenBody>>,
    /// Base64 of little-endian f32: exactly what is fed back.
    #[serde(skip_serializing_if = "Option::is_none")]
    vector: Option<String>,
}

/// A token and its probability.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::http) struct TopTokenBody {
    /// Token id.
    id: u32,
    /// Its text, as it would stand in the middle of an answer: with the space before it, if it has one.
    token: String,
    /// 0 to 1.
    probability: f32,
}

/// An answer token of a stream.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::http) struct TokenBody {
    /// Counted from 0.
    index: usize,
    /// Token id.
    id: u32,
    /// The text that this token completes; all of them together are the answer's `text`.
    text: String,
    /// Natural logarithm of its probability at temperature 1, with `logprobs` in `include`.
    #[serde(skip_serializing_if = "Option::is_none")]
    logprob: Option<f32>,
}

/// An answer token's log-probability.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::http) struct Logprob {
    /// Token id.
    id: u32,
    /// Natural logarithm of its probability at temperature 1.
    logprob: Option<f32>,
}

/// How much was computed.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::http) struct UsageBody {
    /// Positions of the prompt, start marker included.
    prompt_tokens: usize,
    /// Thoughts.
    latent_steps: usize,
    /// Answer tokens.
    completion_tokens: usize,
    /// The sum.
    total_tokens: usize,
    /// Positions of prompt and thoughts, of these, that were read from memory because an earlier question began like
    /// this one.
    cached_positions: usize,
    /// Thoughts, of these, that an earlier question computed.
    cached_thoughts: usize,
    /// Prompt tokens that stand for text outside the model's vocabulary.
    unknown_tokens: usize,
}

/// Where the time went, in milliseconds; the first four add up to the last.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::http) struct TimingsBody {
    /// Waiting for a place.
    queue_ms: f64,
    /// Reading the prompt.
    prefill_ms: f64,
    /// Thinking, up to the first answer token.
    latent_ms: f64,
    /// Answering.
    decode_ms: f64,
    /// From arrival to the end.
    total_ms: f64,
}

/// What an answer says beside what the reasoner returns, and how much of that it shows.
#[derive(Debug)]
pub(in crate::http) struct View {
    id: Uuid,
    created: u64,
    include: Vec<Include>,
    reasoner: Arc<Reasoner>,
}

impl View {
    pub(super) fn new(id: Uuid, include: Vec<Include>, reasoner: Arc<Reasoner>) -> Self {
        Self { id, created: unix_seconds(SystemTime::now()), include, reasoner }
    }

    pub(super) fn answer(&self, answer: Answer) -> ReasonResponse {
        let shows = |include| self.include.contains(&include);
        let thoughts = shows(Include::Thoughts) || shows(Include::ThoughtVectors);
        ReasonResponse {
            id: format!("reason-{}", self.id),
            object: "reason",
            created: self.created,
            model: self.reasoner.card().name.clone(),
            answer: answer.answer,
            text: answer.text,
            finish_reason: finish_reason(answer.finish),
            thoughts: thoughts.then(|| {
                answer.thoughts.into_iter().map(|thought| self.thought(thought)).collect()
            }),
            first_logits: answer.first_logits.as_deref().map(base64_f32),
            logprobs: shows(Include::Logprobs)
                .then(|| answer.tokens.iter().map(Logprob::of).collect()),
            usage: answer.usage.into(),
            timings: answer.timings.into(),
            warnings: answer.warnings.iter().map(WarningBody::from).collect(),
        }
    }

    pub(super) fn thought(&self, thought: Thought) -> ThoughtBody {
        ThoughtBody::new(thought, &self.include, |id| self.reasoner.token_text(id))
    }
}

impl ThoughtBody {
    fn new(thought: Thought, include: &[Include], text: impl Fn(u32) -> String) -> Self {
        let shown = include.contains(&Include::Thoughts);
        let named = |top: TopToken| TopTokenBody {
            id: top.id,
            token: text(top.id),
            probability: top.probability,
        };
        Self {
            step: thought.step,
            norm: shown.then_some(thought.norm),
            top_tokens: shown.then(|| thought.top_tokens.into_iter().map(named).collect()),
            vector: thought.vector.as_deref().map(base64_f32),
        }
    }
}

impl From<TokenText> for TokenBody {
    fn from(token: TokenText) -> Self {
        Self { index: token.index, id: token.id, text: token.text, logprob: token.logprob }
    }
}

impl Logprob {
    fn of(token: &TokenText) -> Self {
        Self { id: token.id, logprob: token.logprob }
    }
}

impl From<&Warning> for WarningBody {
    fn from(warning: &Warning) -> Self {
        let code = match warning {
            Warning::UnknownTokens(_) => "unknown_tokens",
        };
        Self { code, message: warning.to_string() }
    }
}

impl From<Usage> for UsageBody {
    fn from(usage: Usage) -> Self {
        Self {
            prompt_tokens: usage.prompt_tokens,
            latent_steps: usage.latent_steps,
            completion_tokens: usage.completion_tokens,
            total_tokens: usage.total_tokens(),
            cached_positions: usage.reused.positions,
            cached_thoughts: usage.reused.thoughts,
            unknown_tokens: usage.unknown_tokens,
        }
    }
}

impl From<Timings> for TimingsBody {
    fn from(timings: Timings) -> Self {
        Self {
            queue_ms: milliseconds(timings.queue),
            prefill_ms: milliseconds(timings.prefill),
            latent_ms: milliseconds(timings.latent),
            decode_ms: milliseconds(timings.decode),
            total_ms: milliseconds(timings.total),
        }
    }
}

/// How much there is to write of a thought.
pub(super) fn thought_bytes(thought: &Thought) -> usize {
    let vector = thought.vector.as_deref().map_or(0, size_of_val);
    // The text of an id takes as long as a few hundred bytes of a vector.
    vector + 512 * thought.top_tokens.len()
}

/// How much there is to write of an answer.
pub(super) fn answer_bytes(answer: &Answer) -> usize {
    let logits = answer.first_logits.as_deref().map_or(0, size_of_val);
    let thoughts: usize = answer.thoughts.iter().map(thought_bytes).sum();
    logits + thoughts + 64 * answer.tokens.len() + answer.text.len()
}

/// As the wire and the log call it.
pub(super) fn finish_reason(finish: Finish) -> &'static str {
    match finish {
        Finish::Stop => "stop",
        Finish::Length => "length",
        Finish::Done => "done",
    }
}

/// To the microsecond.
fn milliseconds(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 1e6).round() / 1e3
}

fn base64_f32(values: &[f32]) -> String {
    let bytes: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
    BASE64_STANDARD.encode(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn thought() -> Thought {
        let top_tokens = vec![TopToken { id: 7, probability: 0.5 }];
        Thought { step: 2, norm: 1.5, computed_norm: 1.5, vector: None, top_tokens }
    }

    #[test]
    fn a_thought_shows_what_was_asked_for() {
        let body = |thought, include: &[Include]| {
            serde_json::to_value(ThoughtBody::new(thought, include, |id| format!("<{id}>")))
                .unwrap()
        };
        assert_eq!(body(thought(), &[]), json!({"step": 2}));
        let shown = json!({"step": 2, "norm": 1.5, "top_tokens": [{"id": 7, "token": "<7>", "probability": 0.5}]});
        assert_eq!(body(thought(), &[Include::Thoughts]), shown);
        let with_vector = Thought { vector: Some(vec![1.0, -2.0]), ..thought() };
        assert_eq!(
            body(with_vector, &[Include::ThoughtVectors]),
            json!({"step": 2, "vector": "AACAPwAAAMA="})
        );
    }

    #[test]
    fn vectors_are_little_endian_and_exact() {
        let values = [f32::MIN_POSITIVE, -0.1, 3.25, f32::MAX];
        let bytes = BASE64_STANDARD.decode(base64_f32(&values)).unwrap();
        let back: Vec<f32> = bytes
            .chunks_exact(4)
            .map(|chunk| f32::from_le_bytes(chunk.try_into().unwrap()))
            .collect();
        assert_eq!(back, values);
    }

    #[test]
    fn a_token_without_logprob_has_no_such_field() {
        let token = TokenText { index: 0, id: 3, text: "a".to_owned(), logprob: None };
        assert_eq!(
            serde_json::to_value(TokenBody::from(token)).unwrap(),
            json!({"index": 0, "id": 3, "text": "a"})
        );
    }

    #[test]
    fn times_keep_microseconds() {
        assert_eq!(milliseconds(Duration::from_nanos(1_234_567)), 1.235);
    }
}
