//! `coconut eval`: its flags, and where its results go.

use crate::cli::address::parse_key;
use crate::cli::address::parse_url;
use crate::cli::counts::count;
use crate::cli::counts::setting;
use crate::cli::flags::EngineArgs;
use crate::cli::flags::HubArgs;
use crate::cli::flags::ModelArgs;
use crate::cli::flags::located;
use crate::cli::questions::QuestionArgs;
use crate::cli::thoughts::FeedbackArg;
use crate::cli::thoughts::parse_sigma;
use crate::cli::thoughts::parse_temperature;
use crate::cli::tools::ToolArgs;
use crate::data::questions::Skipped;
use crate::eval::Who;
use crate::eval::evaluate;
use crate::eval::kept;
use crate::eval::kept::Kept;
use crate::eval::picture;
use crate::eval::remote::Remote;
use crate::eval::report::Report;
use crate::eval::settings::Facts;
use crate::eval::settings::Samples;
use crate::eval::settings::Settings;
use crate::latent::answer::AnswerRule;
use crate::metrics::Metrics;
use crate::reason::question::MAX_COUNT;
use crate::reason::question::MAX_SAMPLES;
use crate::reason::reasoner::Reasoner;
use crate::reason::reasoner::ReasonerConfig;
use crate::text::units::Counts;
use crate::text::units::parse_counts;
use crate::text::units::parse_seconds;
use crate::tools::set::ToolSet;
use crate::web::client::Client;
use anyhow::Context as _;
use anyhow::ensure;
use clap::Args;
use clap::ValueEnum;
use hyper::Uri;
use hyper::header::HeaderValue;
use std::io::Write as _;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::runtime::Runtime;

/// Flags of `coconut eval`.
#[derive(Debug, Args)]
pub(super) struct EvalArgs {
    #[command(flatten, next_help_heading = "Model")]
    model: ModelArgs,
    #[command(flatten, next_help_heading = "Server")]
    server: ServerArgs,
    #[command(flatten, next_help_heading = "Questions")]
    asked: AskedArgs,
    #[command(flatten, next_help_heading = "Thoughts")]
    thoughts: ThoughtArgs,
    #[command(flatten, next_help_heading = "Tools and prompts")]
    tools: ToolArgs,
    #[command(flatten, next_help_heading = "Results")]
    results: ResultArgs,
    #[command(flatten, next_help_heading = "Hub")]
    hub: HubArgs,
    #[command(flatten, next_help_heading = "Engine")]
    engine: EngineArgs,
}

#[derive(Debug, Args)]
struct ServerArgs {
    /// Ask a running server or a gateway at this address instead of a checkpoint here; flags about model and engine then
    /// change nothing. What is found is kept in the file of --json, and a run that was ended goes on from there.
    #[arg(long, value_name = "URL", value_parser = parse_url)]
    url: Option<Uri>,
    /// Key to send as `authorization: Bearer KEY`. Prefer the variable: other users of the machine can see flags.
    #[arg(long, env = "COCONUT_API_KEY", value_name = "KEY", hide_env_values = true, value_parser = parse_key)]
    api_key: Option<HeaderValue>,
    /// Longest time for one answer of the server.
    #[arg(hide_short_help = true, long, value_name = "SECONDS", default_value = "60", value_parser = parse_seconds)]
    timeout: Duration,
    /// What part of a text the server's model takes for the answer. [default: that of its family]
    #[arg(hide_short_help = true, long, value_name = "RULE", value_enum)]
    answer_rule: Option<RuleArg>,
}

