//! `POST /v1/score`: how probable given continuations are, after given numbers of thoughts.

mod request;
mod response;

use crate::http::asking::ask::Asking;
use crate::http::asking::ask::OURS;
use crate::http::asking::ask::loaded;
use crate::http::asking::ask::random_seed;
use crate::http::asking::respond::respond;
use crate::http::asking::several::Several;
use crate::http::asking::view::View;
use crate::http::error::ApiError;
use crate::http::error::ErrorBody;
use crate::http::extract::Deadline;
use crate::http::extract::Headers;
use crate::http::extract::Json;
use crate::http::refusals::Refusals;
use crate::http::state::AppState;
use crate::http::track::OutcomeSlot;
use axum::Extension;
use axum::extract::State;
use axum::response::Response;
use request::ScoreRequest;
use response::ScoreEvent;
use response::ScoreEvents;
use response::ScoreResponse;
use std::sync::Arc;
use tokio::time::Instant;
use uuid::Uuid;

/// Score continuations after thoughts
///
/// The server computes `latent_steps` thoughts (or each number of `sweep`) and tells how probable each of `continuations`
/// is as what is said next: one prefill and one pass of thoughts, whatever their number. With `stream`, a `score` comes as
/// each is known, and at the end `done` or `error`.
#[utoipa::path(post, path = "/v1/score", tag = "reasoning", security((), ("api_key" = [])), request_body = ScoreRequest,
    params(Headers),
    responses(
        (status = 200, description = "the scores, or with `stream` their events",
            content((ScoreResponse = "application/json"), (ScoreEvent = "text/event-stream"))),
        (status = 400, description = "the body is not JSON, or a header has no sense", body = ErrorBody),
        (status = 422, description = "a field is missing, unknown or has a value that is not allowed", body = ErrorBody),
        Refusals,
    ))]
pub(in crate::http) async fn score(
    State(state): State<AppState>,
    Extension(outcome): Extension<OutcomeSlot>,
    Deadline(deadline): Deadline,
    Json(request): Json<ScoreRequest>,
) -> Result<Response, ApiError> {
    let reasoner = Arc::clone(&loaded(&state)?.reasoner);
    let (id, stream) = (Uuid::new_v4(), request.stream.unwrap_or(false));
    let seed = request.seed.unwrap_or_else(|| random_seed(id));
    let (latent, include) = (request.latent(), request.include.clone());
    let asked = (&latent, request.inside.as_ref(), seed);
    let continuations = request.continuations.len();
    let view = View::new(id, include.as_deref(), asked, Arc::clone(&reasoner));
    // Without any the request is refused.
    let view = view.with_each(continuations.max(1));
    let timeout = deadline.saturating_duration_since(Instant::now());
    let question = request.into_question(timeout, seed)?;
    let asking = Asking::new(OURS, deadline, outcome);
    let parts = Several::ask(&state, &reasoner, vec![question], asking).await?;
    let show = (ScoreEvents { view, continuations }, stream);
    respond(parts, show, state, deadline, ScoreEvents::whole).await
}
