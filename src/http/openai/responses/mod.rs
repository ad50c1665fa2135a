//! `POST /v1/responses`: OpenAI's newer form of an answer, as text.

mod event;
mod items;
mod request;
mod response;

use crate::http::asking::ask::Asking;
use crate::http::asking::ask::loaded;
use crate::http::asking::ask::random_seed;
use crate::http::asking::respond::respond;
use crate::http::asking::several::Several;
use crate::http::asking::view::View;
use crate::http::error::ApiError;
use crate::http::error::ErrorBody;
use crate::http::extract::Deadline;
use crate::http::extract::Groups;
use crate::http::extract::Headers;
use crate::http::openai::conversing;
use crate::http::refusals::Refusals;
use crate::http::state::AppState;
use crate::http::track::OutcomeSlot;
use axum::Extension;
use axum::extract::State;
use axum::response::Response;
use event::SpeakingEvent;
use request::ResponsesRequest;
use response::ResponseBody;
use response::Sent;
use response::Speaking;
use std::sync::Arc;
use tokio::time::Instant;
use uuid::Uuid;

/// Answer an input, in OpenAI's newer form
///
/// As `/v1/chat/completions` answers a conversation. Nothing is kept: `previous_response_id` is refused. With `stream`, the
/// events are named as OpenAI names them, from `response.created` to `response.completed`.
#[utoipa::path(post, path = "/v1/responses", tag = "openai", security((), ("api_key" = [])), request_body = ResponsesRequest,
    params(Headers),
    responses(
        (status = 200, description = "the response, or with `stream` its events",
            content((ResponseBody = "application/json"), (SpeakingEvent = "text/event-stream"))),
        (status = 400, description = "the body is not JSON, or a field has a value that is not allowed", body = ErrorBody),
        (status = 404, description = "another model is served", body = ErrorBody),
        Refusals,
    ))]
pub(in crate::http) async fn responses(
    State(state): State<AppState>,
    Extension(outcome): Extension<OutcomeSlot>,
    Deadline(deadline): Deadline,
    Groups(request): Groups<ResponsesRequest>,
) -> Result<Response, ApiError> {
    let reasoner = Arc::clone(&loaded(&state)?.reasoner);
    request.saying.check(&reasoner.card().name)?;
    let id = Uuid::new_v4();
    let (random, timeout) = (random_seed(id), deadline.saturating_duration_since(Instant::now()));
    let echoed = request.echoed();
    let asked = request.question(&reasoner, (timeout, random))?;
    let conversing::Asking { question, fields, saying, extras, speech, acting } = asked;
    let question = conversing::acting(question, (acting, &speech), (&state, &reasoner))?;
    let seen = (&extras.latent(), extras.inside.as_ref(), saying.seed_or(random));
    let view = View::new(id, extras.include.as_deref(), seen, Arc::clone(&reasoner));
    let asking = Asking::new(fields, deadline, outcome);
    let parts = Several::ask(&state, &reasoner, vec![question], asking).await?;
    let (temperature, top_p) = (saying.temperature.unwrap_or(0.0), saying.top_p.unwrap_or(1.0));
    let speaking = Speaking { view, speech, echoed, temperature, top_p, sent: Sent::default() };
    let show = (speaking, saying.is_streamed());
    respond(parts, show, state, deadline, Speaking::whole).await
}
