//! One request from the time at which it should begin to its answer or error. Knows HTTP, not what is asked or counted.

use crate::bench::arrivals::Arrival;
use crate::bench::plan::Ask;
use crate::bench::plan::Plan;
use crate::bench::plan::Refused;
use crate::bench::plan::Server;
use crate::bench::sse::Events;
use crate::bench::target::Answered;
use crate::bench::target::Said;
use crate::data::example::Example;
use http_body_util::BodyExt as _;
use http_body_util::Full;
use http_body_util::Limited;
use hyper::Request;
use hyper::Response;
use hyper::StatusCode;
use hyper::Uri;
use hyper::body::Bytes;
use hyper::body::Incoming;
use hyper::header::AUTHORIZATION;
use hyper::header::CONTENT_TYPE;
use hyper::header::RETRY_AFTER;
use hyper_util::client::legacy;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use std::time::Duration;
use tokio::time::Instant;
use tokio::time::sleep;
use tokio::time::timeout;

/// Largest answer that is read whole.
const MAX_ANSWER_BYTES: usize = 64 << 20;

/// When to come back, where a refusal does not say.
const DEFAULT_RETRY: Duration = Duration::from_secs(1);

/// Asks one server, over connections that are kept.
#[derive(Debug)]
pub(crate) struct Client {
    http: legacy::Client<HttpConnector, Full<Bytes>>,
    uri: Uri,
    server: Server,
    ask: Ask,
}

/// What came of a request.
#[derive(Debug)]
pub(crate) struct Sample {
    pub(crate) number: usize,
    pub(crate) intended: Instant,
    pub(crate) ended: Instant,
    /// When the first answer token arrived; known of streams only.
    pub(crate) first_token: Option<Instant>,
    /// Refusals that said when to come back.
    pub(crate) told_to_return: u64,
    pub(crate) outcome: Result<Answered, Failed>,
}

/// Why there is no answer; its text is the kind that is counted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Failed {
    /// The server answered with an error.
    #[error("status {}", .status.as_u16())]
    Status { status: StatusCode, retry_after: Option<Duration> },
    /// No connection.
    #[error("connect")]
    Connect,
    /// The connection ended early, or something came that is no answer.
    #[error("broken")]
    Broken,
    /// No answer within the time limit.
    #[error("timeout")]
    Timeout,
    /// A stream that ended with an error event.
    #[error("event {0}")]
    Event(String),
}

/// What is known of a request before its end, also where it has none.
#[derive(Debug, Default)]
struct Progress {
    first_token: Option<Instant>,
    told_to_return: u64,
}

impl Client {
    pub(crate) fn new(plan: &Plan) -> Self {
        let http = legacy::Client::builder(TokioExecutor::new())
            .pool_max_idle_per_host(plan.arrivals.most_in_flight())
            .build(connector());
        let (server, ask) = (plan.server.clone(), plan.ask.clone());
        Self { http, uri: join(&server.base, ask.route.path()), server, ask }
    }

    /// Asks, within the time limit.
    pub(crate) async fn ask(&self, arrival: Arrival, example: &Example) -> Sample {
        let mut progress = Progress::default();
        let asking = self.ask_until_taken(&example.question, &mut progress);
        let outcome = timeout(self.server.timeout, asking).await.unwrap_or(Err(Failed::Timeout));
        Sample {
            number: arrival.number,
            intended: arrival.intended,
            ended: Instant::now(),
            first_token: progress.first_token,
            told_to_return: progress.told_to_return,
            outcome,
        }
    }

    async fn ask_until_taken(
        &self,
        question: &str,
        progress: &mut Progress,
    ) -> Result<Answered, Failed> {
        let body = Bytes::from(self.ask.route.body(&self.ask, question));
        loop {
            let outcome = self.exchange(body.clone(), progress).await;
            let Err(Failed::Status { status: StatusCode::TOO_MANY_REQUESTS, retry_after }) =
                outcome
            else {
                return outcome;
            };
            progress.told_to_return += u64::from(retry_after.is_some());
            match self.server.refused {
                Refused::Counts => return outcome,
                Refused::Returns => sleep(retry_after.unwrap_or(DEFAULT_RETRY)).await,
            }
        }
    }

    async fn exchange(&self, body: Bytes, progress: &mut Progress) -> Result<Answered, Failed> {
        let response = self.http.request(self.request(body)).await.map_err(|error| match error
            .is_connect()
        {
            true => Failed::Connect,
            false => Failed::Broken,
        })?;
        if response.status() != StatusCode::OK {
            let (status, retry_after) = (response.status(), retry_after(&response));
            // Read to its end, so that the connection can be used again.
            let _ = whole(response).await;
            return Err(Failed::Status { status, retry_after });
        }
        match self.ask.stream {
            true => self.read_events(response, progress).await,
            false => {
                self.ask.route.answer(&whole(response).await?).map_err(|_unexpected| Failed::Broken)
            }
        }
    }

    fn request(&self, body: Bytes) -> Request<Full<Bytes>> {
        let mut request = Request::post(self.uri.clone()).header(CONTENT_TYPE, "application/json");
        if let Some(authorization) = &self.server.authorization {
            request = request.header(AUTHORIZATION, authorization);
        }
        request
            .body(Full::new(body))
            .expect("an address that was parsed, and headers that are values already")
    }

    async fn read_events(
        &self,
        response: Response<Incoming>,
        progress: &mut Progress,
    ) -> Result<Answered, Failed> {
        let (mut body, mut events) = (response.into_body(), Events::default());
        let (mut ended, mut answer) = (None, None);
        // On to the end also after the last event, so that the connection can be used again.
        while let Some(frame) = body.frame().await {
            let frame = frame.map_err(|_| Failed::Broken)?;
            let Some(bytes) = frame.data_ref() else { continue };
            for event in events.push(bytes).map_err(|_| Failed::Broken)? {
                match self.ask.route.event(&event).map_err(|_| Failed::Broken)? {
                    Said::Token => _ = progress.first_token.get_or_insert_with(Instant::now),
                    Said::More => {}
                    Said::Answer(said) => answer = Some(said),
                    Said::Done(answered) => {
                        let said = answer.take().unwrap_or_else(|| answered.answer.clone());
                        ended = Some(Ok(Answered { answer: said, ..answered }));
                    }
                    Said::Failed(code) => ended = Some(Err(Failed::Event(code))),
                }
            }
        }
        ended.unwrap_or(Err(Failed::Broken))
    }
}

fn connector() -> HttpConnector {
    let mut connector = HttpConnector::new();
    // A small request must not wait for the acknowledgement of the one before it.
    connector.set_nodelay(true);
    connector
}

/// `path` below the server's address.
fn join(base: &Uri, path: &str) -> Uri {
    let joined = format!("{}{path}", base.to_string().trim_end_matches('/'));
    joined.parse().expect("an address and a path are an address")
}

async fn whole(response: Response<Incoming>) -> Result<Bytes, Failed> {
    let body = Limited::new(response.into_body(), MAX_ANSWER_BYTES);
    Ok(body.collect().await.map_err(|_| Failed::Broken)?.to_bytes())
}

/// In seconds, as our server and most others write it; dates are not understood.
fn retry_after(response: &Response<Incoming>) -> Option<Duration> {
    let seconds = response.headers().get(RETRY_AFTER)?.to_str().ok()?.parse().ok()?;
    Some(Duration::from_secs(seconds))
}
