//! What answers say beyond OpenAI's form, under `coconut`: thoughts, and what else was asked for in `include`. Knows no route.

use crate::http::asking::include::Include;
use crate::http::asking::inside::InsideRowBody;
use crate::http::asking::parts::ThoughtBody;
use crate::http::asking::parts::TimingsBody;
use crate::http::asking::parts::WarningBody;
use crate::http::asking::parts::base64_f32;
use crate::http::asking::turns::TurnBody;
use crate::http::asking::view::View;
use crate::http::asking::vote::VoteBody;
use crate::http::thinking::Resolved;
use crate::reason::types::Answer;
use crate::reason::types::Choice;
use crate::reason::types::Part;
use serde::Serialize;
use utoipa::ToSchema;

/// Of a question.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = LatentExtension)]
pub(super) struct Extension {
    /// The thoughts that all choices have in common, with one of `thoughts`, `thought_vectors`, `entropy`, `cosine` in `include`.
    #[serde(skip_serializing_if = "Option::is_none")]
    thoughts: Option<Vec<ThoughtBody>>,
    /// What was looked into.
    #[serde(skip_serializing_if = "Option::is_none")]
    inside: Option<Vec<InsideRowBody>>,
    /// What was done about thoughts, with everything that the request left open.
    #[serde(skip_serializing_if = "Option::is_none")]
    resolved: Option<Resolved>,
    /// What was done on the way, where the model calls the server's tools.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(required = false)]
    trajectory: Vec<TurnBody>,
    /// What most of several samples say.
    #[serde(skip_serializing_if = "Option::is_none")]
    vote: Option<VoteBody>,
    timings: TimingsBody,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(required = false)]
    warnings: Vec<WarningBody>,
}

/// Of a choice.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ChoiceExtension {
    /// What the model's recipe takes for the answer in the text.
    answer: String,
    /// Thoughts before it.
    latent_steps: usize,
    /// The thoughts that are this one's alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    thoughts: Option<Vec<ThoughtBody>>,
    /// Base64 of little-endian f32: what the first token was chosen from, with `first_logits` in `include`.
    #[serde(skip_serializing_if = "Option::is_none")]
    first_logits: Option<String>,
}

/// Of a chunk of a stream that shows how far it is.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum Progress {
    /// A thought was computed.
    Thought(ThoughtBody),
    /// A position was computed that is looked into.
    Inside(InsideRowBody),
}

impl Extension {
    pub(super) fn of(answer: &mut Answer, view: &View) -> Self {
        let vote = answer.vote().filter(|_| answer.choices.len() > 1 && !view.is_sweep());
        let vote = vote.map(|vote| VoteBody::of(vote, &answer.choices));
        Self {
            thoughts: view.thoughts(std::mem::take(&mut answer.thoughts)),
            inside: view.insides(std::mem::take(&mut answer.insides)),
            resolved: view.resolved.clone(),
            vote,
            trajectory: std::mem::take(&mut answer.turns).into_iter().map(TurnBody::from).collect(),
            timings: answer.timings.into(),
            warnings: answer.warnings.iter().map(WarningBody::from).collect(),
        }
    }
}

impl ChoiceExtension {
    pub(super) fn of(choice: &mut Choice, view: &View) -> Self {
        let thoughts = view.thoughts(std::mem::take(&mut choice.thoughts));
        Self {
            answer: choice.answer.clone(),
            latent_steps: choice.latent_steps,
            thoughts: thoughts.filter(|thoughts| !thoughts.is_empty()),
            first_logits: choice.first_logits.as_deref().map(base64_f32),
        }
    }
}

impl Progress {
    /// What a part shows, where that was asked for.
    pub(super) fn of(part: Part, view: &View) -> Option<Self> {
        let asked = [Include::Thoughts, Include::ThoughtVectors, Include::Entropy, Include::Cosine];
        match part {
            Part::Thought { choice, thought }
                if asked.into_iter().any(|asked| view.shows(asked)) =>
            {
                let place = choice.map(|choice| view.place(choice));
                Some(Self::Thought(view.thought(thought, place)))
            }
            Part::Inside { choice, row } => {
                Some(Self::Inside(view.inside(row, choice.map(|choice| view.place(choice)))))
            }
            _ => None,
        }
    }
}
