//! The forward pass of training: thoughts fed back with their gradients, keys and values cached pass by pass. The loss
//! is the mean over all targets of a batch, as the paper's code takes it over tokens. Knows no method.

use crate::model::Model;
use crate::model::attention::batched::Batched;
use crate::model::gradients::cross_entropy::Target;
use crate::model::gradients::cross_entropy::cross_entropy;
use crate::model::gradients::gather::gather;
use crate::model::ops::Kernels;
use crate::train::batch::Batch;
use crate::train::batch::Layout;
use crate::train::batch::Pass;
use crate::train::breakdown::Breakdown;
use crate::train::sequence::Input;
use candle_core::Result;
use candle_core::Tensor;

/// What a batch came to.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// Hidden states (N, D) that something was expected of.
    pub hidden: Tensor,
    /// What was expected, (N,).
    pub targets: Vec<Target>,
    /// The pass of each, (N,): the number of thoughts up to there.
    pub passes: Vec<usize>,
}

/// Runs a batch and gathers the hidden states that have targets.
///
/// # Errors
/// If a sequence is longer than the model's positions, or a batch has no targets.
pub fn run(model: &Model, batch: &Batch) -> Result<Outcome> {
    let layout = batch.layout();
    let mut forward = match batch.prefixes.is_empty() {
        true => Forward::new(model, layout.padding.clone()),
        false => Forward::after(model, batch, &layout)?,
    };
    let fork_after_first = batch.prefixes.is_empty() && layout.passes.len() > 1;
    let (mut hidden, mut targets, mut passes) = (Vec::new(), Vec::new(), Vec::new());
    for (index, pass) in layout.passes.iter().enumerate() {
        if index == 1 && fork_after_first {
            forward = forward.fork(1, vec![0; layout.padding.len()])?;
        }
        let out = forward.pass(pass)?;
        if !pass.targets.is_empty() {
            let rows: Vec<u32> = pass.targets.iter().map(|(row, _)| *row).collect();
            hidden.push(gather(&out, &rows)?);
            targets.extend(pass.targets.iter().map(|(_, target)| target.clone()));
            passes.resize(targets.len(), index);
        }
    }
    Ok(Outcome { hidden: Tensor::cat(&hidden, 0)?, targets, passes })
}

/// The loss of a batch: the mean over its targets, by their weights.
///
/// # Errors
/// Those of [`run`].
pub fn loss(model: &Model, batch: &Batch) -> Result<Tensor> {
    Ok(loss_of_part(model, batch, batch.weight())?.0)
}

/// What a part of a batch adds to the batch's loss, where all targets of the batch weigh `total`, and what it is made of.
///
/// # Errors
/// Those of [`run`].
pub fn loss_of_part(model: &Model, part: &Batch, total: f32) -> Result<(Tensor, Breakdown)> {
    let Outcome { hidden, targets, passes } = run(model, part)?;
    let rows = cross_entropy(&model.logits(&hidden)?, targets.clone())?;
    let mut breakdown = Breakdown::default();
    for ((target, thoughts), weighted) in targets.iter().zip(passes).zip(rows.to_vec1()?) {
        breakdown.count(target, thoughts, weighted);
    }
    Ok(((rows.sum_all()? / f64::from(total))?, breakdown))
}

/// Passes over one batch.
pub(crate) struct Forward<'a> {
    model: &'a Model,
    attention: Batched,
    /// What a thought is made of.
    last: Option<LastColumn>,
}

/// The last column so far.
struct LastColumn {
    /// Hidden states (N, D) of the pass that it belongs to.
    hidden: Tensor,
    /// Which of these belongs to each sequence, (B,), where one does.
    rows: Vec<Option<u32>>,
}

impl<'a> Forward<'a> {
    pub(crate) fn new(model: &'a Model, padding: Vec<usize>) -> Self {
        Self { model, attention: Batched::new(padding), last: None }
    }

    /// After the prefixes of a batch.
    fn after(model: &'a Model, batch: &Batch, layout: &Layout) -> Result<Self> {
        let prefix = batch.prefix_layout();
        let mut this = Self::new(model, prefix.padding);
        for pass in &prefix.passes {
            this.pass(pass)?;
        }
        this.fork(batch.fan(), layout.padding.clone())
    }

    pub(crate) fn fork(mut self, fan: usize, padding: Vec<usize>) -> Result<Self> {
        self.attention = self.attention.fork(fan, padding)?;
        if fan > 1 {
            self.last = None;
        }
        Ok(self)
    }

    /// Hidden states (N, D) of what lies in the next columns.
    pub(crate) fn pass(&mut self, pass: &Pass) -> Result<Tensor> {
        let x = self.inputs(pass)?;
        self.attention.take(&pass.places, pass.columns.len())?;
        let kernels = Kernels::Differentiable;
        let hidden = self.model.forward(&x, &pass.positions, &mut self.attention, kernels)?;
        let rows = pass.last_rows(self.attention.sequences());
        self.last = Some(LastColumn { hidden: hidden.clone(), rows });
        Ok(hidden)
    }

    /// Embeddings of tokens, and thoughts, (N, D).
    fn inputs(&self, pass: &Pass) -> Result<Tensor> {
        let tokens: Vec<u32> = pass.inputs.iter().filter_map(|input| token(*input)).collect();
        if tokens.len() == pass.inputs.len() {
            return self.model.embed(&tokens);
        }
        let thoughts = self.thoughts(pass)?;
        if tokens.is_empty() {
            return Ok(thoughts);
        }
        let (mut next_thought, mut next_token) = (0, thoughts.dim(0)? as u32);
        let order: Vec<u32> = pass
            .inputs
            .iter()
            .map(|input| {
                let next = match input {
                    Input::Thought => &mut next_thought,
                    Input::Token(_) => &mut next_token,
                };
                *next += 1;
                *next - 1
            })
            .collect();
        gather(&Tensor::cat(&[thoughts, self.model.embed(&tokens)?], 0)?, &order)
    }

    /// Those of a pass, in its order.
    fn thoughts(&self, pass: &Pass) -> Result<Tensor> {
        let rows = self.last.as_ref().and_then(|last| {
            let thinking = pass.sequences().zip(&pass.inputs);
            let thinking = thinking.filter(|(_, input)| token(**input).is_none());
            let rows: Option<Vec<u32>> =
                thinking.map(|(sequence, _)| last.rows[sequence]).collect();
            Some((&last.hidden, rows?))
        });
        match rows {
            Some((hidden, rows)) => {
                self.model.thought(&gather(hidden, &rows)?, Kernels::Differentiable)
            }
            None => candle_core::bail!("a thought needs a position before it"),
        }
    }
}

fn token(input: Input) -> Option<u32> {
    match input {
        Input::Token(id) => Some(id),
        Input::Thought => None,
    }
}
