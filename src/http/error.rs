//! The one error of the wire: it alone knows status codes, and writes one body shape everywhere. Does not know what
//! went wrong inside the layers below beyond their error types.

use crate::engine::request::Failure;
use crate::engine::request::Rejected;
use crate::reason::question::AskError;
use axum::Json;
use axum::http::HeaderValue;
use axum::http::StatusCode;
use axum::http::header;
use axum::response::IntoResponse;
use axum::response::Response;
use serde::Serialize;
use std::time::Duration;
use utoipa::ToSchema;

/// When to come back to a server that is loading or stopping.
const RETRY_UNAVAILABLE: Duration = Duration::from_secs(5);

/// The codings that a body may have, as `accept-encoding` says it.
const ACCEPTED_ENCODINGS: &str = "gzip, deflate";

/// Why a request got no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum ApiError {
    #[error("{message}")]
    Malformed { message: String, param: Option<String> },
    #[error("{message}")]
    Invalid { message: String, param: Option<String> },
    #[error("the request body is larger than {limit} bytes")]
    BodyTooLarge { limit: usize },
    #[error("the request body did not arrive in time")]
    BodyTimeout,
    #[error("send the body as `content-type: application/json`")]
    UnsupportedMediaType,
    #[error(
        "content-encoding: `{name}` is not supported: send the body as it is, or as {ACCEPTED_ENCODINGS}"
    )]
    UnsupportedEncoding { name: String },
    #[error("an API key is required: `authorization: Bearer <key>`")]
    MissingKey,
    #[error("the API key is not valid")]
    WrongKey,
    #[error("there is nothing at this path; /docs lists what there is")]
    NotFound,
    #[error("this path does not answer this method")]
    MethodNotAllowed,
    #[error("{rejected}")]
    TooLong { rejected: Rejected, param: &'static str },
    #[error("{param}: {error}")]
    FarTooLong { error: AskError, param: &'static str },
    #[error("the model `{asked}` is not served here; `{served}` is")]
    NoSuchModel { asked: String, served: String },
    #[error("the queue is full")]
    QueueFull { retry_after: Duration },
    #[error("the model is being loaded")]
    Loading,
    #[error("the server is stopping")]
    Draining,
    #[error("the engine failed; the server has to be restarted")]
    EngineDead,
    #[error("the request's deadline passed before the answer was complete")]
    Deadline,
    #[error("{0}")]
    NonFinite(Failure),
    #[error("{0}; others are answered, and this one may be asked again")]
    StepFailed(Failure),
    #[error("internal error")]
    Internal,
}

/// Why a request was not accepted, as metrics call it: left in its response.
#[derive(Clone, Copy, Debug)]
pub(super) struct Refusal(pub(super) &'static str);

impl ApiError {
    /// A value that is well-formed but not allowed.
    pub(super) fn invalid(param: &str, message: impl std::fmt::Display) -> Self {
        Self::Invalid { message: format!("{param}: {message}"), param: Some(param.to_owned()) }
    }

    /// The same about a field that stands elsewhere.
    pub(super) fn moved(self, from: &str, to: &str) -> Self {
        match self {
            Self::Invalid { message, param } => Self::Invalid {
                message: message.replacen(from, to, 1),
                param: param.map(|param| param.replacen(from, to, 1)),
            },
            other => other,
        }
    }

    /// Status, type and code.
    fn class(&self) -> (StatusCode, &'static str, &'static str) {
        const REQUEST: &str = "invalid_request_error";
        const KEY: &str = "authentication_error";
        const UNAVAILABLE: &str = "unavailable_error";
        const SERVER: &str = "server_error";
        match self {
            Self::Malformed { .. } => (StatusCode::BAD_REQUEST, REQUEST, "malformed_request"),
            Self::Invalid { .. } => (StatusCode::UNPROCESSABLE_ENTITY, REQUEST, "invalid_value"),
            Self::BodyTooLarge { .. } => (StatusCode::PAYLOAD_TOO_LARGE, REQUEST, "body_too_large"),
            Self::BodyTimeout => (StatusCode::REQUEST_TIMEOUT, REQUEST, "body_timeout"),
            Self::UnsupportedMediaType => {
                (StatusCode::UNSUPPORTED_MEDIA_TYPE, REQUEST, "unsupported_media_type")
            }
            Self::UnsupportedEncoding { .. } => {
                (StatusCode::UNSUPPORTED_MEDIA_TYPE, REQUEST, "unsupported_encoding")
            }
            Self::MissingKey => (StatusCode::UNAUTHORIZED, KEY, "missing_api_key"),
            Self::WrongKey => (StatusCode::UNAUTHORIZED, KEY, "invalid_api_key"),
            Self::NoSuchModel { .. } => (StatusCode::NOT_FOUND, REQUEST, "model_not_found"),
            Self::NotFound => (StatusCode::NOT_FOUND, REQUEST, "not_found"),
            Self::MethodNotAllowed => {
                (StatusCode::METHOD_NOT_ALLOWED, REQUEST, "method_not_allowed")
            }
            Self::TooLong { .. } | Self::FarTooLong { .. } => {
                (StatusCode::UNPROCESSABLE_ENTITY, REQUEST, "too_long")
            }
            Self::QueueFull { .. } => {
                (StatusCode::TOO_MANY_REQUESTS, "overloaded_error", "queue_full")
            }
            Self::Loading => (StatusCode::SERVICE_UNAVAILABLE, UNAVAILABLE, "loading"),
            Self::Draining => (StatusCode::SERVICE_UNAVAILABLE, UNAVAILABLE, "draining"),
            Self::EngineDead => (StatusCode::SERVICE_UNAVAILABLE, UNAVAILABLE, "engine_dead"),
            Self::Deadline => (StatusCode::GATEWAY_TIMEOUT, "timeout_error", "deadline_exceeded"),
            Self::NonFinite(_) => (StatusCode::INTERNAL_SERVER_ERROR, SERVER, "non_finite"),
            Self::StepFailed(_) => (StatusCode::INTERNAL_SERVER_ERROR, SERVER, "step_failed"),
            Self::Internal => (StatusCode::INTERNAL_SERVER_ERROR, SERVER, "internal"),
        }
    }

    /// As what it is counted where the answer leaves. The engine counts what it says of itself, and of health checks nothing
    /// is counted.
    fn refusal(&self) -> Option<Refusal> {
        match self {
            Self::Malformed { .. }
            | Self::Invalid { .. }
            | Self::BodyTooLarge { .. }
            | Self::UnsupportedMediaType
            | Self::UnsupportedEncoding { .. } => Some(Refusal("invalid")),
            Self::TooLong { .. } | Self::FarTooLong { .. } => Some(Refusal("too_long")),
            Self::QueueFull { .. } => Some(Refusal("queue_full")),
            _ => None,
        }
    }

    fn param(&self) -> Option<String> {
        match self {
            Self::Malformed { param, .. } | Self::Invalid { param, .. } => param.clone(),
            Self::FarTooLong { param, .. } | Self::TooLong { param, .. } => {
                Some((*param).to_owned())
            }
            Self::NoSuchModel { .. } => Some("model".to_owned()),
            Self::UnsupportedEncoding { .. } => Some(header::CONTENT_ENCODING.to_string()),
            _ => None,
        }
    }

    fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::QueueFull { retry_after } => Some(*retry_after),
            Self::Loading | Self::Draining | Self::EngineDead => Some(RETRY_UNAVAILABLE),
            _ => None,
        }
    }

    /// The body, also of an `error` event.
    pub(super) fn body(&self) -> ErrorBody {
        let (_, kind, code) = self.class();
        ErrorBody {
            error: ErrorDetail { message: self.to_string(), kind, param: self.param(), code },
        }
    }
}

