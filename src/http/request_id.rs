//! The id that ties a client's log to ours: taken from `x-request-id` where it is fit to be logged, else made up.

use axum::http::HeaderMap;
use axum::http::HeaderName;
use axum::http::HeaderValue;
use uuid::Uuid;

/// The header, in requests and responses.
pub(super) const HEADER: HeaderName = HeaderName::from_static("x-request-id");

/// Longest id taken from a client.
const MAX_LENGTH: usize = 128;

/// The id for a request with these headers.
pub(super) fn of(headers: &HeaderMap) -> HeaderValue {
    headers.get(HEADER).filter(|id| is_fit(id.as_bytes())).cloned().unwrap_or_else(generated)
}

/// No blanks, quotes or control characters: nothing that could forge a log line.
fn is_fit(id: &[u8]) -> bool {
    let allowed = |byte: &u8| byte.is_ascii_alphanumeric() || b"-_.:/+=".contains(byte);
    (1..=MAX_LENGTH).contains(&id.len()) && id.iter().all(allowed)
}

fn generated() -> HeaderValue {
    HeaderValue::try_from(Uuid::new_v4().to_string())
        .expect("a UUID is made of hex digits and hyphens")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clients_id_is_kept_when_fit() {
        let headers = HeaderMap::from_iter([(HEADER, HeaderValue::from_static("job-7.a:1"))]);
        assert_eq!(of(&headers), "job-7.a:1");
    }

    #[test]
    fn an_unfit_id_is_replaced() {
        for id in ["", "two words", "a\"b", &"x".repeat(129)] {
            let headers = HeaderMap::from_iter([(HEADER, HeaderValue::try_from(id).unwrap())]);
            assert_eq!(of(&headers).len(), 36, "{id}");
        }
    }
}
