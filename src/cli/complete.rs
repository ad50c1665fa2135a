//! `coconut completions`: what a shell needs to complete commands and flags. Knows no command.

use anyhow::Context as _;
use clap::Args;
use clap::Command;
use clap_complete::Shell;
use std::io::Write as _;

/// Flags of `coconut completions`.
#[derive(Debug, Args)]
#[command(
    after_help = "bash: coconut completions bash > ~/.local/share/bash-completion/completions/coconut\n\
                        zsh:  coconut completions zsh > \"${fpath[1]}/_coconut\"\n\
                        fish: coconut completions fish > ~/.config/fish/completions/coconut.fish"
)]
pub(super) struct CompletionsArgs {
    /// Which shell.
    #[arg(value_enum)]
    shell: Shell,
}

impl CompletionsArgs {
    /// Prints the script for a command.
    pub(super) fn run(&self, mut command: Command) -> anyhow::Result<()> {
        let (name, mut script) = (command.get_name().to_owned(), Vec::new());
        clap_complete::generate(self.shell, &mut command, name, &mut script);
        std::io::stdout().write_all(&script).context("cannot write to standard output")
    }
}
