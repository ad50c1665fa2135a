//! Right answers by real dialogues: the model says until an action is complete, the tool does it, what came of it is fed, and
//! so on to the answer. Questions are in a batch for a round at a time. Knows the tools that training has data for, no
//! optimiser.

use crate::data::example::Example;
use crate::latent::program::Program;
use crate::latent::recipe::Recipe;
use crate::model::Model;
use crate::text::Tokenizer;
use crate::tools::calculator;
use crate::tools::graph::Graph;
use crate::tools::react::Opening;
use crate::tools::react::ReactForm;
use crate::tools::react::Said;
use crate::train::error::Result;
use crate::train::evaluate::Exam;
use crate::train::evaluate::Score;
use crate::train::generate::generate_until;
use crate::train::react;

/// A question on its way to an answer.
struct Dialogue<'a> {
    example: &'a Example,
    /// All that was fed and said.
    ids: Vec<u32>,
    opening: Opening,
    said_tokens: usize,
    state: State,
}

enum State {
    Open,
    Answered(String),
}

/// What all dialogues of an exam have in common.
struct Table<'a> {
    exam: &'a Exam<'a>,
    model: &'a Model,
    recipe: &'a Recipe,
    form: &'a ReactForm,
}

/// Asks all questions of an exam. One without an answer after the most rounds, or longer than the model, is wrong.
///
/// # Errors
/// What the tokenizer or the model refuses.
pub fn ask(exam: &Exam<'_>, model: &Model, recipe: &Recipe, form: &ReactForm) -> Result<Score> {
    let table = Table { exam, model, recipe, form };
    let begin = |example| Dialogue::begin(example, form, exam.tokenizer);
    let mut dialogues: Vec<Dialogue<'_>> =
        exam.examples.iter().map(begin).collect::<Result<_>>()?;
    for round in 1..=form.max_rounds {
        let room = |dialogue: &&mut Dialogue<'_>| {
            dialogue.is_open() && dialogue.ids.len() < model.config().max_positions
        };
        let mut open: Vec<&mut Dialogue<'_>> = dialogues.iter_mut().filter(room).collect();
        // Dialogues of a length are had together, so that there is little padding.
        open.sort_by_key(|dialogue| dialogue.ids.len());
        open.chunks_mut(exam.batch_size).try_for_each(|batch| table.round(round, batch))?;
    }
    let mut score = Score { questions: dialogues.len(), ..Score::default() };
    for Dialogue { example, said_tokens, state, .. } in &dialogues {
        score.answer_tokens += said_tokens;
        if let State::Answered(answer) = state {
            let said = recipe.answer.extract(answer);
            let right = recipe.answer.is_right(&said, &example.answer, &example.also);
            score.right += usize::from(right);
        }
    }
    Ok(score)
}

impl<'a> Dialogue<'a> {
    fn begin(example: &'a Example, form: &ReactForm, tokenizer: &Tokenizer) -> Result<Self> {
        let mut ids = react::prompt(example, tokenizer)?;
        let opening = form.opens_with();
        ids.extend(tokenizer.encode(&form.opening(opening, 1), false)?);
        Ok(Self { example, ids, opening, said_tokens: 0, state: State::Open })
    }

    fn is_open(&self) -> bool {
        matches!(self.state, State::Open)
    }

    /// What comes of an action. Whatever is wrong with it is observed.
    fn observe(&self, action: &str, argument: &str) -> String {
        if action == calculator::NAME {
            let failed = |reason| format!("{action} failed: {reason}");
            return calculator::evaluate(argument).unwrap_or_else(failed);
        }
        let facts = self.example.facts.as_ref().unwrap_or(&self.example.question);
        let observed = Graph::parse(facts).and_then(|graph| graph.call(action, argument));
        observed.unwrap_or_else(|error| error.to_string())
    }
}

