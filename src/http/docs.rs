//! The OpenAPI document and the page that shows it. Everything is in the binary: nothing is fetched from elsewhere.

use crate::http::AppState;
use crate::http::Config;
use crate::metrics::Metrics;
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
        (name = "operations", description = "Health and metrics"),
    )
)]
struct Preamble;

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

/// The whole document, as `/openapi.json` serves it.
pub fn document() -> OpenApi {
    super::routes(&AppState::new(Config::default(), Arc::new(Metrics::new()))).1
}

/// `/openapi.json`, and `/docs` to look at it.
pub(super) fn swagger_ui(document: OpenApi) -> SwaggerUi {
    // Swagger UI would send the document's address to a validator on the internet.
    let config = utoipa_swagger_ui::Config::default().validator_url("none");
    SwaggerUi::new("/docs").url("/openapi.json", document).config(config)
}
