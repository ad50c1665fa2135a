//! Right answers by real generation, compared as the recipe's family compares them. Knows recipes and text, no optimiser.

use crate::data::example::Example;
use crate::latent::program::Program;
use crate::latent::recipe::Recipe;
use crate::latent::script::Sampling;
use crate::model::Model;
use crate::text::Tokenizer;
use crate::train::error::Result;
use crate::train::generate::generate;

/// Questions with what is needed to ask them.
#[derive(Clone, Copy, Debug)]
pub struct Exam<'a> {
    /// The questions.
    pub examples: &'a [Example],
    /// Text to ids and back.
    pub tokenizer: &'a Tokenizer,
    /// Longest answer.
    pub max_tokens: usize,
    /// Questions answered at once.
    pub batch_size: usize,
}

/// What came of an exam.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Score {
    /// Answers that are exactly right.
    pub right: usize,
    /// Questions asked.
    pub questions: usize,
    /// Tokens generated in all, end of sequence left out.
    pub answer_tokens: usize,
}

/// A question that is longer than the model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooLong {
    /// Which question, from 0.
    pub index: usize,
    /// Positions before the first answer token.
    pub positions: usize,
}

impl Exam<'_> {
    /// Asks all questions by `recipe`, each with `latent_steps` thoughts. One that is longer than the model cannot be
    /// asked, and counts as wrong.
    ///
    /// # Errors
    /// What the tokenizer or the model refuses.
    pub fn ask(&self, model: &Model, recipe: &Recipe, latent_steps: usize) -> Result<Score> {
        let mut score = Score { questions: self.examples.len(), ..Score::default() };
        let mut asked = Vec::new();
        for example in self.examples {
            if let Ok(program) = self.program(model, recipe, (example, latent_steps))? {
                asked.push((example, program));
            }
        }
        // Questions of a length are asked together, so that there is little padding.
        asked.sort_by_key(|(example, _)| example.question.len());
        for batch in asked.chunks(self.batch_size) {
            let programs: Vec<Program> = batch.iter().map(|(_, program)| program.clone()).collect();
            for ((example, _), ids) in batch.iter().zip(generate(model, &programs)?) {
                let said = recipe.answer.extract(&self.tokenizer.decode(&ids));
                let Example { answer, also, .. } = example;
                score.right += usize::from(recipe.answer.is_right(&said, answer, also));
                score.answer_tokens += ids.len();
            }
        }
        Ok(score)
    }

    /// The questions that cannot be asked by `recipe`.
    ///
    /// # Errors
    /// What the tokenizer refuses.
    pub fn too_long(&self, model: &Model, recipe: &Recipe) -> Result<Vec<TooLong>> {
        let mut found = Vec::new();
        for (index, example) in self.examples.iter().enumerate() {
            let asked = (example, recipe.latent_steps.default);
            if let Err(positions) = self.program(model, recipe, asked)? {
                found.push(TooLong { index, positions });
            }
        }
        Ok(found)
    }

    /// A question as a program; how many positions it takes where that is more than the model has.
    fn program(
        &self,
        model: &Model,
        recipe: &Recipe,
        (example, latent_steps): (&Example, usize),
    ) -> Result<std::result::Result<Program, usize>> {
        let text = recipe.render(&example.question);
        let mut prompt = self.tokenizer.encode(&text, recipe.add_special_tokens)?;
        prompt.extend(&recipe.start);
        let program = Program {
            prompt,
            latent_steps,
            forced: recipe.end.clone(),
            max_tokens: self.max_tokens,
            stop: recipe.stop_rule(),
            masked: recipe.masked.clone(),
        };
        let positions = model.config().max_positions;
        let room = program.room(positions);
        let program = Program { max_tokens: program.max_tokens.min(room), ..program };
        Ok(match program.script(Sampling::GREEDY).positions() {
            taken if taken <= positions => Ok(program),
            taken => Err(taken),
        })
    }
}
