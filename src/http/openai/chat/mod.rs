//! `POST /v1/chat/completions`: what an assistant says next, in OpenAI's form.

mod delta;
pub(super) mod messages;
pub(super) mod request;
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
use crate::http::openai::usage::UsageCounts;
use crate::http::refusals::Refusals;
use crate::http::state::AppState;
use crate::http::track::OutcomeSlot;
use axum::Extension;
use axum::extract::State;
use axum::response::Response;
use request::ChatRequest;
use response::Chat;
use response::ChatBody;
use response::ChatEvent;
use response::Shown;
use std::sync::Arc;
use tokio::time::Instant;
use uuid::Uuid;

/// Answer a conversation, in OpenAI's form
///
/// The conversation goes through the checkpoint's chat template. Where it has none, or thinks, the last user message is the
/// question, in the model's own template. With `stream`, chunks come as data alone, and `[DONE]` last.
#[utoipa::path(post, path = "/v1/chat/completions", tag = "openai", security((), ("api_key" = [])), request_body = ChatRequest,
    params(Headers),
    responses(
        (status = 200, description = "the answer, or with `stream` chunks of it",
            content((ChatBody = "application/json"), (ChatEvent = "text/event-stream"))),
        (status = 400, description = "the body is not JSON, or a field has a value that is not allowed", body = ErrorBody),
        (status = 404, description = "another model is served", body = ErrorBody),
        Refusals,
    ))]
pub(in crate::http) async fn chat(
    State(state): State<AppState>,
    Extension(outcome): Extension<OutcomeSlot>,
    Deadline(deadline): Deadline,
    Groups(request): Groups<ChatRequest>,
) -> Result<Response, ApiError> {
    let reasoner = Arc::clone(&loaded(&state)?.reasoner);
    request.saying.check(&reasoner.card().name)?;
    let id = Uuid::new_v4();
    let (random, timeout) = (random_seed(id), deadline.saturating_duration_since(Instant::now()));
    let shows_logprobs = request.shows_logprobs();
    let asked = request.question(&reasoner, (timeout, random))?;
    let conversing::Asking { question, fields, saying, extras, speech, acting } = asked;
    let question = conversing::acting(question, (acting, &speech), (&state, &reasoner))?;
    let seen = (&extras.latent(), extras.inside.as_ref(), saying.seed_or(random));
    let view = View::new(id, extras.include.as_deref(), seen, Arc::clone(&reasoner));
    let asking = Asking::new(fields, deadline, outcome);
    let parts = Several::ask(&state, &reasoner, vec![question], asking).await?;
    let chat = Chat {
        view,
        speech,
        shows_logprobs,
        options: saying.stream_options.unwrap_or_default(),
        so_far: UsageCounts::begun(parts.prompt_tokens()),
        shown: Shown::default(),
    };
    let show = (chat, saying.is_streamed());
    respond(parts, show, state, deadline, Chat::whole).await
}
