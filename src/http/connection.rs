//! One connection: its requests, and how it ends without a client losing one. Knows nothing of routes.
//!
//! A server that is about to stop says so first. Over HTTP/1 each answer carries `connection: close`; over HTTP/2 a
//! GOAWAY follows the first request. Only when it stops are connections closed that nobody has used for a moment; those
//! that nobody has used for long, or whose client does not read, are closed at any time.

use crate::http::linger::Lingering;
use crate::http::linger::Sending;
use crate::http::taking::Taking;
use crate::http::untaken::Untaken;
use axum::Router;
use axum::body::Body;
use axum::http::HeaderValue;
use axum::http::Version;
use axum::http::header;
use axum::response::Response;
use hyper::Request;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioExecutor;
use hyper_util::rt::TokioIo;
use hyper_util::server::conn::auto::Builder;
use std::convert::Infallible;
use std::pin::pin;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt as _;

/// A connection without a request for so long is one that nobody is about to use: time for a client that has just
/// connected to ask, or to ask again after an answer that began before it could say `connection: close`.
const QUIET: Duration = Duration::from_millis(500);

/// How all connections of a server end: three stages, each of which implies those before it.
#[derive(Clone, Debug, Default)]
pub(super) struct Ending {
    /// Clients are told to go elsewhere; they are still answered.
    pub(super) told: CancellationToken,
    /// What is not used is closed.
    pub(super) closed: CancellationToken,
    /// Everything is.
    pub(super) cut: CancellationToken,
}

/// What connections have in common.
#[derive(Clone)]
pub(super) struct Connections {
    pub(super) router: Router,
    pub(super) builder: Builder<TokioExecutor>,
    /// Longest time until the first request, and between two.
    pub(super) patience: Duration,
    /// Longest time in which nothing is taken of an answer that is there.
    pub(super) write_patience: Duration,
    pub(super) ending: Ending,
}

/// What has been said on a connection.
#[derive(Clone, Copy, Debug, Default)]
struct Talk {
    /// The protocol; `None` before the first request.
    version: Option<Version>,
    /// Requests whose answers are under way.
    open: usize,
}

impl Connections {
    /// Answers until the client or the server has had enough.
    pub(super) async fn serve(self, stream: TcpStream) {
        // An event is a few hundred bytes: it must not wait for the next one.
        let _ = stream.set_nodelay(true);
        let (said, talk) = watch::channel(Talk::default());
        let untaken = Untaken::new();
        let service = service_fn(|request| self.answer(request, (&said, &untaken)));
        let stream = Taking::new(stream, self.write_patience);
        let connection = self.builder.serve_connection(TokioIo::new(stream), service);
        let mut connection = pin!(connection);
        let result = tokio::select! {
            result = connection.as_mut() => result,
            () = silence(talk.clone(), self.patience) => return,
            never = untaken.give_up(self.write_patience) => match never {},
            () = self.last_request(talk.clone()) => {
                connection.as_mut().graceful_shutdown();
                tokio::select! {
                    result = connection => result,
                    never = untaken.give_up(self.write_patience) => match never {},
                    // What is still to be sent then is of answers that were given up.
                    () = quiet(talk, self.write_patience) => return,
                    () = self.ending.cut.cancelled() => return,
                }
            }
        };
        if let Err(error) = result {
            tracing::debug!(error, "connection ended");
        }
    }

    /// Ends when the client should send no further request here: the server is about to stop, or nobody asked for long.
    async fn last_request(&self, talk: watch::Receiver<Talk>) {
        tokio::select! {
            () = self.ending.last_request(talk.clone()) => {}
            () = idle(talk, self.patience) => {}
        }
    }

    fn answer(
        &self,
        request: Request<Incoming>,
        (said, untaken): (&watch::Sender<Talk>, &Untaken<Open>),
    ) -> impl Future<Output = Result<Response, Infallible>> + Send + use<> {
        let version = request.version();
        let open = Open::new(said.clone(), version);
        let sending = match request.headers().contains_key(header::EXPECT) {
            true => Sending::WhenAsked,
            false => Sending::Already,
        };
        let request = request.map(|body| Body::new(Lingering::new(Body::new(body), sending)));
        let answer = self.router.clone().oneshot(request);
        let (told, untaken) = (self.ending.told.clone(), untaken.clone());
        async move {
            let mut response = answer.await?;
            if told.is_cancelled() && version < Version::HTTP_2 {
                let close = HeaderValue::from_static("close");
                response.headers_mut().insert(header::CONNECTION, close);
            }
            Ok(response.map(|body| untaken.hand(body, open)))
        }
    }
}

impl Ending {
    /// Ends when a server that stops should get no further request here, and none is lost by saying so.
    async fn last_request(&self, talk: watch::Receiver<Talk>) {
        self.told.cancelled().await;
        tokio::select! {
            () = first_request(talk.clone(), is_http_2) => {}
            () = self.closed.cancelled() => quiet(talk, QUIET).await,
            () = self.cut.cancelled() => {}
        }
    }
}

fn is_http_2(version: Version) -> bool {
    version == Version::HTTP_2
}

/// A request whose answer is under way.
struct Open(watch::Sender<Talk>);

impl Open {
    fn new(said: watch::Sender<Talk>, version: Version) -> Self {
        said.send_modify(|talk| *talk = Talk { version: Some(version), open: talk.open + 1 });
        Self(said)
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.send_modify(|talk| talk.open -= 1);
    }
}

/// Ends with the first request over such a version of HTTP.
async fn first_request(mut talk: watch::Receiver<Talk>, over: impl Fn(Version) -> bool) {
    let _ = talk.wait_for(|talk| talk.version.is_some_and(&over)).await;
}

/// Ends when no request arrives at all. hyper's own timeout starts only once it knows which version of HTTP a client
/// speaks, and a client that sends nothing never tells.
async fn silence(talk: watch::Receiver<Talk>, limit: Duration) {
    if timeout(limit, first_request(talk, |_| true)).await.is_ok() {
        std::future::pending::<()>().await;
    }
}

/// Ends when a connection over HTTP/2 has had no request for so long; over HTTP/1 hyper sees to it.
async fn idle(talk: watch::Receiver<Talk>, limit: Duration) {
    first_request(talk.clone(), is_http_2).await;
    quiet(talk, limit).await;
}

/// Ends when there has been no request for so long.
async fn quiet(mut talk: watch::Receiver<Talk>, limit: Duration) {
    while talk.wait_for(|talk| talk.open == 0).await.is_ok() {
        if timeout(limit, talk.changed()).await.is_err() {
            return;
        }
    }
}
