//! `coconut openapi`: the document that the server gives, as a file. What is in it, the routes say.

use crate::http;
use anyhow::Context as _;
use clap::Args;
use std::io::Write as _;
use std::path::PathBuf;

/// Flags of `coconut openapi`.
#[derive(Debug, Args)]
pub(super) struct OpenapiArgs {
    /// File to write instead of standard output.
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

impl OpenapiArgs {
    /// Prints or writes the document.
    pub(super) fn run(self) -> anyhow::Result<()> {
        let text =
            http::document().to_pretty_json().context("cannot write the document as JSON")? + "\n";
        match self.out {
            Some(path) => std::fs::write(&path, text)
                .with_context(|| format!("cannot write {}", path.display())),
            None => std::io::stdout()
                .write_all(text.as_bytes())
                .context("cannot write to standard output"),
        }
    }
}
