//! The same rules on tensors, for variables on a GPU: matrices of one shape are updated together, and so is all that is
//! AdamW's, since a small operation costs its launch. Must give what the rules on slices give; a test compares the two. Knows
//! roles of parameters, no kernel.

use crate::train::optimizer::config::OptimizerConfig;
use crate::train::optimizer::muon;
use crate::train::variables::Variable;
use crate::train::variables::Variables;
use candle_core::Result;
use candle_core::Tensor;

/// One variable with what its update needs.
struct Item<'a> {
    variable: &'a Variable,
    gradient: Tensor,
    averages: &'a mut Vec<Tensor>,
    decay: f64,
}

/// See `update` in the layer.
pub(super) fn update(
    config: &OptimizerConfig,
    (averages, updates): (&mut [Vec<Tensor>], &mut usize),
    variables: &Variables,
    (gradients, lr): (&[Tensor], f64),
) -> Result<f64> {
    let flat = Tensor::cat(&flattened(gradients)?, 0)?;
    let norm = f64::from(flat.sqr()?.sum_all()?.sqrt()?.to_scalar::<f32>()?);
    if !norm.is_finite() {
        return Ok(norm);
    }
    *updates += 1;
    let flat = match config.clip {
        Some(limit) if norm > limit => (flat * (limit / norm))?,
        _ => flat,
    };
    let mut start = 0;
    let mut items = Vec::new();
    for (variable, averages) in variables.iter().zip(averages) {
        let count = variable.var.elem_count();
        let gradient = flat.narrow(0, start, count)?.reshape(variable.var.dims())?;
        let decay = config.decay_of(variable.role());
        items.push(Item { variable, gradient, averages, decay });
        start += count;
    }
    let alike = |one: &Item<'_>, other: &Item<'_>| {
        let muon = |item: &Item<'_>| config.uses_muon(item.variable.role());
        let shape = |item: &Item<'_>| item.variable.var.dims().to_vec();
        one.decay == other.decay
            && muon(one) == muon(other)
            && (!muon(one) || shape(one) == shape(other))
    };
    while let Some(first) = items.pop() {
        let (mut group, rest) = items.into_iter().partition(|item| alike(item, &first));
        items = rest;
        let is_muon = config.uses_muon(first.variable.role());
        group.push(first);
        match is_muon {
            true => by_muon(config, &mut group, lr)?,
            false => by_adamw(config, &mut group, *updates, lr)?,
        }
    }
    Ok(norm)
}

