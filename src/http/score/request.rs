//! The JSON of continuations to score, and what it means to the layer below. Checks values that need no model to check.

use crate::http::asking::include::Include;
use crate::http::asking::include::report;
use crate::http::asking::inside::InsideBody;
use crate::http::error::ApiError;
use crate::http::object::object_or_none;
use crate::http::object::objects_or_none;
use crate::http::thinking::FeedbackName;
use crate::http::thinking::InterventionBody;
use crate::http::thinking::Latent;
use crate::http::thinking::NoiseBody;
use crate::http::thinking::Steps;
use crate::http::thinking::steps_schema;
use crate::http::whole::Whole;
use crate::http::whole::list;
use crate::http::whole::whole_or_none;
use crate::reason::question::Asked;
use crate::reason::question::Echo;
use crate::reason::question::Question;
use crate::reason::question::Then;
use crate::reason::scoring::Continuation;
use crate::reason::scoring::Scoring;
use serde::Deserialize;
use std::time::Duration;
use utoipa::ToSchema;

const MAX_CONTINUATIONS: usize = 1024;

/// Continuations whose probabilities are asked for. Every field but the first two may be absent; `null` says the same.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"question": "Tom is a wumpus. Every wumpus is a zumpus. Is Tom a zumpus or a lempus?",
    "continuations": ["### Tom is a zumpus.", "### Tom is a lempus."], "latent_steps": 2}))]
pub(in crate::http) struct ScoreRequest {
    /// The question. The model's own prompt template is put around it.
    #[schema(min_length = 1, pattern = r"\S")]
    pub(super) question: String,
    /// What could be said: texts, each encoded by itself, or lists of token ids. As the model would say it, with whatever
    /// its recipe takes off afterwards.
    #[schema(min_items = 1, max_items = 1024)]
    pub(super) continuations: Vec<ContinuationBody>,
    /// What is said before each of them, and not scored.
    pub(super) prefix: Option<String>,
    /// How many thoughts to compute before; the model's default where absent. `"auto"`: until they settle.
    #[schema(schema_with = steps_schema)]
    pub(super) latent_steps: Option<Steps>,
    /// With `latent_steps: "auto"`: the difference at which thoughts count as settled, as a share of their length.
    #[schema(minimum = 0, maximum = 1, example = 0.1)]
    pub(super) tolerance: Option<f64>,
    /// In the place of `latent_steps`: scores after each of these numbers of thoughts.
    #[schema(min_items = 1, max_items = 128)]
    pub(super) sweep: Option<Vec<Whole>>,
    /// What is fed in the places of thoughts.
    pub(super) feedback: Option<FeedbackName>,
    /// What is done to single thoughts before they are fed, in this order.
    #[schema(max_items = 256)]
    #[serde(default, deserialize_with = "objects_or_none")]
    pub(super) interventions: Option<Vec<InterventionBody>>,
    /// Noise on every thought.
    #[serde(default, deserialize_with = "object_or_none")]
    pub(super) latent_noise: Option<NoiseBody>,
    /// What everything random follows from; random where absent.
    #[serde(default, deserialize_with = "whole_or_none")]
    #[schema(maximum = 18_446_744_073_709_551_615_usize)]
    pub(super) seed: Option<u64>,
    /// Answer as server-sent events while it is computed: `thought`, `score`, and at the end `done` or `error`.
    #[schema(default = false)]
    pub(super) stream: Option<bool>,
    /// What to report beside the scores: of thoughts only.
    pub(super) include: Option<Vec<Include>>,
    /// Where to look, with `hidden_states`, `lens` or `attention` in `include`.
    #[serde(default, deserialize_with = "object_or_none")]
    pub(super) inside: Option<InsideBody>,
    /// How many tokens to show per thought, with `thoughts` in `include`.
    #[serde(default, deserialize_with = "whole_or_none")]
    #[schema(maximum = 100, default = 5)]
    pub(super) top_thought_tokens: Option<usize>,
}

/// What could be said.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(untagged, expecting = "expected a text or a list of token ids")]
pub(in crate::http) enum ContinuationBody {
    /// As text.
    Text(String),
    /// As token ids.
    #[serde(deserialize_with = "list")]
    Ids(Vec<u32>),
}

impl ScoreRequest {
    /// The question to ask, or the first field whose value is not allowed.
    pub(super) fn into_question(self, timeout: Duration, seed: u64) -> Result<Question, ApiError> {
        if self.include.iter().flatten().any(|include| include.is_of_answers()) {
            let message = "`first_logits` and `logprobs` belong to answers";
            return Err(ApiError::invalid("include", message));
        }
        let count = self.continuations.len();
        if !(1..=MAX_CONTINUATIONS).contains(&count) {
            let message = format!("must be 1 to {MAX_CONTINUATIONS}");
            return Err(ApiError::invalid("continuations", message));
        }
        let thinking = self.latent().checked(seed)?;
        let inside = InsideBody::checked(self.inside, self.include.as_deref())?;
        let continuations = self.continuations.into_iter().map(Continuation::from).collect();
        Ok(Question {
            asked: Asked::Question(self.question),
            echo: Echo::No,
            thinking,
            then: Then::Score(Scoring { prefix: self.prefix.unwrap_or_default(), continuations }),
            report: report(self.include.as_deref(), self.top_thought_tokens)?,
            inside,
            acting: None,
            timeout,
        })
    }

    /// What it says about its thoughts.
    pub(super) fn latent(&self) -> Latent {
        Latent {
            latent_steps: self.latent_steps,
            tolerance: self.tolerance,
            sweep: self.sweep.as_ref().map(|all| all.iter().map(|steps| steps.0).collect()),
            feedback: self.feedback,
            interventions: self.interventions.clone(),
            latent_noise: self.latent_noise,
        }
    }
}

impl From<ContinuationBody> for Continuation {
    fn from(body: ContinuationBody) -> Self {
        match body {
            ContinuationBody::Text(text) => Self::Text(text),
            ContinuationBody::Ids(ids) => Self::Ids(ids),
        }
    }
}