impl Table<'_> {
    /// A round of some dialogues: what the model says, until all of them are to be told something.
    fn round(&self, round: usize, batch: &mut [&mut Dialogue<'_>]) -> Result<()> {
        self.say(round, batch)?;
        // Who was asked again for an action.
        let mut again: Vec<&mut Dialogue<'_>> = batch
            .iter_mut()
            .map(|dialogue| &mut **dialogue)
            .filter(|dialogue| dialogue.is_open() && dialogue.opening != self.form.opens_with())
            .collect();
        if again.is_empty() { Ok(()) } else { self.say(round, &mut again) }
    }

    fn say(&self, round: usize, batch: &mut [&mut Dialogue<'_>]) -> Result<()> {
        let tokenizer = self.exam.tokenizer;
        let programs: Vec<Program> = batch.iter().map(|dialogue| self.program(dialogue)).collect();
        let openings: Vec<Opening> = batch.iter().map(|dialogue| dialogue.opening).collect();
        let read = |index: usize, ids: &[u32], ended: bool| {
            self.form.read(openings[index], &tokenizer.decode(ids), ended)
        };
        let complete = |index: usize, ids: &[u32]| read(index, ids, false) != Said::Open;
        let said = generate_until(self.model, &programs, &complete)?;
        for (index, (dialogue, ids)) in batch.iter_mut().zip(said).enumerate() {
            dialogue.said_tokens += ids.len();
            self.hear(round, dialogue, (&ids, read(index, &ids, true)))?;
        }
        Ok(())
    }

    /// What is fed next, after what was said.
    fn hear(
        &self,
        round: usize,
        dialogue: &mut Dialogue<'_>,
        (ids, said): (&[u32], Said),
    ) -> Result<()> {
        let (form, tokenizer) = (self.form, self.exam.tokenizer);
        let asked_again = dialogue.opening != form.opens_with();
        dialogue.opening = form.opens_with();
        let observation = match said {
            Said::Finish { answer, .. } => {
                dialogue.state = State::Answered(answer);
                return Ok(());
            }
            Said::Missing { thought } if !asked_again && form.thoughts => {
                let next = form.opening(Opening::Action, round);
                dialogue.ids.extend(tokenizer.encode(&format!(" {thought}\n{next}"), false)?);
                dialogue.opening = Opening::Action;
                return Ok(());
            }
            Said::Call { action, argument, .. } => dialogue.observe(&action, &argument),
            Said::Invalid { action, .. } => dialogue.observe(&action, ""),
            Said::Missing { .. } | Said::Open => dialogue.observe("", ""),
        };
        dialogue.ids.extend_from_slice(ids);
        dialogue.ids.extend(react::observed(form, round, &observation, tokenizer)?);
        Ok(())
    }

    fn program(&self, dialogue: &Dialogue<'_>) -> Program {
        let program = Program {
            prompt: dialogue.ids.clone(),
            latent_steps: 0,
            forced: Vec::new(),
            max_tokens: self.exam.max_tokens,
            stop: self.recipe.stop_rule(),
            masked: self.recipe.masked.clone(),
        };
        let room = program.room(self.model.config().max_positions);
        Program { max_tokens: program.max_tokens.min(room), ..program }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_action_is_done_by_the_tool_that_training_has_data_for() {
        let example = Example { question: "Tom is a rempus.".to_owned(), ..Example::default() };
        let (ids, said_tokens, state) = (Vec::new(), 0, State::Open);
        let opening = Opening::Thought;
        let dialogue = Dialogue { example: &example, ids, opening, said_tokens, state };
        for (action, argument, observed) in [
            ("neighbours", "Tom", "rempus"),
            ("calculator", "1/0", "calculator failed: "),
            ("weather", "Tom", "weather"),
        ] {
            let said = dialogue.observe(action, argument);
            assert!(said.contains(observed), "{action}[{argument}]: {said}");
        }
        assert_eq!(dialogue.observe("calculator", "14*18"), "252");
    }
}
