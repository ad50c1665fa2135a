//! The flags about tools and prompts that commands which answer here have in common. Runs nothing.

use crate::eval::settings::FactsFor;
use crate::prompting::file::Method;
use crate::prompting::file::Prompts;
use crate::prompting::render::Prompt;
use anyhow::Context as _;
use clap::Args;
use clap::ValueEnum;
use std::path::PathBuf;

#[derive(Debug, Args)]
pub(super) struct ToolArgs {
    /// Tools that the model may call, as `coconut serve` has them: calculator, graph, lookup=FOLDER and so on. A server's
    /// own count with --url.
    #[arg(long, value_name = "TOOLS", value_delimiter = ',')]
    pub(super) tools: Vec<String>,
    /// Who is told the facts that a question begins with, where the model calls tools.
    #[arg(hide_short_help = true, long, value_name = "WHO", value_enum, default_value = "tools")]
    pub(super) facts: FactsArg,
    /// A file of prompts (models/prompts) to ask in with --method, for any language model.
    #[arg(long, value_name = "FILE", requires = "method")]
    pub(super) prompts: Option<PathBuf>,
    /// How the prompt has the question answered: standard, cot, act or react.
    #[arg(hide_short_help = true, long, value_name = "METHOD", requires = "prompts")]
    method: Option<Method>,
    /// Worked examples before the question.
    #[arg(
        hide_short_help = true,
        long,
        value_name = "N",
        default_value = "6",
        requires = "prompts"
    )]
    shots: usize,
}

/// Who is told facts.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(super) enum FactsArg {
    /// The tools, and not the model.
    Tools,
    /// The model.
    Model,
    /// Both.
    Both,
}

impl ToolArgs {
    /// What questions are shown in, where that is not the recipe's prompt.
    pub(super) fn prompt(&self) -> anyhow::Result<Option<Prompt>> {
        let (Some(path), Some(method)) = (&self.prompts, self.method) else { return Ok(None) };
        let prompts = Prompts::read(path).context("--prompts")?;
        Ok(Some(prompts.prompt(method, self.shots).context("--shots")?))
    }
}

impl From<FactsArg> for FactsFor {
    fn from(facts: FactsArg) -> Self {
        match facts {
            FactsArg::Tools => Self::Tools,
            FactsArg::Model => Self::Model,
            FactsArg::Both => Self::Both,
        }
    }
}
