//! The configuration of a run, one TOML file. A run is a list of phases, each with its own objective and data; most have
//! one. Every refusal names the field. Knows no weights.

use crate::data::fields::Fields;
use crate::files;
use crate::train::counts::at_once;
use crate::train::counts::not_zero;
use crate::train::error::Error;
use crate::train::error::Result;
use crate::train::graph_work::GraphWork;
use crate::train::method::Method;
use crate::train::optimizer::config::OptimizerConfig;
use crate::train::optimizer::config::check_lr;
use crate::train::optimizer::schedule::Schedule;
use serde::Deserialize;
use serde::Serialize;
use std::path::Path;
use std::path::PathBuf;

/// No number of a run is larger: products of two of them can be counted.
const MAX_NUMBER: i64 = i32::MAX as i64;

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
    /// Blocks behind those of `init`. They begin by passing on what they are given.
    #[serde(default)]
    pub more_layers: usize,
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
    /// Is done again until what it teaches is learnt.
    #[serde(default)]
    pub until: Option<Until>,
}

/// When a phase has taught enough. Some lessons are learnt all at once, with every seed at another step.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Until {
    /// The mean loss of its last line of the log, or less.
    pub loss: f64,
    /// How often it is done at most, each time with its whole schedule and a fresh optimiser.
    pub rounds: usize,
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
    /// Where question, answer and steps are, if the file has names of its own: `fields = { question = "..." }`.
    #[serde(default)]
    pub fields: Fields,
    /// Whether a row that is no question ends the run, instead of being left out.
    #[serde(default)]
    pub strict: bool,
    /// Times that every question is seen; or its part of the file.
    pub epochs: usize,
    /// The file is cut into so many parts, and an epoch goes through one of them, the next one through the next: with as many
    /// as epochs, no question is seen twice.
    #[serde(default = "one")]
    pub parts: usize,
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
    /// Where question and answer are, if the file has names of its own: `fields = { question = "..." }`.
    #[serde(default)]
    pub fields: Fields,
    /// Whether a row that is no question ends the run, instead of being left out.
    #[serde(default)]
    pub strict: bool,
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
        let text = files::read(path).map_err(Error::io(path))?;
        let refused = |reason| Error::Config { path: path.to_owned(), reason };
        let malformed = |error: toml::de::Error| refused(error.to_string().trim().to_owned());
        let unusable = |(field, reason)| refused(format!("`{field}` {reason}"));
        let mut numbers: toml::Table = toml::from_str(&text).map_err(malformed)?;
        // The only number that counts nothing.
        numbers.remove("seed");
        check_numbers("", &toml::Value::Table(numbers)).map_err(unusable)?;
        let settings: Self = toml::from_str(&text).map_err(malformed)?;
        settings.check().map_err(unusable)?;
        Ok(settings)
    }

    fn check(&self) -> Result<(), (String, String)> {
        let at_top = |field: &str, reason: &str| Err((field.to_owned(), reason.to_owned()));
        match (&self.init, &self.model, &self.tokenizer) {
            (Some(_), Some(_), _) => return at_top("init", "and `model` exclude each other"),
            (None, None, _) => {
                return at_top("init", "is missing; or give a `model` for random weights");
            }
            (None, Some(_), None) => return at_top("tokenizer", "is missing"),
            (None, Some(_), _) if self.more_layers > 0 => {
                return at_top("more_layers", "needs `init`; `model` says how many it has");
            }
            _ => {}
        }
        if self.phases.is_empty() {
            return at_top("phases", "is empty");
        }
        let counts = [("save_every", self.save_every), ("log_every", self.log_every)];
        counts.into_iter().try_for_each(not_zero).map_err(named(""))?;
        at_once(("shards", self.shards)).map_err(named(""))?;
        at_once(("more_layers", self.more_layers.max(1))).map_err(named(""))?;
        if let Some(validate) = &self.validate {
            not_zero(("every", validate.every)).map_err(named("validate."))?;
            let counts = [("max_tokens", validate.max_tokens), ("batch_size", validate.batch_size)];
            counts.into_iter().try_for_each(at_once).map_err(named("validate."))?;
        }
        if self.validate.as_ref().is_some_and(|validate| validate.questions == Some(0)) {
            return at_top("validate.questions", "is 0");
        }
        self.schedule.check().map_err(named("schedule."))?;
        self.optimizer.check().map_err(named("optimizer."))?;
        for (index, phase) in self.phases.iter().enumerate() {
            phase.check().map_err(named(&format!("phases[{index}].")))?;
        }
        Ok(())
    }
}

/// Every number of a file, by its path: none is too large to be reckoned with, and all are numbers.
fn check_numbers(path: &str, value: &toml::Value) -> Result<(), (String, String)> {
    match value {
        toml::Value::Integer(number) if number.unsigned_abs() > MAX_NUMBER as u64 => {
            Err((path.to_owned(), format!("is {number}; {MAX_NUMBER} is the most")))
        }
        toml::Value::Float(number) if !number.is_finite() => {
            Err((path.to_owned(), "is no number".to_owned()))
        }
        toml::Value::Array(items) => items
            .iter()
            .enumerate()
            .try_for_each(|(index, item)| check_numbers(&format!("{path}[{index}]"), item)),
        toml::Value::Table(table) => table.iter().try_for_each(|(key, item)| {
            let dot = if path.is_empty() { "" } else { "." };
            check_numbers(&format!("{path}{dot}{key}"), item)
        }),
        _ => Ok(()),
    }
}

/// The same refusal with the whole path of its field.
fn named(prefix: &str) -> impl Fn((&'static str, String)) -> (String, String) {
    move |(field, reason)| (format!("{prefix}{field}"), reason)
}

impl Until {
    fn check(&self) -> Result<(), (&'static str, String)> {
        at_once(("until.rounds", self.rounds))?;
        match self.loss > 0.0 {
            true => Ok(()),
            false => Err(("until.loss", format!("is {}; no loss is that low", self.loss))),
        }
    }
}

impl Phase {
    /// How often it is done at most.
    pub fn rounds(&self) -> usize {
        self.until.map_or(1, |until| until.rounds)
    }

    fn check(&self) -> Result<(), (&'static str, String)> {
        if let Some(lr) = self.lr {
            check_lr(lr)?;
        }
        if let Some(schedule) = &self.schedule {
            schedule.check()?;
        }
        at_once(("accumulate", self.accumulate))?;
        not_zero(("max_steps", self.max_steps.unwrap_or(1)))?;
        if let Some(until) = &self.until {
            until.check()?;
        }
        match &self.objective {
            Objective::Questions(work) => {
                at_once(("objective.questions.batch_size", work.batch_size))?;
                not_zero(("objective.questions.epochs", work.epochs))?;
                not_zero(("objective.questions.parts", work.parts))?;
                if work.method.learns_nodes() {
                    let reason = "learns the next node, which no file names; take graphs that are made on the way";
                    return Err(("objective.questions.method", reason.to_owned()));
                }
                work.method.check()
            }
            Objective::Graphs(work) => work.check(),
        }
    }
}
