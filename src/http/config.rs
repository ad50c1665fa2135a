//! The settings of the wire. Does not know where they come from.

use crate::http::auth::ApiKeys;
use axum::http::HeaderValue;
use std::time::Duration;

/// How requests are admitted and answered.
#[derive(Clone, Debug)]
pub struct Config {
    /// Who may ask; nobody is asked for a key where there are none.
    pub api_keys: ApiKeys,
    /// Whether `/metrics` asks for a key too.
    pub protect_metrics: bool,
    /// Which web pages may read answers.
    pub cors: Cors,
    /// Largest request body, in bytes.
    pub max_body_bytes: usize,
    /// Longest time from a request's head to its complete answer.
    pub request_timeout: Duration,
    /// Time of silence after which a stream carries a comment.
    pub ping_interval: Duration,
}

/// Which origins may read answers in a browser.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cors {
    /// None: no CORS headers are sent.
    Off,
    /// All.
    Any,
    /// These.
    Origins(Vec<HeaderValue>),
}

impl Default for Config {
    /// What the command line's defaults come to.
    fn default() -> Self {
        Self {
            api_keys: ApiKeys::default(),
            protect_metrics: false,
            cors: Cors::Off,
            max_body_bytes: 1 << 20,
            request_timeout: Duration::from_secs(60),
            ping_interval: Duration::from_secs(15),
        }
    }
}
