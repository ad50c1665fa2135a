//! How many questions of a data set a checkpoint answers rightly, at one or several numbers of latent steps: the
//! questions go through the engine together, and are counted. Knows questions, answers and numbers; no HTTP, no flags.

pub mod picture;
mod progress;
pub mod report;
pub mod score;

use crate::data::example::Example;
use crate::data::questions::Row;
use crate::engine::request::Failure;
use crate::engine::request::Rejected;
use crate::engine::request::Report as Asked;
use crate::eval::progress::Progress;
use crate::eval::report::Outcome;
use crate::eval::report::Run;
use crate::eval::report::Scored;
use crate::latent::script::Sampling;
use crate::reason::reasoner::Reasoner;
use crate::reason::types::Answer;
use crate::reason::types::AskError;
use crate::reason::types::Question;
use futures::StreamExt as _;
use futures::TryStreamExt as _;
use futures::stream;
use std::time::Duration;
use std::time::Instant;

/// No answer takes so long; the engine's failures are told by itself.
const PATIENCE: Duration = Duration::from_secs(24 * 3600);

/// How questions are asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// The numbers of latent steps to try.
    pub latent_steps: Vec<usize>,
    /// Most answer tokens; what the recipe says where `None`.
    pub max_tokens: Option<usize>,
    /// How many questions are with the engine at the same time.
    pub concurrency: usize,
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
            let question = question(example, latent_steps, settings.max_tokens);
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

fn question(example: &Example, latent_steps: usize, max_tokens: Option<usize>) -> Question {
    Question {
        text: example.question.clone(),
        latent_steps: Some(latent_steps),
        max_tokens,
        ignore_eos: false,
        sampling: Sampling::GREEDY,
        report: Asked::default(),
        stop: Vec::new(),
        timeout: PATIENCE,
    }
}

/// What came of a question; an error where nothing will come of any other.
async fn ask(
    reasoner: &Reasoner,
    question: &Question,
    example: &Example,
) -> Result<Outcome, String> {
    let reply = match reasoner.ask(question) {
        Ok(reply) => reply,
        Err(AskError::Rejected(
            error @ (Rejected::Full { .. } | Rejected::Stopping | Rejected::Dead),
        )) => return Err(error.to_string()),
        Err(error) => return Ok(Outcome::Unanswered { reason: error.to_string() }),
    };
    match reply.complete().await {
        Ok(answer) => Ok(outcome(reasoner, answer, example)),
        Err(failure @ Failure::NonFinite) => {
            Ok(Outcome::Unanswered { reason: failure.to_string() })
        }
        Err(failure) => Err(failure.to_string()),
    }
}

fn outcome(reasoner: &Reasoner, answer: Answer, example: &Example) -> Outcome {
    Outcome::Answered {
        correct: reasoner.answer_rule().is_right(&answer.answer, &example.answer, &example.also),
        answer: answer.answer,
        tokens: answer.usage.completion_tokens,
        thoughts: answer.usage.latent_steps,
        seconds: answer.timings.total.as_secs_f64(),
        warnings: answer.warnings.iter().map(ToString::to_string).collect(),
    }
}
