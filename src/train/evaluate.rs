//! Right answers by real generation, as the paper counts them: the text after the answer's mark, compared exactly, commas
//! left out. Knows recipes and text, no optimiser.

use crate::data::Example;
use crate::latent::program::Program;
use crate::latent::recipe::Recipe;
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

impl Exam<'_> {
    /// Asks all questions by `recipe`, each with `latent_steps` thoughts.
    ///
    /// # Errors
    /// What the tokenizer or the model refuses.
    pub fn ask(&self, model: &Model, recipe: &Recipe, latent_steps: usize) -> Result<Score> {
        let mut score = Score::default();
        let mut order: Vec<&Example> = self.examples.iter().collect();
        // Questions of a length are asked together, so that there is little padding.
        order.sort_by_key(|example| example.question.len());
        for examples in order.chunks(self.batch_size) {
            let programs =
                examples.iter().map(|example| self.program(model, recipe, (example, latent_steps)));
            let programs: Vec<Program> = programs.collect::<Result<_>>()?;
            for (example, ids) in examples.iter().zip(answers(model, programs)?) {
                let said = recipe.answer.extract(&self.tokenizer.decode(&ids));
                score.right += usize::from(said == example.answer.replace(',', "").trim());
                score.questions += 1;
                score.answer_tokens += ids.len();
            }
        }
        Ok(score)
    }

    fn program(
        &self,
        model: &Model,
        recipe: &Recipe,
        (example, latent_steps): (&Example, usize),
    ) -> Result<Program> {
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
        let room = program.room(model.config().max_positions);
        Ok(Program { max_tokens: program.max_tokens.min(room), ..program })
    }
}

/// Answers of one batch; all have room for the same number of tokens.
fn answers(model: &Model, mut programs: Vec<Program>) -> Result<Vec<Vec<u32>>> {
    let tokens = programs.iter().map(|program| program.max_tokens).min().unwrap_or(0);
    programs.iter_mut().for_each(|program| program.max_tokens = tokens);
    Ok(generate(model, &programs)?)
}