/// How a route calls what may be to blame.
#[derive(Clone, Copy, Debug)]
pub(super) struct Fields {
    /// What is asked.
    pub(super) question: &'static str,
    /// How long the answer may be.
    pub(super) max_tokens: &'static str,
}

impl ApiError {
    /// Why a question was not accepted, by the names of its route.
    pub(super) fn refused(error: AskError, fields: Fields) -> Self {
        match error {
            AskError::EmptyQuestion
            | AskError::UnreadQuestion
            | AskError::Prompt(_)
            | AskError::Conversation(_)
            | AskError::Tokenizer(_)
            | AskError::Rejected(
                Rejected::UnknownId { .. }
                | Rejected::Empty
                | Rejected::TooManyBranches { .. }
                | Rejected::TooLarge { .. }
                | Rejected::Malformed(_),
            ) => Self::invalid(fields.question, error),
            AskError::TooLong { .. } => Self::FarTooLong { error, param: fields.question },
            AskError::Acting(_) => Self::invalid("tools", error),
            AskError::Feedback(_) => Self::invalid("feedback", error),
            AskError::Intervention { index, field, .. } => {
                Self::invalid(&format!("interventions[{index}].{field}"), error)
            }
            AskError::Inside { field: "", .. } => Self::invalid("inside", error),
            AskError::Inside { field, .. } => Self::invalid(&format!("inside.{field}"), error),
            AskError::Continuation { index: Some(index), .. } => {
                Self::invalid(&format!("continuations[{index}]"), error)
            }
            AskError::Continuation { index: None, .. } => Self::invalid("prefix", error),
            AskError::TooManyLatentSteps { .. } => Self::invalid("latent_steps", error),
            AskError::Rejected(Rejected::Full { retry_after }) => Self::QueueFull { retry_after },
            AskError::Rejected(rejected @ Rejected::TooLong { .. }) => {
                let param = fields.too_long(&rejected);
                Self::TooLong { rejected, param }
            }
            AskError::Rejected(Rejected::Stopping) => Self::Draining,
            AskError::Rejected(Rejected::Dead) => Self::EngineDead,
        }
    }
}

