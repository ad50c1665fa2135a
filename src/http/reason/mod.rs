//! `POST /v1/reason`: a question in, an answer out, whole or as it is computed.

mod request;
mod response;
mod stream;
mod watched;

use crate::http::desk::Work;
use crate::http::error::ApiError;
use crate::http::error::ErrorBody;
use crate::http::extract::Deadline;
use crate::http::extract::Headers;
use crate::http::extract::Json;
use crate::http::state::AppState;
use crate::http::state::Served;
use crate::http::track::OutcomeSlot;
use crate::reason::types::AskError;
use axum::Extension;
use axum::extract::State;
use axum::response::IntoResponse;
use axum::response::Response;
use request::ReasonRequest;
use response::LAST_WORK;
use response::ReasonResponse;
use response::View;
use std::sync::Arc;
use stream::ReasonEvent;
use tokio::time::Instant;
use uuid::Uuid;
use watched::Watched;

/// Answer a question by reasoning in latent space
///
/// The server computes `latent_steps` thoughts, each fed back as a vector, and then answers in words. With `stream`,
/// the answer comes as server-sent events: `thought` per latent step, `token` per answer token, and at the end `done`
/// with the same object as without `stream`, or `error`. Closing the connection cancels the request.
///
/// The header `x-request-timeout` (seconds) lowers the server's time limit for this request.
#[utoipa::path(post, path = "/v1/reason", tag = "reasoning", security((), ("api_key" = [])), request_body = ReasonRequest,
    params(Headers),
    responses(
        (status = 200, description = "the answer, or with `stream` its events",
            content((ReasonResponse = "application/json"), (ReasonEvent = "text/event-stream"))),
        (status = 400, description = "the body is not JSON, or a header has no sense", body = ErrorBody),
        (status = 401, description = "no valid API key", body = ErrorBody),
        (status = 408, description = "the body did not arrive in time", body = ErrorBody),
        (status = 413, description = "the body is too large", body = ErrorBody),
        (status = 415, description = "the body is not `application/json`, or in a content-encoding other than gzip and deflate", body = ErrorBody),
        (status = 422, description = "a field is missing, unknown or has a value that is not allowed", body = ErrorBody),
        (status = 429, description = "the queue is full; `retry-after` says when to come back", body = ErrorBody),
        (status = 500, description = "the computation failed", body = ErrorBody),
        (status = 503, description = "the model is being loaded, or the server is stopping or has failed", body = ErrorBody),
        (status = 504, description = "the answer was not complete in time", body = ErrorBody),
    ))]
pub(in crate::http) async fn reason(
    State(state): State<AppState>,
    Extension(outcome): Extension<OutcomeSlot>,
    Deadline(deadline): Deadline,
    Json(request): Json<ReasonRequest>,
) -> Result<Response, ApiError> {
    let reasoner = Arc::clone(&loaded(&state)?.reasoner);
    let id = Uuid::new_v4();
    let include = request.include.clone().unwrap_or_default();
    let view = View::new(id, include, Arc::clone(&reasoner));
    let stream = request.stream.unwrap_or(false);
    let timeout = deadline.saturating_duration_since(Instant::now());
    let question = request.into_question(timeout, id.as_u64_pair().1)?;
    let work = Work::Tokenize(question.text.len());
    let asked = state.reading().run(work, deadline, move || reasoner.ask(&question)).await?;
    let reply = asked.inspect_err(|error| count(&state, error))?;
    let reply = Watched::new(reply, deadline, outcome);
    if stream {
        return Ok(stream::response(reply, view, state));
    }
    let answer = reply.complete().await?;
    let work = Work::Write(response::answer_bytes(&answer));
    let written = move || axum::Json(view.answer(answer)).into_response();
    state.writing().run(work, deadline + LAST_WORK, written).await
}

/// The engine counts what it refuses; this it never sees.
fn count(state: &AppState, error: &AskError) {
    if matches!(error, AskError::TooLong { .. }) {
        state.metrics().rejected_total.with_label_values(&["too_long"]).inc();
    }
}

fn loaded(state: &AppState) -> Result<&Served, ApiError> {
    state.served().inspect_err(|_loading| {
        state.metrics().rejected_total.with_label_values(&["loading"]).inc();
    })
}
