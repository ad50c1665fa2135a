//! The JSON of what answers have in common: thoughts, tokens, counts, times, warnings. Knows no route, and not how parts
//! travel.

use crate::engine::request::Finish;
use crate::engine::request::InsideRow;
use crate::engine::request::Scored;
use crate::engine::request::Thought;
use crate::engine::request::TopToken;
use crate::http::asking::include::Include;
use crate::reason::types::Answer;
use crate::reason::types::Choice;
use crate::reason::types::Timings;
use crate::reason::types::TokenText;
use crate::reason::types::Usage;
use crate::reason::types::Warning;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde::Serialize;
use std::time::Duration;
use utoipa::ToSchema;

/// An answer that was complete in time is also written.
pub(in crate::http) const LAST_WORK: Duration = Duration::from_secs(5);

/// Something that the caller should know about an answer.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::http) struct WarningBody {
    /// For programs; does not change: `unknown_tokens`, text of the request is outside the model's vocabulary.
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
    /// In a stream: the only one of the answers that it belongs to, by its place among them.
    #[serde(skip_serializing_if = "Option::is_none")]
    choice: Option<usize>,
    /// Euclidean length of what is fed.
    #[serde(skip_serializing_if = "Option::is_none")]
    norm: Option<f32>,
    /// Euclidean length of what was computed, where something was done to it.
    #[serde(skip_serializing_if = "Option::is_none")]
    computed_norm: Option<f32>,
    /// How undecided the model's head is about it, in nats.
    #[serde(skip_serializing_if = "Option::is_none")]
    entropy: Option<f32>,
    /// Cosine of the angle to what was fed before it; of the first one there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    cosine: Option<f32>,
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

/// A given token's place among all that could have come.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::http) struct ScoredBody {
    /// Token id.
    id: u32,
    /// Its text.
    token: String,
    /// Natural logarithm of its probability.
    logprob: f32,
    /// How many tokens are more probable in its place.
    rank: usize,
}

/// An answer token of a stream.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::http) struct TokenBody {
    /// Counted from 0.
    index: usize,
    /// Of which of several answers, by its place among them.
    #[serde(skip_serializing_if = "Option::is_none")]
    choice: Option<usize>,
    /// Token id.
    id: u32,
    /// The text that this token completes; all of them together are the answer's `text`.
    text: String,
    /// Natural logarithm of its probability at temperature 1, with `logprobs` in `include`.
    #[serde(skip_serializing_if = "Option::is_none")]
    logprob: Option<f32>,
    /// How undecided the model was about it, in nats, with `entropy` in `include`.
    #[serde(skip_serializing_if = "Option::is_none")]
    entropy: Option<f32>,
}

/// An answer token's log-probability.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::http) struct Logprob {
    /// Token id.
    id: u32,
    /// Natural logarithm of its probability at temperature 1.
    logprob: Option<f32>,
    /// How undecided the model was about it, in nats, with `entropy` in `include`.
    #[serde(skip_serializing_if = "Option::is_none")]
    entropy: Option<f32>,
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
    /// Pieces of the text of prompt, prefix and continuations outside the model's vocabulary: one and the same token stands for them, or none.
    unknown_tokens: usize,
}

/// Where the time went, in milliseconds. The first four add up to the last; where tools are called they are sums over all
/// rounds, and the rest is what the tools took (each `tool_ms`) and what lies between rounds.
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

impl ScoredBody {
    pub(in crate::http) fn new(scored: &Scored, text: &impl Fn(u32) -> String) -> Self {
        let Scored { id, logprob, rank } = *scored;
        Self { id, token: text(id), logprob, rank }
    }
}

impl TopTokenBody {
    pub(in crate::http) fn new(top: TopToken, text: &impl Fn(u32) -> String) -> Self {
        Self { id: top.id, token: text(top.id), probability: top.probability }
    }
}

