//! `POST /v1/completions`: texts that go on with prompts, in OpenAI's form.

mod logprobs;
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
use crate::http::error::Fields;
use crate::http::extract::Deadline;
use crate::http::extract::Groups;
use crate::http::extract::Headers;
use crate::http::openai::usage::UsageCounts;
use crate::http::refusals::Refusals;
use crate::http::state::AppState;
use crate::http::track::OutcomeSlot;
use axum::Extension;
use axum::extract::State;
use axum::response::Response;
use request::CompletionRequest;
use response::CompletionBody;
use response::CompletionEvent;
use response::Completions;
use response::Shown;
use std::sync::Arc;
use tokio::time::Instant;
use uuid::Uuid;

const FIELDS: Fields = Fields { question: "prompt", max_tokens: "max_tokens" };

/// Go on with prompts, in OpenAI's form
///
/// A prompt is fed as it stands, without the model's own template. Where a model thinks, its thoughts follow the prompt, or
/// stand where it says `<|start-latent|>`. With `stream`, chunks come as data alone, and `[DONE]` last.
#[utoipa::path(post, path = "/v1/completions", tag = "openai", security((), ("api_key" = [])), request_body = CompletionRequest,
    params(Headers),
    responses(
        (status = 200, description = "the texts, or with `stream` chunks of them",
            content((CompletionBody = "application/json"), (CompletionEvent = "text/event-stream"))),
        (status = 400, description = "the body is not JSON, or a field has a value that is not allowed", body = ErrorBody),
        (status = 404, description = "another model is served", body = ErrorBody),
        Refusals,
    ))]
pub(in crate::http) async fn completions(
    State(state): State<AppState>,
    Extension(outcome): Extension<OutcomeSlot>,
    Deadline(deadline): Deadline,
    Groups(request): Groups<CompletionRequest>,
) -> Result<Response, ApiError> {
    let reasoner = Arc::clone(&loaded(&state)?.reasoner);
    request.saying.check(&reasoner.card().name)?;
    let id = Uuid::new_v4();
    let (random, timeout) = (random_seed(id), deadline.saturating_duration_since(Instant::now()));
    let questions = request.questions((timeout, random))?;
    let (extras, saying) = (&request.extras, &request.saying);
    let seen = (&extras.latent(), extras.inside.as_ref(), saying.seed_or(random));
    let view = View::new(id, extras.include.as_deref(), seen, Arc::clone(&reasoner));
    let echoed = request.echoes();
    let echoed = echoed.then(|| questions.iter().map(|question| question.asked.clone()).collect());
    let asking = Asking::new(FIELDS, deadline, outcome);
    let parts = Several::ask(&state, &reasoner, questions, asking).await?;
    let completions = Completions {
        view,
        echoed,
        shows_logprobs: request.shows_logprobs(),
        choices: saying.choices(extras),
        options: saying.stream_options.unwrap_or_default(),
        so_far: UsageCounts::begun(parts.prompt_tokens()),
        shown: Shown::default(),
    };
    let show = (completions, saying.is_streamed());
    respond(parts, show, state, deadline, Completions::whole).await
}
