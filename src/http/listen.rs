//! A listening server: how many connections it takes, and how it stops. Knows nothing of routes.

use crate::http::connection::Connections;
use crate::http::connection::Ending;
use crate::metrics::Metrics;
use axum::Router;
use hyper_util::rt::TokioExecutor;
use hyper_util::rt::TokioTimer;
use hyper_util::server::conn::auto::Builder;
use std::sync::Arc;
use std::time::Duration;
use std::time::Instant;
use tokio::net::TcpListener;
use tokio::net::TcpStream;
use tokio::sync::OwnedSemaphorePermit;
use tokio::sync::Semaphore;
use tokio::time::timeout;
use tokio_util::sync::DropGuard;
use tokio_util::task::TaskTracker;

/// What a client may take up.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Most open connections; more wait in the kernel's backlog.
    pub max_connections: usize,
    /// Longest time for a request's head to arrive, and for a connection to stay idle.
    pub header_read_timeout: Duration,
    /// Longest time for a client to take nothing of an answer that is there.
    pub write_timeout: Duration,
}

/// Pings on HTTP/2 connections, which have no header timeout of their own.
const HTTP2_PING: Duration = Duration::from_secs(20);

/// Pause after an accept that failed for want of something, such as file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Between two lines about the limit on connections: at the limit each connection that ends is followed by another.
const QUIET: Duration = Duration::from_secs(60);

/// A listening server. Dropping it closes all connections.
#[derive(Debug)]
pub struct Server {
    ending: Ending,
    /// The one that accepts, and one for each connection.
    tasks: TaskTracker,
    _cut: DropGuard,
}

/// How a server ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Closed {
    /// Every answer is sent and every connection closed.
    All,
    /// Some connections are still in use.
    NotAll,
}

/// Starts to answer connections with this router.
pub fn listen(
    listener: TcpListener,
    router: Router,
    limits: Limits,
    metrics: &Arc<Metrics>,
) -> Server {
    let ending = Ending::default();
    let tasks = TaskTracker::new();
    let connections = Connections {
        router,
        builder: builder(limits),
        patience: limits.header_read_timeout,
        write_patience: limits.write_timeout,
        ending: ending.clone(),
    };
    let acceptor = Acceptor {
        permits: Arc::new(Semaphore::new(limits.max_connections)),
        max_connections: limits.max_connections,
        said_full: None,
        connections,
        tasks: tasks.clone(),
        metrics: Arc::clone(metrics),
    };
    tasks.spawn(acceptor.run(listener));
    // Nothing but the acceptor adds to them: they are over once there are none.
    tasks.close();
    Server { _cut: ending.cut.clone().drop_guard(), ending, tasks }
}

impl Server {
    /// Tells clients to go elsewhere; whoever asks is still answered, on new connections too.
    pub fn tell(&self) {
        self.ending.told.cancel();
    }

    /// Accepts no more connections, closes those that are not used, and waits for answers under way, but no longer than
    /// `patience`.
    pub async fn close(&self, patience: Duration) -> Closed {
        self.tell();
        self.ending.closed.cancel();
        match timeout(patience, self.tasks.wait()).await {
            Ok(()) => Closed::All,
            Err(_elapsed) => Closed::NotAll,
        }
    }
}

fn builder(limits: Limits) -> Builder<TokioExecutor> {
    let mut builder = Builder::new(TokioExecutor::new());
    builder.http1().timer(TokioTimer::new()).header_read_timeout(limits.header_read_timeout);
    builder
        .http2()
        .timer(TokioTimer::new())
        .keep_alive_interval(HTTP2_PING)
        .keep_alive_timeout(HTTP2_PING);
    builder
}

struct Acceptor {
    permits: Arc<Semaphore>,
    max_connections: usize,
    /// When it was last told that there are no permits left.
    said_full: Option<Instant>,
    connections: Connections,
    tasks: TaskTracker,
    metrics: Arc<Metrics>,
}

/// The place of an open connection; dropping it gives it back.
struct Place {
    metrics: Arc<Metrics>,
    _permit: OwnedSemaphorePermit,
}

impl Drop for Place {
    fn drop(&mut self) {
        self.metrics.http_connections.dec();
    }
}

impl Acceptor {
    async fn run(mut self, listener: TcpListener) {
        let closed = self.connections.ending.closed.clone();
        while let Some(Some(permit)) = closed.run_until_cancelled(self.permit()).await {
            let Some(stream) = closed.run_until_cancelled(accept(&listener)).await else { break };
            self.serve(stream, permit);
        }
        self.last(listener).await;
    }

    /// Clients that the kernel has greeted are connected as far as they know, and have asked: they are answered too.
    async fn last(&mut self, listener: TcpListener) {
        let Ok(listener) = listener.into_std() else { return };
        while let Ok((stream, _peer)) = listener.accept() {
            let stream = stream.set_nonblocking(true).and_then(|()| TcpStream::from_std(stream));
            let Some(permit) = self.permit().await else { return };
            if let Ok(stream) = stream {
                self.serve(stream, permit);
            }
        }
    }

    /// It is taken before a client is: those beyond the limit wait in the kernel's backlog and cost us nothing.
    async fn permit(&mut self) -> Option<OwnedSemaphorePermit> {
        let permits = Arc::clone(&self.permits);
        if permits.available_permits() == 0
            && self.said_full.is_none_or(|said| said.elapsed() >= QUIET)
        {
            let max_connections = self.max_connections;
            tracing::warn!(
                max_connections,
                "as many connections are open as may be: further clients, health checks too, wait"
            );
            self.said_full = Some(Instant::now());
        }
        permits.acquire_owned().await.ok()
    }

    fn serve(&self, stream: TcpStream, permit: OwnedSemaphorePermit) {
        let connections = self.connections.clone();
        self.metrics.http_connections.inc();
        let place = Place { metrics: Arc::clone(&self.metrics), _permit: permit };
        self.tasks.spawn(async move {
            connections.serve(stream).await;
            drop(place);
        });
    }
}

async fn accept(listener: &TcpListener) -> TcpStream {
    loop {
        match listener.accept().await {
            Ok((stream, _peer)) => return stream,
            Err(error) => {
                tracing::warn!(%error, "cannot accept a connection");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}
