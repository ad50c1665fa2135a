//! How far a run is: a bar on a terminal, a log line now and then elsewhere.

use crate::eval::report::Outcome;
use indicatif::ProgressBar;
use indicatif::ProgressStyle;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering;

/// How many log lines a run gives.
const LINES: usize = 10;

/// The progress of one run.
pub(super) struct Progress {
    bar: ProgressBar,
    latent_steps: usize,
    total: usize,
    done: AtomicUsize,
    correct: AtomicUsize,
}

impl Progress {
    pub(super) fn start(latent_steps: usize, total: usize) -> Self {
        let style = "{prefix} latent steps {wide_bar} {pos} of {len}, {msg}, {eta} left";
        let style =
            ProgressStyle::with_template(style).expect("the template is a constant that is valid");
        let bar = ProgressBar::new(total as u64).with_style(style);
        let bar = bar.with_prefix(latent_steps.to_string());
        Self { bar, latent_steps, total, done: AtomicUsize::new(0), correct: AtomicUsize::new(0) }
    }

    pub(super) fn count(&self, outcome: &Outcome) {
        let right = usize::from(outcome.is_right());
        let correct = self.correct.fetch_add(right, Ordering::Relaxed) + right;
        let done = self.done.fetch_add(1, Ordering::Relaxed) + 1;
        self.bar.set_message(format!("{correct} right"));
        self.bar.inc(1);
        if self.bar.is_hidden() && done * LINES / self.total > (done - 1) * LINES / self.total {
            tracing::info!(
                latent_steps = self.latent_steps,
                done,
                of = self.total,
                correct,
                "asked"
            );
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}
