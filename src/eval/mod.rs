//! How many questions of a data set a checkpoint answers rightly, at one or several numbers of latent steps: the
//! questions are asked together, of an engine in this process or of a server, and are counted. Knows questions, answers and
//! numbers; no flags, and of HTTP only how one server is asked (`remote`).
//!
//! ```
//! # use coconut::engine::config::EngineConfig;
//! # use coconut::latent::checkpoint::Location;
//! # use coconut::metrics::Metrics;
//! # use coconut::model::device::Processor;
//! # use coconut::reason::question::Feedback;
//! # use coconut::reason::reasoner::Precision;
//! # use coconut::reason::reasoner::Reasoner;
//! # use coconut::reason::reasoner::ReasonerConfig;
//! # use coconut::tools::set::ToolSet;
//! # use std::sync::Arc;
//! use coconut::data::example::Example;
//! use coconut::data::questions::Row;
//! use coconut::data::questions::Skipped;
//! use coconut::eval::Who;
//! use coconut::eval::evaluate;
//! use coconut::eval::kept::Kept;
//! use coconut::eval::report::Report;
//! use coconut::eval::settings::FactsFor;
//! use coconut::eval::settings::Samples;
//! use coconut::eval::settings::Settings;
//!
//! # #[tokio::main]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let config = ReasonerConfig {
//! #     model: Location::folder("models/prosqa"),
//! #     name: None,
//! #     processor: Processor::Cpu,
//! #     precision: Precision::default(),
//! #     engine: EngineConfig::default(),
//! #     thought_means: None,
//! # };
//! # let reasoner = Arc::new(Reasoner::load(&config, Arc::new(Metrics::new()))?);
//! # let question = "Every rempus is a jelpus. Sam is a chorpus. Every chorpus is a yimpus. \
//! #                 Is Sam a yimpus or jelpus?".to_owned();
//! let example = Example { question, answer: "Sam is a yimpus.".to_owned(), ..Example::default() };
//! let rows = [Row { number: 1, example }];
//! let settings = Settings {
//!     latent_steps: vec![0, 6],
//!     max_tokens: None,
//!     concurrency: 2,
//!     feedback: Feedback::Hidden,
//!     sampling: Samples::default(),
//!     facts_for: FactsFor::Tools,
//!     prompt: None,
//!     tools: ToolSet::default(),
//! };
//!
//! let who = Who::Here(&reasoner);
//! let mut kept = Kept::nowhere(Report {
//!     model: who.facts().model,
//!     fingerprint: who.facts().fingerprint,
//!     family: who.facts().family,
//!     data: "one question".to_owned(),
//!     skipped: Skipped::default(),
//!     settings: settings.told(),
//!     runs: Vec::new(),
//! });
//! evaluate(who, &rows, &settings, &mut kept).await?;
//! let runs = &kept.report().runs;
//! assert_eq!(runs.len(), 2);
//! assert_eq!((runs[1].latent_steps, runs[1].correct()), (6, 1));
//! # Ok(())
//! # }
//! ```

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
                    fingerprint: Some(card.fingerprint.clone()),
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
