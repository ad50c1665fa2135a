//! The settings of the wire. Does not know where they come from.

use crate::http::keys::ApiKeys;
use crate::tools::set::ToolSet;
use axum::http::HeaderValue;
use std::time::Duration;

/// How requests are admitted and answered.
#[derive(Clone, Debug)]
pub struct Config {
    /// Who may ask; nobody is asked for a key where there are none.
    pub api_keys: ApiKeys,
    /// Whether `/metrics` and `/load` ask for a key too.
    pub protect_metrics: bool,
    /// What models may do that call tools.
    pub tools: ToolSet,
    /// Longest time for one call of a tool.
    pub tool_timeout: Duration,
    /// Whose names metrics have beside ours.
    pub metrics_compat: Option<MetricsCompat>,
    /// Which web pages may read answers.
    pub cors: Cors,
    /// Whether there is a page at `/`.
    pub playground: Playground,
    /// Largest request body, in bytes.
    pub max_body_bytes: usize,
    /// Longest time from a request's head to its complete answer.
    pub request_timeout: Duration,
    /// Time of silence after which a stream carries a comment.
    pub ping_interval: Duration,
}

/// A server whose metrics others know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MetricsCompat {
    /// vLLM.
    Vllm,
}

/// The page on which thoughts can be seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Playground {
    /// At `/`, for everybody; what it asks of the API needs a key where all need one.
    Served,
    /// Nowhere.
    Absent,
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

/// Why origins are not accepted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CorsError {
    /// `*` and others.
    #[error("* stands for all origins; give it alone")]
    AllAndSome,
    /// A path, a missing scheme, or nothing that a browser would send.
    #[error("`{0}` is not an origin such as https://example.org")]
    NotAnOrigin(String),
}

impl Cors {
    /// No origins, `*`, or some. Empty strings are left out.
    pub fn of(origins: &[String]) -> Result<Self, CorsError> {
        let origins: Vec<&str> = origins
            .iter()
            .map(|origin| origin.trim())
            .filter(|origin| !origin.is_empty())
            .collect();
        match origins.as_slice() {
            [] => Ok(Self::Off),
            ["*"] => Ok(Self::Any),
            some if some.contains(&"*") => Err(CorsError::AllAndSome),
            some => {
                some.iter().copied().map(parse_origin).collect::<Result<_, _>>().map(Self::Origins)
            }
        }
    }
}

/// Browsers send scheme, host and port; an origin with a path would never match.
fn parse_origin(origin: &str) -> Result<HeaderValue, CorsError> {
    let host = origin.strip_prefix("https://").or_else(|| origin.strip_prefix("http://"));
    host.filter(|host| !host.is_empty() && !host.contains('/'))
        .and_then(|_| origin.parse().ok())
        .ok_or_else(|| CorsError::NotAnOrigin(origin.to_owned()))
}

impl Default for Config {
    /// What the command line's defaults come to.
    fn default() -> Self {
        Self {
            api_keys: ApiKeys::default(),
            protect_metrics: false,
            tools: ToolSet::default(),
            tool_timeout: Duration::from_secs(10),
            metrics_compat: None,
            cors: Cors::Off,
            playground: Playground::Served,
            max_body_bytes: 1 << 20,
            request_timeout: Duration::from_secs(60),
            ping_interval: Duration::from_secs(15),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cors(origins: &[&str]) -> Result<Cors, CorsError> {
        Cors::of(&origins.iter().map(|origin| (*origin).to_owned()).collect::<Vec<_>>())
    }

    #[test]
    fn origins_are_none_all_or_named() {
        assert_eq!(cors(&[]), Ok(Cors::Off));
        assert_eq!(cors(&[""]), Ok(Cors::Off));
        assert_eq!(cors(&["*"]), Ok(Cors::Any));
        let named = ["https://a.example", "http://b.example:3000"].map(HeaderValue::from_static);
        assert_eq!(
            cors(&["https://a.example", " http://b.example:3000"]),
            Ok(Cors::Origins(named.to_vec()))
        );
    }

    #[test]
    fn what_no_browser_sends_is_refused() {
        assert_eq!(cors(&["*", "https://a.example"]), Err(CorsError::AllAndSome));
        for wrong in ["a.example", "https://a.example/", "https://", "https://a\nb"] {
            assert_eq!(cors(&[wrong]), Err(CorsError::NotAnOrigin(wrong.to_owned())));
        }
    }
}
