//! `coconut train`: flags, and what they come to.

use crate::train::run;
use crate::train::settings::Settings;
use anyhow::Context as _;
use clap::Args;
use std::num::NonZeroUsize;
use std::path::PathBuf;

/// Flags of `coconut train`.
#[derive(Debug, Args)]
pub struct TrainArgs {
    /// The run's settings, such as one of models/recipes. Paths in it are relative to the working directory.
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// Folder of the run: saved states, metrics.jsonl, curve.svg, and the checkpoint. [default: runs/ and the file's name]
    #[arg(long, value_name = "FOLDER")]
    out: Option<PathBuf>,
    /// Go on from the latest saved state in the folder, if there is one.
    #[arg(long)]
    resume: bool,
    /// Threads that compute. [default: one for each core]
    #[arg(long, value_name = "N")]
    threads: Option<NonZeroUsize>,
}

impl TrainArgs {
    /// Trains.
    pub fn run(self) -> anyhow::Result<()> {
        if let Some(threads) = self.threads {
            rayon::ThreadPoolBuilder::new()
                .num_threads(threads.get())
                .build_global()
                .context("cannot start threads")?;
        }
        let settings = Settings::read(&self.config)?;
        let name = self.config.file_stem().unwrap_or_default();
        let out = self.out.unwrap_or_else(|| PathBuf::from("runs").join(name));
        run::train(&settings, &out, self.resume).context("cannot train")
    }
}
