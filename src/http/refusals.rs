//! The refusals that all routes with a body have in common, for the document. What each of them means is `error`'s business.

use crate::http::error::ErrorBody;
use utoipa::IntoResponses;

/// Everything but 200 and what a route calls a wrong field.
#[derive(IntoResponses)]
#[expect(dead_code, reason = "read by the document's macros")]
pub(super) enum Refusals {
    /// no valid API key
    #[response(status = 401)]
    Key(ErrorBody),
    /// the body did not arrive in time
    #[response(status = 408)]
    BodyTimeout(ErrorBody),
    /// the body is too large
    #[response(status = 413)]
    BodyTooLarge(ErrorBody),
    /// the body is not `application/json`, or in a content-encoding other than gzip and deflate
    #[response(status = 415)]
    MediaType(ErrorBody),
    /// the queue is full; `retry-after` says when to come back
    #[response(status = 429)]
    Full(ErrorBody),
    /// the computation failed
    #[response(status = 500)]
    Failed(ErrorBody),
    /// the model is being loaded, or the server is stopping or has failed
    #[response(status = 503)]
    Unavailable(ErrorBody),
    /// the answer was not complete in time
    #[response(status = 504)]
    Late(ErrorBody),
}
