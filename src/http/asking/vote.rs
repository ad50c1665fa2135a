//! The JSON of what most samples say. Knows no route.

use crate::reason::types::Choice;
use crate::reason::types::Vote;
use serde::Serialize;
use utoipa::ToSchema;

/// What most samples say.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::http) struct VoteBody {
    /// The answer; of several with as many samples the first.
    answer: String,
    /// How many samples have it.
    count: usize,
    /// Their share of all samples, 0 to 1.
    agreement: f64,
}

impl VoteBody {
    pub(in crate::http) fn of(vote: Vote, choices: &[Choice]) -> Self {
        Self {
            answer: choices
                .get(vote.choice)
                .map(|choice| choice.answer.clone())
                .unwrap_or_default(),
            count: vote.agreeing,
            agreement: vote.agreeing as f64 / choices.len() as f64,
        }
    }
}
