//! What can be reported beside an answer, and how it is asked for. Knows no route.

use crate::engine::request::Report;
use crate::http::error::ApiError;
use crate::reason::question::MAX_TOP_TOKENS;
use serde::Deserialize;
use std::ops::RangeInclusive;
use utoipa::ToSchema;

const DEFAULT_TOP_THOUGHT_TOKENS: usize = 5;

/// Something that can be reported beside the answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(in crate::http) enum Include {
    /// Per latent step, its norm and the tokens that the model's head makes of it.
    Thoughts,
    /// Per latent step, the vector that is fed back.
    ThoughtVectors,
    /// The logits that the first answer token is chosen from.
    FirstLogits,
    /// The log-probability of each answer token.
    Logprobs,
    /// How undecided the head is, in nats over the whole vocabulary: at each thought, and at each answer token.
    Entropy,
    /// Per thought, the cosine of the angle to what was fed before it.
    Cosine,
    /// The hidden states of `inside.layers` at `inside.places`.
    HiddenStates,
    /// What the head makes of those hidden states.
    Lens,
    /// The attention of those places, in the blocks that these layers leave.
    Attention,
}

/// What is to be reported.
pub(in crate::http) fn report(
    include: Option<&[Include]>,
    top_thought_tokens: Option<usize>,
) -> Result<Report, ApiError> {
    let reports = |asked| include.is_some_and(|include| include.contains(&asked));
    let top_thought_tokens = top_thought_tokens.unwrap_or(DEFAULT_TOP_THOUGHT_TOKENS);
    let top_thought_tokens = within("top_thought_tokens", top_thought_tokens, 0..=MAX_TOP_TOKENS)?;
    Ok(Report {
        top_thought_tokens: if reports(Include::Thoughts) { top_thought_tokens } else { 0 },
        thought_vectors: reports(Include::ThoughtVectors),
        first_logits: reports(Include::FirstLogits),
        logprobs: reports(Include::Logprobs),
        top_logprobs: 0,
        entropy: reports(Include::Entropy),
        cosine: reports(Include::Cosine),
        inside: None,
    })
}

/// A count that is allowed, or its field blamed.
pub(in crate::http) fn within(
    field: &str,
    count: usize,
    range: RangeInclusive<usize>,
) -> Result<usize, ApiError> {
    match range.contains(&count) {
        true => Ok(count),
        false => Err(ApiError::invalid(
            field,
            format!("must be from {} to {}", range.start(), range.end()),
        )),
    }
}

impl Include {
    /// Whether it is about what is said, not about thoughts.
    pub(in crate::http) fn is_of_answers(self) -> bool {
        match self {
            Self::FirstLogits | Self::Logprobs => true,
            Self::Thoughts
            | Self::ThoughtVectors
            | Self::Entropy
            | Self::Cosine
            | Self::HiddenStates
            | Self::Lens
            | Self::Attention => false,
        }
    }
}
