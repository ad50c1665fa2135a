//! Log lines on their way out of the process, written by a thread of their own: whoever logs neither waits nor fails, whatever
//! becomes of standard error. Knows no format and no levels.

use crate::metrics::Metrics;
use std::collections::VecDeque;
use std::io::Result;
use std::io::Write;
use std::sync::Arc;
use std::sync::Condvar;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;
use std::thread;
use std::time::Duration;

/// Most lines that wait to be written: about a megabyte, and some seconds of a busy server.
const MOST_WAITING: usize = 4096;

/// Where log lines are left. All clones are the same place.
#[derive(Clone, Debug, Default)]
pub(crate) struct Lines(Arc<Queue>);

#[derive(Debug, Default)]
struct Queue {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    waiting: VecDeque<Vec<u8>>,
    /// Whether one that waits no more is not written yet.
    writing: bool,
    /// Lines that were not written.
    lost: u64,
    /// How many of these were told.
    told: u64,
    /// Where they are counted, once there are metrics.
    metrics: Option<Arc<Metrics>>,
}

impl State {
    fn lose(&mut self) {
        self.lost += 1;
        if let Some(metrics) = &self.metrics {
            metrics.log_lines_lost_total.inc();
        }
    }
}

impl Lines {
    /// Writes lines to `to`, for as long as the process lives. `tell` is given how many were lost, once others are written
    /// again and none waits.
    pub(crate) fn start(
        to: impl Write + Send + 'static,
        tell: impl Fn(u64) + Send + 'static,
    ) -> Result<Self> {
        let lines = Self::default();
        let theirs = lines.clone();
        thread::Builder::new().name("log".to_owned()).spawn(move || theirs.write_to(to, tell))?;
        Ok(lines)
    }

    /// Leaves a line, which is lost where too many wait.
    pub(crate) fn push(&self, line: &[u8]) {
        let mut state = self.state();
        match state.waiting.len() < MOST_WAITING {
            true => state.waiting.push_back(line.to_owned()),
            false => state.lose(),
        }
        drop(state);
        self.0.changed.notify_all();
    }

    /// Counts what is lost from now on, and what was lost before.
    pub(crate) fn count_in(&self, metrics: &Arc<Metrics>) {
        let mut state = self.state();
        metrics.log_lines_lost_total.inc_by(state.lost);
        state.metrics = Some(Arc::clone(metrics));
    }

    /// Waits until all lines are written, but no longer than `patience`.
    pub(crate) fn finish(&self, patience: Duration) {
        let under_way = |state: &mut State| state.writing || !state.waiting.is_empty();
        let _ = self.0.changed.wait_timeout_while(self.state(), patience, under_way);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn write_to(&self, mut to: impl Write, tell: impl Fn(u64)) {
        loop {
            let line = self.next();
            let written = to.write_all(&line).is_ok();
            // Not under the lock: what is told is a line, too.
            if let Some(lost) = self.done(written) {
                tell(lost);
            }
        }
    }

    fn next(&self) -> Vec<u8> {
        let state = self.0.changed.wait_while(self.state(), |state| state.waiting.is_empty());
        let mut state = state.unwrap_or_else(PoisonError::into_inner);
        state.writing = true;
        state.waiting.pop_front().expect("one was waited for")
    }

    /// Gives back how many lines were lost, where that can be told now.
    fn done(&self, written: bool) -> Option<u64> {
        let mut state = self.state();
        state.writing = false;
        if !written {
            state.lose();
        }
        let untold = state.lost - state.told;
        let can_be_told = written && state.waiting.is_empty() && untold > 0;
        if can_be_told {
            state.told = state.lost;
        }
        drop(state);
        self.0.changed.notify_all();
        can_be_told.then_some(untold)
    }
}

/// Each write is a line; it never fails.
impl Write for Lines {
    fn write(&mut self, line: &[u8]) -> Result<usize> {
        self.push(line);
        Ok(line.len())
    }

    fn flush(&mut self) -> Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Error;
    use std::sync::mpsc::Receiver;
    use std::sync::mpsc::SyncSender;
    use std::sync::mpsc::channel;
    use std::sync::mpsc::sync_channel;

    /// Longer than anything here takes.
    const PATIENCE: Duration = Duration::from_secs(60);

    /// A place that takes a line when it is told to, if it is told so; what it took is what comes out of it.
    struct Gate {
        open: Receiver<bool>,
        taken: SyncSender<String>,
    }

    impl Write for Gate {
        fn write(&mut self, line: &[u8]) -> Result<usize> {
            if !self.open.recv().map_err(Error::other)? {
                return Err(Error::other("no space"));
            }
            self.taken.send(String::from_utf8(line.to_owned()).unwrap()).map_err(Error::other)?;
            Ok(line.len())
        }

        fn flush(&mut self) -> Result<()> {
            Ok(())
        }
    }

    #[test]
    fn lines_come_in_order_and_all_of_them_before_the_end() {
        let (opens, open) = channel();
        let (taken, takes) = sync_channel(100);
        let lines = Lines::start(Gate { open, taken }, |_| {}).unwrap();
        for number in 0..100 {
            lines.push(number.to_string().as_bytes());
            opens.send(true).unwrap();
        }
        lines.finish(PATIENCE);
        let numbers = (0..100).map(|number| number.to_string());
        assert_eq!(takes.try_iter().collect::<Vec<_>>(), numbers.collect::<Vec<_>>());
    }

    #[test]
    fn nobody_waits_for_a_place_that_takes_nothing_and_what_is_lost_is_counted_and_told() {
        let (opens, open) = channel();
        let (taken, takes) = sync_channel(2 * MOST_WAITING);
        let (tell, told) = channel();
        let lines = Lines::start(Gate { open, taken }, move |lost| tell.send(lost).unwrap());
        let lines = lines.unwrap();
        lines.push(b"early");
        lines.finish(Duration::from_millis(1));
        let metrics = Arc::new(Metrics::new());
        for _ in 0..2 * MOST_WAITING {
            lines.push(b"line");
        }
        lines.count_in(&metrics);
        let lost = metrics.log_lines_lost_total.get();
        assert!((MOST_WAITING as u64 - 1..=MOST_WAITING as u64).contains(&lost), "{lost}");
        for _ in 0..2 * MOST_WAITING {
            opens.send(true).unwrap();
        }
        assert_eq!(told.recv_timeout(PATIENCE), Ok(lost));
        lines.finish(PATIENCE);
        assert_eq!(takes.try_iter().count() as u64 + lost, 2 * MOST_WAITING as u64 + 1);
    }

    #[test]
    fn what_cannot_be_written_is_lost_and_told_once_it_can() {
        let (opens, open) = channel();
        let (taken, takes) = sync_channel(9);
        let (tell, told) = channel();
        let lines = Lines::start(Gate { open, taken }, move |lost| tell.send(lost).unwrap());
        let lines = lines.unwrap();
        let metrics = Arc::new(Metrics::new());
        lines.count_in(&metrics);
        for opened in [false, false, true, true] {
            opens.send(opened).unwrap();
            lines.push(b"line");
            lines.finish(PATIENCE);
        }
        assert_eq!(told.recv_timeout(PATIENCE), Ok(2));
        assert_eq!((takes.try_iter().count(), metrics.log_lines_lost_total.get()), (2, 2));
        assert!(told.try_recv().is_err(), "it is told once");
    }
}
