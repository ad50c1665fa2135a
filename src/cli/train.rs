//! `coconut train`: flags, and what they come to.

use crate::cli::compute::threads;
use crate::train::run;
use crate::train::settings::Settings;
use anyhow::Context as _;
use clap::Args;
use std::num::NonZeroUsize;
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::Command;

/// Flags of `coconut train`.
#[derive(Debug, Args)]
pub(super) struct TrainArgs {
    /// The run's settings, such as one of models/recipes. Paths in it are relative to the working directory.
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// Folder of the run: saved states, metrics.jsonl, curve.svg, and the checkpoint. [default: runs/ and the file's name]
    #[arg(long, value_name = "FOLDER")]
    out: Option<PathBuf>,
    /// Go on from the latest saved state in the folder, if there is one.
    #[arg(long)]
    resume: bool,
    /// Threads that compute; no more than the run's `shards` have work. [default: one for each core]
    #[arg(long, value_name = "N", value_parser = threads())]
    threads: Option<usize>,
    /// candle's own threads.
    #[arg(long, env = "RAYON_NUM_THREADS", hide = true)]
    candle_threads: Option<usize>,
}

impl TrainArgs {
    /// Trains.
    pub(super) fn run(self) -> anyhow::Result<()> {
        if self.candle_threads != Some(1) {
            return again_as_training_needs();
        }
        let cores = || std::thread::available_parallelism().map(NonZeroUsize::get);
        let threads = self.threads.map_or_else(cores, Ok);
        rayon::ThreadPoolBuilder::new()
            .num_threads(threads.context("cannot count the cores; use --threads")?)
            .build_global()
            .context("cannot start threads")?;
        let settings = Settings::read(&self.config)?;
        let name = self.config.file_stem().unwrap_or_default();
        let out = self.out.unwrap_or_else(|| PathBuf::from("runs").join(name));
        run::train(&settings, &out, self.resume).context("cannot train")
    }
}

/// What the environment alone can say.
///
/// A batch is cut into parts, one for each thread; candle would use threads within each of its small operations beside,
/// which takes three times as long. And glibc would give tensors back to the system as soon as they are dropped, and the
/// system would clear the same memory for the next ones: half of all page faults, and a tenth of the time.
const ENVIRONMENT: [(&str, &str); 4] = [
    ("RAYON_NUM_THREADS", "1"),
    ("MALLOC_ARENA_MAX", "1"),
    // The largest that glibc takes, and more than any machine has.
    ("MALLOC_MMAP_THRESHOLD_", "33554432"),
    ("MALLOC_TRIM_THRESHOLD_", "1125899906842624"),
];

/// Becomes the same command in that environment.
fn again_as_training_needs() -> anyhow::Result<()> {
    let program = std::env::current_exe().context("cannot find this program")?;
    let mut command = Command::new(program);
    command.args(std::env::args_os().skip(1)).envs(ENVIRONMENT);
    Err(command.exec()).context("cannot start the run")
}
