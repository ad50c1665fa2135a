//! `coconut probe`: its flags, and where its results go.

use crate::cli::counts::count;
use crate::cli::counts::setting;
use crate::cli::flags::EngineArgs;
use crate::cli::flags::HubArgs;
use crate::cli::flags::ModelArgs;
use crate::cli::flags::located;
use crate::cli::questions::QuestionArgs;
use crate::data::prosqa::file::records;
use crate::metrics::Metrics;
use crate::probe::Asked;
use crate::probe::Settings;
use crate::probe::edit::EditKind;
use crate::probe::file;
use crate::probe::journal::Journal;
use crate::probe::picture;
use crate::probe::probe;
use crate::probe::summary::Summary;
use crate::reason::question::MAX_COUNT;
use crate::reason::question::MAX_TOP_TOKENS;
use crate::reason::reasoner::Reasoner;
use crate::reason::reasoner::ReasonerConfig;
use anyhow::Context as _;
use anyhow::ensure;
use clap::Args;
use clap::builder::PossibleValuesParser;
use clap::builder::TypedValueParser;
use serde_json::json;
use std::io::Write as _;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::sync::Arc;
use tokio::runtime::Runtime;

/// Flags of `coconut probe`.
#[derive(Debug, Args)]
pub(super) struct ProbeArgs {
    #[command(flatten, next_help_heading = "Model")]
    model: ModelArgs,
    #[command(flatten, next_help_heading = "Questions")]
    asked: AskedArgs,
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
    /// Thoughts of each question; it is answered after each number up to this. [default: what the checkpoint's recipe says]
    #[arg(long, value_name = "N", value_parser = count(0..=MAX_COUNT))]
    latent_steps: Option<usize>,
    /// Only so many questions, from the beginning.
    #[arg(long, value_name = "N")]
    limit: Option<NonZeroUsize>,
    /// Most answer tokens. [default: what the checkpoint's recipe says]
    #[arg(long, value_name = "N", value_parser = count(1..=MAX_COUNT))]
    max_tokens: Option<usize>,
    /// Tokens that are read from each thought; frontiers of graphs are looked for among them.
    #[arg(long, value_name = "N", default_value = "100", value_parser = count(0..=MAX_TOP_TOKENS))]
    top: usize,
    /// Tokens that the head reads from each layer where a thought is fed; 0 does not look.
    #[arg(long, value_name = "N", default_value = "5", value_parser = count(0..=MAX_TOP_TOKENS))]
    lens: usize,
    /// What single thoughts are replaced with, one at a time: zeros, the mean of their step, a random vector of their length, what
    /// was fed before them, or nothing. None are where this is absent.
    #[arg(long, value_name = "WHAT", value_parser = edit_kind(), value_delimiter = ',')]
    edits: Vec<EditKind>,
    /// What everything random follows from.
    #[arg(long, value_name = "N", default_value = "0")]
    seed: u64,
    /// Questions that are asked at the same time. [default: a quarter of --max-running]
    #[arg(long, value_name = "N", value_parser = setting())]
    concurrency: Option<usize>,
}

#[derive(Debug, Args)]
struct ResultArgs {
    /// File for all tensors (safetensors); a JSON file beside it says what is what. What is found on the way is kept beside it,
    /// and a run that was ended goes on from there.
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// File to draw everything by number of thoughts in (SVG).
    #[arg(long, value_name = "FILE")]
    picture: Option<PathBuf>,
}

/// By the name that files have for it.
fn edit_kind() -> impl TypedValueParser<Value = EditKind> {
    let named = |name: &str| EditKind::ALL.into_iter().find(|kind| kind.name() == name);
    PossibleValuesParser::new(EditKind::ALL.map(EditKind::name))
        .try_map(move |name| named(&name).ok_or("is no edit"))
}

impl ProbeArgs {
    /// Looks into the questions, and says what is found.
    pub(super) fn run(self) -> anyhow::Result<()> {
        let Self { model, asked, results, hub, engine } = self;
        let questions = asked.questions.read(asked.limit).context("cannot read the questions")?;
        let mut graphs = records(&asked.questions.data);
        let questions: Vec<Asked> = questions
            .rows
            .into_iter()
            .map(|row| Asked {
                number: row.number,
                example: row.example,
                graph: graphs.remove(&row.number),
            })
            .collect();
        let (model, built_in) = located(model, &hub)?;
        engine.compute.start_threads();
        let (processor, precision) = (engine.compute.device, engine.compute.precision());
        let mut engine = engine.config();
        // Each is asked after every number of thoughts at once.
        let concurrency = asked.concurrency.unwrap_or(engine.max_running.div_ceil(4));
        engine.max_queued = engine.max_queued.max(concurrency);
        let thought_means = None;
        let config =
            ReasonerConfig { model, name: None, processor, precision, engine, thought_means };
        let reasoner = Reasoner::load(&config, Arc::new(Metrics::new()));
        let reasoner = reasoner.context("cannot load the model")?;
        drop(built_in);
        let settings = asked.settings(&reasoner, concurrency)?;
        results.find(&reasoner, (&questions, &settings), &asked)
    }
}

impl AskedArgs {
    fn settings(&self, reasoner: &Reasoner, concurrency: usize) -> anyhow::Result<Settings> {
        let card = reasoner.card();
        let latent_steps = self.latent_steps.unwrap_or(card.default_latent_steps);
        let most = card.max_latent_steps;
        ensure!(
            latent_steps <= most,
            "--latent-steps: {latent_steps} is more than this model's maximum of {most}"
        );
        Ok(Settings {
            latent_steps,
            max_tokens: self.max_tokens,
            top: self.top,
            lens: self.lens,
            edits: self.edits.clone(),
            seed: self.seed,
            concurrency,
        })
    }
}

impl ResultArgs {
    fn find(
        &self,
        reasoner: &Reasoner,
        (questions, settings): (&[Asked], &Settings),
        asked: &AskedArgs,
    ) -> anyhow::Result<()> {
        let (card, data) = (reasoner.card(), &asked.questions.data);
        let data = data.file_name().unwrap_or(data.as_os_str()).to_string_lossy().into_owned();
        let run = json!({
            "model": card.name,
            "family": card.family,
            "data": data,
            "latent_steps": settings.latent_steps,
            "max_tokens": settings.max_tokens,
            "top": settings.top,
            "lens": settings.lens,
            "seed": settings.seed,
            "edits": settings.edits.iter().map(|edit| edit.name()).collect::<Vec<_>>(),
        });
        let part = self.out.with_added_extension("part.jsonl");
        let journal = Journal::open(&part, &run)?;
        let runtime = Runtime::new().context("cannot start the async runtime")?;
        let found = runtime.block_on(probe(reasoner, questions, settings, journal))?;
        file::write(&self.out, (questions, settings), &found, &run)
            .map_err(|error| anyhow::anyhow!(error))
            .with_context(|| format!("cannot write {}", self.out.display()))?;
        std::fs::remove_file(&part).with_context(|| format!("cannot remove {}", part.display()))?;
        let summary = Summary::of(&found, &settings.edits);
        writeln!(std::io::stdout(), "{} on {data}: {summary}", card.name)?;
        if let Some(path) = &self.picture {
            picture::draw(&summary, &format!("{} on {data}", card.name), path)
                .map_err(|error| anyhow::anyhow!(error))
                .with_context(|| format!("cannot draw {}", path.display()))?;
        }
        Ok(())
    }
}