impl ThoughtBody {
    pub(in crate::http) fn new(
        thought: Thought,
        choice: Option<usize>,
        include: &[Include],
        text: impl Fn(u32) -> String,
    ) -> Self {
        let shown = include.contains(&Include::Thoughts);
        let named = |top: TopToken| TopTokenBody::new(top, &text);
        Self {
            step: thought.step,
            choice,
            norm: shown.then_some(thought.norm),
            entropy: thought.entropy,
            cosine: thought.cosine,
            computed_norm: thought.computed_norm.filter(|_| shown),
            top_tokens: shown.then(|| thought.top_tokens.into_iter().map(named).collect()),
            vector: thought.vector.as_deref().map(base64_f32),
        }
    }
}

impl TokenBody {
    pub(in crate::http) fn new(token: TokenText, choice: Option<usize>) -> Self {
        let TokenText { index, id, text, logprob, entropy, top: _ } = token;
        Self { index, choice, id, text, logprob, entropy }
    }
}

impl Logprob {
    pub(in crate::http) fn of(token: &TokenText) -> Self {
        Self { id: token.id, logprob: token.logprob, entropy: token.entropy }
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
pub(in crate::http) fn thought_bytes(thought: &Thought) -> usize {
    let vector = thought.vector.as_deref().map_or(0, size_of_val);
    // The text of an id takes as long as a few hundred bytes of a vector.
    vector + 512 * thought.top_tokens.len()
}

/// How much there is to write of an answer.
pub(in crate::http) fn answer_bytes(answer: &Answer) -> usize {
    let insides: usize = answer.insides.iter().map(|(_, row)| inside_bytes(row)).sum();
    insides
        + thoughts_bytes(&answer.thoughts)
        + answer.choices.iter().map(choice_bytes).sum::<usize>()
}

fn choice_bytes(choice: &Choice) -> usize {
    let logits = choice.first_logits.as_deref().map_or(0, size_of_val);
    let scores = 256 * choice.scores.len();
    logits
        + thoughts_bytes(&choice.thoughts)
        + 64 * choice.tokens.len()
        + choice.text.len()
        + scores
}

/// How much there is to write of a row.
pub(in crate::http) fn inside_bytes(row: &InsideRow) -> usize {
    let lens: usize = row.lens.iter().map(|view| view.top_tokens.len() + view.ranked.len()).sum();
    size_of_val(&*row.hidden_states) + size_of_val(&*row.attention) + 512 * lens
}

fn thoughts_bytes(thoughts: &[Thought]) -> usize {
    thoughts.iter().map(thought_bytes).sum()
}

/// As the wire and the log call it.
pub(in crate::http) fn finish_reason(finish: Finish) -> &'static str {
    match finish {
        Finish::Stop => "stop",
        Finish::Length => "length",
        Finish::Done => "done",
    }
}

/// To the microsecond.
pub(in crate::http) fn milliseconds(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 1e6).round() / 1e3
}

pub(in crate::http) fn base64_f32(values: &[f32]) -> String {
    let bytes: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
    BASE64_STANDARD.encode(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn thought() -> Thought {
        let top_tokens = vec![TopToken { id: 7, probability: 0.5 }];
        Thought { step: 2, norm: 1.5, computed_norm: None, top_tokens, ..Thought::default() }
    }

    #[test]
    fn a_thought_shows_what_was_asked_for() {
        let body = |thought, include: &[Include]| {
            serde_json::to_value(ThoughtBody::new(thought, None, include, |id| format!("<{id}>")))
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
        let text = "a".to_owned();
        let token = TokenText { id: 3, text, ..TokenText::default() };
        assert_eq!(
            serde_json::to_value(TokenBody::new(token, None)).unwrap(),
            json!({"index": 0, "id": 3, "text": "a"})
        );
    }

    #[test]
    fn times_keep_microseconds() {
        assert_eq!(milliseconds(Duration::from_nanos(1_234_567)), 1.235);
    }
}
