//! Latent reasoning, slow and obvious: one request, no cache, every step runs the whole sequence again, every branch by
//! itself. The oracle of the engine and of training; nothing here may be clever. Greedy.

use crate::latent::program::Program;
use crate::latent::script::Act;
use crate::latent::script::Branch;
use crate::latent::script::Fed;
use crate::latent::script::Sampling;
use crate::latent::script::Say;
use crate::latent::script::Script;
use crate::latent::script::Think;
use crate::model::Model;
use crate::model::attention::causal::Causal;
use crate::model::ops::Kernels;
use candle_core::Result;
use candle_core::Tensor;
use std::sync::Arc;

/// What one branch gives.
#[derive(Clone, Debug, Default)]
pub struct Generated {
    /// The vectors that were fed back, in order, each (D,).
    pub thoughts: Vec<Vec<f32>>,
    /// Logits (V,) that the first answer token was chosen from.
    pub first_logits: Vec<f32>,
    /// Answer ids, end-of-sequence ids left out.
    pub ids: Vec<u32>,
    /// Log-probabilities of the ids that were to be scored.
    pub scores: Vec<f32>,
}

/// Runs `program` on `model`.
pub fn generate(model: &Model, program: &Program) -> Result<Generated> {
    Ok(walk(model, &program.script(Sampling::GREEDY))?.swap_remove(0))
}

/// Runs `script` on `model`: what each branch gives, in the order of their numbers.
pub fn walk(model: &Model, script: &Script) -> Result<Vec<Generated>> {
    let mut given = Vec::new();
    let start = Place { model, masked: &script.masked, x: None, steps: 0, before: None };
    follow(start, &script.root, &mut given)?;
    Ok(given)
}

/// Where a walk is: everything fed so far.
#[derive(Clone)]
struct Place<'a> {
    model: &'a Model,
    masked: &'a [u32],
    /// Inputs (T, D); `None` before the first.
    x: Option<Tensor>,
    /// Thoughts so far, those left out included.
    steps: usize,
    /// The last one that was fed.
    before: Option<Arc<[f32]>>,
}

fn follow(mut place: Place<'_>, branch: &Branch, given: &mut Vec<Generated>) -> Result<()> {
    let number = given.len();
    given.push(Generated::default());
    for act in &branch.acts {
        place.perform(act, &mut given[number])?;
    }
    branch.branches.iter().try_for_each(|branch| follow(place.clone(), branch, given))
}

impl Place<'_> {
    fn perform(&mut self, act: &Act, given: &mut Generated) -> Result<()> {
        match act {
            Act::Feed(inputs) => inputs.iter().try_for_each(|input| self.feed(input)),
            Act::Think(think) => self.think(think, given),
            Act::Say(say) => self.say(say, given),
            Act::Pause(id, steps) => {
                self.steps += steps;
                (0..*steps).try_for_each(|_| self.feed(&Fed::Id(*id)))
            }
            Act::Score(ids, _) => ids.iter().try_for_each(|&id| {
                given.scores.push(log_probability(&self.logits()?, id));
                self.feed(&Fed::Id(id))
            }),
        }
    }

    fn feed(&mut self, input: &Fed) -> Result<()> {
        let row = match input {
            Fed::Id(id) => self.model.embed(&[*id])?,
            Fed::Vector(vector) => {
                let row = Tensor::from_slice(vector, (1, vector.len()), self.model.device())?;
                row.to_dtype(self.model.dtype())?
            }
        };
        self.x = Some(match &self.x {
            Some(x) => Tensor::cat(&[x, &row], 0)?,
            None => row,
        });
        Ok(())
    }

    fn think(&mut self, think: &Think, given: &mut Generated) -> Result<()> {
        for _ in 0..think.until.most() {
            self.steps += 1;
            if think.edits.skips(self.steps) {
                continue;
            }
            let computed = self.model.thought(&self.last_hidden()?, Kernels::Differentiable)?;
            let computed: Vec<f32> = numbers(&computed)?;
            let thought = think.edits.apply(self.steps, &computed, self.before.as_deref());
            let is_settled = think.until.is_settled(self.before.as_deref(), &thought);
            given.thoughts.push(thought.to_vec());
            self.feed(&Fed::Vector(Arc::clone(&thought)))?;
            self.before = Some(thought);
            if is_settled {
                break;
            }
        }
        Ok(())
    }

    fn say(&mut self, say: &Say, given: &mut Generated) -> Result<()> {
        if say.sampling.temperature > 0.0 {
            candle_core::bail!("the oracle is greedy");
        }
        let mut eos_seen = 0;
        for token in 1..=say.max_tokens {
            let logits = self.logits()?;
            let id = most_likely(&logits, self.masked);
            if token == 1 {
                given.first_logits = logits;
            }
            match say.stop.eos.contains(&id) {
                true => eos_seen += 1,
                false => given.ids.push(id),
            }
            self.feed(&Fed::Id(id))?;
            if eos_seen == say.stop.eos_count {
                break;
            }
        }
        Ok(())
    }

    /// Logits (V,) at the last position.
    fn logits(&self) -> Result<Vec<f32>> {
        numbers(&self.model.logits(&self.last_hidden()?)?)
    }

    /// The hidden state of the last position (1, D)
    fn last_hidden(&self) -> Result<Tensor> {
        let Some(x) = &self.x else { candle_core::bail!("nothing was fed") };
        let (length, _) = x.dims2()?;
        let positions: Vec<u32> = (0..length as u32).collect();
        let mut attention = Causal::new(1, length, self.model.device())?;
        let hidden = self.model.forward(x, &positions, &mut attention, Kernels::Differentiable)?;
        hidden.narrow(0, length - 1, 1)
    }
}

fn numbers(x: &Tensor) -> Result<Vec<f32>> {
    x.to_dtype(candle_core::DType::F32)?.flatten_all()?.to_vec1()
}

/// The natural logarithm of the probability of `id`, with nothing masked.
fn log_probability(logits: &[f32], id: u32) -> f32 {
    let max = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let total: f64 = logits.iter().map(|&logit| f64::from(logit - max).exp()).sum();
    (f64::from(logits[id as usize] - max) - total.ln()) as f32
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
