//! `coconut train`: flags, and what they come to.

use crate::cli::compute::threads;
use crate::model::device::Processor;
use crate::train::run;
use crate::train::settings::Settings;
use anyhow::Context as _;
use clap::Args;
use std::collections::HashSet;
use std::num::NonZeroUsize;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::path::PathBuf;
use std::process::Command;

/// Flags of `coconut train`.
#[derive(Debug, Args)]
pub(super) struct TrainArgs {
    /// The run's settings, such as one of models/recipes. Paths in it are relative to the working directory. Given more than
    /// once, the runs go side by side.
    #[arg(long, value_name = "FILE", required = true)]
    config: Vec<PathBuf>,
    /// Folder of the run: saved states, metrics.jsonl, curve.svg, and the checkpoint; of several, where each has a folder of
    /// its file's name. [default: runs/ and the file's name]
    #[arg(long, value_name = "FOLDER")]
    out: Option<PathBuf>,
    /// Go on from the latest saved state in the folder, if there is one.
    #[arg(long)]
    resume: bool,
    /// What computes: cpu, or an NVIDIA GPU as cuda or cuda:N. A GPU needs a binary that was built for it, and takes a batch
    /// in one part.
    #[arg(long, env = "COCONUT_DEVICE", value_name = "DEVICE", default_value = "cpu")]
    device: Processor,
    /// Threads that compute on the CPU; no more than the run's `shards` have work. [default: one for each core]
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
            return self.again_as_training_needs();
        }
        let cores = || std::thread::available_parallelism().map(NonZeroUsize::get);
        let threads = self.threads.map_or_else(cores, Ok);
        rayon::ThreadPoolBuilder::new()
            .num_threads(threads.context("cannot count the cores; use --threads")?)
            .build_global()
            .context("cannot start threads")?;
        let names: HashSet<_> = self.config.iter().map(|config| config.file_stem()).collect();
        anyhow::ensure!(
            names.len() == self.config.len(),
            "--config: two files of one name would go into one folder"
        );
        let settings: Vec<Settings> =
            self.config.iter().map(|config| Settings::read(config)).collect::<Result<_, _>>()?;
        let this = &self;
        let failed: Vec<String> = std::thread::scope(|scope| {
            let runs = this.config.iter().zip(&settings);
            // All of them are begun before the first is waited for.
            let running: Vec<_> = runs
                .map(|(config, settings)| scope.spawn(move || this.train(config, settings)))
                .collect();
            let ended = running.into_iter().map(|run| run.join().unwrap_or_else(panicked));
            ended.filter_map(|ended| ended.err().map(|error| format!("{error:#}"))).collect()
        });
        anyhow::ensure!(failed.is_empty(), "cannot train: {}", failed.join("; "));
        Ok(())
    }

    /// One run.
    fn train(&self, config: &Path, settings: &Settings) -> anyhow::Result<()> {
        let name = Path::new(config.file_stem().unwrap_or_default());
        let out = match &self.out {
            Some(out) if self.config.len() == 1 => out.clone(),
            Some(out) => out.join(name),
            None => Path::new("runs").join(name),
        };
        // One for each: what is on it goes in the order of one run.
        let device = self.device.open().context("--device: cannot be used")?;
        run::train(settings, &out, self.resume, &device)
            .with_context(|| config.display().to_string())
    }
}

fn panicked<T>(_: T) -> anyhow::Result<()> {
    anyhow::bail!("a run panicked")
}

/// What the environment alone can say.
///
/// A batch is cut into parts, one for each thread; candle would use threads within each of its small operations beside,
/// which takes three times as long. And glibc would give tensors back to the system as soon as they are dropped, and the
/// system would clear the same memory for the next ones: half of all page faults, and a tenth of the time.
const ENVIRONMENT: [(&str, &str); 3] = [
    ("RAYON_NUM_THREADS", "1"),
    // The largest that glibc takes, and more than any machine has.
    ("MALLOC_MMAP_THRESHOLD_", "33554432"),
    ("MALLOC_TRIM_THRESHOLD_", "1125899906842624"),
];

/// One run's threads share memory that is warm; runs side by side would wait for each other there, most of the time.
const OF_ONE_RUN: (&str, &str) = ("MALLOC_ARENA_MAX", "1");

impl TrainArgs {
    /// Becomes the same command in that environment.
    fn again_as_training_needs(&self) -> anyhow::Result<()> {
        let program = std::env::current_exe().context("cannot find this program")?;
        let mut command = Command::new(program);
        command.args(std::env::args_os().skip(1)).envs(ENVIRONMENT);
        if self.config.len() == 1 {
            command.envs([OF_ONE_RUN]);
        }
        Err(command.exec()).context("cannot start the run")
    }
}
