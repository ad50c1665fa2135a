//! `coconut reason`: questions answered in this process, as `POST /v1/reason` answers them. Its flags and the order of
//! events; what is said about an answer is `show`'s business.

mod ask;
mod bars;
mod input;
mod local;
mod show;
mod words;

use crate::cli::flags::EngineArgs;
use crate::cli::flags::HubArgs;
use crate::cli::flags::ModelArgs;
use crate::cli::flags::located_quietly;
use crate::cli::reason::ask::AskArgs;
use crate::cli::reason::input::InputArgs;
use crate::cli::reason::local::Local;
use crate::cli::reason::show::Show;
use crate::cli::reason::show::ShowArgs;
use crate::cli::runtime::block_on;
use crate::metrics::Metrics;
use crate::reason::reasoner::Reasoner;
use crate::reason::reasoner::ReasonerConfig;
use anyhow::Context as _;
use anyhow::bail;
use anyhow::ensure;
use clap::Args;
use futures::StreamExt as _;
use futures::stream;
use serde_json::Map;
use serde_json::Value;
use std::path::PathBuf;
use std::pin::pin;
use std::sync::Arc;

/// Flags of `coconut reason`.
#[derive(Debug, Args)]
pub(super) struct ReasonArgs {
    #[command(flatten)]
    input: InputArgs,
    #[command(flatten, next_help_heading = "Output")]
    show: ShowArgs,
    #[command(flatten, next_help_heading = "Model")]
    model: ModelArgs,
    #[command(flatten, next_help_heading = "Asking")]
    ask: AskArgs,
    /// File with the mean thoughts for `--feedback mean` (`coconut probe` writes it).
    #[arg(hide_short_help = true, long, value_name = "FILE", help_heading = "Asking")]
    thought_means: Option<PathBuf>,
    #[command(flatten, next_help_heading = "Hub")]
    hub: HubArgs,
    #[command(flatten, next_help_heading = "Engine")]
    engine: EngineArgs,
}

impl ReasonArgs {
    /// Answers all questions, in their order.
    pub(super) fn run(self) -> anyhow::Result<()> {
        let Self { input, show, model, ask, thought_means, hub, engine } = self;
        let questions = input.questions()?;
        ensure!(
            thought_means.is_some() || !ask.asks_for_means(),
            "--feedback mean: needs --thought-means, a file that `coconut probe` writes"
        );
        let body = ask.body(show.includes())?;
        let show = show.of(&ask, questions.len());
        let (model, built_in) = located_quietly(model, &hub)?;
        engine.compute.start_threads();
        let (processor, precision) = (engine.compute.device, engine.compute.precision());
        let engine = engine.config();
        let config =
            ReasonerConfig { model, name: None, processor, precision, engine, thought_means };
        let metrics = Arc::new(Metrics::new());
        let reasoner = Reasoner::load(&config, Arc::clone(&metrics));
        let reasoner = reasoner.context("cannot load the model")?;
        drop(built_in);
        let local = Local::new(reasoner, metrics);
        block_on(async {
            match &questions[..] {
                [question] => one(&local, &body, question, show).await,
                all => many(&local, &body, all, (&show, engine.max_running)).await,
            }
        })?
    }
}

type Body = Map<String, Value>;

/// A single question, whose parts are shown as they come where somebody looks.
async fn one(local: &Local, body: &Body, question: &str, mut show: Show) -> anyhow::Result<()> {
    let answered = match show.is_live() {
        true => local.stream(body, question, |name, data| show.event(name, data)).await?,
        false => local.ask(body, question).await?,
    };
    match answered {
        Ok(answer) => show.answer(question, &answer),
        Err(refusal) => {
            show.refusal(question, &refusal)?;
            bail!(refusal.told())
        }
    }
}

/// Many questions together, each shown in its turn.
async fn many(
    local: &Local,
    body: &Body,
    questions: &[String],
    (show, together): (&Show, usize),
) -> anyhow::Result<()> {
    let bar = show::bar(questions.len());
    let answers = stream::iter(questions.iter().enumerate())
        .map(async |(at, question)| (at, question, local.ask(body, question).await))
        .buffered(together);
    let (mut answers, mut unanswered) = (pin!(answers), 0);
    while let Some((at, question, answered)) = answers.next().await {
        match answered? {
            Ok(answer) => bar.suspend(|| show.answer(question, &answer))?,
            Err(refusal) if refusal.is_of_flags() => bail!(refusal.told()),
            Err(refusal) => {
                unanswered += 1;
                bar.suspend(|| {
                    show.refusal(question, &refusal)?;
                    words::complain(&format!("question {}: {}", at + 1, refusal.told()))
                })?;
            }
        }
        bar.inc(1);
    }
    bar.finish_and_clear();
    match unanswered {
        0 => Ok(()),
        _ => bail!("{unanswered} of {} questions have no answer", questions.len()),
    }
}
