//! Greedy answers to many questions at once while training: the program of `latent::generate`, batched and with a cache.
//! It must give what serving gives; a test compares the two. Knows ids, no text.

use crate::latent::generate::most_likely;
use crate::latent::program::Program;
use crate::model::Model;
use crate::model::gradients::gather::gather;
use crate::train::batch::Pass;
use crate::train::forward::Forward;
use crate::train::sequence::Input;
use candle_core::Result;
use candle_core::Tensor;

/// Runs programs that differ in prompts and most tokens only; answers in their order, without end-of-sequence ids.
///
/// # Errors
/// If the programs differ in more, or are longer than the model's positions.
pub fn generate(model: &Model, programs: &[Program]) -> Result<Vec<Vec<u32>>> {
    generate_until(model, programs, &|_, _| false)
}

/// The same, with answers that end earlier, too: where `complete` says so of a program's index and its answer so far.
///
/// # Errors
/// Those of [`generate`].
pub fn generate_until(
    model: &Model,
    programs: &[Program],
    complete: &impl Fn(usize, &[u32]) -> bool,
) -> Result<Vec<Vec<u32>>> {
    let Some(first) = programs.first() else { return Ok(Vec::new()) };
    let alike = |program: &&Program| {
        let (prompt, max_tokens) = (first.prompt.clone(), first.max_tokens);
        Program { prompt, max_tokens, ..(*program).clone() } == *first
    };
    if !programs.iter().all(|program| alike(&program)) {
        candle_core::bail!("programs of a batch differ in prompts and most tokens only");
    }
    let mut batch = Running::new(model, programs);
    let prompts: Vec<Vec<Input>> = programs.iter().map(|program| tokens(&program.prompt)).collect();
    let mut last = batch.feed(&prompts)?;
    batch.forward = batch.forward.fork(1, vec![0; programs.len()])?;
    for _ in 0..first.latent_steps {
        last = batch.feed(&vec![vec![Input::Thought]; programs.len()])?;
    }
    if !first.forced.is_empty() {
        last = batch.feed(&vec![tokens(&first.forced); programs.len()])?;
    }
    let mut answers = vec![Answer::default(); programs.len()];
    loop {
        let logits = model.logits(&last)?.to_vec2::<f32>()?;
        let chosen: Vec<u32> = logits.iter().map(|row| most_likely(row, &first.masked)).collect();
        for (index, answer) in answers.iter_mut().enumerate().filter(|(_, answer)| !answer.done) {
            answer.push(chosen[index], &programs[index]);
            answer.done |= complete(index, &answer.ids);
        }
        if answers.iter().all(|answer| answer.done) {
            return Ok(answers.into_iter().map(|answer| answer.ids).collect());
        }
        let next: Vec<Vec<Input>> = chosen.iter().map(|&id| vec![Input::Token(id)]).collect();
        last = batch.feed(&next)?;
    }
}

fn tokens(ids: &[u32]) -> Vec<Input> {
    ids.iter().map(|&id| Input::Token(id)).collect()
}

/// A batch that all have the same number of columns.
struct Running<'a> {
    forward: Forward<'a>,
    padding: Vec<usize>,
    columns: usize,
    /// The model's last position.
    last: u32,
}

impl<'a> Running<'a> {
    fn new(model: &'a Model, programs: &[Program]) -> Self {
        let longest = programs.iter().map(|program| program.prompt.len()).max().unwrap_or(0);
        let padding: Vec<usize> =
            programs.iter().map(|program| longest - program.prompt.len()).collect();
        let last = model.config().max_positions.saturating_sub(1) as u32;
        Self { forward: Forward::new(model, padding.clone()), padding, columns: 0, last }
    }

    /// Hidden states (B, D) of the last of the new columns, up to which all have something.
    fn feed(&mut self, inputs: &[Vec<Input>]) -> Result<Tensor> {
        let width = inputs.iter().map(Vec::len).max().unwrap_or(0);
        let mut pass = Pass { columns: self.columns..self.columns + width, ..Pass::default() };
        for (index, inputs) in inputs.iter().enumerate() {
            let before = pass.columns.end - inputs.len();
            pass.add(index, inputs, before, before - self.padding[index]);
        }
        // An answer that is complete is fed on until the others are, whatever comes of it.
        pass.positions.iter_mut().for_each(|position| *position = (*position).min(self.last));
        self.columns += width;
        let hidden = self.forward.pass(&pass)?;
        let rows: Option<Vec<u32>> = pass.last_rows(inputs.len()).into_iter().collect();
        match rows {
            Some(rows) => gather(&hidden, &rows),
            None => candle_core::bail!("a program has an empty prompt"),
        }
    }
}

/// One answer as far as it has come.
#[derive(Clone, Debug, Default)]
struct Answer {
    ids: Vec<u32>,
    eos_seen: usize,
    done: bool,
}

impl Answer {
    fn push(&mut self, id: u32, program: &Program) {
        match program.stop.eos.contains(&id) {
            true => self.eos_seen += 1,
            false => self.ids.push(id),
        }
        self.done = self.eos_seen == program.stop.eos_count
            || self.ids.len() + self.eos_seen == program.max_tokens;
    }
}
