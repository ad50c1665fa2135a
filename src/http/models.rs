//! `GET /v1/models`: what is being served, in the shape that clients of OpenAI read, with our own facts beside it.

use crate::http::error::ApiError;
use crate::http::error::ErrorBody;
use crate::http::state::AppState;
use crate::http::state::unix_seconds;
use crate::reason::card::ModelCard;
use axum::Json;
use axum::extract::Path;
use axum::extract::State;
use axum::extract::rejection::PathRejection;
use axum::http::Uri;
use serde::Serialize;
use utoipa::ToSchema;

/// The models that this server answers with: always one.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ModelList {
    /// `list`.
    object: &'static str,
    data: Vec<Model>,
}

/// A served model.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Model {
    /// The model's name.
    id: String,
    /// `model`.
    object: &'static str,
    /// When it was loaded, in seconds since 1970.
    created: u64,
    /// `coconut`.
    owned_by: &'static str,
    /// Most positions of prompt, thoughts and answer together, as clients of vLLM read it.
    max_model_len: usize,
    coconut: ModelFacts,
}

/// What can be asked of a model.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ModelFacts {
    /// What tells it from other checkpoints of the same name: follows from weights and recipe.
    fingerprint: String,
    /// How it reasons, such as `coconut`.
    family: String,
    /// What it is made of, such as `gpt2`.
    architecture: String,
    /// Number of weights.
    parameters: usize,
    /// Most positions of prompt, thoughts and answer together.
    max_positions: usize,
    /// Latent steps of a request that names no number.
    default_latent_steps: usize,
    /// Most latent steps of a request.
    max_latent_steps: usize,
    /// Whether it calls tools on its way to an answer.
    calls_tools: bool,
    /// One line for people.
    description: String,
}

/// List the served model
#[utoipa::path(get, path = "/v1/models", tag = "reasoning", security((), ("api_key" = [])), responses(
    (status = 200, description = "the served model", body = ModelList),
    (status = 401, description = "no valid API key", body = ErrorBody),
    (status = 503, description = "the model is being loaded", body = ErrorBody),
))]
pub(super) async fn list_models(
    State(state): State<AppState>,
) -> Result<Json<ModelList>, ApiError> {
    Ok(Json(ModelList { object: "list", data: vec![served(&state)?] }))
}

/// Tell about the served model
#[utoipa::path(get, path = "/v1/models/{id}", tag = "reasoning", security((), ("api_key" = [])),
    params(("id" = String, Path, description = "its name")), responses(
    (status = 200, description = "the served model", body = Model),
    (status = 401, description = "no valid API key", body = ErrorBody),
    (status = 404, description = "another model is served", body = ErrorBody),
    (status = 503, description = "the model is being loaded", body = ErrorBody),
))]
pub(super) async fn model(
    State(state): State<AppState>,
    uri: Uri,
    id: Result<Path<String>, PathRejection>,
) -> Result<Json<Model>, ApiError> {
    named(&state, id.map_or_else(|_no_text| as_written(&uri), |Path(id)| id))
}

/// Tell about the served model, where its name has a slash
#[utoipa::path(get, path = "/v1/models/{owner}/{name}", tag = "reasoning", security((), ("api_key" = [])),
    params(("owner" = String, Path, description = "its name before the slash"), ("name" = String, Path, description = "and behind it")),
    responses(
    (status = 200, description = "the served model", body = Model),
    (status = 401, description = "no valid API key", body = ErrorBody),
    (status = 404, description = "another model is served", body = ErrorBody),
    (status = 503, description = "the model is being loaded", body = ErrorBody),
))]
pub(super) async fn model_in_folder(
    State(state): State<AppState>,
    uri: Uri,
    names: Result<Path<(String, String)>, PathRejection>,
) -> Result<Json<Model>, ApiError> {
    let joined = |Path((owner, name))| format!("{owner}/{name}");
    named(&state, names.map_or_else(|_no_text| as_written(&uri), joined))
}

/// A name that is no text. No model has it.
fn as_written(uri: &Uri) -> String {
    uri.path().trim_start_matches("/v1/models/").to_owned()
}

fn named(state: &AppState, asked: String) -> Result<Json<Model>, ApiError> {
    let model = served(state)?;
    match model.id == asked {
        true => Ok(Json(model)),
        false => Err(ApiError::NoSuchModel { asked, served: model.id }),
    }
}

fn served(state: &AppState) -> Result<Model, ApiError> {
    let served = state.served()?;
    Ok(Model::new(served.reasoner.card(), unix_seconds(served.since)))
}

impl Model {
    fn new(card: &ModelCard, created: u64) -> Self {
        let facts = ModelFacts {
            fingerprint: card.fingerprint.clone(),
            family: card.family.clone(),
            architecture: card.architecture.clone(),
            parameters: card.parameters,
            max_positions: card.max_positions,
            default_latent_steps: card.default_latent_steps,
            max_latent_steps: card.max_latent_steps,
            calls_tools: card.calls_tools,
            description: card.description.clone(),
        };
        Self {
            id: card.name.clone(),
            object: "model",
            created,
            owned_by: "coconut",
            max_model_len: card.max_positions,
            coconut: facts,
        }
    }
}
