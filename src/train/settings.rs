//! The configuration of a run, one TOML file. A run is a list of phases, each with its own objective and data; most have
//! one. Every refusal names the field. Knows no weights.

use crate::contents;
use crate::train::error::Error;
use crate::train::error::Result;
use crate::train::method::Method;
use crate::train::optimizer::OptimizerConfig;
use crate::train::optimizer::check_lr;
use crate::train::optimizer::schedule::Schedule;
use crate::train::warmup::GraphWork;
use serde::Deserialize;
use serde::Serialize;
use std::path::Path;
use std::path::PathBuf;

/// A run.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// All that is random follows from it.
    #[serde(default)]
    pub seed: u64,
    /// Folder of the checkpoint to start from; or `model`.
    #[serde(default)]
    pub init: Option<PathBuf>,
    /// Fields of config.json, for random weights; the vocabulary is the tokenizer's.
    #[serde(default)]
    pub model: Option<toml::Table>,
    /// A tokenizer.json; where absent, that of the checkpoint to start from.
    #[serde(default)]
    pub tokenizer: Option<PathBuf>,
    /// The text of the end-of-sequence token.
    #[serde(default = "eos")]
    pub eos: String,
    /// The same in all phases, but for the learning rate.
    pub optimizer: OptimizerConfig,
    /// Where a phase has none of its own.
    #[serde(default)]
    pub schedule: Schedule,
    /// Questions answered now and then, by generation.
    #[serde(default)]
    pub validate: Option<Validate>,
    /// Steps between saved states.
    #[serde(default = "two_hundred")]
    pub save_every: usize,
    /// Parts of a batch that are computed side by side, each on one thread. Every bit of the result depends on this
    /// number, and not on how many threads a machine has.
    #[serde(default = "one")]
    pub shards: usize,
    /// Steps between lines of the log.
    #[serde(default = "ten")]
    pub log_every: usize,
    /// In order.
    pub phases: Vec<Phase>,
}

/// One part of a run. Its optimiser starts fresh.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Phase {
    /// For the log.
    pub name: String,
    /// What is learnt, from what.
    pub objective: Objective,
    /// Batches whose gradients are averaged before an update.
    #[serde(default = "one")]
    pub accumulate: usize,
    /// Most updates.
    #[serde(default)]
    pub max_steps: Option<usize>,
    /// The largest learning rate, instead of the optimiser's.
    #[serde(default)]
    pub lr: Option<f64>,
    /// Instead of the run's.
    #[serde(default)]
    pub schedule: Option<Schedule>,
}

/// What a phase learns, from what.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Objective {
    /// Questions from a file, by a method and its curriculum.
    Questions(QuestionWork),
    /// Graphs made on the way, many questions about each.
    Graphs(GraphWork),
}

/// Questions from a file.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct QuestionWork {
    /// How the model is taught.
    pub method: Method,
    /// The file, in any form that `data` reads.
    pub train: PathBuf,
    /// Times that every question is seen.
    pub epochs: usize,
    /// Questions of a batch.
    pub batch_size: usize,
    /// Longer sequences are left out, in positions; where absent, the model's limit.
    #[serde(default)]
    pub max_positions: Option<usize>,
}

/// Validation.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Validate {
    /// The file, in any form that `data` reads.
    pub data: PathBuf,
    /// Steps between two validations; there is always one at the end.
    pub every: usize,
    /// Only so many questions from the beginning of the file.
    #[serde(default)]
    pub questions: Option<usize>,
    /// Longest answer.
    #[serde(default = "hundred_and_twenty_eight")]
    pub max_tokens: usize,
    /// Questions answered at once.
    #[serde(default = "fifty")]
    pub batch_size: usize,
}

fn eos() -> String {
    "<|endoftext|>".to_owned()
}

fn one() -> usize {
    1
}

fn ten() -> usize {
    10
}

fn fifty() -> usize {
    50
}

fn hundred_and_twenty_eight() -> usize {
    128
}

fn two_hundred() -> usize {
    200
}

impl Settings {
    /// Reads and checks a file.
    ///
    /// # Errors
    /// Where the file cannot be read or a field cannot be used.
    pub fn read(path: &Path) -> Result<Self> {
        let text = contents::read(path).map_err(Error::io(path))?;
        let refused = |reason| Error::Config { path: path.to_owned(), reason };
        let settings: Self =
            toml::from_str(&text).map_err(|error| refused(error.to_string().trim().to_owned()))?;
        match settings.check() {
            Ok(()) => Ok(settings),
            Err((field, reason)) => Err(refused(format!("`{field}` {reason}"))),
        }
    }

    fn check(&self) -> Result<(), (String, String)> {
        let at_top = |field: &str, reason: &str| Err((field.to_owned(), reason.to_owned()));
        match (&self.init, &self.model, &self.tokenizer) {
            (Some(_), Some(_), _) => return at_top("init", "and `model` exclude each other"),
            (None, None, _) => {
                return at_top("init", "is missing; or give a `model` for random weights");
            }
            (None, Some(_), None) => return at_top("tokenizer", "is missing"),
            _ => {}
        }
        if self.phases.is_empty() {
            return at_top("phases", "is empty");
        }
        for (field, value) in [("save_every", self.save_every), ("log_every", self.log_every)] {
            if value == 0 {
                return at_top(field, "is 0");
            }
        }
        if let Some(validate) = &self.validate
            && (validate.every == 0 || validate.max_tokens == 0 || validate.batch_size == 0)
        {
            return at_top("validate", "has a 0 in `every`, `max_tokens` or `batch_size`");
        }
        let named = |prefix: &str| {
            let prefix = prefix.to_owned();
            move |(field, reason): (&'static str, String)| (format!("{prefix}{field}"), reason)
        };
        self.optimizer.check().map_err(named("optimizer."))?;
        for (index, phase) in self.phases.iter().enumerate() {
            phase.check().map_err(named(&format!("phases[{index}].")))?;
        }
        Ok(())
    }
}

impl Phase {
    fn check(&self) -> Result<(), (&'static str, String)> {
        if let Some(lr) = self.lr {
            check_lr(lr)?;
        }
        if self.accumulate == 0 {
            return Err(("accumulate", "is 0".to_owned()));
        }
        match &self.objective {
            Objective::Questions(work) if work.batch_size == 0 => {
                Err(("objective.questions.batch_size", "is 0".to_owned()))
            }
            Objective::Questions(work) => work.method.check(),
            Objective::Graphs(work) => work.check(),
        }
    }
}
