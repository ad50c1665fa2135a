//! The wire: routes, JSON, SSE, the OpenAPI document, and the connections they arrive on. Knows no tensor and no token.
//!
//! A request passes `track` (request id, metrics, log line), CORS, panic handling, the API key check, and then its
//! handler. Everything that is not a success is an `ApiError`.
//!
//! ```
//! # use coconut::engine::config::EngineConfig;
//! # use coconut::latent::checkpoint::Location;
//! # use coconut::metrics::Metrics;
//! # use coconut::model::device::Processor;
//! # use coconut::reason::reasoner::Precision;
//! # use coconut::reason::reasoner::Reasoner;
//! # use coconut::reason::reasoner::ReasonerConfig;
//! # use std::sync::Arc;
//! use axum::body::Body;
//! use axum::body::to_bytes;
//! use axum::http::Request;
//! use axum::http::StatusCode;
//! use coconut::http::AppState;
//! use coconut::http::Config;
//! use coconut::http::router;
//! use tower::ServiceExt as _;
//!
//! # #[tokio::main]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let metrics = Arc::new(Metrics::new());
//! # let config = ReasonerConfig {
//! #     model: Location::folder("models/prosqa"),
//! #     name: None,
//! #     processor: Processor::Cpu,
//! #     precision: Precision::default(),
//! #     engine: EngineConfig::default(),
//! #     thought_means: None,
//! # };
//! # let reasoner = Reasoner::load(&config, Arc::clone(&metrics))?;
//! # let question = "Every rempus is a jelpus. Sam is a chorpus. Every chorpus is a yimpus. \
//! #                 Is Sam a yimpus or jelpus?".to_owned();
//! let state = AppState::new(Config::default(), Arc::clone(&metrics));
//! let ready = || Request::get("/health/ready").body(Body::empty());
//! let answer = router(&state).oneshot(ready()?).await?;
//! assert_eq!(answer.status(), StatusCode::SERVICE_UNAVAILABLE);
//!
//! state.serve(Arc::new(reasoner));
//! let body = serde_json::json!({ "question": question, "latent_steps": 6 }).to_string();
//! let asked = Request::post("/v1/reason").header("content-type", "application/json");
//! let answer = router(&state).oneshot(asked.body(Body::from(body))?).await?;
//! assert_eq!(answer.status(), StatusCode::OK);
//! let body = to_bytes(answer.into_body(), 1 << 20).await?;
//! let body: serde_json::Value = serde_json::from_slice(&body)?;
//! assert_eq!(body["answer"], "Sam is a yimpus.");
//! # Ok(())
//! # }
//! ```

mod asking;
mod auth;
mod config;
mod connection;
mod desk;
mod docs;
mod encoding;
mod error;
mod extract;
mod held;
mod keys;
#[cfg(test)]
mod leaving_tests;
mod linger;
mod models;
mod object;
mod openai;
mod operations;
mod playground;
mod reason;
mod refusals;
mod request_id;
#[cfg(test)]
mod restart_tests;
mod score;
mod state;
mod taking;
mod thinking;
mod track;
mod untaken;
mod whole;

pub mod listen;
pub mod serve;
pub mod shutdown;

pub use config::Config;
pub use config::Cors;
pub use config::CorsError;
pub use config::MetricsCompat;
pub use config::Playground;
pub use docs::document;
pub use keys::ApiKeys;
pub use state::AppState;

use crate::http::auth::require_key;
use crate::http::error::ApiError;
use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::http::HeaderName;
use axum::http::Method;
use axum::http::header;
use axum::middleware::from_fn_with_state;
use axum::middleware::map_response;
use axum::response::IntoResponse;
use axum::response::Response;
use std::any::Any;
use std::time::Duration;
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::cors::AllowOrigin;
use tower_http::cors::CorsLayer;
use utoipa::openapi::OpenApi;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// Everything that this server answers.
pub fn router(state: &AppState) -> Router {
    let (router, document) = routes(state);
    let router = match state.config().playground {
        Playground::Served => router.merge(playground::pages()),
        Playground::Absent => router,
    };
    let router = router
        .merge(docs::pages(document))
        .fallback(async || ApiError::NotFound)
        .method_not_allowed_fallback(async || ApiError::MethodNotAllowed)
        .layer(DefaultBodyLimit::max(state.config().max_body_bytes))
        .layer(CatchPanicLayer::custom(panicked));
    let router = match cors(&state.config().cors) {
        Some(cors) => router.layer(cors),
        None => router,
    };
    router.layer(from_fn_with_state(state.clone(), track::track)).with_state(state.clone())
}

/// Each route, stated once: for the router and for the document.
fn routes(state: &AppState) -> (Router<AppState>, OpenApi) {
    let keyed = from_fn_with_state(state.clone(), require_key);
    let metrics =
        OpenApiRouter::new().routes(routes!(operations::metrics)).routes(routes!(operations::load));
    let metrics =
        if state.config().protect_metrics { metrics.route_layer(keyed.clone()) } else { metrics };
    OpenApiRouter::with_openapi(docs::preamble())
        .routes(routes!(reason::reason))
        .routes(routes!(score::score))
        .routes(routes!(models::list_models))
        .merge(compatible())
        .route_layer(keyed)
        .routes(routes!(operations::live))
        .routes(routes!(operations::ready))
        .routes(routes!(operations::health))
        .routes(routes!(operations::version))
        .merge(metrics)
        .split_for_parts()
}

/// Those of OpenAI and of servers like it.
fn compatible() -> OpenApiRouter<AppState> {
    OpenApiRouter::new()
        .routes(routes!(openai::completions::completions))
        .routes(routes!(openai::chat::chat))
        .routes(routes!(openai::responses::responses))
        .routes(routes!(openai::tokens::tokenize))
        .routes(routes!(openai::tokens::detokenize))
        .routes(routes!(openai::tokens::tokenizer_info))
        .routes(routes!(models::model))
        .routes(routes!(models::model_in_folder))
        .route_layer(map_response(openai::as_bad_request))
}

fn cors(cors: &Cors) -> Option<CorsLayer> {
    let origins = match cors {
        Cors::Off => return None,
        Cors::Any => AllowOrigin::any(),
        Cors::Origins(origins) => AllowOrigin::list(origins.iter().cloned()),
    };
    let timeout = HeaderName::from_static(extract::TIMEOUT_HEADER);
    let layer = CorsLayer::new()
        .allow_origin(origins)
        .allow_methods([Method::GET, Method::POST])
        .allow_headers([
            header::AUTHORIZATION,
            header::CONTENT_ENCODING,
            header::CONTENT_TYPE,
            request_id::HEADER,
            timeout,
        ])
        .expose_headers([header::RETRY_AFTER, request_id::HEADER])
        .max_age(Duration::from_secs(3600));
    Some(layer)
}

/// The panic's message went to the log; it is none of the client's business.
fn panicked(_panic: Box<dyn Any + Send>) -> Response {
    ApiError::Internal.into_response()
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::StatusCode;

    #[test]
    fn a_panic_becomes_the_error_body_and_says_nothing_of_itself() {
        let response = panicked(Box::new("the secret reason"));
        assert_eq!(response.status(), StatusCode::INTERNAL_SERVER_ERROR);
        assert_eq!(response.headers()[header::CONTENT_TYPE], "application/json");
        assert!(!format!("{:?}", ApiError::Internal.body()).contains("secret"));
    }
}
