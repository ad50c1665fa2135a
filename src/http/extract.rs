//! JSON bodies and deadlines out of requests, with rejections that name the field. Does not know any route's types.

use crate::files::text;
use crate::http::desk::Work;
use crate::http::encoding::Codings;
use crate::http::error::ApiError;
use crate::http::state::AppState;
use crate::text::units::LONGEST_WAIT;
use axum::body::Bytes;
use axum::extract::FromRequest;
use axum::extract::FromRequestParts;
use axum::extract::Request;
use axum::http::HeaderMap;
use axum::http::StatusCode;
use axum::http::header;
use axum::http::request::Parts;
use serde::de::DeserializeOwned;
use std::time::Duration;
use tokio::time::Instant;
use tokio::time::timeout_at;
use utoipa::IntoParams;

/// A request body, parsed.
#[derive(Debug)]
pub(super) struct Json<T>(pub(super) T);

impl<T: DeserializeOwned + Send + 'static> FromRequest<AppState> for Json<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &AppState) -> Result<Self, ApiError> {
        read(request, state, parse).await.map(Self)
    }
}

/// A request body of several groups of fields, each of which takes those that it knows.
#[derive(Debug)]
pub(super) struct Groups<T>(pub(super) T);

/// What is made of such a body.
pub(super) trait FromGroups: Sized + Send + 'static {
    /// Reads each group by [`parse`].
    ///
    /// # Errors
    /// The first wrong field.
    fn from_groups(body: &[u8]) -> Result<Self, ApiError>;
}

impl<T: FromGroups> FromRequest<AppState> for Groups<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &AppState) -> Result<Self, ApiError> {
        read(request, state, T::from_groups).await.map(Self)
    }
}

async fn read<T: Send + 'static>(
    request: Request,
    state: &AppState,
    parse: impl FnOnce(&[u8]) -> Result<T, ApiError> + Send + 'static,
) -> Result<T, ApiError> {
    if !says_json(request.headers()) {
        return Err(ApiError::UnsupportedMediaType);
    }
    let codings = Codings::of(request.headers())?;
    let config = state.config();
    let (limit, deadline) = (config.max_body_bytes, Instant::now() + config.request_timeout);
    // Before the body is looked at: whoever waits to be asked for it is then not asked.
    if announced(request.headers()).is_some_and(|bytes| bytes > limit) {
        return Err(ApiError::BodyTooLarge { limit });
    }
    let body = timeout_at(deadline, Bytes::from_request(request, state))
        .await
        .map_err(|_elapsed| ApiError::BodyTimeout)?
        .map_err(|rejection| match rejection.status() {
            StatusCode::PAYLOAD_TOO_LARGE => ApiError::BodyTooLarge { limit },
            _ => ApiError::Malformed { message: rejection.body_text(), param: None },
        })?;
    let bytes = if codings.is_plain() { body.len() } else { limit };
    let parsed = move || parse(&codings.decode(body, limit)?);
    state.reading().run(Work::Parse(bytes), deadline, parsed).await?
}

