//! The command line: one file a subcommand (its flags, what it does with them, what it prints), and what several share:
//! `flags`, `compute`, `telemetry`. The environment is read here and nowhere else; a flag's doc comment is its help text.

mod bench;
mod compute;
mod convert;
mod eval;
mod flags;
mod generate_data;
mod healthcheck;
mod inspect;
mod openapi;
mod runtime;
mod serve;
mod telemetry;
mod train;

use crate::cli::bench::BenchArgs;
use crate::cli::convert::ConvertArgs;
use crate::cli::eval::EvalArgs;
use crate::cli::generate_data::GenerateDataArgs;
use crate::cli::healthcheck::HealthcheckArgs;
use crate::cli::inspect::InspectArgs;
use crate::cli::openapi::OpenapiArgs;
use crate::cli::runtime::block_on;
use crate::cli::serve::ServeArgs;
use crate::cli::train::TrainArgs;
use clap::Parser;
use clap::Subcommand;

/// Serve language models that reason in a continuous latent space.
#[derive(Debug, Parser)]
#[command(version)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Answer questions over HTTP.
    Serve(Box<ServeArgs>),
    /// Ask a running server whether it is ready; exit code 0 if so, 1 if not.
    Healthcheck(HealthcheckArgs),
    /// Write any published checkpoint as a folder that this program and Hugging Face transformers read.
    Convert(ConvertArgs),
    /// Say what a checkpoint is and what it takes to serve it, without reading its weights.
    Inspect(InspectArgs),
    /// Write questions to train and evaluate on, and the tokenizer for them.
    GenerateData(GenerateDataArgs),
    /// Load a running server with questions and say how fast it answers.
    Bench(Box<BenchArgs>),
    /// Ask a file of questions, and count the right answers.
    Eval(Box<EvalArgs>),
    /// Train a checkpoint: Coconut's curriculum, its rivals, or what a recipe says.
    Train(TrainArgs),
    /// Print the OpenAPI document of the server.
    Openapi(OpenapiArgs),
}

impl Cli {
    /// Does what the command line says.
    pub fn run(self) -> anyhow::Result<()> {
        match self.command {
            Command::Serve(args) => args.run(),
            Command::Healthcheck(args) => block_on(args.run())?,
            Command::Convert(args) => args.run(),
            Command::Inspect(args) => args.run(),
            Command::GenerateData(args) => args.run(),
            Command::Bench(args) => block_on(args.run())?,
            Command::Eval(args) => args.run(),
            Command::Train(args) => args.run(),
            Command::Openapi(args) => args.run(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Cli;
    use clap::CommandFactory as _;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }
}