/// What part of a text is the answer.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum RuleArg {
    /// All of it.
    Whole,
    /// What follows the last `#`.
    AfterHash,
    /// The last number.
    LastNumber,
    /// The letter after `The answer is:`.
    Choice,
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
    #[arg(hide_short_help = true, long, value_name = "FILE")]
    thought_means: Option<PathBuf>,
    /// Answers to each question. Their vote counts, and pass@k is told.
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
        let Self { model, server, asked, thoughts, tools, results, hub, engine } = self;
        ensure!(
            server.url.is_none() || (tools.tools.is_empty() && tools.prompts.is_none()),
            "--url: a server has its own tools and prompt; leave --tools and --prompts out"
        );
        let runtime = Runtime::new().context("cannot start the async runtime")?;
        let (prompt, facts_for) = (tools.prompt()?, tools.facts.into());
        let tools = runtime.block_on(ToolSet::open(tools.tools))?;
        let questions = asked.questions.read(asked.limit).context("cannot read the questions")?;
        let concurrency = asked.concurrency.unwrap_or(engine.config().max_running);
        let settings = |facts: &Facts| Settings {
            latent_steps: match &asked.latent_steps {
                Some(steps) => steps.0.clone(),
                None => vec![facts.default_latent_steps],
            },
            max_tokens: asked.max_tokens,
            concurrency,
            feedback: thoughts.feedback.into(),
            sampling: thoughts.samples(),
            facts_for,
            prompt: prompt.clone(),
            tools: tools.clone(),
        };
        let data = &asked.questions.data;
        let data = data.file_name().unwrap_or(data.as_os_str()).to_string_lossy().into_owned();
        let Some(url) = server.url.clone() else {
            ensure!(
                thoughts.thought_means.is_some() || !matches!(thoughts.feedback, FeedbackArg::Mean),
                "--feedback mean: needs --thought-means, a file that `coconut probe` writes"
            );
            let reasoner =
                load((model, &hub), &engine, concurrency, thoughts.thought_means.clone())?;
            let who = Who::Here(&reasoner);
            let facts = who.facts();
            let settings = settings(&facts);
            let mut kept = Kept::nowhere(report(facts, data, questions.skipped, &settings));
            runtime.block_on(evaluate(who, &questions.rows, &settings, &mut kept))?;
            return results.show(kept.report());
        };
        runtime.block_on(async {
            let remote = server.meet(url, concurrency).await?;
            let who = Who::There(&remote);
            let facts = who.facts();
            let settings = settings(&facts);
            let mut kept = results.kept(report(facts, data, questions.skipped, &settings))?;
            let evaluated = evaluate(who, &questions.rows, &settings, &mut kept).await;
            evaluated.with_context(|| results.hint(&kept))?;
            results.show(kept.report())
        })
    }
}

/// The checkpoint that answers.
fn load(
    (model, hub): (ModelArgs, &HubArgs),
    engine: &EngineArgs,
    concurrency: usize,
    thought_means: Option<PathBuf>,
) -> anyhow::Result<Arc<Reasoner>> {
    let (model, built_in) = located(model, hub)?;
    engine.compute.start_threads();
    let (processor, precision) = (engine.compute.device, engine.compute.precision());
    let mut engine = engine.config();
    engine.max_queued = engine.max_queued.max(concurrency);
    let config = ReasonerConfig { model, name: None, processor, precision, engine, thought_means };
    let reasoner = Reasoner::load(&config, Arc::new(Metrics::new()));
    drop(built_in);
    Ok(Arc::new(reasoner.context("cannot load the model")?))
}

fn report(facts: Facts, data: String, skipped: Skipped, settings: &Settings) -> Report {
    let Facts { model, fingerprint, family, .. } = facts;
    Report {
        model,
        fingerprint,
        family,
        data,
        skipped,
        settings: settings.told(),
        runs: Vec::new(),
    }
}

impl ServerArgs {
    async fn meet(&self, url: Uri, concurrency: usize) -> anyhow::Result<Remote> {
        ensure!(!self.timeout.is_zero(), "--timeout must be above 0");
        let rule = self.answer_rule.map(AnswerRule::from);
        let client = Client::new(url, self.api_key.clone(), concurrency);
        Remote::meet(client, rule, self.timeout).await.context("--url")
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

impl ResultArgs {
    /// What is known already, where there is a file of it.
    fn kept(&self, report: Report) -> anyhow::Result<Kept> {
        let Some(path) = &self.json else { return Ok(Kept::nowhere(report)) };
        let kept = Kept::at(path, report).context("--json")?;
        if kept.answers() > 0 {
            let (answers, path) = (kept.answers(), path.display());
            writeln!(std::io::stderr(), "{path}: going on behind {answers} answers")?;
        }
        Ok(kept)
    }

    /// What to do where a run ended early.
    fn hint(&self, kept: &Kept) -> String {
        match &self.json {
            Some(path) => format!(
                "ended after {} answers, which are in {}: the same command goes on from there",
                kept.answers(),
                path.display()
            ),
            None => "ended early; with --json FILE a run can go on where it ended".to_owned(),
        }
    }

    fn show(&self, report: &Report) -> anyhow::Result<()> {
        writeln!(std::io::stdout(), "{report}")?;
        if let Some(path) = &self.json {
            kept::write(path, report)?;
        }
        if let Some(path) = &self.picture {
            picture::draw(report, path)
                .map_err(|error| anyhow::anyhow!(error))
                .with_context(|| format!("cannot draw {}", path.display()))?;
        }
        Ok(())
    }
}

impl From<RuleArg> for AnswerRule {
    fn from(rule: RuleArg) -> Self {
        match rule {
            RuleArg::Whole => Self::Whole,
            RuleArg::AfterHash => Self::AfterHash,
            RuleArg::LastNumber => Self::LastNumber,
            RuleArg::Choice => Self::Choice,
        }
    }
}
