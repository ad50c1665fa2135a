//! What operators and orchestrators ask: is it alive, is it ready, how is it doing.

use crate::http::MetricsCompat;
use crate::http::error::ApiError;
use crate::http::error::ErrorBody;
use crate::http::state::AppState;
use crate::metrics::vllm::About;
use crate::reason::reasoner::Health;
use axum::Json;
use axum::extract::State;
use axum::http::header;
use axum::response::IntoResponse;
use serde::Serialize;
use utoipa::ToSchema;

/// A good answer to a health check.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct HealthResponse {
    /// `ok`.
    status: &'static str,
}

const OK: Json<HealthResponse> = Json(HealthResponse { status: "ok" });

/// Whether the process is worth keeping
///
/// Good while the model loads and while requests are being finished; bad when the engine has failed and only a restart
/// helps.
#[utoipa::path(get, path = "/health/live", tag = "operations", responses(
    (status = 200, description = "alive", body = HealthResponse),
    (status = 503, description = "the engine failed", body = ErrorBody),
))]
pub(super) async fn live(State(state): State<AppState>) -> Result<Json<HealthResponse>, ApiError> {
    let health = state.served().map_or(Health::Ready, |served| served.reasoner.health());
    match health {
        Health::Ready | Health::Draining => Ok(OK),
        Health::Dead => Err(ApiError::EngineDead),
    }
}

/// Whether questions are answered
///
/// Bad while the model loads, from the moment the server is asked to stop, and when the engine has failed.
#[utoipa::path(get, path = "/health/ready", tag = "operations", responses(
    (status = 200, description = "questions are answered", body = HealthResponse),
    (status = 503, description = "loading, stopping or failed", body = ErrorBody),
))]
pub(super) async fn ready(State(state): State<AppState>) -> Result<Json<HealthResponse>, ApiError> {
    match state.served()?.reasoner.health() {
        Health::Ready if !state.is_draining() => Ok(OK),
        Health::Ready | Health::Draining => Err(ApiError::Draining),
        Health::Dead => Err(ApiError::EngineDead),
    }
}

/// Whether questions are answered, as routers of other servers ask
///
/// The same as `/health/ready`.
#[utoipa::path(get, path = "/health", tag = "operations", responses(
    (status = 200, description = "questions are answered", body = HealthResponse),
    (status = 503, description = "loading, stopping or failed", body = ErrorBody),
))]
pub(super) async fn health(state: State<AppState>) -> Result<Json<HealthResponse>, ApiError> {
    ready(state).await
}

/// The server's version.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct VersionResponse {
    #[schema(example = "0.1.0")]
    version: &'static str,
}

/// The server's version
#[utoipa::path(get, path = "/version", tag = "operations", responses(
    (status = 200, description = "the version", body = VersionResponse),
))]
pub(super) async fn version() -> Json<VersionResponse> {
    Json(VersionResponse { version: env!("CARGO_PKG_VERSION") })
}

/// How much there is to do.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct LoadResponse {
    /// Requests that wait, and sequences that run: a request has as many of these as answers are being computed.
    server_load: i64,
}

/// How much there is to do
#[utoipa::path(get, path = "/load", tag = "operations", responses(
    (status = 200, description = "requests that wait, and sequences that run", body = LoadResponse),
    (status = 401, description = "no valid API key, where metrics are protected", body = ErrorBody),
))]
pub(super) async fn load(State(state): State<AppState>) -> Json<LoadResponse> {
    let metrics = state.metrics();
    Json(LoadResponse { server_load: metrics.queue_depth.get() + metrics.running.get() })
}

/// Metrics in the Prometheus text format
#[utoipa::path(get, path = "/metrics", tag = "operations", responses(
    (status = 200, description = "all metrics, with the prefix `coconut_`", body = String, content_type = "text/plain"),
    (status = 401, description = "no valid API key, where metrics are protected", body = ErrorBody),
))]
pub(super) async fn metrics(State(state): State<AppState>) -> impl IntoResponse {
    let card = state.served().ok().map(|served| served.reasoner.card());
    let about = card.map(|card| About { model: &card.name, page_positions: card.page_positions });
    let text = match state.config().metrics_compat {
        Some(MetricsCompat::Vllm) => state.metrics().encode_with(about),
        None => state.metrics().encode(),
    };
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], text)
}
