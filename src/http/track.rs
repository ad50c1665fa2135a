//! One log line and one set of metrics per request, written when the response's last byte is handed over or the client
//! is gone. Does not know what routes do; a handler may leave an [`Outcome`] for the line.

use crate::http::error::Refusal;
use crate::http::held::hold;
use crate::http::request_id;
use crate::http::state::AppState;
use crate::metrics::Metrics;
use axum::extract::MatchedPath;
use axum::extract::Request;
use axum::extract::State;
use axum::http::Method;
use axum::http::StatusCode;
use axum::middleware::Next;
use axum::response::Response;
use std::sync::Arc;
use std::sync::OnceLock;
use std::time::Instant;

/// What became of a question, for the log line.
#[derive(Clone, Copy, Debug)]
pub(super) struct Outcome {
    pub(super) finish: &'static str,
    pub(super) prompt_tokens: usize,
    pub(super) latent_steps: usize,
    pub(super) completion_tokens: usize,
}

/// Where a handler leaves its outcome; found in the request's extensions.
pub(super) type OutcomeSlot = Arc<OnceLock<Outcome>>;

/// The status of requests whose client left before there was one; proxies log the same.
const CLIENT_GONE: u16 = 499;

/// Middleware around everything else.
pub(super) async fn track(
    State(state): State<AppState>,
    mut request: Request,
    next: Next,
) -> Response {
    let id = request_id::of(request.headers());
    let outcome = OutcomeSlot::default();
    request.extensions_mut().insert(Arc::clone(&outcome));
    let mut tracked = Tracked {
        metrics: Arc::clone(state.metrics()),
        started: Instant::now(),
        route: request.extensions().get::<MatchedPath>().cloned(),
        method: method_label(request.method()),
        id: id.to_str().unwrap_or_default().to_owned(),
        status: None,
        outcome,
    };
    tracked.metrics.http_in_flight.inc();

    let mut response = next.run(request).await;
    response.headers_mut().insert(request_id::HEADER, id);
    tracked.status = Some(response.status());
    if let Some(Refusal(reason)) = response.extensions().get() {
        tracked.metrics.rejected_total.with_label_values(&[reason]).inc();
    }
    response.map(|body| hold(body, tracked))
}

/// Known methods only: a label must not grow with what clients make up.
fn method_label(method: &Method) -> &'static str {
    let known = [
        Method::GET,
        Method::HEAD,
        Method::POST,
        Method::PUT,
        Method::DELETE,
        Method::OPTIONS,
        Method::PATCH,
    ];
    let names = ["GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH"];
    known.iter().position(|known| known == method).map_or("other", |index| names[index])
}

/// A request in flight; dropping it ends it.
struct Tracked {
    metrics: Arc<Metrics>,
    started: Instant,
    route: Option<MatchedPath>,
    method: &'static str,
    id: String,
    status: Option<StatusCode>,
    outcome: OutcomeSlot,
}

impl Drop for Tracked {
    fn drop(&mut self) {
        let took = self.started.elapsed();
        let route = self.route.as_ref().map_or("unmatched", MatchedPath::as_str);
        let status = self.status.map_or(CLIENT_GONE, |status| status.as_u16());
        let outcome = self.outcome.get();

        let labels = [route, self.method, &status.to_string()];
        self.metrics.http_requests_total.with_label_values(&labels).inc();
        self.metrics.http_request_seconds.with_label_values(&[route]).observe(took.as_secs_f64());
        self.metrics.http_in_flight.dec();
        tracing::info!(
            request_id = self.id,
            method = self.method,
            route,
            status,
            ms = (took.as_secs_f64() * 1e5).round() / 100.0,
            prompt_tokens = outcome.map(|outcome| outcome.prompt_tokens),
            latent_steps = outcome.map(|outcome| outcome.latent_steps),
            completion_tokens = outcome.map(|outcome| outcome.completion_tokens),
            finish = outcome.map(|outcome| outcome.finish),
            "request"
        );
    }
}
