//! The questions that a run is validated on, and what is said of those that cannot be asked. Knows files and lengths, no
//! weights of its own.

use crate::data::example::Example;
use crate::data::fields::Wanted;
use crate::data::questions::Questions;
use crate::data::questions::Reading;
use crate::latent::recipe::Recipe;
use crate::model::Model;
use crate::text::Tokenizer;
use crate::tools::react::ReactForm;
use crate::train::error::Result;
use crate::train::evaluate::Exam;
use crate::train::evaluate::Score;
use crate::train::rounds;
use crate::train::settings::Validate;
use crate::train::unknown;

/// What a run is validated on.
#[derive(Debug)]
pub struct Validation<'a> {
    settings: &'a Validate,
    questions: Questions,
    examples: Vec<Example>,
    tokenizer: &'a Tokenizer,
}

impl<'a> Validation<'a> {
    /// Reads the questions.
    ///
    /// # Errors
    /// What cannot be read.
    pub fn read(settings: &'a Validate, tokenizer: &'a Tokenizer) -> Result<Self> {
        let wanted = Wanted { fields: settings.fields.clone(), ..Wanted::default() };
        let (strict, limit) = (settings.strict, settings.questions);
        let questions = Questions::read(&settings.data, &Reading { wanted, strict, limit })?;
        let examples = questions.examples();
        Ok(Self { settings, questions, examples, tokenizer })
    }

    /// Whether it is time for one after so many updates, besides the end of a phase.
    pub fn is_due(&self, total_step: usize) -> bool {
        total_step.is_multiple_of(self.settings.every)
    }

    /// All questions, with what is needed to ask them.
    pub fn exam(&self) -> Exam<'_> {
        let Validate { max_tokens, batch_size, .. } = *self.settings;
        Exam { examples: &self.examples, tokenizer: self.tokenizer, max_tokens, batch_size }
    }

    /// Asks all questions by `recipe`: in dialogues with tools where `form` says how these are written.
    ///
    /// # Errors
    /// What the tokenizer or the model refuses.
    pub fn ask(&self, model: &Model, recipe: &Recipe, form: Option<&ReactForm>) -> Result<Score> {
        match form {
            Some(form) => rounds::ask(&self.exam(), model, recipe, form),
            None => self.exam().ask(model, recipe, recipe.latent_steps.default),
        }
    }

    /// Rows that are no questions, and questions that are longer than the model at the end of one of these recipes; in
    /// words.
    ///
    /// # Errors
    /// What the tokenizer refuses.
    pub fn left_out(&self, model: &Model, recipes: &[Recipe]) -> Result<Vec<String>> {
        let file = self.settings.data.display();
        let mut texts = Vec::new();
        if self.questions.skipped.count > 0 {
            texts.push(format!("{file}: {}", self.questions.skipped));
        }
        let unknown = unknown::say(&self.examples, self.tokenizer)?;
        texts.extend(unknown.map(|unknown| format!("{file}: {unknown}")));
        for recipe in recipes {
            let too_long = self.exam().too_long(model, recipe)?;
            if let Some(first) = too_long.first() {
                texts.push(format!(
                    "{file}: {} of {} are too long for the model and count as wrong: question {} takes {} positions \
                     before its answer, of {}",
                    too_long.len(),
                    self.examples.len(),
                    self.questions.rows[first.index].number,
                    first.positions,
                    model.config().max_positions,
                ));
                break;
            }
        }
        Ok(texts)
    }
}
