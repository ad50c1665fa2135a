//! Optimisers on plain slices: AdamW with decoupled weight decay, and Muon for matrices. Knows names and roles of
//! parameters, no data and no stage.

mod adamw;
mod muon;
pub mod schedule;

use crate::train::optimizer::adamw::AdamW;
use crate::train::variables::Role;
use crate::train::variables::Variable;
use crate::train::variables::Variables;
use candle_core::Result;
use candle_core::Tensor;
use rayon::prelude::*;
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
    fn decay_of(&self, role: Role) -> f64 {
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

    fn uses_muon(&self, role: Role) -> bool {
        self.kind == OptimizerKind::Muon && role == Role::Matrix
    }
}

/// Gradients of all variables, each in the order of its variable.
pub type Gradients = Vec<Vec<f32>>;

/// What an optimiser remembers.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Memory {
    /// Updates since it last forgot.
    pub updates: usize,
    /// Of each variable, the averages its rule keeps: one (Muon), or two (AdamW).
    pub averages: Vec<Vec<Vec<f32>>>,
}

impl Memory {
    /// Nothing remembered.
    pub fn new(config: &OptimizerConfig, variables: &Variables) -> Self {
        let averages = |variable: &Variable| {
            let count = if config.uses_muon(variable.role()) { 1 } else { 2 };
            vec![vec![0.0; variable.var.elem_count()]; count]
        };
        Self { updates: 0, averages: variables.iter().map(averages).collect() }
    }
}

/// Updates all variables by their gradients at learning rate `lr`; the gradients' norm before clipping. Where that is no
/// number, nothing is changed.
///
/// # Errors
/// If the gradients are not those of the variables.
pub fn update(
    config: &OptimizerConfig,
    memory: &mut Memory,
    variables: &Variables,
    mut gradients: Gradients,
    lr: f64,
) -> Result<f64> {
    let norm = clip(&mut gradients, config.clip);
    if !norm.is_finite() {
        return Ok(norm);
    }
    memory.updates += 1;
    let averages = memory.averages.iter_mut();
    let work: Vec<_> = variables.iter().zip(&gradients).zip(averages).collect();
    let apply = |((variable, gradient), averages): ((&Variable, &Vec<f32>), &mut Vec<Vec<f32>>)| {
        update_one(config, (variable, gradient), averages, memory.updates, lr)
    };
    work.into_par_iter().try_for_each(apply)?;
    Ok(norm)
}

/// Updates one variable by its gradient.
fn update_one(
    config: &OptimizerConfig,
    (variable, gradient): (&Variable, &[f32]),
    averages: &mut [Vec<f32>],
    updates: usize,
    lr: f64,
) -> Result<()> {
    let shape = variable.var.dims().to_vec();
    let mut weights = variable.var.flatten_all()?.to_vec1::<f32>()?;
    let decay = config.decay_of(variable.role());
    match averages {
        [average] => {
            let step = muon::direction(average, gradient, &shape, config.momentum)?;
            muon::apply(&mut weights, &step, lr, decay);
        }
        [first, second] => {
            let rule = AdamW { lr, decay, betas: config.betas, eps: config.eps };
            rule.apply(&mut weights, gradient, (first, second), updates);
        }
        _ => candle_core::bail!("an optimiser keeps one or two averages"),
    }
    variable.var.set(&Tensor::from_vec(weights, shape, variable.var.device())?)
}

/// Scales gradients down to a norm of at most `limit`; their norm before.
fn clip(gradients: &mut Gradients, limit: Option<f64>) -> f64 {
    let square = |gradient: &Vec<f32>| gradient.iter().map(|x| f64::from(*x).powi(2)).sum::<f64>();
    let norm = gradients.iter().map(square).sum::<f64>().sqrt();
    if let Some(limit) = limit
        && norm > limit
    {
        let scale = (limit / norm) as f32;
        gradients.iter_mut().flatten().for_each(|x| *x *= scale);
    }
    norm
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clipping_keeps_the_direction() {
        let mut gradients = vec![vec![3.0, 0.0], vec![4.0]];
        assert!((clip(&mut gradients, Some(10.0)) - 5.0).abs() < 1e-9);
        assert_eq!(gradients, [vec![3.0, 0.0], vec![4.0]]);
        clip(&mut gradients, Some(1.0));
        for (ours, expected) in gradients.concat().iter().zip([0.6, 0.0, 0.8]) {
            assert!((ours - expected).abs() < 1e-6);
        }
    }

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
