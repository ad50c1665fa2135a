//! The fields about thoughts that requests have in common: how many, what is fed for them, what is done to them. Checks
//! values that need no model to check, and tells back what became certain. Knows no route.

mod interventions;
mod steps;

use crate::http::error::ApiError;
use crate::reason::question::Feedback;
use crate::reason::question::LatentSteps;
use crate::reason::question::MAX_COUNT;
use crate::reason::question::MAX_SIGMA;
use crate::reason::question::Thinking;
pub(super) use interventions::Intervention;
pub(super) use interventions::InterventionBody;
use serde::Deserialize;
use serde::Serialize;
use std::collections::BTreeSet;
pub(super) use steps::Steps;
pub(super) use steps::schema as steps_schema;
use utoipa::ToSchema;

/// The most numbers of thoughts that one request may try.
pub(super) const MAX_SWEEP: usize = 128;
const MAX_INTERVENTIONS: usize = 256;
const DEFAULT_TOLERANCE: f64 = 0.1;

/// What a request says about its thoughts.
#[derive(Clone, Debug, Default)]
pub(super) struct Latent {
    pub(super) latent_steps: Option<Steps>,
    pub(super) tolerance: Option<f64>,
    pub(super) sweep: Option<Vec<usize>>,
    pub(super) feedback: Option<FeedbackName>,
    pub(super) interventions: Option<Vec<InterventionBody>>,
    pub(super) latent_noise: Option<NoiseBody>,
}

/// What is fed in the places of thoughts.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum FeedbackName {
    /// The thoughts.
    Hidden,
    /// The embedding of the model's pause token.
    Pause,
    /// Random vectors, each as long as its thought.
    Random,
    /// The question's own thoughts in another order.
    Shuffle,
    /// The mean thoughts of the file given with `--thought-means`.
    Mean,
    /// Nothing at all.
    None,
}

/// Noise on what is fed.
#[derive(Clone, Copy, Debug, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NoiseBody {
    /// Standard deviation of the normal numbers that are added to each thought, behind the projector.
    #[schema(minimum = 0, maximum = 1e6, example = 0.6)]
    sigma: f64,
}

impl Latent {
    /// The same, checked; everything random follows from `seed`.
    pub(super) fn checked(self, seed: u64) -> Result<Thinking, ApiError> {
        let feedback = self.feedback.map_or(Feedback::Hidden, Feedback::from);
        let steps = self.steps()?;
        let changed = [
            ("interventions", self.interventions.is_some()),
            ("latent_noise", self.latent_noise.is_some()),
        ];
        if let (true, Some((field, _))) =
            (feedback != Feedback::Hidden, changed.into_iter().find(|(_, there)| *there))
        {
            let message = "acts on thoughts, and `feedback` feeds something else";
            return Err(ApiError::invalid(field, message));
        }
        let noise = self.latent_noise.map(NoiseBody::checked).transpose()?;
        let interventions = self.interventions.unwrap_or_default();
        if interventions.len() > MAX_INTERVENTIONS {
            return Err(ApiError::invalid("interventions", format!("at most {MAX_INTERVENTIONS}")));
        }
        let interventions = interventions.into_iter().enumerate();
        let interventions =
            interventions.map(|(at, body)| body.checked(at)).collect::<Result<_, _>>()?;
        Ok(Thinking { steps, feedback, interventions, noise, seed })
    }

    fn steps(&self) -> Result<LatentSteps, ApiError> {
        let beyond = |steps: usize| steps > MAX_COUNT;
        if self.tolerance.is_some() && self.latent_steps != Some(Steps::Auto) {
            return Err(ApiError::invalid("tolerance", "belongs to `latent_steps: \"auto\"`"));
        }
        let Some(sweep) = &self.sweep else {
            return match self.latent_steps {
                None => Ok(LatentSteps::Recipe),
                Some(Steps::Auto) => self.settled(),
                Some(Steps::Exactly(steps)) if beyond(steps) => {
                    Err(ApiError::invalid("latent_steps", format!("must be from 0 to {MAX_COUNT}")))
                }
                Some(Steps::Exactly(steps)) => Ok(LatentSteps::Exactly(steps)),
            };
        };
        if self.latent_steps.is_some() {
            return Err(ApiError::invalid("sweep", "takes the place of `latent_steps`"));
        }
        if sweep.is_empty() || sweep.len() > MAX_SWEEP {
            return Err(ApiError::invalid("sweep", format!("must be 1 to {MAX_SWEEP} numbers")));
        }
        if let Some(at) = sweep.iter().position(|&steps| beyond(steps)) {
            let message = format!("must be from 0 to {MAX_COUNT}");
            return Err(ApiError::invalid(&format!("sweep[{at}]"), message));
        }
        let mut seen = BTreeSet::new();
        match sweep.iter().find(|&&steps| !seen.insert(steps)) {
            Some(steps) => Err(ApiError::invalid("sweep", format!("{steps} is there twice"))),
            None => Ok(LatentSteps::Sweep(sweep.clone())),
        }
    }

    fn settled(&self) -> Result<LatentSteps, ApiError> {
        let tolerance = self.tolerance.unwrap_or(DEFAULT_TOLERANCE);
        match (0.0..=1.0).contains(&tolerance) {
            true => Ok(LatentSteps::Settled { tolerance: tolerance as f32, max: None }),
            false => Err(ApiError::invalid("tolerance", "must be from 0 to 1")),
        }
    }
}

impl NoiseBody {
    fn checked(self) -> Result<f32, ApiError> {
        match (0.0..=MAX_SIGMA).contains(&self.sigma) {
            true => Ok(self.sigma as f32),
            false => {
                let message = format!("must be from 0 to {MAX_SIGMA}");
                Err(ApiError::invalid("latent_noise.sigma", message))
            }
        }
    }
}

impl From<FeedbackName> for Feedback {
    fn from(name: FeedbackName) -> Self {
        match name {
            FeedbackName::Hidden => Self::Hidden,
            FeedbackName::Pause => Self::Pause,
            FeedbackName::Random => Self::Random,
            FeedbackName::Shuffle => Self::Shuffle,
            FeedbackName::Mean => Self::Mean,
            FeedbackName::None => Self::None,
        }
    }
}

/// What was done about thoughts, with everything that the request left open.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(super) struct Resolved {
    /// What was fed in the places of thoughts; absent where it was the thoughts.
    #[serde(skip_serializing_if = "Option::is_none")]
    feedback: Option<FeedbackName>,
    /// What was done to single thoughts.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(required = false)]
    interventions: Vec<Intervention>,
    /// The noise that was added.
    #[serde(skip_serializing_if = "Option::is_none")]
    latent_noise: Option<NoiseBody>,
    /// What everything random followed from: the same number gives the same again. Sample i has this number plus i.
    #[schema(maximum = 18_446_744_073_709_551_615_usize)]
    seed: u64,
}

impl Latent {
    /// What the answer tells of them; nothing where thoughts were fed as they are.
    pub(super) fn resolved(&self, seed: u64) -> Option<Resolved> {
        let feedback = self.feedback.filter(|feedback| *feedback != FeedbackName::Hidden);
        let interventions = self.interventions.iter().flatten();
        let interventions: Vec<_> = interventions.map(|body| body.resolved(seed)).collect();
        let is_plain =
            feedback.is_none() && interventions.is_empty() && self.latent_noise.is_none();
        let latent_noise = self.latent_noise;
        (!is_plain).then_some(Resolved { feedback, interventions, latent_noise, seed })
    }
}
