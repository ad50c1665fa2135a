//! Requests to one server over connections that are kept. Knows HTTP, no route and no JSON; how long to wait and whether to
//! ask again is its callers' business.

use http_body_util::BodyExt as _;
use http_body_util::Full;
use http_body_util::Limited;
use hyper::Method;
use hyper::Request;
use hyper::Response;
use hyper::Uri;
use hyper::body::Bytes;
use hyper::body::Incoming;
use hyper::header::AUTHORIZATION;
use hyper::header::CONTENT_TYPE;
use hyper::header::HeaderValue;
use hyper::header::RETRY_AFTER;
use hyper_util::client::legacy;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use std::time::Duration;

/// Largest answer that is read whole.
const MAX_ANSWER_BYTES: usize = 64 << 20;

/// Asks one server.
#[derive(Debug)]
pub struct Client {
    http: legacy::Client<HttpConnector, Full<Bytes>>,
    base: Uri,
    authorization: Option<HeaderValue>,
}

/// A response, read to its end.
#[derive(Clone, Debug)]
pub struct Reply {
    /// Such as 200.
    pub status: u16,
    /// When to come back, where it says so.
    pub retry_after: Option<Duration>,
    /// All of it.
    pub body: Bytes,
}

/// Why there is no response.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Failed {
    /// No connection.
    #[error("no connection: {0}")]
    Connect(String),
    /// The connection ended early, or the response is too long.
    #[error("broken off: {0}")]
    Broken(String),
}

impl Client {
    /// A client of the server at this address, which may have a path; `authorization` is sent with each request.
    pub fn new(base: Uri, authorization: Option<HeaderValue>, most_connections: usize) -> Self {
        let http = legacy::Client::builder(TokioExecutor::new())
            .pool_max_idle_per_host(most_connections)
            .build(connector());
        Self { http, base, authorization }
    }

    /// The server's address.
    pub fn base(&self) -> &Uri {
        &self.base
    }

    /// `path` below the server's address.
    pub fn at(&self, path: &str) -> Uri {
        let joined = format!("{}{path}", self.base.to_string().trim_end_matches('/'));
        joined.parse().expect("an address and a path are an address")
    }

    /// Sends JSON; what comes back is not read yet.
    ///
    /// # Errors
    /// Where no head of a response comes.
    pub async fn post(&self, to: &Uri, json: Bytes) -> Result<Response<Incoming>, Failed> {
        let builder = Request::builder().method(Method::POST).uri(to.clone());
        self.send(builder.header(CONTENT_TYPE, "application/json"), json).await
    }

    /// Asks for what is at an address.
    ///
    /// # Errors
    /// Where no head of a response comes.
    pub async fn get(&self, from: &Uri) -> Result<Response<Incoming>, Failed> {
        let builder = Request::builder().method(Method::GET).uri(from.clone());
        self.send(builder, Bytes::new()).await
    }

    async fn send(
        &self,
        mut builder: hyper::http::request::Builder,
        body: Bytes,
    ) -> Result<Response<Incoming>, Failed> {
        if let Some(authorization) = &self.authorization {
            builder = builder.header(AUTHORIZATION, authorization);
        }
        let request = builder
            .body(Full::new(body))
            .expect("an address that was parsed, and headers that are values already");
        self.http.request(request).await.map_err(|error| match error.is_connect() {
            true => Failed::Connect(cause(&error)),
            false => Failed::Broken(cause(&error)),
        })
    }
}

impl Reply {
    /// Reads a response to its end, so that its connection can be used again.
    ///
    /// # Errors
    /// Where it ends early or is too long.
    pub async fn read(response: Response<Incoming>) -> Result<Self, Failed> {
        let (status, retry_after) = (response.status().as_u16(), retry_after(&response));
        let body = Limited::new(response.into_body(), MAX_ANSWER_BYTES).collect().await;
        let body = body.map_err(|error| Failed::Broken(error.to_string()))?.to_bytes();
        Ok(Self { status, retry_after, body })
    }
}

/// In seconds, as our server and most others write it; dates are not understood.
pub fn retry_after(response: &Response<Incoming>) -> Option<Duration> {
    let seconds = response.headers().get(RETRY_AFTER)?.to_str().ok()?.parse().ok()?;
    Some(Duration::from_secs(seconds))
}

/// The last of an error's causes, which says most.
fn cause(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    causes.last().map(ToString::to_string).unwrap_or_default()
}

fn connector() -> HttpConnector {
    let mut connector = HttpConnector::new();
    // A small request must not wait for the acknowledgement of the one before it.
    connector.set_nodelay(true);
    connector
}
