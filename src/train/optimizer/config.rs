//! What an optimiser is told, and what follows from it for a parameter. Knows roles, no rule.

use crate::train::variables::Role;
use serde::Deserialize;
use serde::Serialize;

/// Settings of an optimiser.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct OptimizerConfig {
    /// Which rule updates matrices; all else is AdamW's.
    #[serde(default)]
    pub kind: OptimizerKind,
    /// The largest learning rate of the schedule.
    pub lr: f64,
    /// Fraction of lr by which a decayed weight shrinks at each step.
    #[serde(default)]
    pub weight_decay: f64,
    /// Parameters that do not decay.
    #[serde(default)]
    pub no_decay: Vec<NoDecay>,
    /// Decay of AdamW's averages of gradients and of their squares.
    #[serde(default = "betas")]
    pub betas: [f64; 2],
    /// Added to the root of the average square.
    #[serde(default = "eps")]
    pub eps: f64,
    /// Decay of Muon's average of gradients.
    #[serde(default = "momentum")]
    pub momentum: f64,
    /// Gradients are scaled down to this norm, over all parameters together; never where absent.
    #[serde(default)]
    pub clip: Option<f64>,
}

/// Which rule updates matrices.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum OptimizerKind {
    /// Loshchilov and Hutter, 2019.
    #[default]
    Adamw,
    /// Jordan et al., 2024: the average gradient, made nearly orthogonal.
    Muon,
}

/// Parameters that may be kept from decaying.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum NoDecay {
    /// Scales of norms.
    Norms,
    /// Biases.
    Biases,
    /// Embeddings and an untied head.
    Embeddings,
}

/// Refuses a learning rate that cannot be used, an optimiser's or a phase's.
pub(crate) fn check_lr(lr: f64) -> std::result::Result<(), (&'static str, String)> {
    match lr > 0.0 && lr.is_finite() {
        true => Ok(()),
        false => Err(("lr", format!("is {lr}, not above 0"))),
    }
}

fn betas() -> [f64; 2] {
    [0.9, 0.999]
}

fn eps() -> f64 {
    1e-8
}

fn momentum() -> f64 {
    0.95
}

impl OptimizerConfig {
    /// Says which field cannot be used.
    ///
    /// # Errors
    /// The field, and what is wrong with it.
    pub fn check(&self) -> std::result::Result<(), (&'static str, String)> {
        let fraction = |x: f64| (0.0..1.0).contains(&x);
        check_lr(self.lr)?;
        if self.weight_decay < 0.0 || self.weight_decay.is_nan() {
            return Err(("weight_decay", "is negative".to_owned()));
        }
        if !self.betas.into_iter().all(fraction) || !fraction(self.momentum) {
            return Err(("betas or momentum", "are not from 0 to below 1".to_owned()));
        }
        if self.eps < 0.0 || self.eps.is_nan() {
            return Err(("eps", "is negative".to_owned()));
        }
        if self.clip.is_some_and(|clip| clip <= 0.0 || clip.is_nan()) {
            return Err(("clip", "is not above 0".to_owned()));
        }
        Ok(())
    }

    /// Weight decay of a parameter.
    pub(super) fn decay_of(&self, role: Role) -> f64 {
        let kept = match role {
            Role::Embedding => Some(NoDecay::Embeddings),
            Role::Matrix => None,
            Role::Bias => Some(NoDecay::Biases),
            Role::Scale => Some(NoDecay::Norms),
        };
        match kept.is_some_and(|kept| self.no_decay.contains(&kept)) {
            true => 0.0,
            false => self.weight_decay,
        }
    }

    /// Whether the rule is Muon's.
    pub(super) fn uses_muon(&self, role: Role) -> bool {
        self.kind == OptimizerKind::Muon && role == Role::Matrix
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_decay_is_named() {
        let config: OptimizerConfig =
            toml::from_str("lr = 1e-3\nweight_decay = 0.1\nno_decay = ['norms', 'biases']")
                .unwrap();
        assert_eq!(config.decay_of(Role::Matrix), 0.1);
        assert_eq!(config.decay_of(Role::Embedding), 0.1);
        assert_eq!(config.decay_of(Role::Scale), 0.0);
        assert_eq!(config.decay_of(Role::Bias), 0.0);
    }
}
