//! The fields of our own routes that OpenAI's take as well, beside their own. Does not know what an answer looks like.

use crate::http::asking::include::Include;
use crate::http::asking::inside::InsideBody;
use crate::http::object::object_or_none;
use crate::http::object::objects_or_none;
use crate::http::thinking::FeedbackName;
use crate::http::thinking::InterventionBody;
use crate::http::thinking::Latent;
use crate::http::thinking::NoiseBody;
use crate::http::thinking::Steps;
use crate::http::thinking::steps_schema;
use crate::http::whole::Whole;
use crate::http::whole::whole_or_none;
use serde::Deserialize;
use utoipa::ToSchema;

/// What a question says about its thoughts, and what it wants to see of them. Every field may be absent.
#[derive(Clone, Debug, Default, Deserialize, ToSchema)]
#[schema(as = LatentFields)]
pub(super) struct Extras {
    /// How many thoughts to compute before answering; the model's default where absent. `"auto"`: until they settle.
    #[schema(schema_with = steps_schema)]
    latent_steps: Option<Steps>,
    /// With `latent_steps: "auto"`: the difference at which thoughts count as settled, as a share of their length.
    #[schema(minimum = 0, maximum = 1, example = 0.1)]
    tolerance: Option<f64>,
    /// In the place of `latent_steps`: a choice after each of these numbers of thoughts.
    #[schema(min_items = 1, max_items = 128)]
    sweep: Option<Vec<Whole>>,
    /// What is fed in the places of thoughts.
    feedback: Option<FeedbackName>,
    /// What is done to single thoughts before they are fed, in this order.
    #[schema(max_items = 256)]
    #[serde(default, deserialize_with = "objects_or_none")]
    interventions: Option<Vec<InterventionBody>>,
    /// Noise on every thought; each sample has its own.
    #[serde(default, deserialize_with = "object_or_none")]
    latent_noise: Option<NoiseBody>,
    /// What to report beside the answer, in `coconut`.
    pub(super) include: Option<Vec<Include>>,
    /// Where to look, with `hidden_states`, `lens` or `attention` in `include`.
    #[serde(default, deserialize_with = "object_or_none")]
    pub(super) inside: Option<InsideBody>,
    /// How many tokens to show per thought, with `thoughts` in `include`.
    #[serde(default, deserialize_with = "whole_or_none")]
    #[schema(maximum = 100, default = 5)]
    pub(super) top_thought_tokens: Option<usize>,
}

impl Extras {
    /// What is said about thoughts.
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

    /// How many answers it has by itself.
    pub(super) fn answers(&self) -> Option<usize> {
        self.sweep.as_ref().map(Vec::len)
    }

    /// Whether each of several samples would have thoughts of its own.
    pub(super) fn is_noisy(&self) -> bool {
        self.latent_noise.is_some()
    }
}
