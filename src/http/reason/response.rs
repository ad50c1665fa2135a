//! The JSON of an answer, whole and as events. Does not know how they travel.

use crate::http::asking::include::Include;
use crate::http::asking::inside::InsideRowBody;
use crate::http::asking::parts::Logprob;
use crate::http::asking::parts::ThoughtBody;
use crate::http::asking::parts::TimingsBody;
use crate::http::asking::parts::TokenBody;
use crate::http::asking::parts::UsageBody;
use crate::http::asking::parts::WarningBody;
use crate::http::asking::parts::base64_f32;
use crate::http::asking::parts::finish_reason;
use crate::http::asking::stream;
use crate::http::asking::stream::Show;
use crate::http::asking::turns::ActionBody;
use crate::http::asking::turns::ObservationBody;
use crate::http::asking::turns::TurnBody;
use crate::http::asking::view::View;
use crate::http::asking::vote::VoteBody;
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

/// A complete answer. Of several answers, `answer`, `text` and `finish_reason` are those of the one after the most thoughts,
/// or of the first sample that says what most samples say.
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
    /// One entry per latent step, with `thoughts` or `thought_vectors` in `include`; those that all answers have in common.
    #[serde(skip_serializing_if = "Option::is_none")]
    thoughts: Option<Vec<ThoughtBody>>,
    /// Base64 of little-endian f32: the logits that the first answer token is chosen from.
    #[serde(skip_serializing_if = "Option::is_none")]
    first_logits: Option<String>,
    /// One entry per answer token, with `logprobs` in `include`.
    #[serde(skip_serializing_if = "Option::is_none")]
    logprobs: Option<Vec<Logprob>>,
    /// One entry per position that was looked into, in the order in which they were computed.
    #[serde(skip_serializing_if = "Option::is_none")]
    inside: Option<Vec<InsideRowBody>>,
    /// With `sweep`: one answer for each of its numbers, in their order.
    #[serde(skip_serializing_if = "Option::is_none")]
    answers: Option<Vec<ChoiceBody>>,
    /// With `n` above 1: all samples.
    #[serde(skip_serializing_if = "Option::is_none")]
    choices: Option<Vec<ChoiceBody>>,
    /// With `n` above 1: what most samples say.
    #[serde(skip_serializing_if = "Option::is_none")]
    vote: Option<VoteBody>,
    /// What was done on the way, where the model calls tools.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(required = false)]
    trajectory: Vec<TurnBody>,
    /// What was done about thoughts; absent where they were fed as they are.
    #[serde(skip_serializing_if = "Option::is_none")]
    resolved: Option<Resolved>,
    usage: UsageBody,
    timings: TimingsBody,
    /// What may make the answer worth less than it looks; absent where there is nothing to warn of.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(required = false)]
    warnings: Vec<WarningBody>,
}

/// One of several answers.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::http) struct ChoiceBody {
    /// Its place among them, from 0; `choice` of its events.
    index: usize,
    /// After so many thoughts.
    latent_steps: usize,
    /// Of a sample: asked alone with this seed, the answer is the same.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(maximum = 18_446_744_073_709_551_615_usize)]
    seed: Option<u64>,
    /// The part of the text that is the answer, by the model's recipe.
    answer: String,
    /// The whole decoded answer.
    text: String,
    /// `stop` or `length`.
    #[schema(example = "stop")]
    finish_reason: &'static str,
    /// Its own thoughts, where it has some and they were asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    thoughts: Option<Vec<ThoughtBody>>,
    /// Base64 of little-endian f32.
    #[serde(skip_serializing_if = "Option::is_none")]
    first_logits: Option<String>,
    /// One entry per answer token.
    #[serde(skip_serializing_if = "Option::is_none")]
    logprobs: Option<Vec<Logprob>>,
}

