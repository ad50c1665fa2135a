//! OpenAI's routes, for clients that speak them: each turns its JSON into the same questions as our own, and their parts into
//! its own JSON. Unknown fields are ignored here, and a wrong one is 400, as those clients expect.

mod acting;
mod calls;
pub(super) mod chat;
pub(super) mod completions;
mod conversing;
mod extension;
mod extras;
mod heard;
pub(super) mod responses;
mod rounds;
mod saying;
mod schema;
mod sse;
pub(super) mod tokens;
mod usage;

use axum::http::StatusCode;
use axum::response::Response;

/// Middleware: what our own routes call unprocessable, OpenAI's call a bad request.
pub(super) async fn as_bad_request(mut response: Response) -> Response {
    if response.status() == StatusCode::UNPROCESSABLE_ENTITY {
        *response.status_mut() = StatusCode::BAD_REQUEST;
    }
    response
}
