//! What operators and orchestrators ask: is it alive, is it ready, how is it doing.

use crate::http::error::ApiError;
use crate::http::error::ErrorBody;
use crate::http::state::AppState;
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

/// Metrics in the Prometheus text format
#[utoipa::path(get, path = "/metrics", tag = "operations", responses(
    (status = 200, description = "all metrics, with the prefix `coconut_`", body = String, content_type = "text/plain"),
    (status = 401, description = "no valid API key, where metrics are protected", body = ErrorBody),
))]
pub(super) async fn metrics(State(state): State<AppState>) -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], state.metrics().encode())
}
