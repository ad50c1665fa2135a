//! Connections: how many, how long a client may take to say what it wants, and how they end. Knows nothing of routes.

use axum::Router;
use hyper::Request;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioExecutor;
use hyper_util::rt::TokioIo;
use hyper_util::rt::TokioTimer;
use hyper_util::server::conn::auto::Builder;
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::server::graceful::Watcher;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::net::TcpStream;
use tokio::sync::Notify;
use tokio::sync::OwnedSemaphorePermit;
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::sync::DropGuard;
use tower::ServiceExt as _;

/// What a client may take up.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Most open connections; more wait in the kernel's backlog.
    pub max_connections: usize,
    /// Longest time for a request's head to arrive, and for a kept-alive connection to stay idle.
    pub header_read_timeout: Duration,
}

/// Pings on HTTP/2 connections, which have no header timeout of their own.
const HTTP2_PING: Duration = Duration::from_secs(20);

/// Pause after an accept that failed for want of something, such as file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// A listening server. Dropping it closes all connections.
#[derive(Debug)]
pub struct Server {
    stop_accepting: CancellationToken,
    accepting: JoinHandle<GracefulShutdown>,
    _close_all: DropGuard,
}

/// Starts to answer connections with this router.
pub fn listen(listener: TcpListener, router: Router, limits: Limits) -> Server {
    let stop_accepting = CancellationToken::new();
    let close_all = CancellationToken::new();
    let acceptor = Acceptor {
        listener,
        permits: Arc::new(Semaphore::new(limits.max_connections)),
        stop: stop_accepting.clone(),
        connections: Connections {
            router,
            builder: builder(limits),
            limits,
            close: close_all.clone(),
        },
    };
    Server {
        stop_accepting,
        accepting: tokio::spawn(acceptor.run()),
        _close_all: close_all.drop_guard(),
    }
}

impl Server {
    /// Accepts no more connections, closes idle ones, and waits for responses under way, but no longer than `patience`.
    pub async fn close(self, patience: Duration) {
        self.stop_accepting.cancel();
        let Ok(connections) = self.accepting.await else {
            return;
        };
        if timeout(patience, connections.shutdown()).await.is_err() {
            tracing::warn!("closing connections whose clients have not read their responses");
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
    listener: TcpListener,
    permits: Arc<Semaphore>,
    stop: CancellationToken,
    connections: Connections,
}

impl Acceptor {
    async fn run(self) -> GracefulShutdown {
        let graceful = GracefulShutdown::new();
        while let Some(Some((stream, permit))) = self.stop.run_until_cancelled(self.accept()).await
        {
            tokio::spawn(self.connections.clone().serve(stream, permit, graceful.watcher()));
        }
        graceful
    }

    /// The permit is taken first: clients beyond the limit wait in the kernel's backlog and cost us nothing.
    async fn accept(&self) -> Option<(TcpStream, OwnedSemaphorePermit)> {
        let permit = Arc::clone(&self.permits).acquire_owned().await.ok()?;
        loop {
            match self.listener.accept().await {
                Ok((stream, _peer)) => return Some((stream, permit)),
                Err(error) => {
                    tracing::warn!(%error, "cannot accept a connection");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }
}

#[derive(Clone)]
struct Connections {
    router: Router,
    builder: Builder<TokioExecutor>,
    limits: Limits,
    close: CancellationToken,
}

impl Connections {
    async fn serve(self, stream: TcpStream, _permit: OwnedSemaphorePermit, watcher: Watcher) {
        // An event is a few hundred bytes: it must not wait for the next one.
        let _ = stream.set_nodelay(true);
        let first_request = Arc::new(Notify::new());
        let service = service_fn({
            let first_request = Arc::clone(&first_request);
            move |request: Request<Incoming>| {
                first_request.notify_one();
                self.router.clone().oneshot(request)
            }
        });
        let connection = self.builder.serve_connection(TokioIo::new(stream), service).into_owned();
        tokio::select! {
            result = watcher.watch(connection) => {
                if let Err(error) = result {
                    tracing::debug!(error, "connection ended");
                }
            }
            () = silence(&first_request, self.limits.header_read_timeout) => {}
            () = self.close.cancelled() => {}
        }
    }
}

/// Ends when no request arrives at all. hyper's own timeout starts only once it knows which version of HTTP a client
/// speaks, and a client that sends nothing never tells.
async fn silence(first_request: &Notify, limit: Duration) {
    if timeout(limit, first_request.notified()).await.is_ok() {
        std::future::pending::<()>().await;
    }
}