/// How long the body is, where its head says so.
fn announced(headers: &HeaderMap) -> Option<usize> {
    headers.get(header::CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

/// `application/json`, or a type built on it such as `application/problem+json`.
fn says_json(headers: &HeaderMap) -> bool {
    let Some(Ok(value)) = headers.get(header::CONTENT_TYPE).map(|value| value.to_str()) else {
        return false;
    };
    let essence = value.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    essence == "application/json"
        || (essence.starts_with("application/") && essence.ends_with("+json"))
}

const NO_OBJECT: &str = "the body must be an object";

/// What is not JSON is malformed; JSON with a wrong, unknown or missing field is invalid and names the field.
pub(super) fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T, ApiError> {
    let malformed = |error: &dyn std::fmt::Display| ApiError::Malformed {
        message: error.to_string(),
        param: None,
    };
    let body = text::text(body).map_err(|error| malformed(&format!("the body {error}")))?;
    // serde would take a list for a struct's fields in order.
    if body.trim_start().starts_with('[') {
        return Err(ApiError::Invalid { message: NO_OBJECT.to_owned(), param: None });
    }
    let mut json = serde_json::Deserializer::from_str(body);
    let value = serde_path_to_error::deserialize(&mut json).map_err(|error| {
        match error.inner().classify() {
            serde_json::error::Category::Data => invalid(&error),
            // Not for serde_json, but for JSON, 1e999 is a number like others.
            _ if error.inner().to_string().starts_with("number out of range") => invalid(&error),
            _ => malformed(error.inner()),
        }
    })?;
    json.end().map_err(|error| malformed(&error))?;
    Ok(value)
}

fn invalid(error: &serde_path_to_error::Error<serde_json::Error>) -> ApiError {
    let path = error.path().to_string();
    let message = error.inner().to_string();
    // The place is that of the object in which a field is absent, or there twice; its name is only in the message.
    let named =
        [("missing field `", "this field is required"), ("duplicate field `", "is there twice")];
    let named = named
        .into_iter()
        .find_map(|(start, what)| Some((message.strip_prefix(start)?.split('`').next()?, what)));
    match (named, path.as_str()) {
        (Some((field, what)), ".") => ApiError::invalid(field, what),
        (Some((field, what)), path) => ApiError::invalid(&format!("{path}.{field}"), what),
        (None, ".") if message.starts_with("invalid type") => {
            ApiError::Invalid { message: NO_OBJECT.to_owned(), param: None }
        }
        (None, ".") => ApiError::Invalid { message, param: None },
        (None, path) => ApiError::invalid(path, message),
    }
}

/// The moment by which the answer must be complete: the server's limit, or less where the client says so in
/// `x-request-timeout` (seconds).
#[derive(Clone, Copy, Debug)]
pub(super) struct Deadline(pub(super) Instant);

/// Where a client says how many seconds it is willing to wait.
pub(super) const TIMEOUT_HEADER: &str = "x-request-timeout";

/// Whoever has less time cannot have an answer: a network takes as long, and so does a moment's queue.
const LEAST_TIMEOUT: Duration = Duration::from_secs(1);

/// The headers that a question may have, for the document.
#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Header)]
#[expect(dead_code, reason = "read by `Deadline` and `track`")]
pub(super) struct Headers {
    /// Seconds to wait for the answer, such as `30` or `2.5`: at most the server's limit, and less than 1 counts as 1.
    #[param(
        rename = "x-request-timeout",
        pattern = r"^([1-9][0-9]{0,5}(\.[0-9]{1,6})?|0\.[0-9]{0,5}[1-9])$",
        required = false
    )]
    timeout: String,
    /// Returned, and written to the server's log.
    #[param(rename = "x-request-id", required = false)]
    id: String,
}

impl FromRequestParts<AppState> for Deadline {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, ApiError> {
        let asked = asked_timeout(&parts.headers)?;
        let limit = state.config().request_timeout.min(LONGEST_WAIT);
        Ok(Self(Instant::now() + asked.map_or(limit, |asked| asked.max(LEAST_TIMEOUT).min(limit))))
    }
}

