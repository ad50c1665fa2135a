//! What a run consists of, as plain data. Does not know how it is read from a command line or how it is carried out.

use crate::data::example::Example;
use hyper::Uri;
use hyper::header::HeaderValue;
use std::ops::RangeInclusive;
use std::time::Duration;

/// Requests in flight in an open loop, where nothing says how many; beyond it arrivals wait, and that counts as latency.
pub const OPEN_LOOP_IN_FLIGHT: usize = 1024;

/// Most clients, and most requests in flight: each takes a port of this machine.
pub const MAX_CLIENTS: usize = 1 << 16;

/// Requests a second that one machine can tell apart, down to less than one an hour.
pub const RATES: RangeInclusive<f64> = 1e-4..=1e6;

/// A run of the load generator.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Whom to ask.
    pub server: Server,
    /// How to ask.
    pub ask: Ask,
    /// What to ask: in this order, and from the start again. At least one.
    pub questions: Vec<Example>,
    /// When requests begin.
    pub arrivals: Arrivals,
    /// When no more begin.
    pub end: End,
    /// Requests before those that count.
    pub warmup: usize,
}

/// Where requests go.
#[derive(Clone, Debug)]
pub struct Server {
    /// Scheme, address and perhaps a prefix of the path.
    pub base: Uri,
    /// The `authorization`, marked as a secret.
    pub authorization: Option<HeaderValue>,
    /// Longest time for one request, waiting after a refusal included.
    pub timeout: Duration,
    /// What to do when the server says when to come back.
    pub refused: Refused,
}

/// What to do about 429 with a `Retry-After`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// It is an error like others.
    Counts,
    /// Come back as told; the wait is part of the latency.
    Returns,
}

/// A route that answers questions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Route {
    /// `/v1/reason`
    #[default]
    Reason,
    /// `/v1/completions`, with the question and a newline as the prompt.
    Completions,
    /// `/v1/chat/completions`, with the question as the only message.
    Chat,
}

/// The fields of a request beside the question.
#[derive(Clone, Debug, Default)]
pub struct Ask {
    /// Where to.
    pub route: Route,
    /// Number of thoughts; the model's own where `None`.
    pub latent_steps: Option<usize>,
    /// Most answer tokens; the model's own where `None`.
    pub max_tokens: Option<usize>,
    /// Exactly so many answer tokens.
    pub ignore_eos: bool,
    /// Read events, and measure the time to the first token.
    pub stream: bool,
}

/// When requests begin.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Arrivals {
    /// So many clients, each of which asks again as soon as it has its answer.
    Closed {
        /// Number of clients.
        clients: usize,
    },
    /// At random times, whether or not answers have come: a Poisson process. Latency counts from the time at which a
    /// request should have begun, so that a server that makes requests wait before they are sent gains nothing by it.
    Open {
        /// Requests a second, on average.
        rate: f64,
        /// Makes the times repeatable.
        seed: u64,
        /// Bound of the requests in flight.
        most_in_flight: usize,
    },
}

/// When no more requests begin: after the first of these. Never, if there is neither.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct End {
    /// So many requests.
    pub requests: Option<usize>,
    /// So much time.
    pub duration: Option<Duration>,
}

impl Arrivals {
    /// An open loop with the usual bound.
    pub fn open(rate: f64) -> Self {
        Self::Open { rate, seed: 0, most_in_flight: OPEN_LOOP_IN_FLIGHT }
    }

    /// Bound of the requests in flight.
    pub fn most_in_flight(self) -> usize {
        match self {
            Self::Closed { clients } => clients,
            Self::Open { most_in_flight, .. } => most_in_flight,
        }
    }
}

impl Plan {
    /// The question of the request with this number, from 0.
    pub fn question(&self, number: usize) -> &Example {
        &self.questions[number % self.questions.len()]
    }
}
