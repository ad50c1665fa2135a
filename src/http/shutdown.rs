//! The signals that ask a process to stop: the first one politely. Does not know what stopping takes.

use anyhow::Context as _;
use anyhow::bail;
use std::pin::Pin;
use tokio::signal::unix::Signal;
use tokio::signal::unix::SignalKind;
use tokio::signal::unix::signal;
use tokio::sync::oneshot;

/// Completes when it is time to stop.
pub type ShutdownFuture = Pin<Box<dyn Future<Output = ()>>>;

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
        tracing::info!(signal, "asked to stop");
        let _ = stop.send(());
        signals.next().await
    };
    tokio::select! {
        result = run(shutdown) => result,
        signal = twice => bail!("stopped at once by a second signal, {signal}"),
    }
}

/// SIGTERM and SIGINT, from now on.
#[derive(Debug)]
struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    /// Takes the place of the signals' default action, which is to end the process at once.
    fn listen() -> std::io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }

    /// Waits for the next one and returns its name.
    async fn next(&mut self) -> &'static str {
        tokio::select! {
            _ = self.terminate.recv() => "SIGTERM",
            _ = self.interrupt.recv() => "SIGINT",
        }
    }
}
