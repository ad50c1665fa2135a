//! What the thoughts of a checkpoint hold, over a data set: every question is asked after each number of thoughts, its thoughts
//! are read by the head, the right answer is scored, and single thoughts are replaced. Knows questions, answers and numbers; no
//! HTTP, no flags.
//!
//! ```
//! # use coconut::engine::config::EngineConfig;
//! # use coconut::latent::checkpoint::Location;
//! # use coconut::metrics::Metrics;
//! # use coconut::model::device::Processor;
//! # use coconut::reason::reasoner::Precision;
//! # use coconut::reason::reasoner::Reasoner;
//! # use coconut::reason::reasoner::ReasonerConfig;
//! # use std::sync::Arc;
//! use coconut::data::example::Example;
//! use coconut::probe::Asked;
//! use coconut::probe::Settings;
//! use coconut::probe::edit::EditKind;
//! use coconut::probe::journal::Journal;
//! use coconut::probe::probe;
//! use serde_json::json;
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
//! # let reasoner = Reasoner::load(&config, Arc::new(Metrics::new()))?;
//! # let question = "Every rempus is a jelpus. Sam is a chorpus. Every chorpus is a yimpus. \
//! #                 Is Sam a yimpus or jelpus?".to_owned();
//! let example = Example { question, answer: "Sam is a yimpus.".to_owned(), ..Example::default() };
//! let asked = [Asked { number: 1, example, graph: None }];
//! let settings = Settings {
//!     latent_steps: 2,
//!     max_tokens: None,
//!     top: 3,
//!     lens: 0,
//!     edits: vec![EditKind::Zero],
//!     seed: 0,
//!     concurrency: 1,
//! };
//!
//! // What is found is kept as it comes, so that a run that was ended goes on.
//! let folder = tempfile::tempdir()?;
//! let journal = Journal::open(&folder.path().join("journal.jsonl"), &json!({ "data": "one" }))?;
//! let found = probe(&reasoner, &asked, &settings, journal).await?;
//! let seen = &found.seen[0];
//! assert_eq!((seen.thoughts.len(), seen.answers.len()), (2, 3));
//! assert_eq!(seen.thoughts[0].top.len(), 3);
//! assert_eq!(found.edited[0].correct[0].len(), 2);
//! # Ok(())
//! # }
//! ```

mod ask;
pub mod edit;
pub mod file;
pub mod journal;
pub mod picture;
pub mod seen;
pub mod summary;

use crate::data::example::Example;
use crate::data::prosqa::record::Record;
use crate::probe::edit::EditKind;
use crate::probe::journal::Entry;
use crate::probe::journal::Journal;
use crate::probe::seen::Edited;
use crate::probe::seen::Means;
use crate::probe::seen::Seen;
use crate::reason::reasoner::Reasoner;
use futures::StreamExt as _;
use futures::TryStreamExt as _;
use futures::stream;
use indicatif::ProgressBar;
use indicatif::ProgressStyle;
use std::collections::BTreeMap;
use std::sync::Mutex;

/// A question to look into.
#[derive(Clone, Debug)]
pub struct Asked {
    /// Its row in the file, from 1.
    pub number: u64,
    /// The question.
    pub example: Example,
    /// The graph that it is about, where it is about one.
    pub graph: Option<Record>,
}

/// How questions are looked into.
#[derive(Clone, Debug)]
pub struct Settings {
    /// n: thoughts of each question.
    pub latent_steps: usize,
    /// Most answer tokens; what the recipe says where `None`.
    pub max_tokens: Option<usize>,
    /// Tokens that are read from each thought.
    pub top: usize,
    /// Tokens that are read from each layer where a thought is fed; 0 for no look.
    pub lens: usize,
    /// What single thoughts are replaced with, one at a time.
    pub edits: Vec<EditKind>,
    /// What chance follows from, together with the number of the question.
    pub seed: u64,
    /// How many questions are with the engine at the same time.
    pub concurrency: usize,
}

/// Everything that was found.
#[derive(Clone, Debug, Default)]
pub struct Found {
    /// By question, in the order of their numbers.
    pub seen: Vec<Seen>,
    /// What came of replacing thoughts, likewise.
    pub edited: Vec<Edited>,
    /// (n, D), row by row.
    pub means: Means,
}

/// Why there is no result.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A question was not answered.
    #[error("question {number}: {reason}")]
    Question {
        /// Its row.
        number: u64,
        /// Why.
        reason: String,
    },
    /// What was found cannot be kept.
    #[error(transparent)]
    Journal(#[from] journal::JournalError),
}

/// Looks into all questions, but those that `journal` has already.
///
/// # Errors
/// Where a question is not answered, or the journal cannot be written; what was found before stays in it.
pub async fn probe(
    reasoner: &Reasoner,
    asked: &[Asked],
    settings: &Settings,
    journal: Journal,
) -> Result<Found, Error> {
    let (mut seen, mut edited) = (BTreeMap::new(), BTreeMap::new());
    for entry in journal.entries() {
        match entry {
            Entry::Seen(one) => drop(seen.insert(one.number, one.clone())),
            Entry::Edited(one) => drop(edited.insert(one.number, one.clone())),
        }
    }
    let journal = Mutex::new(journal);
    let left = |done: &dyn Fn(u64) -> bool| -> Vec<&Asked> {
        asked.iter().filter(|one| !done(one.number)).collect()
    };
    let unseen = left(&|number| seen.contains_key(&number));
    let new = each(&unseen, "thoughts", settings, async |one| {
        let found = ask::see(reasoner, one, settings).await?;
        keep(&journal, &Entry::Seen(found.clone()))?;
        Ok(found)
    });
    seen.extend(new.await?.into_iter().map(|one| (one.number, one)));
    let seen: Vec<Seen> = seen.into_values().collect();
    let means = Means::of(&seen, (settings.latent_steps, reasoner.width()));
    if !settings.edits.is_empty() {
        let left = left(&|number| edited.contains_key(&number));
        let new = each(&left, "replaced thoughts", settings, async |one| {
            let found = ask::edit(reasoner, one, settings, &means).await?;
            keep(&journal, &Entry::Edited(found.clone()))?;
            Ok(found)
        });
        edited.extend(new.await?.into_iter().map(|one| (one.number, one)));
    }
    Ok(Found { seen, edited: edited.into_values().collect(), means })
}

async fn each<'a, T>(
    asked: &[&'a Asked],
    what: &'static str,
    settings: &Settings,
    look: impl AsyncFn(&'a Asked) -> Result<T, Error>,
) -> Result<Vec<T>, Error> {
    let style = "{prefix} {wide_bar} {pos} of {len}, {eta} left";
    let style =
        ProgressStyle::with_template(style).expect("the template is a constant that is valid");
    let bar = ProgressBar::new(asked.len() as u64).with_style(style).with_prefix(what);
    let look = async |one: &'a Asked| {
        let found = look(one).await;
        bar.inc(1);
        found
    };
    let all = stream::iter(asked.iter().copied()).map(look);
    let all = all.buffered(settings.concurrency.max(1)).try_collect().await;
    bar.finish_and_clear();
    all
}

fn keep(journal: &Mutex<Journal>, entry: &Entry) -> Result<(), Error> {
    let mut journal = journal.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    Ok(journal.add(entry)?)
}
