//! How many questions of a data set a checkpoint answers rightly, at one or several numbers of latent steps: the
//! questions are asked together, of an engine in this process or of a server, and are counted. Knows questions, answers and
//! numbers; no flags, and of HTTP only how one server is asked (`remote`).

pub mod colours;
pub mod kept;
mod local;
pub mod picture;
mod progress;
pub mod remote;
pub mod report;
mod samples_picture;
pub mod score;
pub mod settings;

use crate::data::questions::Row;
use crate::eval::kept::Kept;
use crate::eval::progress::Progress;
use crate::eval::remote::Remote;
use crate::eval::report::Scored;
use crate::eval::settings::Asked;
use crate::eval::settings::Facts;
use crate::eval::settings::Settings;
use crate::reason::reasoner::Reasoner;
use futures::StreamExt as _;
use futures::stream;
use std::pin::pin;
use std::sync::Arc;
use std::time::Instant;

/// Who answers.
#[derive(Clone, Copy, Debug)]
pub enum Who<'a> {
    /// A checkpoint in this process.
    Here(&'a Arc<Reasoner>),
    /// A server.
    There(&'a Remote),
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
    /// No further question would be answered.
    #[error("question {number}: {reason}")]
    Engine {
        /// Which question, from 1.
        number: u64,
        /// What was said.
        reason: String,
    },
    /// What was found cannot be kept.
    #[error(transparent)]
    Kept(#[from] kept::KeptError),
}

impl Who<'_> {
    /// What is known of the model.
    pub fn facts(&self) -> Facts {
        match self {
            Self::Here(reasoner) => {
                let card = reasoner.card();
                Facts {
                    model: card.name.clone(),
                    family: card.family.clone(),
                    default_latent_steps: card.default_latent_steps,
                    max_latent_steps: card.max_latent_steps,
                    calls_tools: card.calls_tools,
                }
            }
            Self::There(remote) => remote.facts().clone(),
        }
    }

    async fn ask(&self, asked: Asked<'_>) -> Result<Scored, Error> {
        let (number, example) = (asked.row.number, &asked.row.example);
        let outcome = match self {
            Self::Here(reasoner) => local::ask(reasoner, &asked).await,
            Self::There(remote) => remote.ask(&asked).await,
        };
        let outcome = outcome.map_err(|reason| Error::Engine { number, reason })?;
        Ok(Scored { number, expected: example.answer.clone(), outcome })
    }
}

/// Asks all questions once for each number of latent steps, but those whose outcome is kept already.
///
/// # Errors
/// Where nothing more will be answered, or a number is more than the recipe allows; what was found before is kept. A
/// question that cannot be asked, because it is too long, is not an error: it counts as not answered.
pub async fn evaluate(
    who: Who<'_>,
    rows: &[Row],
    settings: &Settings,
    kept: &mut Kept,
) -> Result<(), Error> {
    let max = who.facts().max_latent_steps;
    if let Some(&asked) = settings.latent_steps.iter().find(|&&steps| steps > max) {
        return Err(Error::TooManyLatentSteps { asked, max });
    }
    kept.check(rows)?;
    for &latent_steps in &settings.latent_steps {
        let ran = run(who, rows, (latent_steps, settings), kept).await;
        kept.save()?;
        ran?;
    }
    Ok(())
}

async fn run(
    who: Who<'_>,
    rows: &[Row],
    (latent_steps, settings): (usize, &Settings),
    kept: &mut Kept,
) -> Result<(), Error> {
    let done = kept.begin(latent_steps);
    let left = rows.iter().filter(|row| !done.contains(&row.number));
    let left: Vec<Asked<'_>> = left.map(|row| Asked { row, latent_steps, settings }).collect();
    let progress = Progress::start(latent_steps, left.len());
    let started = Instant::now();
    let mut answers = pin!(
        stream::iter(left)
            .map(async |asked| who.ask(asked).await)
            .buffer_unordered(settings.concurrency.max(1))
    );
    while let Some(scored) = answers.next().await {
        let scored = scored?;
        progress.count(&scored.outcome);
        kept.add(latent_steps, scored, started.elapsed())?;
    }
    Ok(())
}
