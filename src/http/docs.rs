//! The OpenAPI document and the page that shows it. Everything is in the binary: nothing is fetched from elsewhere.

use crate::http::AppState;
use crate::http::Config;
use crate::metrics::Metrics;
use crate::reason::card::ModelCard;
use axum::Json;
use axum::Router;
use axum::extract::State;
use axum::routing::get;
use serde_json::Value;
use std::sync::Arc;
use utoipa::Modify;
use utoipa::OpenApi as _;
use utoipa::openapi::OpenApi;
use utoipa::openapi::security::Http;
use utoipa::openapi::security::HttpAuthScheme;
use utoipa::openapi::security::SecurityScheme;
use utoipa_swagger_ui::SwaggerUi;

#[derive(utoipa::OpenApi)]
#[openapi(
    info(description = "Inference server for language models that reason in a continuous latent space."),
    modifiers(&ApiKey),
    tags(
        (name = "reasoning", description = "Questions and the model that answers them"),
        (name = "openai", description = "The same in the form of OpenAI and of servers like it"),
        (name = "operations", description = "Health and metrics"),
    )
)]
struct Preamble;

const DOCUMENT: &str = "/openapi.json";

struct ApiKey;

impl Modify for ApiKey {
    fn modify(&self, document: &mut OpenApi) {
        let scheme = SecurityScheme::Http(Http::new(HttpAuthScheme::Bearer));
        document.components.get_or_insert_default().add_security_scheme("api_key", scheme);
    }
}

/// The document without its routes.
pub(super) fn preamble() -> OpenApi {
    Preamble::openapi()
}

/// The whole document, as `/openapi.json` serves it before a model is loaded.
pub fn document() -> OpenApi {
    super::routes(&AppState::new(Config::default(), Arc::new(Metrics::new()))).1
}

/// `/openapi.json`, and `/docs` to look at it.
pub(super) fn pages(document: OpenApi) -> Router<AppState> {
    // Swagger UI would send the document's address to a validator on the internet.
    let config = utoipa_swagger_ui::Config::new([DOCUMENT]).validator_url("none");
    let document = async move |State(state): State<AppState>| {
        let bounds = state.served().ok().map(|served| served.reasoner.card().clone());
        Json(with_bounds(document.clone(), bounds))
    };
    Router::new().route(DOCUMENT, get(document)).merge(SwaggerUi::new("/docs").config(config))
}

/// The served model's own bounds, so that what the document allows is answered.
fn with_bounds(document: OpenApi, card: Option<ModelCard>) -> Value {
    let mut document = serde_json::to_value(document).expect("a document's keys are strings");
    let Some(card) = card else { return document };
    let fields = [
        ("ReasonRequest", "latent_steps", card.max_latent_steps),
        ("ReasonRequest", "max_tokens", card.max_positions),
        ("ScoreRequest", "latent_steps", card.max_latent_steps),
        ("CompletionRequest", "latent_steps", card.max_latent_steps),
        ("CompletionRequest", "max_tokens", card.max_positions),
        ("ChatRequest", "latent_steps", card.max_latent_steps),
        ("ChatRequest", "max_tokens", card.max_positions),
        ("ChatRequest", "max_completion_tokens", card.max_positions),
        ("ResponsesRequest", "latent_steps", card.max_latent_steps),
        ("ResponsesRequest", "max_output_tokens", card.max_positions),
    ];
    for (schema, field, maximum) in fields {
        let field = format!("/components/schemas/{schema}/properties/{field}");
        if let Some(field) = document.pointer_mut(&field) {
            field["maximum"] = maximum.into();
        }
    }
    document
}
