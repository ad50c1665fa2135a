//! The command line: one file a subcommand (its flags, what it does with them, what it prints), and what several share:
//! `flags`, `compute`, `telemetry`. The environment is read here and nowhere else; a flag's doc comment is its help text.

mod address;
mod advice;
mod bench;
mod complete;
mod compute;
mod convert;
mod counts;
mod eval;
mod failure;
mod flags;
mod generate_data;
mod healthcheck;
mod help;
mod inspect;
mod lines;
mod man;
mod openapi;
mod probe;
mod questions;
mod reason;
mod runtime;
mod secret;
mod serve;
mod telemetry;
mod thoughts;
mod tools;
mod train;

use crate::cli::bench::BenchArgs;
use crate::cli::complete::CompletionsArgs;
use crate::cli::convert::ConvertArgs;
use crate::cli::eval::EvalArgs;
use crate::cli::generate_data::GenerateDataArgs;
use crate::cli::healthcheck::HealthcheckArgs;
use crate::cli::help::Length;
use crate::cli::help::with_help;
use crate::cli::inspect::InspectArgs;
use crate::cli::man::ManArgs;
use crate::cli::openapi::OpenapiArgs;
use crate::cli::probe::ProbeArgs;
use crate::cli::reason::ReasonArgs;
use crate::cli::runtime::block_on;
use crate::cli::serve::ServeArgs;
use crate::cli::train::TrainArgs;
use clap::Arg;
use clap::CommandFactory as _;
use clap::FromArgMatches as _;
use clap::Parser;
use clap::Subcommand;
use clap::builder::OsStr;
use clap::builder::Resettable;
use std::ffi::OsString;

/// On one screen: no list of flags, which are the same for all commands.
const TEMPLATE: &str = "\
{about}

{usage-heading} {usage}

Commands:
{subcommands}{after-help}";

const EXIT_CODES: &str = "\
coconut COMMAND --help tells about one of them, --help-all all of its flags.
Exit codes: 0 done; 1 failed, or no answer (standard error says why); 2 flags
that are not understood.";

/// Serve language models that reason in a continuous latent space.
#[derive(Debug, Parser)]
#[command(version, help_template = TEMPLATE, after_help = EXIT_CODES)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Answer a question here and now, without a server.
    Reason(Box<ReasonArgs>),
    /// Answer questions over HTTP.
    Serve(Box<ServeArgs>),
    /// Ask a server whether it is ready: exit code 0 if so, else 1.
    Healthcheck(HealthcheckArgs),
    /// Write any checkpoint as a folder that transformers reads.
    Convert(ConvertArgs),
    /// Say what a checkpoint is and what it takes to serve it.
    Inspect(InspectArgs),
    /// Write questions to train and evaluate on.
    GenerateData(GenerateDataArgs),
    /// Load a server with questions and say how fast it answers.
    Bench(Box<BenchArgs>),
    /// Ask a file of questions, and count the right answers.
    Eval(Box<EvalArgs>),
    /// Say what thoughts hold, and whether answers hang on them.
    Probe(Box<ProbeArgs>),
    /// Train a checkpoint by Coconut's method, or by a rival's.
    Train(TrainArgs),
    /// Print the OpenAPI document of the server.
    Openapi(OpenapiArgs),
    /// Print a script that completes commands and flags in a shell.
    Completions(CompletionsArgs),
    /// Write the pages of the manual.
    Man(ManArgs),
}

pub use crate::cli::advice::advice;
pub use crate::cli::failure::Told;
pub use crate::cli::failure::in_words;

/// Variables that protect the server. Empty ones are refused with the settings: somebody meant to set them.
const PROTECTING: [&str; 2] = ["COCONUT_API_KEYS", "COCONUT_API_KEYS_FILE"];

/// A command whose flags do not see variables that are empty: docker compose and others hand on so what is not set.
fn without_empty(
    command: clap::Command,
    value: &impl Fn(&std::ffi::OsStr) -> Option<OsString>,
) -> clap::Command {
    let is_empty = |arg: &Arg| {
        let name = arg.get_env().filter(|name| !PROTECTING.iter().any(|known| name == known));
        name.and_then(value).is_some_and(|value| value.is_empty())
    };
    let command = command.mut_args(|arg| match is_empty(&arg) {
        true => arg.env(Resettable::<OsStr>::Reset),
        false => arg,
    });
    command.mut_subcommands(|sub| without_empty(sub, value))
}

/// Flags that say the same thing in two ways.
const SAME: [[&str; 2]; 1] = [["kv-memory", "kv-positions"]];

