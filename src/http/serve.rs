//! The composition of a server, from its first connection to its last. What it listens on, how the model is loaded and
//! why it stops are arguments; it knows no flags and no signals.

use crate::http;
use crate::http::AppState;
use crate::http::listen::Closed;
use crate::http::listen::Limits;
use crate::http::listen::Server;
use crate::metrics::Metrics;
use crate::reason::reasoner::Reasoner;
use anyhow::Context as _;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::time::timeout;

/// Time for clients to read what is already written, after the last answer was ended.
const LAST_BYTES: Duration = Duration::from_secs(5);

/// Time for the engine to end its requests once told to.
const LAST_STEP: Duration = Duration::from_secs(5);

/// The settings of a server beside its model.
#[derive(Clone, Debug)]
pub struct Config {
    /// The wire.
    pub http: http::Config,
    /// Connections.
    pub limits: Limits,
    /// Time after `shutdown` in which it is not ready but still answers, so that clients and load balancers look away.
    pub drain_delay: Duration,
    /// Time for accepted requests to finish after that.
    pub grace_period: Duration,
}

/// Answers on `listener` until `shutdown` completes and accepted requests are finished.
///
/// It listens from the start: while `load` runs on a thread of its own, the server is alive but not ready. After
/// `shutdown` it is not ready again, and every answer asks its client to go elsewhere. Only after the drain delay does it
/// close the door: connections that nobody uses are closed, questions under way have the grace period.
pub async fn run(
    listener: TcpListener,
    config: Config,
    load: impl FnOnce(Arc<Metrics>) -> anyhow::Result<Reasoner> + Send + 'static,
    shutdown: impl Future<Output = ()>,
) -> anyhow::Result<()> {
    let metrics = Arc::new(Metrics::new());
    let state = AppState::new(config.http, Arc::clone(&metrics));
    tracing::info!(address = %listener.local_addr().context("the listener has no address")?, "listening");
    let server = http::listen::listen(listener, http::router(&state), config.limits, &metrics);

    let mut shutdown = pin!(shutdown);
    tokio::select! {
        loaded = on_own_thread(move || load(metrics)) => {
            let reasoner = Arc::new(loaded?);
            state.serve(Arc::clone(&reasoner));
            tracing::info!(model = reasoner.card().name, description = reasoner.card().description, "ready");
            shutdown.await;
            state.drain();
            drain(&server, config.drain_delay, config.grace_period).await;
            end(&reasoner).await;
        }
        () = &mut shutdown => tracing::info!("stopping before the model was loaded"),
    }
    if server.close(LAST_BYTES).await == Closed::NotAll {
        tracing::warn!("closing connections whose clients have not read their responses");
    }
    tracing::info!("stopped");
    Ok(())
}

/// A plain thread: the process can end without it, which a runtime's blocking task would prevent.
async fn on_own_thread<T: Send + 'static>(
    work: impl FnOnce() -> anyhow::Result<T> + Send + 'static,
) -> anyhow::Result<T> {
    let (done, result) = oneshot::channel();
    std::thread::Builder::new()
        .name("load".to_owned())
        .spawn(move || {
            // Nobody listens if the server was told to stop meanwhile.
            let _ = done.send(work());
        })
        .context("cannot start a thread to load the model")?;
    result.await.context("loading the model panicked")?
}

async fn drain(server: &Server, delay: Duration, grace_period: Duration) {
    let (delay_seconds, grace_seconds) = (delay.as_secs_f64(), grace_period.as_secs_f64());
    tracing::info!(delay_seconds, grace_seconds, "stopping: still answering, not ready any more");
    server.tell();
    tokio::time::sleep(delay).await;
    tracing::info!("finishing accepted requests");
    if server.close(grace_period).await == Closed::NotAll {
        tracing::warn!("the grace period is over: ending requests that are not finished");
    }
}

/// Nothing is left to compute, or no more time to do so.
async fn end(reasoner: &Reasoner) {
    reasoner.abort();
    if timeout(LAST_STEP, reasoner.drained()).await.is_err() {
        tracing::error!("the engine does not end its requests");
    }
}
