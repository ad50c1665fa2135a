//! One request from the time at which it should begin to its answer or error. Knows HTTP, not what is asked or counted.

use crate::bench::arrivals::Arrival;
use crate::bench::plan::Ask;
use crate::bench::plan::Plan;
use crate::bench::plan::Refused;
use crate::bench::plan::Server;
use crate::bench::target::Answered;
use crate::bench::target::Said;
use crate::data::example::Example;
use crate::web::client;
use crate::web::client::Reply;
use crate::web::client::retry_after;
use crate::web::sse::Events;
use http_body_util::BodyExt as _;
use hyper::Response;
use hyper::StatusCode;
use hyper::Uri;
use hyper::body::Bytes;
use hyper::body::Incoming;
use std::time::Duration;
use tokio::time::Instant;
use tokio::time::sleep;
use tokio::time::timeout;

/// When to come back, where a refusal does not say.
const DEFAULT_RETRY: Duration = Duration::from_secs(1);

/// Asks one server, over connections that are kept.
#[derive(Debug)]
pub(crate) struct Client {
    http: client::Client,
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
        let (server, ask) = (plan.server.clone(), plan.ask.clone());
        let (base, authorization) = (server.base.clone(), server.authorization.clone());
        let http = client::Client::new(base, authorization, plan.arrivals.most_in_flight());
        Self { uri: http.at(ask.route.path()), http, server, ask }
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
        let response = self.http.post(&self.uri, body).await?;
        if response.status() != StatusCode::OK {
            let (status, retry_after) = (response.status(), retry_after(&response));
            // Read to its end, so that the connection can be used again.
            let _ = Reply::read(response).await;
            return Err(Failed::Status { status, retry_after });
        }
        match self.ask.stream {
            true => self.read_events(response, progress).await,
            false => {
                let body = Reply::read(response).await?.body;
                self.ask.route.answer(&body).map_err(|_unexpected| Failed::Broken)
            }
        }
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

impl From<client::Failed> for Failed {
    fn from(failed: client::Failed) -> Self {
        match failed {
            client::Failed::Connect(_) => Self::Connect,
            client::Failed::Broken(_) => Self::Broken,
        }
    }
}
