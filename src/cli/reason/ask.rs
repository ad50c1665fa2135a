//! The settings of a question as flags: each is a field of `POST /v1/reason`. Checks what needs no model; the route checks
//! the rest.

use crate::cli::counts::count;
use crate::cli::thoughts::FeedbackArg;
use crate::cli::thoughts::parse_sigma;
use crate::cli::thoughts::parse_temperature;
use crate::files;
use crate::reason::question::MAX_COUNT;
use crate::reason::question::MAX_SAMPLES;
use crate::reason::question::MAX_TOP_TOKENS;
use crate::text::units::Counts;
use crate::text::units::parse_counts;
use anyhow::Context as _;
use anyhow::ensure;
use clap::Args;
use clap::ValueEnum as _;
use serde_json::Map;
use serde_json::Value;
use serde_json::json;
use std::path::Path;

/// How questions are asked.
#[derive(Debug, Args)]
pub(super) struct AskArgs {
    /// Thoughts before the answer, or `auto`: until they settle. [default: the model's]
    #[arg(long, value_name = "N|auto", value_parser = parse_steps)]
    latent_steps: Option<Steps>,
    /// With `--latent-steps auto`: the difference at which thoughts count as settled, as a share of their length.
    /// [default: 0.1]
    #[arg(hide_short_help = true, long, value_name = "SHARE", value_parser = parse_number)]
    tolerance: Option<f64>,
    /// An answer after each of these numbers of thoughts, such as 0..8 or 0,3,6.
    #[arg(long, value_name = "N,N,...", value_parser = parse_counts, conflicts_with_all = ["latent_steps", "n"])]
    sweep: Option<Counts>,
    /// What is fed in the places of thoughts: the controls that tell whether they matter. [default: hidden]
    #[arg(long, value_name = "WHAT", value_enum)]
    feedback: Option<FeedbackArg>,
    /// What is done to single thoughts, as JSON or @FILE with it. As the API has it: '[{"step": 3, "op": "zero"}]'.
    #[arg(long, value_name = "JSON", value_parser = parse_interventions)]
    interventions: Option<Value>,
    /// Standard deviation of noise on every thought, each sample its own.
    #[arg(long, value_name = "SIGMA", value_parser = parse_sigma)]
    latent_noise: Option<f32>,
    /// Answers to each question; the most frequent one is told. [default: 1]
    #[arg(short, long, value_name = "N", value_parser = count(1..=MAX_SAMPLES))]
    n: Option<usize>,
    /// How answer tokens are chosen; 0 takes the most likely one. [default: 0]
    #[arg(long, value_name = "T", value_parser = parse_temperature)]
    temperature: Option<f64>,
    /// Choose among the likeliest tokens whose probabilities reach this sum.
    #[arg(hide_short_help = true, long, value_name = "P", value_parser = parse_number)]
    top_p: Option<f64>,
    /// Choose among so many of the likeliest tokens.
    #[arg(hide_short_help = true, long, value_name = "N", value_parser = count(1..=usize::MAX))]
    top_k: Option<usize>,
    /// Makes what is random repeatable. [default: another one each time]
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    /// Most answer tokens. [default: the model's]
    #[arg(long, value_name = "N", value_parser = count(1..=MAX_COUNT))]
    max_tokens: Option<usize>,
    /// A string that ends the answer and is no part of it; may be given several times.
    #[arg(hide_short_help = true, long, value_name = "TEXT")]
    stop: Vec<String>,
    /// Go on after end-of-sequence tokens, up to `--max-tokens`.
    #[arg(hide_short_help = true, long)]
    ignore_eos: bool,
    /// What to report beside the answer, separated by commas: `thoughts`, `thought_vectors`, `first_logits`, `logprobs`,
    /// `entropy`, `cosine`, `hidden_states`, `lens`, `attention`.
    #[arg(
        hide_short_help = true,
        long,
        value_name = "WHAT",
        value_delimiter = ',',
        requires = "json"
    )]
    include: Vec<String>,
    /// Where to look with `hidden_states`, `lens` or `attention` in `--include`: JSON as the API takes it, or @FILE with it.
    #[arg(hide_short_help = true, long, value_name = "JSON", value_parser = parse_json, requires = "json")]
    inside: Option<Value>,
    /// Tokens that are shown of each thought. [default: 5]
    #[arg(hide_short_help = true, long, value_name = "N", value_parser = count(0..=MAX_TOP_TOKENS))]
    top_thought_tokens: Option<usize>,
}