/// Matrices of one shape, (N, rows, columns).
fn by_muon(config: &OptimizerConfig, group: &mut [Item<'_>], lr: f64) -> Result<()> {
    let gradients: Vec<&Tensor> = group.iter().map(|item| &item.gradient).collect();
    let averages: Vec<&Tensor> = group.iter().map(|item| &item.averages[0]).collect();
    let gradients = Tensor::stack(&gradients, 0)?;
    let averages = ((Tensor::stack(&averages, 0)? * config.momentum)? + &gradients)?;
    let ahead = ((&averages * config.momentum)? + gradients)?;
    let step = (muon::all_orthogonal(&ahead)? * (lr * muon::scale(ahead.dims())))?;
    for (index, item) in group.iter_mut().enumerate() {
        item.averages[0] = averages.get(index)?;
        let kept = (item.variable.var.detach() * (1.0 - lr * item.decay))?;
        item.variable.var.set(&(kept - step.get(index)?)?)?;
    }
    Ok(())
}

/// All of them one behind the other. The formula is in `adamw`.
fn by_adamw(
    config: &OptimizerConfig,
    group: &mut [Item<'_>],
    updates: usize,
    lr: f64,
) -> Result<()> {
    let t = i32::try_from(updates).unwrap_or(i32::MAX);
    let [b1, b2] = config.betas;
    let (lacks, root) = (1.0 - b1.powi(t), (1.0 - b2.powi(t)).sqrt());
    let all = |pick: &dyn Fn(&Item<'_>) -> Tensor| {
        let tensors: Vec<Tensor> = group.iter().map(pick).collect();
        Tensor::cat(&flattened(&tensors)?, 0)
    };
    let gradient = all(&|item| item.gradient.clone())?;
    let weights = all(&|item| item.variable.var.detach())?;
    let (first, second) =
        (all(&|item| item.averages[0].clone())?, all(&|item| item.averages[1].clone())?);
    let first = ((first * b1)? + (&gradient * (1.0 - b1))?)?;
    let second = ((second * b2)? + (gradient.sqr()? * (1.0 - b2))?)?;
    let below = ((second.sqrt()? / root)? + config.eps)?;
    let step = (first.div(&below)? * (lr / lacks))?;
    let decay = group.first().map_or(0.0, |item| item.decay);
    let weights = ((weights * (1.0 - lr * decay))? - step)?;
    let mut start = 0;
    for item in group {
        let (count, shape) = (item.variable.var.elem_count(), item.variable.var.dims());
        let part = |all: &Tensor| all.narrow(0, start, count)?.reshape(shape);
        *item.averages = vec![part(&first)?, part(&second)?];
        item.variable.var.set(&part(&weights)?)?;
        start += count;
    }
    Ok(())
}

fn flattened(tensors: &[Tensor]) -> Result<Vec<Tensor>> {
    tensors.iter().map(Tensor::flatten_all).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::config::Config;
    use crate::train::init::RandomWeights;
    use crate::train::optimizer::gradients::Gradients;
    use crate::train::optimizer::memory::Averages;
    use crate::train::optimizer::memory::Memory;
    use candle_core::Device;
    use serde_json::json;

    fn variables() -> Variables {
        let config = json!({
            "model_type": "llama", "hidden_size": 8, "intermediate_size": 12, "num_hidden_layers": 2,
            "num_attention_heads": 2, "vocab_size": 10, "max_position_embeddings": 16,
        });
        let mut weights = RandomWeights { seed: 3, range: 0.5, layers: 2 };
        let config = Config::from_json(&config).unwrap();
        Variables::new(config, &mut weights, &Device::Cpu).unwrap().0
    }

    #[test]
    fn tensors_are_updated_as_slices_are() {
        for kind in ["adamw", "muon"] {
            let text = format!(
                "kind = '{kind}'\nlr = 0.1\nweight_decay = 0.2\nno_decay = ['norms']\nclip = 2.0"
            );
            let config: OptimizerConfig = toml::from_str(&text).unwrap();
            let (slices, tensors) = (variables(), variables());
            let mut memory = Memory::new(&config, &slices).unwrap();
            let zeros = |variable: &Variable| {
                let count = if config.uses_muon(variable.role()) { 1 } else { 2 };
                vec![variable.var.zeros_like().unwrap(); count]
            };
            let averages = tensors.iter().map(zeros).collect();
            let mut on_device = Memory { updates: 0, averages: Averages::Device(averages) };
            for _ in 0..3 {
                let gradient = |variable: &Variable| {
                    Tensor::randn(0.0f32, 1.0, variable.var.dims(), &Device::Cpu).unwrap()
                };
                let gradients: Vec<Tensor> = slices.iter().map(gradient).collect();
                let flat = |x: &Tensor| x.flatten_all().unwrap().to_vec1::<f32>().unwrap();
                let host = Gradients::Host(gradients.iter().map(flat).collect());
                let update = crate::train::optimizer::update;
                let one = update(&config, &mut memory, &slices, host, 0.1).unwrap();
                let there = Gradients::Device(gradients);
                let other = update(&config, &mut on_device, &tensors, there, 0.1).unwrap();
                assert!((one - other).abs() < 1e-4 * one, "{one} {other}");
            }
            for (one, other) in slices.iter().zip(tensors.iter()) {
                let off = (one.var.as_tensor() - other.var.as_tensor()).unwrap().abs().unwrap();
                let off: f32 = off.max_all().unwrap().to_scalar().unwrap();
                assert!(off < 1e-4, "{kind}: {} is off by {off}", one.name);
            }
            let (one, other) = (memory.to_write().unwrap(), on_device.to_write().unwrap());
            for (one, other) in one.iter().flatten().flatten().zip(other.iter().flatten().flatten())
            {
                assert!((one - other).abs() < 1e-4, "averages of {kind}");
            }
        }
    }
}
