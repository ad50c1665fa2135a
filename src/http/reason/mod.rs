//! `POST /v1/reason`: a question in, an answer out, whole or as it is computed.

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
use request::ReasonRequest;
use response::Events;
use response::ReasonEvent;
use response::ReasonResponse;
use std::sync::Arc;
use tokio::time::Instant;
use uuid::Uuid;

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
        (status = 422, description = "a field is missing, unknown or has a value that is not allowed", body = ErrorBody),
        Refusals,
    ))]
pub(in crate::http) async fn reason(
    State(state): State<AppState>,
    Extension(outcome): Extension<OutcomeSlot>,
    Deadline(deadline): Deadline,
    Json(request): Json<ReasonRequest>,
) -> Result<Response, ApiError> {
    let reasoner = Arc::clone(&loaded(&state)?.reasoner);
    let (id, stream) = (Uuid::new_v4(), request.stream.unwrap_or(false));
    let seed = request.seed_or(random_seed(id));
    let (latent, include) = (request.latent(), request.include.clone());
    let asked = (&latent, request.inside.as_ref(), seed);
    let view = View::new(id, include.as_deref(), asked, Arc::clone(&reasoner));
    let timeout = deadline.saturating_duration_since(Instant::now());
    let acting = request.acting();
    let question = acting.given_to(request.into_question(timeout, seed)?, (&state, &reasoner))?;
    let samples = question.saying().map_or(1, |saying| saying.samples);
    let asking = Asking::new(OURS, deadline, outcome);
    let parts = Several::ask(&state, &reasoner, vec![question], asking).await?;
    let are_many = samples > 1 || view.is_sweep();
    let show = (Events { view, are_many }, stream);
    respond(parts, show, state, deadline, Events::whole).await
}
