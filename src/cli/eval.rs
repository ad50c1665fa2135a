//! `coconut eval`: its flags, and where its results go.

use crate::cli::counts::count;
use crate::cli::counts::setting;
use crate::cli::flags::EngineArgs;
use crate::cli::flags::HubArgs;
use crate::cli::flags::ModelArgs;
use crate::cli::flags::located;
use crate::cli::questions::QuestionArgs;
use crate::eval::Samples;
use crate::eval::Settings;
use crate::eval::evaluate;
use crate::eval::picture;
use crate::eval::report::Report;
use crate::metrics::Metrics;
use crate::reason::question::Feedback;
use crate::reason::question::MAX_COUNT;
use crate::reason::question::MAX_SAMPLES;
use crate::reason::question::MAX_SIGMA;
use crate::reason::question::MAX_TEMPERATURE;
use crate::reason::reasoner::Reasoner;
use crate::reason::reasoner::ReasonerConfig;
use crate::text::units::Counts;
use crate::text::units::parse_counts;
use anyhow::Context as _;
use anyhow::ensure;
use clap::Args;
use clap::ValueEnum;
use std::io::Write as _;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::sync::Arc;
use tokio::runtime::Runtime;

/// Flags of `coconut eval`.
#[derive(Debug, Args)]
pub(super) struct EvalArgs {
    #[command(flatten, next_help_heading = "Model")]
    model: ModelArgs,
    #[command(flatten, next_help_heading = "Questions")]
    asked: AskedArgs,
    #[command(flatten, next_help_heading = "Thoughts")]
    thoughts: ThoughtArgs,
    #[command(flatten, next_help_heading = "Results")]
    results: ResultArgs,
    #[command(flatten, next_help_heading = "Hub")]
    hub: HubArgs,
    #[command(flatten, next_help_heading = "Engine")]
    engine: EngineArgs,
}

#[derive(Debug, Args)]
struct AskedArgs {
    #[command(flatten)]
    questions: QuestionArgs,
    /// Numbers of latent steps to try: 6, or 0,3,6, or all from 0..8. [default: what the checkpoint's recipe says]
    #[arg(long, value_name = "N", value_parser = parse_counts)]
    latent_steps: Option<Counts>,
    /// Only so many questions, from the beginning.
    #[arg(long, value_name = "N")]
    limit: Option<NonZeroUsize>,
    /// Most answer tokens. [default: what the checkpoint's recipe says]
    #[arg(long, value_name = "N", value_parser = count(1..=MAX_COUNT))]
    max_tokens: Option<usize>,
    /// Questions that are asked at the same time. [default: --max-running]
    #[arg(long, value_name = "N", value_parser = setting())]
    concurrency: Option<usize>,
}

#[derive(Debug, Args)]
struct ThoughtArgs {
    /// What is fed in the places of thoughts: the controls that tell whether they matter.
    #[arg(long, value_name = "WHAT", value_enum, default_value = "hidden")]
    feedback: FeedbackArg,
    /// File with the mean thoughts for `--feedback mean` (`coconut probe` writes it).
    #[arg(long, value_name = "FILE")]
    thought_means: Option<PathBuf>,
    /// Answers to each question: their vote counts, and pass@k is told.
    #[arg(long, value_name = "N", default_value = "1", value_parser = count(1..=MAX_SAMPLES))]
    samples: usize,
    /// Standard deviation of noise on every thought, each sample its own.
    #[arg(long, value_name = "SIGMA", value_parser = parse_sigma)]
    latent_noise: Option<f32>,
    /// How answer tokens are chosen; 0 takes the most likely one.
    #[arg(long, value_name = "T", default_value = "0", value_parser = parse_temperature)]
    temperature: f64,
    /// What everything random follows from.
    #[arg(long, value_name = "N", default_value = "0")]
    seed: u64,
}

/// What is fed in the places of thoughts.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum FeedbackArg {
    /// The thoughts.
    Hidden,
    /// The embedding of the model's pause token.
    Pause,
    /// Random vectors of their lengths.
    Random,
    /// The question's own thoughts in another order.
    Shuffle,
    /// The mean thoughts of a data set.
    Mean,
    /// Nothing.
    None,
}

