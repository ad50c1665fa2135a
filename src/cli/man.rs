//! `coconut man`: a page of the manual for each command. Knows no command.

use anyhow::Context as _;
use clap::Args;
use clap::Command;
use std::io::Write as _;
use std::path::PathBuf;

/// Flags of `coconut man`.
#[derive(Debug, Args)]
#[command(after_help = "man -l FOLDER/coconut-serve.1 shows a page.")]
pub(super) struct ManArgs {
    /// Folder to write the pages to, such as ~/.local/share/man/man1; it is made where it lacks.
    #[arg(long, value_name = "FOLDER")]
    out: PathBuf,
}

impl ManArgs {
    /// Writes the pages of a command and those below it.
    pub(super) fn run(&self, command: Command) -> anyhow::Result<()> {
        let folder = self.out.display();
        std::fs::create_dir_all(&self.out).with_context(|| format!("cannot make {folder}"))?;
        clap_mangen::generate_to(command, &self.out)
            .with_context(|| format!("cannot write to {folder}"))?;
        Ok(writeln!(std::io::stderr(), "pages for `man` in {folder}")?)
    }
}
