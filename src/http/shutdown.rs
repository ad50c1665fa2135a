//! The signals that ask a process to stop: the first one politely. Does not know what stopping takes.

use crate::files;
use anyhow::Context as _;
use anyhow::bail;
use std::path::Path;
use std::pin::Pin;
use std::time::Duration;
use tokio::signal::unix::Signal;
use tokio::signal::unix::SignalKind;
use tokio::signal::unix::signal;
use tokio::sync::oneshot;
use tokio::time::Instant;

/// Completes when it is time to stop.
pub type ShutdownFuture = Pin<Box<dyn Future<Output = ()>>>;

/// Signals so soon after the first are the same request: wrappers such as `timeout` send one to the process and another to its
/// group, and a terminal that is closed sends SIGHUP beside.
const SAME: Duration = Duration::from_secs(1);

/// Runs what stops at the first signal, and gives up on it at the second.
pub async fn until_second_signal<F: Future<Output = anyhow::Result<()>>>(
    run: impl FnOnce(ShutdownFuture) -> F,
) -> anyhow::Result<()> {
    let mut signals = Signals::listen().context("cannot listen for signals")?;
    let (stop, stopped) = oneshot::channel::<()>();
    let shutdown: ShutdownFuture = Box::pin(async {
        let _ = stopped.await;
    });
    let twice = async {
        // Not inside the macro: what it is given is not evaluated where the level is off, and nobody would wait.
        let signal = signals.next().await;
        let first = Instant::now();
        tracing::info!(signal, "asked to stop");
        let _ = stop.send(());
        loop {
            let signal = signals.next().await;
            if !is_same(first, Instant::now()) {
                return signal;
            }
            tracing::info!(signal, "the same request to stop again");
        }
    };
    tokio::select! {
        result = run(shutdown) => result,
        signal = twice => bail!("stopped at once by a second signal, {signal}"),
    }
}

/// Whether a signal that came at `now` is part of the request that came `first`.
fn is_same(first: Instant, now: Instant) -> bool {
    now.saturating_duration_since(first) < SAME
}

/// SIGTERM, SIGINT and SIGHUP, from now on.
#[derive(Debug)]
struct Signals {
    terminate: Signal,
    interrupt: Signal,
    /// None where it is ignored, as `nohup` has it.
    hang_up: Option<Signal>,
}

impl Signals {
    /// Takes the place of the signals' default action, which is to end the process at once.
    fn listen() -> std::io::Result<Self> {
        let hang_up = match hang_up_is_taken() {
            true => Some(signal(SignalKind::hangup())?),
            false => None,
        };
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hang_up,
        })
    }

    /// Waits for the next one and returns its name.
    async fn next(&mut self) -> &'static str {
        let hang_up = async {
            match &mut self.hang_up {
                Some(signal) => signal.recv().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            _ = self.terminate.recv() => "SIGTERM",
            _ = self.interrupt.recv() => "SIGINT",
            _ = hang_up => "SIGHUP",
        }
    }
}

/// Whether SIGHUP is known to end this process, so that it may be asked to stop by it. Listening would undo `nohup`.
fn hang_up_is_taken() -> bool {
    let status = files::read(Path::new("/proc/self/status"));
    status.is_ok_and(|status| ignored_signals(&status).is_some_and(|ignored| ignored & 1 == 0))
}

/// The signals that a process ignores, a bit each, SIGHUP the lowest: as Linux tells them.
fn ignored_signals(status: &str) -> Option<u64> {
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"))?;
    u64::from_str_radix(mask.trim(), 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signal_soon_after_the_first_is_no_second_request() {
        let first = Instant::now();
        assert!(is_same(first, first) && is_same(first, first + Duration::from_millis(900)));
        assert!(!is_same(first, first + Duration::from_millis(1100)));
    }

    #[test]
    fn ignored_signals_are_read_as_linux_tells_them() {
        let status =
            "Name:\tcoconut\nSigBlk:\t0000000000000000\nSigIgn:\t0000000000001001\nSigCgt:\t0\n";
        assert_eq!(ignored_signals(status), Some(0x1001));
        assert_eq!(ignored_signals("Name:\tcoconut\n"), None);
    }
}