/// A command in which the variable of a flag yields to the other flag that says the same: what is typed wins.
fn without_overruled(command: clap::Command, words: &[OsString]) -> clap::Command {
    let typed = |name: &str| {
        let mut flags = words.iter().filter_map(|word| word.to_str()?.strip_prefix("--"));
        flags.any(|flag| flag.split('=').next() == Some(name))
    };
    let is_overruled = |arg: &Arg| {
        SAME.iter()
            .flat_map(|[one, other]| [(one, other), (other, one)])
            .any(|(own, other)| arg.get_long() == Some(own) && typed(other) && !typed(own))
    };
    let command = command.mut_args(|arg| match is_overruled(&arg) {
        true => arg.env(Resettable::<OsStr>::Reset),
        false => arg,
    });
    command.mut_subcommands(|sub| without_overruled(sub, words))
}

impl Cli {
    /// What the words of this process and its variables say; ends the process where they cannot be understood.
    pub fn from_process() -> Self {
        let words: Vec<OsString> = std::env::args_os().skip(1).collect();
        let length = Length::of(words.iter().map(OsString::as_os_str));
        let command = with_help(Self::command(), length);
        let command = without_empty(command, &|name| std::env::var_os(name));
        let command = without_overruled(command, &words);
        let matches = command.get_matches();
        Self::from_arg_matches(&matches).unwrap_or_else(|error| error.exit())
    }

    /// Does what the command line says.
    pub fn run(self) -> anyhow::Result<()> {
        match self.command {
            Command::Reason(args) => args.run(),
            Command::Serve(args) => args.run(),
            Command::Healthcheck(args) => block_on(args.run())?,
            Command::Convert(args) => args.run(),
            Command::Inspect(args) => args.run(),
            Command::GenerateData(args) => args.run(),
            Command::Bench(args) => block_on(args.run())?,
            Command::Eval(args) => args.run(),
            Command::Probe(args) => args.run(),
            Command::Train(args) => args.run(),
            Command::Openapi(args) => args.run(),
            Command::Completions(args) => args.run(with_help(Self::command(), Length::Whole)),
            Command::Man(args) => args.run(with_help(Self::command(), Length::Whole)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Cli;
    use super::PROTECTING;
    use super::without_empty;
    use super::without_overruled;
    use clap::Command;
    use clap::CommandFactory as _;
    use clap::Parser as _;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    /// The variables that flags of a command and those below it read.
    fn variables(command: &Command) -> Vec<String> {
        let own = command.get_arguments().filter_map(|arg| arg.get_env());
        let own = own.map(|name| name.to_string_lossy().into_owned());
        own.chain(command.get_subcommands().flat_map(variables)).collect()
    }

    #[test]
    fn secrets_are_not_shown() {
        for words in [
            ["x", "serve", "--hf-token", "hush"],
            ["x", "serve", "--api-keys", "hush"],
            ["x", "inspect", "--hf-token", "hush"],
            ["x", "bench", "--data=questions.json", "--api-key=hush"],
        ] {
            let parsed = Cli::try_parse_from(words).unwrap();
            assert!(!format!("{parsed:?}").contains("hush"), "{words:?}");
        }
        // Whatever is called a token or a key is one of these.
        let hidden = |command: &Command| -> Vec<String> {
            let secret =
                |name: &str| ["token", "key", "keys"].contains(&name.rsplit('-').next().unwrap());
            let args = command.get_arguments().filter_map(|arg| Some((arg, arg.get_long()?)));
            let shown = args.filter(|(arg, name)| secret(name) && !arg.is_hide_env_values_set());
            shown.map(|(_, name)| name.to_owned()).collect()
        };
        for command in Cli::command().get_subcommands() {
            assert_eq!(hidden(command), Vec::<String>::new(), "{}", command.get_name());
        }
    }

    #[test]
    fn a_flag_overrules_the_variable_of_another_that_says_the_same() {
        let all = variables(&Cli::command());
        let read = |words: &[&str]| {
            let words: Vec<_> = words.iter().map(Into::into).collect();
            let left = variables(&without_overruled(Cli::command(), &words));
            ["COCONUT_KV_MEMORY", "COCONUT_KV_POSITIONS"]
                .map(|name| left.iter().any(|left| left == name))
        };
        assert!(all.iter().any(|name| name == "COCONUT_KV_MEMORY"));
        assert_eq!(read(&["serve"]), [true, true]);
        assert_eq!(read(&["serve", "--kv-positions", "64"]), [false, true]);
        assert_eq!(read(&["serve", "--kv-memory=1GiB"]), [true, false]);
        let both = ["serve", "--kv-memory=1GiB", "--kv-positions=64"];
        assert_eq!(read(&both), [true, true], "which is refused");
    }

    #[test]
    fn an_empty_variable_is_an_unset_one() {
        let all = variables(&Cli::command());
        assert!(all.len() > 30, "{all:?}");
        let left = variables(&without_empty(Cli::command(), &|_| Some("".into())));
        assert_eq!(left, PROTECTING, "of serve");
        for value in [None, Some("x".into())] {
            let left = variables(&without_empty(Cli::command(), &|_| value.clone()));
            assert_eq!(left, all);
        }
    }
}
