//! How many questions of a data set a checkpoint answers rightly, at one or several numbers of latent steps: the
//! questions go through the engine together, and are counted. Knows questions, answers and numbers; no HTTP, no flags.

pub mod colours;
pub mod picture;
mod progress;
pub mod report;
mod samples_picture;
pub mod score;

use crate::data::example::Example;
use crate::data::questions::Row;
use crate::engine::request::Failure;
use crate::engine::request::Rejected;
use crate::eval::progress::Progress;
use crate::eval::report::Outcome;
use crate::eval::report::Run;
use crate::eval::report::Sampled;
use crate::eval::report::Scored;
use crate::latent::script::Sampling;
use crate::reason::question::AskError;
use crate::reason::question::Feedback;
use crate::reason::question::LatentSteps;
use crate::reason::question::Question;
use crate::reason::question::Saying;
use crate::reason::question::Then;
use crate::reason::question::Thinking;
use crate::reason::reasoner::Reasoner;
use crate::reason::reply::Unanswered;
use crate::reason::types::Answer;
use futures::StreamExt as _;
use futures::TryStreamExt as _;
use futures::stream;
use std::time::Duration;
use std::time::Instant;

/// No answer takes so long; the engine's failures are told by itself.
const PATIENCE: Duration = Duration::from_secs(24 * 3600);

/// How questions are asked.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// The numbers of latent steps to try.
    pub latent_steps: Vec<usize>,
    /// Most answer tokens; what the recipe says where `None`.
    pub max_tokens: Option<usize>,
    /// How many questions are with the engine at the same time.
    pub concurrency: usize,
    /// What is fed in the places of thoughts.
    pub feedback: Feedback,
    /// How answers differ from each other, where there are several.
    pub sampling: Samples,
}

/// Several answers to each question.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Samples {
    /// How many; 1 for one answer.
    pub count: usize,
    /// Standard deviation of the noise on every thought.
    pub latent_noise: Option<f32>,
    /// Of answer tokens; 0 takes the most likely one.
    pub temperature: f64,
    /// What everything random follows from, together with the number of the question.
    pub seed: u64,
}

impl Default for Samples {
    fn default() -> Self {
        Self { count: 1, latent_noise: None, temperature: 0.0, seed: 0 }
    }
}

/// Why there is no result.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The checkpoint does not think so often.
    #[error("latent steps: {asked} is more than this model's maximum of {max}")]
    TooManyLatentSteps {
        /// What was asked for.
        asked: usize,
        /// The recipe's maximum.
        max: usize,
    },
    /// The engine takes no more questions.
    #[error("question {number}: {reason}")]
    Engine {
        /// Which question, from 1.
        number: u64,
        /// What it said.
        reason: String,
    },
}

/// Asks all questions once for each number of latent steps.
///
/// # Errors
/// Where the engine fails, or a number is more than the recipe allows. A question that cannot be asked, because it is too
/// long, is not an error: it counts as not answered.
pub async fn evaluate(
    reasoner: &Reasoner,
    rows: &[Row],
    settings: &Settings,
) -> Result<Vec<Run>, Error> {
    let max = reasoner.card().max_latent_steps;
    if let Some(&asked) = settings.latent_steps.iter().find(|&&steps| steps > max) {
        return Err(Error::TooManyLatentSteps { asked, max });
    }
    let mut runs = Vec::new();
    for &latent_steps in &settings.latent_steps {
        runs.push(run(reasoner, rows, latent_steps, settings).await?);
    }
    Ok(runs)
}

async fn run(
    reasoner: &Reasoner,
    rows: &[Row],
    latent_steps: usize,
    settings: &Settings,
) -> Result<Run, Error> {
    let started = Instant::now();
    let progress = Progress::start(latent_steps, rows.len());
    let scored = stream::iter(rows)
        .map(async |Row { number, example }| {
            let question = question((*number, example), latent_steps, settings);
            let outcome = ask(reasoner, &question, example)
                .await
                .map_err(|reason| Error::Engine { number: *number, reason })?;
            progress.count(&outcome);
            Ok(Scored { number: *number, expected: example.answer.clone(), outcome })
        })
        .buffered(settings.concurrency.max(1))
        .try_collect()
        .await?;
    Ok(Run { latent_steps, wall: started.elapsed(), scored })
}

fn question(
    (number, example): (u64, &Example),
    latent_steps: usize,
    settings: &Settings,
) -> Question {
    let Samples { count: samples, latent_noise: noise, temperature, seed } = settings.sampling;
    // Samples have the numbers that follow a question's own.
    let seed = seed.wrapping_add(number << 32);
    let sampling = Sampling { temperature, seed, ..Sampling::GREEDY };
    let steps = LatentSteps::Exactly(latent_steps);
    let (feedback, max_tokens) = (settings.feedback, settings.max_tokens);
    Question {
        thinking: Thinking { steps, feedback, noise, seed, ..Thinking::default() },
        then: Then::Say(Saying { max_tokens, samples, sampling, ..Saying::default() }),
        ..Question::new(&example.question, PATIENCE)
    }
}

/// What came of a question; an error where nothing will come of any other.
async fn ask(
    reasoner: &Reasoner,
    question: &Question,
    example: &Example,
) -> Result<Outcome, String> {
    match reasoner.answer(question).await {
        Ok(answer) => Ok(outcome(reasoner, &answer, example)),
        Err(Unanswered::Refused(AskError::Rejected(
            error @ (Rejected::Full { .. } | Rejected::Stopping | Rejected::Dead),
        ))) => Err(error.to_string()),
        // No question would be any better off.
        Err(Unanswered::Refused(error @ AskError::Feedback(_))) => Err(error.to_string()),
        Err(Unanswered::Refused(error)) => Ok(Outcome::Unanswered { reason: error.to_string() }),
        Err(Unanswered::Failed(failure @ Failure::NonFinite)) => {
            Ok(Outcome::Unanswered { reason: failure.to_string() })
        }
        Err(Unanswered::Failed(failure)) => Err(failure.to_string()),
    }
}

fn outcome(reasoner: &Reasoner, answer: &Answer, example: &Example) -> Outcome {
    let is_right =
        |said: &str| reasoner.answer_rule().is_right(said, &example.answer, &example.also);
    let count = answer.choices.len();
    let correct = answer.choices.iter().filter(|choice| is_right(&choice.answer)).count();
    let vote = answer.vote();
    let said = vote.map(|vote| answer.choices[vote.choice].answer.clone()).unwrap_or_default();
    Outcome::Answered {
        correct: is_right(&said),
        answer: said,
        tokens: answer.usage.completion_tokens,
        thoughts: answer.usage.latent_steps,
        seconds: answer.timings.total.as_secs_f64(),
        samples: (count > 1).then(|| Sampled {
            count,
            correct,
            agreeing: vote.map_or(0, |vote| vote.agreeing),
        }),
        warnings: answer.warnings.iter().map(ToString::to_string).collect(),
    }
}
