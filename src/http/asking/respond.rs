//! What comes of questions as a response: whole, or as events. Knows no route's JSON.

use crate::http::asking::parts::LAST_WORK;
use crate::http::asking::parts::answer_bytes;
use crate::http::asking::several::Several;
use crate::http::asking::stream;
use crate::http::asking::stream::Show;
use crate::http::desk::Work;
use crate::http::error::ApiError;
use crate::http::state::AppState;
use crate::reason::types::Answer;
use axum::response::IntoResponse as _;
use axum::response::Response;
use serde::Serialize;
use tokio::time::Instant;

/// What comes of questions: events where they are `streamed`, else all of it, by `whole`.
pub(in crate::http) async fn respond<S: Show, B: Serialize>(
    parts: Several,
    (show, streamed): (S, bool),
    state: AppState,
    deadline: Instant,
    whole: impl FnOnce(&S, Vec<Answer>) -> B + Send + 'static,
) -> Result<Response, ApiError> {
    if streamed {
        return Ok(stream::response(parts, show, state));
    }
    let answers = parts.complete().await?;
    let work = Work::Write(answers.iter().map(answer_bytes).sum());
    let written = move || axum::Json(whole(&show, answers)).into_response();
    state.writing().run(work, deadline + LAST_WORK, written).await
}
