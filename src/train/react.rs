//! Dialogues with tools as training sequences: what the model says is learnt, what it is told is not. Each part is encoded
//! by itself, as it is when the dialogue is really had. Knows ids, no tensor.

use crate::data::example::Example;
use crate::latent::answer::AnswerRule;
use crate::latent::families;
use crate::latent::recipe::Recipe;
use crate::latent::recipe::ToolForm;
use crate::text::TextError;
use crate::text::Tokenizer;
use crate::tools::react::ReactForm;
use crate::train::encoded::Encoded;
use crate::train::sequence::Sequence;

/// Longest answer where a request does not say, all rounds together.
const MAX_TOKENS: usize = 256;

/// A question with its dialogue, in ids.
///
/// # Errors
/// What the tokenizer refuses.
pub fn encode(
    form: &ReactForm,
    example: &Example,
    tokenizer: &Tokenizer,
) -> Result<Encoded, TextError> {
    let opening = |round| form.opening(form.opens_with(), round);
    let mut encoded = Encoded { question: prompt(example, tokenizer)?, ..Encoded::default() };
    encoded.question.extend(tokenizer.encode(&opening(1), false)?);
    for (number, round) in (1..).zip(&example.trajectory) {
        let said = tokenizer.encode(&form.said(number, round), false)?;
        match &round.observation {
            Some(observation) => {
                encoded.steps.push(said);
                encoded.observed.push(observed(form, number, observation, tokenizer)?);
            }
            None => encoded.answer = said,
        }
    }
    Ok(encoded)
}

/// A question in ids, before the first opening.
///
/// # Errors
/// What the tokenizer refuses.
pub fn prompt(example: &Example, tokenizer: &Tokenizer) -> Result<Vec<u32>, TextError> {
    tokenizer.encode(&format!("{}\n", example.question), true)
}

/// What is fed after a round: what came of its action, and the opening of the next one.
///
/// # Errors
/// What the tokenizer refuses.
pub fn observed(
    form: &ReactForm,
    round: usize,
    observation: &str,
    tokenizer: &Tokenizer,
) -> Result<Vec<u32>, TextError> {
    let next = form.opening(form.opens_with(), round + 1);
    tokenizer.encode(&format!("{}{next}", form.observation(round, observation)), false)
}

/// The sequence of a dialogue.
pub fn sequence(encoded: &Encoded, eos: u32) -> Sequence {
    let mut sequence = Sequence::default();
    sequence.feed(&encoded.question);
    for (said, observed) in encoded.steps.iter().zip(&encoded.observed) {
        sequence.learn(said);
        sequence.feed(observed);
    }
    sequence.learn(&encoded.answer);
    sequence.learn(&[eos]);
    sequence
}

/// How a model that was taught dialogues is asked. The answer is the argument of the last action, as it is.
pub fn recipe(form: &ReactForm, eos: Vec<u32>) -> Recipe {
    let family = if form.thoughts { "react" } else { "act" };
    Recipe {
        answer: AnswerRule::Whole,
        tools: Some(ToolForm::React(form.clone())),
        max_tokens: Some(MAX_TOKENS),
        ..families::language_model(family, eos)
    }
}