/// How many thoughts.
#[derive(Clone, Copy, Debug)]
enum Steps {
    Exactly(usize),
    Auto,
}

impl AskArgs {
    /// Whether there are several answers to a question.
    pub(super) fn asks_many(&self) -> bool {
        self.sweep.is_some() || self.n.is_some_and(|n| n > 1)
    }

    /// Whether the mean thoughts of a data set are fed.
    pub(super) fn asks_for_means(&self) -> bool {
        matches!(self.feedback, Some(FeedbackArg::Mean))
    }

    /// The body of a request but for its question; `shown` is reported beside what is asked for.
    pub(super) fn body(&self, shown: &[&str]) -> anyhow::Result<Map<String, Value>> {
        let is_auto = matches!(self.latent_steps, Some(Steps::Auto));
        ensure!(self.tolerance.is_none() || is_auto, "--tolerance: belongs to --latent-steps auto");
        let mut include = self.include.clone();
        let more = shown.iter().filter(|what| !self.include.iter().any(|it| it == *what));
        include.extend(more.map(|what| (*what).to_owned()));
        let feedback = self.feedback.and_then(|feedback| feedback.to_possible_value());
        let fields = [
            (
                "latent_steps",
                self.latent_steps.map(|steps| match steps {
                    Steps::Exactly(steps) => json!(steps),
                    Steps::Auto => json!("auto"),
                }),
            ),
            ("tolerance", self.tolerance.map(Value::from)),
            ("sweep", self.sweep.as_ref().map(|steps| json!(steps.0))),
            ("feedback", feedback.map(|feedback| json!(feedback.get_name()))),
            ("interventions", self.interventions.clone()),
            ("latent_noise", self.latent_noise.map(|sigma| json!({ "sigma": sigma }))),
            ("n", self.n.map(Value::from)),
            ("temperature", self.temperature.map(Value::from)),
            ("top_p", self.top_p.map(Value::from)),
            ("top_k", self.top_k.map(Value::from)),
            ("seed", self.seed.map(Value::from)),
            ("max_tokens", self.max_tokens.map(Value::from)),
            ("stop", (!self.stop.is_empty()).then(|| json!(self.stop))),
            ("ignore_eos", self.ignore_eos.then_some(Value::Bool(true))),
            ("include", (!include.is_empty()).then(|| json!(include))),
            ("inside", self.inside.clone()),
            ("top_thought_tokens", self.top_thought_tokens.map(Value::from)),
        ];
        let given = fields.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?)));
        Ok(given.collect())
    }
}

fn parse_steps(text: &str) -> anyhow::Result<Steps> {
    if text == "auto" {
        return Ok(Steps::Auto);
    }
    let steps: usize = text.parse().context("neither a number nor `auto`")?;
    ensure!(steps <= MAX_COUNT, "must be from 0 to {MAX_COUNT}");
    Ok(Steps::Exactly(steps))
}

fn parse_number(text: &str) -> anyhow::Result<f64> {
    let number: f64 = text.parse().context("not a number")?;
    ensure!(number.is_finite(), "not a number");
    Ok(number)
}

/// JSON, or what a file has of it.
fn parse_json(text: &str) -> anyhow::Result<Value> {
    let read =
        |path: &str| files::read(Path::new(path)).with_context(|| format!("cannot read {path}"));
    let file = text.strip_prefix('@').map(read).transpose()?;
    serde_json::from_str(file.as_deref().unwrap_or(text)).context("not JSON; @FILE names a file")
}

/// A list, or one of its elements.
fn parse_interventions(text: &str) -> anyhow::Result<Value> {
    Ok(match parse_json(text)? {
        one @ Value::Object(_) => json!([one]),
        other => other,
    })
}
