//! How far a run is, as a bar on a terminal; nothing elsewhere. Knows when a run ends, not what comes of requests.

use crate::bench::plan::End;
use indicatif::ProgressBar;
use indicatif::ProgressStyle;
use std::cell::Cell;
use std::time::Duration;
use std::time::Instant;

/// The progress of one run.
pub(crate) struct Progress {
    bar: ProgressBar,
    end: End,
    started: Instant,
    answered: Cell<u64>,
}

impl Progress {
    pub(crate) fn start(end: End) -> Self {
        let (total, template) = match (end.requests, end.duration) {
            (Some(requests), None) => (requests as u64, "{wide_bar} {pos} of {len}, {eta} left"),
            // Whichever comes first; time is what is known to pass.
            (_, Some(duration)) => {
                (milliseconds(duration), "{wide_bar} {msg} requests, {eta} left")
            }
            (None, None) => (0, "{spinner} {msg} requests"),
        };
        let style = ProgressStyle::with_template(template);
        let style = style.expect("the template is a constant that is valid");
        let bar = ProgressBar::new(total).with_style(style);
        Self { bar, end, started: Instant::now(), answered: Cell::new(0) }
    }

    /// One more request has ended.
    pub(crate) fn count(&self) {
        self.answered.set(self.answered.get() + 1);
        self.bar.set_message(self.answered.get().to_string());
        match self.end.duration {
            Some(_) => self.bar.set_position(milliseconds(self.started.elapsed())),
            None => self.bar.inc(1),
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}

fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