fn asked_timeout(headers: &HeaderMap) -> Result<Option<Duration>, ApiError> {
    let Some(value) = headers.get(TIMEOUT_HEADER) else {
        return Ok(None);
    };
    let seconds = value
        .to_str()
        .ok()
        .and_then(|text| text.trim().parse::<f64>().ok())
        .filter(|seconds| *seconds > 0.0);
    let Some(seconds) = seconds else {
        let message = format!("{TIMEOUT_HEADER}: must be a number of seconds above 0");
        return Err(ApiError::Malformed { message, param: Some(TIMEOUT_HEADER.to_owned()) });
    };
    Ok(Some(Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::HeaderValue;
    use serde::Deserialize;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Order {
        #[expect(dead_code, reason = "only parsed")]
        name: String,
        #[serde(default)]
        #[expect(dead_code, reason = "only parsed")]
        sizes: Vec<u8>,
        #[serde(default)]
        #[expect(dead_code, reason = "only parsed")]
        parts: Vec<Part>,
    }

    #[derive(Debug, Deserialize)]
    struct Part {
        #[expect(dead_code, reason = "only parsed")]
        weight: u8,
    }

    fn rejection(body: &str) -> ApiError {
        parse::<Order>(body.as_bytes()).unwrap_err()
    }

    fn blamed(body: &str) -> Option<String> {
        match rejection(body) {
            ApiError::Invalid { param, .. } => param,
            other => panic!("{body}: {other:?}"),
        }
    }

    #[test]
    fn a_wrong_unknown_or_missing_field_is_named() {
        assert_eq!(blamed(r#"{"name":1}"#).as_deref(), Some("name"));
        assert_eq!(blamed(r#"{"name":"a","sizes":[1,"x"]}"#).as_deref(), Some("sizes[1]"));
        assert_eq!(blamed(r#"{"name":"a","sizes":[1e999]}"#).as_deref(), Some("sizes[0]"));
        assert_eq!(blamed(r#"{"name":"a","colour":1}"#).as_deref(), Some("colour"));
        assert_eq!(blamed(r#"{"sizes":[]}"#).as_deref(), Some("name"));
        assert_eq!(blamed(r#"{"name":"a","name":"b"}"#).as_deref(), Some("name"));
        assert_eq!(blamed("[\"a\"]"), None);
        assert_eq!(blamed("1"), None);
    }

    #[test]
    fn a_field_of_a_part_is_named_with_its_place() {
        let parts = |part| blamed(&format!(r#"{{"name":"a","parts":[{{"weight":1}},{part}]}}"#));
        assert_eq!(parts("{}").as_deref(), Some("parts[1].weight"));
        let twice = r#"{"weight":1,"weight":2}"#;
        assert_eq!(parts(twice).as_deref(), Some("parts[1].weight"));
    }

    #[test]
    fn text_that_is_not_json_is_malformed() {
        for body in ["", "{", "{\"name\":", "name", r#"{"name":"a"} x"#] {
            assert!(matches!(rejection(body), ApiError::Malformed { .. }), "{body}");
        }
        let wide: Vec<u8> = "{}".encode_utf16().flat_map(u16::to_le_bytes).collect();
        for (body, said) in [(&wide[..], "UTF-16"), (b"{\"name\":\"\xe9\"}", "not UTF-8")] {
            match parse::<Order>(body).unwrap_err() {
                ApiError::Malformed { message, .. } => assert!(message.contains(said), "{message}"),
                other => panic!("{other:?}"),
            }
        }
        assert!(parse::<Order>("\u{feff}{\"name\":\"a\"}".as_bytes()).is_ok(), "a mark is no text");
    }

    #[test]
    fn json_is_recognised_by_its_content_type() {
        for (value, is_json) in [
            ("application/json", true),
            ("Application/JSON; charset=utf-8", true),
            ("application/vnd.api+json", true),
            ("text/json", false),
            ("text/plain", false),
        ] {
            let headers =
                HeaderMap::from_iter([(header::CONTENT_TYPE, HeaderValue::from_static(value))]);
            assert_eq!(says_json(&headers), is_json, "{value}");
        }
        assert!(!says_json(&HeaderMap::new()));
    }

    #[test]
    fn a_timeout_header_must_be_a_positive_number() {
        let asked = |value| {
            asked_timeout(&HeaderMap::from_iter([(
                TIMEOUT_HEADER.parse().unwrap(),
                HeaderValue::from_static(value),
            )]))
        };
        assert_eq!(asked("2.5").unwrap(), Some(Duration::from_millis(2500)));
        assert_eq!(asked("1e300").unwrap(), Some(Duration::MAX));
        for value in ["0", "-1", "soon", "NaN"] {
            assert!(asked(value).is_err(), "{value}");
        }
    }
}