#[derive(Debug, Args)]
struct ResultArgs {
    /// File to write everything to, each answer included.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// File to draw accuracy against latent steps in (SVG).
    #[arg(long, value_name = "FILE")]
    picture: Option<PathBuf>,
}

impl EvalArgs {
    /// Asks the questions, and prints how many were answered rightly.
    pub(super) fn run(self) -> anyhow::Result<()> {
        let Self { model, asked, thoughts, results, hub, engine } = self;
        let questions = asked.questions.read(asked.limit).context("cannot read the questions")?;
        let (model, built_in) = located(model, &hub)?;
        engine.compute.start_threads();
        let (processor, precision) = (engine.compute.device, engine.compute.precision());
        let mut engine = engine.config();
        let concurrency = asked.concurrency.unwrap_or(engine.max_running);
        engine.max_queued = engine.max_queued.max(concurrency);
        let thought_means = thoughts.thought_means.clone();
        let config =
            ReasonerConfig { model, name: None, processor, precision, engine, thought_means };
        let reasoner = Reasoner::load(&config, Arc::new(Metrics::new()));
        let reasoner = reasoner.context("cannot load the model")?;
        drop(built_in);
        let card = reasoner.card();
        let settings = Settings {
            latent_steps: asked.latent_steps.map_or(vec![card.default_latent_steps], |n| n.0),
            max_tokens: asked.max_tokens,
            concurrency,
            feedback: thoughts.feedback.into(),
            sampling: thoughts.samples(),
        };
        let runtime = Runtime::new().context("cannot start the async runtime")?;
        let runs = runtime.block_on(evaluate(&reasoner, &questions.rows, &settings))?;
        let data = &asked.questions.data;
        let data = data.file_name().unwrap_or(data.as_os_str());
        results.show(&Report {
            model: card.name.clone(),
            family: card.family.clone(),
            data: data.to_string_lossy().into_owned(),
            skipped: questions.skipped,
            runs,
        })
    }
}

impl ThoughtArgs {
    fn samples(&self) -> Samples {
        Samples {
            count: self.samples,
            latent_noise: self.latent_noise,
            temperature: self.temperature,
            seed: self.seed,
        }
    }
}

impl From<FeedbackArg> for Feedback {
    fn from(feedback: FeedbackArg) -> Self {
        match feedback {
            FeedbackArg::Hidden => Self::Hidden,
            FeedbackArg::Pause => Self::Pause,
            FeedbackArg::Random => Self::Random,
            FeedbackArg::Shuffle => Self::Shuffle,
            FeedbackArg::Mean => Self::Mean,
            FeedbackArg::None => Self::None,
        }
    }
}

fn parse_sigma(text: &str) -> anyhow::Result<f32> {
    let sigma: f32 = text.parse().context("not a number")?;
    ensure!((0.0..=MAX_SIGMA).contains(&f64::from(sigma)), "must be from 0 to {MAX_SIGMA}");
    Ok(sigma)
}

fn parse_temperature(text: &str) -> anyhow::Result<f64> {
    let temperature: f64 = text.parse().context("not a number")?;
    ensure!((0.0..=MAX_TEMPERATURE).contains(&temperature), "must be from 0 to {MAX_TEMPERATURE}");
    Ok(temperature)
}

impl ResultArgs {
    fn show(&self, report: &Report) -> anyhow::Result<()> {
        writeln!(std::io::stdout(), "{report}")?;
        if let Some(path) = &self.json {
            std::fs::write(path, format!("{:#}\n", report.to_json()))
                .with_context(|| format!("cannot write {}", path.display()))?;
        }
        if let Some(path) = &self.picture {
            picture::draw(report, path)
                .map_err(|error| anyhow::anyhow!(error))
                .with_context(|| format!("cannot draw {}", path.display()))?;
        }
        Ok(())
    }
}
