//! A report in the making, which its file keeps, so that a run that was ended goes on where it was. Knows reports and one
//! file, not how questions are asked.

use crate::data::questions::Row;
use crate::eval::report::Report;
use crate::eval::report::Run;
use crate::eval::report::Scored;
use crate::eval::report::Stored;
use crate::files;
use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::path::Path;
use std::path::PathBuf;
use std::time::Duration;
use std::time::Instant;

/// What is found between two savings is lost where the process is killed.
const BETWEEN: Duration = Duration::from_secs(3);

/// A report in the making.
#[derive(Debug)]
pub struct Kept {
    report: Report,
    place: Option<PathBuf>,
    saved: Instant,
    /// Seconds of the current run before this process.
    before: Duration,
}

/// Why there is no file to go on with.
#[derive(Debug, thiserror::Error)]
#[error("{path}: {reason}", path = path.display())]
pub struct KeptError {
    path: PathBuf,
    reason: String,
}

impl Kept {
    /// In memory alone.
    pub fn nowhere(report: Report) -> Self {
        Self { report, place: None, saved: Instant::now(), before: Duration::ZERO }
    }

    /// In a file, which is gone on with where it is of the same run.
    ///
    /// # Errors
    /// Where it is of another run, or cannot be read.
    pub fn at(path: &Path, mut report: Report) -> Result<Self, KeptError> {
        if path.exists() {
            let refused = |reason: String| KeptError { path: path.to_owned(), reason };
            let text = files::read(path).map_err(|error| refused(error.to_string()))?;
            let stored: Stored = serde_json::from_str(&text).map_err(|error| {
                refused(format!("is no report of `coconut eval` ({error}): name another file"))
            })?;
            if let Some(field) = stored.differs(&report) {
                let reason = format!(
                    "is of another run: `{field}` differs. Name another file, or remove this one"
                );
                return Err(refused(reason));
            }
            report.runs = stored.runs();
        }
        Ok(Self { place: Some(path.to_owned()), ..Self::nowhere(report) })
    }

    /// All that was found.
    pub fn report(&self) -> &Report {
        &self.report
    }

    /// How many answers there are.
    pub fn answers(&self) -> usize {
        self.report.runs.iter().map(|run| run.scored.len()).sum()
    }

    /// Refuses answers to other questions than these, as from another file of the same name.
    pub(super) fn check(&self, rows: &[Row]) -> Result<(), KeptError> {
        let expected: BTreeMap<u64, &str> =
            rows.iter().map(|row| (row.number, row.example.answer.as_str())).collect();
        let mut known = self.report.runs.iter().flat_map(|run| &run.scored);
        let differs = |scored: &&Scored| {
            expected.get(&scored.number).is_some_and(|answer| *answer != scored.expected)
        };
        match (known.find(differs), &self.place) {
            (Some(scored), Some(path)) => Err(KeptError {
                path: path.clone(),
                reason: format!(
                    "is of other questions: number {} has another answer. Name another file",
                    scored.number
                ),
            }),
            _ => Ok(()),
        }
    }

    /// Makes room for a run and says which of its questions have an outcome.
    pub(super) fn begin(&mut self, latent_steps: usize) -> BTreeSet<u64> {
        let runs = &mut self.report.runs;
        if !runs.iter().any(|run| run.latent_steps == latent_steps) {
            runs.push(Run { latent_steps, wall: Duration::ZERO, scored: Vec::new() });
            runs.sort_by_key(|run| run.latent_steps);
        }
        let run = self.run(latent_steps);
        let done = run.scored.iter().map(|scored| scored.number).collect();
        self.before = run.wall;
        done
    }

    /// Keeps an outcome, `elapsed` after the run's beginning.
    pub(super) fn add(
        &mut self,
        latent_steps: usize,
        scored: Scored,
        elapsed: Duration,
    ) -> Result<(), KeptError> {
        let wall = self.before + elapsed;
        let run = self.run(latent_steps);
        let place = run.scored.partition_point(|before| before.number < scored.number);
        run.scored.insert(place, scored);
        run.wall = wall;
        match self.saved.elapsed() >= BETWEEN {
            true => self.save(),
            false => Ok(()),
        }
    }

    /// Writes the file, if there is one: whole, or not at all.
    pub(super) fn save(&mut self) -> Result<(), KeptError> {
        self.saved = Instant::now();
        match &self.place {
            Some(path) => write(path, &self.report),
            None => Ok(()),
        }
    }

    fn run(&mut self, latent_steps: usize) -> &mut Run {
        let run = self.report.runs.iter_mut().find(|run| run.latent_steps == latent_steps);
        run.expect("a run is begun before anything is added to it")
    }
}

/// Writes a report as JSON: whole, or not at all.
///
/// # Errors
/// Where it cannot be written.
pub fn write(path: &Path, report: &Report) -> Result<(), KeptError> {
    let text = format!("{:#}\n", report.to_json());
    let refused = |error: std::io::Error| KeptError {
        path: path.to_owned(),
        reason: format!("cannot be written: {error}"),
    };
    // A pipe or a device is written to, not replaced.
    if path.exists() && !path.is_file() {
        return std::fs::write(path, text).map_err(refused);
    }
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let unfinished = path.with_file_name(format!(".{name}.{}.unfinished", std::process::id()));
    let written = std::fs::write(&unfinished, text);
    let written = written.and_then(|()| std::fs::rename(&unfinished, path));
    written.map_err(|error| {
        // Nothing of it is of use.
        let _ = std::fs::remove_file(&unfinished);
        refused(error)
    })
}
