//! Latent reasoning, slow and obvious: one request, no cache, every step runs the whole sequence again. The oracle of
//! the engine and of training; nothing here may be clever. Greedy.

use crate::latent::program::Program;
use crate::model::Model;
use crate::model::attention::causal::Causal;
use crate::model::ops::Kernels;
use candle_core::Result;
use candle_core::Tensor;

/// What one run of a program gives.
#[derive(Clone, Debug)]
pub struct Generated {
    /// The vectors that were fed back, in order, each (D,).
    pub thoughts: Vec<Vec<f32>>,
    /// Logits (V,) that the first answer token was chosen from.
    pub first_logits: Vec<f32>,
    /// Answer ids, end-of-sequence ids left out.
    pub ids: Vec<u32>,
}

/// Runs `program` on `model`.
pub fn generate(model: &Model, program: &Program) -> Result<Generated> {
    let mut x = model.embed(&program.prompt)?;
    let mut thoughts = Vec::new();
    for _ in 0..program.latent_steps {
        let thought = model.thought(&last_hidden(model, &x)?, Kernels::Differentiable)?;
        thoughts.push(thought.flatten_all()?.to_vec1()?);
        x = Tensor::cat(&[x, thought], 0)?;
    }
    if !program.forced.is_empty() {
        x = Tensor::cat(&[x, model.embed(&program.forced)?], 0)?;
    }
    let mut logits: Vec<f32> = model.logits(&last_hidden(model, &x)?)?.flatten_all()?.to_vec1()?;
    let first_logits = logits.clone();
    let mut ids = Vec::new();
    let mut eos_seen = 0;
    loop {
        let id = most_likely(&logits, &program.masked);
        if program.stop.eos.contains(&id) {
            eos_seen += 1;
        } else {
            ids.push(id);
        }
        if eos_seen == program.stop.eos_count || ids.len() + eos_seen == program.max_tokens {
            return Ok(Generated { thoughts, first_logits, ids });
        }
        x = Tensor::cat(&[x, model.embed(&[id])?], 0)?;
        logits = model.logits(&last_hidden(model, &x)?)?.flatten_all()?.to_vec1()?;
    }
}

/// x (T, D) -> the hidden state of the last position (1, D)
fn last_hidden(model: &Model, x: &Tensor) -> Result<Tensor> {
    let (length, _) = x.dims2()?;
    let positions: Vec<u32> = (0..length as u32).collect();
    let mut attention = Causal::new(1, length, model.device())?;
    let hidden = model.forward(x, &positions, &mut attention, Kernels::Differentiable)?;
    hidden.narrow(0, length - 1, 1)
}

/// The first id with the largest logit among those not masked.
pub fn most_likely(logits: &[f32], masked: &[u32]) -> u32 {
    let mut best = 0;
    let mut best_logit = f32::NEG_INFINITY;
    for (id, &logit) in logits.iter().enumerate() {
        if logit > best_logit && !masked.contains(&(id as u32)) {
            (best, best_logit) = (id as u32, logit);
        }
    }
    best
}