impl From<Failure> for ApiError {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Deadline => Self::Deadline,
            Failure::NonFinite => Self::NonFinite(failure),
            Failure::Step => Self::StepFailed(failure),
            Failure::Engine => Self::EngineDead,
            Failure::Stopped => Self::Draining,
        }
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let (status, ..) = self.class();
        let mut response = (status, Json(self.body())).into_response();
        if let Some(refusal) = self.refusal() {
            response.extensions_mut().insert(refusal);
        }
        if let Some(wait) = self.retry_after() {
            response
                .headers_mut()
                .insert(header::RETRY_AFTER, HeaderValue::from(whole_seconds(wait)));
        }
        let hint = match self {
            Self::MissingKey | Self::WrongKey => Some((header::WWW_AUTHENTICATE, "Bearer")),
            Self::UnsupportedEncoding { .. } => Some((header::ACCEPT_ENCODING, ACCEPTED_ENCODINGS)),
            _ => None,
        };
        if let Some((name, value)) = hint {
            response.headers_mut().insert(name, HeaderValue::from_static(value));
        }
        response
    }
}

impl Fields {
    /// The answer's length is to blame where a shorter one would have fitted.
    pub(super) fn too_long(self, rejected: &Rejected) -> &'static str {
        match rejected {
            Rejected::TooLong { prompt, latent, available, .. }
                if prompt.saturating_add(*latent) < *available =>
            {
                self.max_tokens
            }
            _ => self.question,
        }
    }
}

/// Rounded up, and at least one: a client that comes back at once is no help.
fn whole_seconds(wait: Duration) -> u64 {
    let started = u64::from(wait.subsec_nanos() > 0);
    wait.as_secs().saturating_add(started).max(1)
}

/// The body of every response that is not a success.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ErrorBody {
    error: ErrorDetail,
}

/// What went wrong and what the caller can change.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ErrorDetail {
    /// For people.
    message: String,
    /// Class of the error: `invalid_request_error`, `authentication_error`, `overloaded_error`, `unavailable_error`,
    /// `timeout_error` or `server_error`.
    #[serde(rename = "type")]
    #[schema(example = "invalid_request_error")]
    kind: &'static str,
    /// The field of the request that is to blame.
    #[schema(required)]
    param: Option<String>,
    /// For programs; does not change.
    #[schema(example = "invalid_value")]
    code: &'static str,
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIELDS: Fields = Fields { question: "question", max_tokens: "max_tokens" };

    #[test]
    fn retry_after_is_whole_seconds_rounded_up_and_never_zero() {
        for (wait, seconds) in [(0, 1), (1, 1), (999, 1), (1000, 1), (1001, 2), (7300, 8)] {
            assert_eq!(whole_seconds(Duration::from_millis(wait)), seconds, "{wait} ms");
        }
    }

    #[test]
    fn a_full_queue_says_when_to_come_back() {
        let full = AskError::Rejected(Rejected::Full { retry_after: Duration::from_millis(2500) });
        let response = ApiError::refused(full, FIELDS).into_response();
        assert_eq!(response.status(), StatusCode::TOO_MANY_REQUESTS);
        assert_eq!(response.headers()[header::RETRY_AFTER], "3");
    }

    #[test]
    fn too_long_blames_what_could_be_shorter_and_says_both_lengths() {
        for (prompt, answer, field) in [(120, 64, "question"), (90, 64, "max_tokens")] {
            let needed = prompt + 8 + answer;
            let rejected = Rejected::TooLong { prompt, latent: 8, answer, needed, available: 128 };
            let error = ApiError::refused(AskError::Rejected(rejected), FIELDS);
            assert_eq!(error.clone().into_response().status(), StatusCode::UNPROCESSABLE_ENTITY);
            let body = serde_json::to_value(error.body()).unwrap();
            assert_eq!(body["error"]["param"], field);
            let message = body["error"]["message"].as_str().unwrap();
            assert!(message.contains(&needed.to_string()) && message.contains("128"), "{message}");
        }
    }

    #[test]
    fn failures_have_the_status_that_names_them() {
        for (failure, status) in [
            (Failure::Deadline, 504),
            (Failure::NonFinite, 500),
            (Failure::Step, 500),
            (Failure::Engine, 503),
            (Failure::Stopped, 503),
        ] {
            assert_eq!(
                ApiError::from(failure).into_response().status().as_u16(),
                status,
                "{failure}"
            );
        }
    }

    #[test]
    fn the_body_has_four_fields_even_when_nothing_is_to_blame() {
        let body = serde_json::to_string(&ApiError::NotFound.body()).unwrap();
        assert!(
            body.contains(r#""type":"invalid_request_error","param":null,"code":"not_found""#),
            "{body}"
        );
    }
}
