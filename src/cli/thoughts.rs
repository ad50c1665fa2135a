//! What several commands take about thoughts and tokens: what is fed, how much noise, which temperatures. Knows no command.

use crate::reason::question::Feedback;
use crate::reason::question::MAX_SIGMA;
use crate::reason::question::MAX_TEMPERATURE;
use anyhow::Context as _;
use anyhow::ensure;
use clap::ValueEnum;

/// What is fed in the places of thoughts.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(super) enum FeedbackArg {
    /// The thoughts.
    Hidden,
    /// The embedding of the model's pause token.
    Pause,
    /// Random vectors of their lengths.
    Random,
    /// The question's own thoughts in another order.
    Shuffle,
    /// The mean thoughts of a data set.
    Mean,
    /// Nothing.
    None,
}

impl From<FeedbackArg> for Feedback {
    fn from(feedback: FeedbackArg) -> Self {
        match feedback {
            FeedbackArg::Hidden => Self::Hidden,
            FeedbackArg::Pause => Self::Pause,
            FeedbackArg::Random => Self::Random,
            FeedbackArg::Shuffle => Self::Shuffle,
            FeedbackArg::Mean => Self::Mean,
            FeedbackArg::None => Self::None,
        }
    }
}

/// A standard deviation.
pub(super) fn parse_sigma(text: &str) -> anyhow::Result<f32> {
    let sigma: f32 = text.parse().context("not a number")?;
    ensure!((0.0..=MAX_SIGMA).contains(&f64::from(sigma)), "must be from 0 to {MAX_SIGMA}");
    Ok(sigma)
}

/// A temperature.
pub(super) fn parse_temperature(text: &str) -> anyhow::Result<f64> {
    let temperature: f64 = text.parse().context("not a number")?;
    ensure!((0.0..=MAX_TEMPERATURE).contains(&temperature), "must be from 0 to {MAX_TEMPERATURE}");
    Ok(temperature)
}
