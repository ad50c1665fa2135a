//! The JSON of scores, whole and as events. Does not know how they travel.

use crate::engine::request::Given;
use crate::http::asking::inside::InsideRowBody;
use crate::http::asking::parts::ScoredBody;
use crate::http::asking::parts::ThoughtBody;
use crate::http::asking::parts::TimingsBody;
use crate::http::asking::parts::UsageBody;
use crate::http::asking::parts::WarningBody;
use crate::http::asking::stream;
use crate::http::asking::stream::Show;
use crate::http::asking::view::View;
use crate::http::error::ApiError;
use crate::http::thinking::Resolved;
use crate::reason::types::Answer;
use crate::reason::types::Choice;
use crate::reason::types::Part;
use axum::response::sse::Event;
use serde::Serialize;
use utoipa::PartialSchema;
use utoipa::ToSchema;
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::Schema;

/// The scores of all continuations.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::http) struct ScoreResponse {
    /// `score-` and a UUID.
    id: String,
    /// `score`.
    object: &'static str,
    /// When the question arrived, in seconds since 1970.
    created: u64,
    /// The model.
    model: String,
    /// By number of thoughts in the order asked for, then by continuation.
    scores: Vec<ScoreBody>,
    /// One entry per latent step, with `thoughts` or `thought_vectors` in `include`.
    #[serde(skip_serializing_if = "Option::is_none")]
    thoughts: Option<Vec<ThoughtBody>>,
    /// One entry per position that was looked into, in the order in which they were computed.
    #[serde(skip_serializing_if = "Option::is_none")]
    inside: Option<Vec<InsideRowBody>>,
    /// What was done about thoughts; absent where they were fed as they are.
    #[serde(skip_serializing_if = "Option::is_none")]
    resolved: Option<Resolved>,
    usage: UsageBody,
    timings: TimingsBody,
    /// What may make the scores worth less than they look; absent where there is nothing to warn of.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(required = false)]
    warnings: Vec<WarningBody>,
}

/// How probable a continuation is. Logarithms are natural, at temperature 1, over the whole vocabulary.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::http) struct ScoreBody {
    /// Which of the continuations, from 0.
    continuation: usize,
    /// After so many thoughts.
    latent_steps: usize,
    /// The sum over its tokens.
    logprob: f64,
    /// The mean over its tokens.
    mean_logprob: f64,
    /// Token by token.
    tokens: Vec<ScoredBody>,
}

impl View {
    pub(super) fn scores(&self, answer: Answer, continuations: usize) -> ScoreResponse {
        let mut scores: Vec<_> = answer.choices.iter().enumerate().collect();
        scores.sort_by_key(|(at, _)| self.place(*at));
        let body = |(at, choice): (usize, &Choice)| {
            self.score((at, continuations), choice.latent_steps, &choice.scores)
        };
        ScoreResponse {
            id: format!("score-{}", self.id),
            object: "score",
            created: self.created,
            model: self.reasoner.card().name.clone(),
            scores: scores.into_iter().map(body).collect(),
            thoughts: self.thoughts(answer.thoughts),
            inside: self.insides(answer.insides),
            resolved: self.resolved.clone(),
            usage: answer.usage.into(),
            timings: answer.timings.into(),
            warnings: answer.warnings.iter().map(WarningBody::from).collect(),
        }
    }

    fn score(
        &self,
        (at, continuations): (usize, usize),
        latent_steps: usize,
        scores: &[Given],
    ) -> ScoreBody {
        let logprob: f64 = scores.iter().map(|given| f64::from(given.scored.logprob)).sum();
        let text = |id| self.reasoner.token_text(id);
        ScoreBody {
            continuation: at % continuations,
            latent_steps,
            logprob,
            mean_logprob: logprob / scores.len().max(1) as f64,
            tokens: scores.iter().map(|given| ScoredBody::new(&given.scored, &text)).collect(),
        }
    }
}

/// The events of scores.
#[derive(Debug)]
pub(super) struct ScoreEvents {
    pub(super) view: View,
    pub(super) continuations: usize,
}

impl ScoreEvents {
    /// All of it.
    pub(super) fn whole(&self, answers: Vec<Answer>) -> Option<ScoreResponse> {
        let mut answers = answers.into_iter();
        answers.next().map(|answer| self.view.scores(answer, self.continuations))
    }
}

impl Show for ScoreEvents {
    fn part(&mut self, _question: usize, part: Part) -> Vec<Event> {
        vec![match part {
            Part::Thought { thought, .. } => {
                stream::event("thought", self.view.thought(thought, None))
            }
            Part::Inside { row, choice } => {
                let choice = choice.map(|rank| self.view.place(rank));
                stream::event("inside", self.view.inside(row, choice))
            }
            Part::Scored { choice, latent_steps, scores } => {
                let at = (choice, self.continuations);
                stream::event("score", self.view.score(at, latent_steps, &scores))
            }
            Part::Done(answer) => {
                stream::event("done", self.view.scores(*answer, self.continuations))
            }
            _ => return Vec::new(),
        }]
    }

    fn failed(error: ApiError) -> Vec<Event> {
        vec![stream::failed(&error)]
    }
}

/// What an event's `data` holds, for the document.
#[derive(Debug)]
pub(in crate::http) struct ScoreEvent;

impl PartialSchema for ScoreEvent {
    fn schema() -> RefOr<Schema> {
        stream::schema(&[
            ["thought", "ThoughtBody", "a latent step was computed"],
            ["inside", "InsideRowBody", "a position was computed that is looked into"],
            ["score", "ScoreBody", "a continuation has its score"],
            ["done", "ScoreResponse", "all scores; nothing follows"],
            ["error", "ErrorBody", "there will be no more scores; nothing follows"],
        ])
    }
}

impl ToSchema for ScoreEvent {
    fn schemas(schemas: &mut Vec<(String, RefOr<Schema>)>) {
        schemas.push((ThoughtBody::name().into_owned(), ThoughtBody::schema()));
        schemas.push((ScoreBody::name().into_owned(), ScoreBody::schema()));
        ThoughtBody::schemas(schemas);
        ScoreBody::schemas(schemas);
    }
}
