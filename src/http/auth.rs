//! Who may ask: the check of a key on the way to a handler. Does not know where keys are stored.

use crate::http::error::ApiError;
use crate::http::state::AppState;
use axum::extract::Request;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::http::header;
use axum::middleware::Next;
use axum::response::Response;

/// Middleware: passes on requests with an accepted key, and all of them where no key is asked for.
pub(super) async fn require_key(
    State(state): State<AppState>,
    request: Request,
    next: Next,
) -> Result<Response, ApiError> {
    let keys = &state.config().api_keys;
    if !keys.is_empty() {
        let key = bearer(request.headers()).ok_or(ApiError::MissingKey)?;
        if !keys.accept(key) {
            return Err(ApiError::WrongKey);
        }
    }
    Ok(next.run(request).await)
}

fn bearer(headers: &HeaderMap) -> Option<&[u8]> {
    let value = headers.get(header::AUTHORIZATION)?.as_bytes();
    let (scheme, key) = value.split_at_checked("Bearer ".len())?;
    scheme.eq_ignore_ascii_case(b"Bearer ").then(|| key.trim_ascii())
}