impl View {
    pub(super) fn answer(&self, mut answer: Answer) -> ReasonResponse {
        let vote = answer.vote();
        let chosen = match (self.is_sweep(), vote) {
            (false, Some(vote)) => vote.choice,
            _ => answer.choices.len().saturating_sub(1),
        };
        let first = answer.choices.get(chosen);
        let [text, extracted] =
            [first.map(|it| it.text.clone()), first.map(|it| it.answer.clone())];
        let finish = first.map_or("done", |choice| finish_reason(choice.finish));
        let is_many = answer.choices.len() > 1 || self.is_sweep();
        let one = if is_many { None } else { answer.choices.pop() };
        let vote = vote.filter(|_| is_many && !self.is_sweep());
        let vote = vote.map(|vote| VoteBody::of(vote, &answer.choices));
        let mut many: Vec<_> =
            answer.choices.into_iter().enumerate().map(|(at, one)| self.choice(at, one)).collect();
        many.sort_by_key(|choice| choice.index);
        let (answers, choices) = match (is_many, self.is_sweep()) {
            (true, true) => (Some(many), None),
            (true, false) => (None, Some(many)),
            (false, _) => (None, None),
        };
        ReasonResponse {
            id: format!("reason-{}", self.id),
            object: "reason",
            created: self.created,
            model: self.reasoner.card().name.clone(),
            answer: extracted.unwrap_or_default(),
            text: text.unwrap_or_default(),
            finish_reason: finish,
            thoughts: self.thoughts(answer.thoughts),
            first_logits: one.as_ref().and_then(first_logits),
            logprobs: one.as_ref().and_then(|choice| self.logprobs(choice)),
            inside: self.insides(answer.insides),
            answers,
            choices,
            vote,
            trajectory: answer.turns.into_iter().map(TurnBody::from).collect(),
            resolved: self.resolved.clone(),
            usage: answer.usage.into(),
            timings: answer.timings.into(),
            warnings: answer.warnings.iter().map(WarningBody::from).collect(),
        }
    }

    fn choice(&self, rank: usize, choice: Choice) -> ChoiceBody {
        let seed = self.seed.wrapping_add(choice.number as u64);
        ChoiceBody {
            index: self.place(rank),
            latent_steps: choice.latent_steps,
            seed: (!self.is_sweep()).then_some(seed),
            finish_reason: finish_reason(choice.finish),
            first_logits: first_logits(&choice),
            logprobs: self.logprobs(&choice),
            answer: choice.answer,
            text: choice.text,
            thoughts: self.thoughts(choice.thoughts).filter(|thoughts| !thoughts.is_empty()),
        }
    }

    fn logprobs(&self, choice: &Choice) -> Option<Vec<Logprob>> {
        self.shows(Include::Logprobs).then(|| choice.tokens.iter().map(Logprob::of).collect())
    }
}

fn first_logits(choice: &Choice) -> Option<String> {
    choice.first_logits.as_deref().map(base64_f32)
}

/// The events of an answer, of which there may be several.
#[derive(Debug)]
pub(super) struct Events {
    pub(super) view: View,
    /// Whether parts name the answer that they belong to.
    pub(super) are_many: bool,
}

impl Events {
    /// All of it.
    pub(super) fn whole(&self, answers: Vec<Answer>) -> Option<ReasonResponse> {
        answers.into_iter().next().map(|answer| self.view.answer(answer))
    }
}

impl Show for Events {
    fn part(&mut self, _question: usize, part: Part) -> Vec<Event> {
        let place = |choice| self.are_many.then(|| self.view.place(choice));
        vec![match part {
            Part::Thought { choice, thought } => {
                stream::event("thought", self.view.thought(thought, choice.and_then(place)))
            }
            Part::Token { choice, token } => {
                stream::event("token", TokenBody::new(token, place(choice)))
            }
            Part::Inside { choice, row } => {
                stream::event("inside", self.view.inside(row, choice.and_then(place)))
            }
            Part::Done(answer) => stream::event("done", self.view.answer(*answer)),
            Part::Action(action) => stream::event("action", ActionBody::from(action)),
            Part::Observed { round, observation } => {
                stream::event("observation", ObservationBody::of(round, observation))
            }
            Part::Prompt(_) | Part::Scored { .. } | Part::Failed(_) => return Vec::new(),
        }]
    }

    fn failed(error: ApiError) -> Vec<Event> {
        vec![stream::failed(&error)]
    }
}

/// What an event's `data` holds, for the document.
#[derive(Debug)]
pub(in crate::http) struct ReasonEvent;

impl PartialSchema for ReasonEvent {
    fn schema() -> RefOr<Schema> {
        stream::schema(&[
            ["thought", "ThoughtBody", "a latent step was computed"],
            ["inside", "InsideRowBody", "a position was computed that is looked into"],
            ["token", "TokenBody", "an answer token was chosen"],
            ["action", "ActionBody", "the model wants something to be done"],
            ["observation", "ObservationBody", "it was done, and this came of it"],
            ["done", "ReasonResponse", "the complete answer; nothing follows"],
            ["error", "ErrorBody", "there will be no answer; nothing follows"],
        ])
    }
}

impl ToSchema for ReasonEvent {
    fn schemas(schemas: &mut Vec<(String, RefOr<Schema>)>) {
        schemas.push((ThoughtBody::name().into_owned(), ThoughtBody::schema()));
        schemas.push((TokenBody::name().into_owned(), TokenBody::schema()));
        schemas.push((ActionBody::name().into_owned(), ActionBody::schema()));
        schemas.push((ObservationBody::name().into_owned(), ObservationBody::schema()));
        ThoughtBody::schemas(schemas);
        TokenBody::schemas(schemas);
    }
}
