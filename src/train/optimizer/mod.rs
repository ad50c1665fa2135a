//! Optimisers: AdamW with decoupled weight decay, and Muon for matrices; on plain slices where the variables are on the CPU,
//! and on tensors elsewhere. Knows names and roles of parameters, no data and no stage.

mod adamw;
pub mod config;
mod device;
pub mod gradients;
pub mod memory;
mod muon;
pub mod schedule;

use crate::train::optimizer::adamw::AdamW;
use crate::train::optimizer::config::OptimizerConfig;
use crate::train::optimizer::gradients::Gradients;
use crate::train::optimizer::memory::Averages;
use crate::train::optimizer::memory::Memory;
use crate::train::variables::Variable;
use crate::train::variables::Variables;
use candle_core::Result;
use candle_core::Tensor;
use rayon::prelude::*;

/// Updates all variables by their gradients at learning rate `lr`; the gradients' norm before clipping. Where that is no
/// number, nothing is changed.
///
/// # Errors
/// If the gradients are not those of the variables.
pub fn update(
    config: &OptimizerConfig,
    memory: &mut Memory,
    variables: &Variables,
    gradients: Gradients,
    lr: f64,
) -> Result<f64> {
    let Memory { updates, averages } = memory;
    match (gradients, averages) {
        (Gradients::Host(mut gradients), Averages::Host(averages)) => {
            let norm = clip(&mut gradients, config.clip);
            if norm.is_finite() {
                *updates += 1;
                on_slices(config, (averages, *updates), variables, (&gradients, lr))?;
            }
            Ok(norm)
        }
        (Gradients::Device(gradients), Averages::Device(averages)) => {
            device::update(config, (averages, updates), variables, (&gradients, lr))
        }
        _ => candle_core::bail!("gradients and averages are not in one place"),
    }
}

fn on_slices(
    config: &OptimizerConfig,
    (averages, updates): (&mut [Vec<Vec<f32>>], usize),
    variables: &Variables,
    (gradients, lr): (&[Vec<f32>], f64),
) -> Result<()> {
    let work: Vec<_> = variables.iter().zip(gradients).zip(averages).collect();
    let apply = |((variable, gradient), averages): ((&Variable, &Vec<f32>), &mut Vec<Vec<f32>>)| {
        update_one(config, (variable, gradient), averages, updates, lr)
    };
    work.into_par_iter().try_for_each(apply)
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
fn clip(gradients: &mut [Vec<f32>], limit: Option<f64>) -> f64 {
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
}
