//! The route `POST /v1/reason` without a socket: a body in, the answer's JSON or a refusal out, or its events. Knows how
//! requests and responses are written, not what is in an answer.

use crate::http;
use crate::http::AppState;
use crate::http::Playground;
use crate::metrics::Metrics;
use crate::reason::reasoner::Reasoner;
use crate::text::units::LONGEST_WAIT;
use crate::web::sse::Events;
use anyhow::Context as _;
use axum::Router;
use axum::body::Body;
use axum::body::to_bytes;
use axum::http::Request;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::Response;
use http_body_util::BodyExt as _;
use serde::Deserialize;
use serde::Serialize;
use serde_json::Map;
use serde_json::Value;
use std::sync::Arc;
use tower::ServiceExt as _;

/// Longer than what fits into a command line or a file of questions.
const MAX_BODY_BYTES: usize = 1 << 30;

/// What answers, in this process.
#[derive(Debug)]
pub(super) struct Local {
    router: Router,
}

/// Why a question has no answer, as the wire says it.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(super) struct Refusal {
    error: Detail,
}

#[derive(Clone, Debug, Deserialize, Serialize)]
struct Detail {
    message: String,
    #[serde(rename = "type")]
    kind: String,
    param: Option<String>,
    code: String,
}

impl Refusal {
    /// In words, with the flag in the place of the field that it stands for.
    pub(super) fn told(&self) -> String {
        let Detail { message, param, .. } = &self.error;
        let Some(param) = param else { return message.clone() };
        let message = message.strip_prefix(&format!("{param}: ")).unwrap_or(message);
        let end = param.find(['.', '[']).unwrap_or(param.len());
        let (field, inner) = param.split_at(end);
        match (field, self.is_of_flags()) {
            (_, false) => message.to_owned(),
            (field, true) => format!("--{}{inner}: {message}", field.replace('_', "-")),
        }
    }

    /// Whether all questions are refused for the same flag.
    pub(super) fn is_of_flags(&self) -> bool {
        self.error.param.as_deref().is_some_and(|param| param != "question")
            && self.error.code != "too_long"
    }
}

impl Local {
    pub(super) fn new(reasoner: Reasoner, metrics: Arc<Metrics>) -> Self {
        let config = http::Config {
            playground: Playground::Absent,
            request_timeout: LONGEST_WAIT,
            max_body_bytes: MAX_BODY_BYTES,
            ..http::Config::default()
        };
        let state = AppState::new(config, metrics);
        state.serve(Arc::new(reasoner));
        Self { router: http::router(&state) }
    }

    /// The answer, whole.
    pub(super) async fn ask(
        &self,
        body: &Map<String, Value>,
        question: &str,
    ) -> anyhow::Result<Result<Value, Refusal>> {
        whole(self.send(body, question, false).await).await
    }

    /// The same, with its parts as they come.
    pub(super) async fn stream(
        &self,
        body: &Map<String, Value>,
        question: &str,
        mut see: impl FnMut(&str, &Value) -> anyhow::Result<()>,
    ) -> anyhow::Result<Result<Value, Refusal>> {
        let response = self.send(body, question, true).await;
        if response.status() != StatusCode::OK {
            return whole(response).await;
        }
        let (mut body, mut events) = (response.into_body(), Events::default());
        while let Some(frame) = body.frame().await {
            let frame = frame.context("the answer broke off")?;
            let Some(bytes) = frame.data_ref() else { continue };
            for event in events.push(bytes)? {
                match event.name.as_str() {
                    "done" => return Ok(Ok(serde_json::from_str(&event.data)?)),
                    "error" => return Ok(Err(serde_json::from_str(&event.data)?)),
                    name => see(name, &serde_json::from_str(&event.data)?)?,
                }
            }
        }
        anyhow::bail!("the answer broke off")
    }

    async fn send(&self, body: &Map<String, Value>, question: &str, stream: bool) -> Response {
        let mut body = body.clone();
        body.insert("question".to_owned(), question.into());
        body.insert("stream".to_owned(), stream.into());
        let request = Request::post("/v1/reason")
            .header(CONTENT_TYPE, "application/json")
            .body(Body::from(Value::from(body).to_string()))
            .expect("a constant path and header");
        match self.router.clone().oneshot(request).await {
            Ok(response) => response,
            Err(never) => match never {},
        }
    }
}

async fn whole(response: Response) -> anyhow::Result<Result<Value, Refusal>> {
    let status = response.status();
    let body = to_bytes(response.into_body(), usize::MAX).await.context("the answer broke off")?;
    Ok(match status {
        StatusCode::OK => Ok(serde_json::from_slice(&body)?),
        _ => Err(serde_json::from_slice(&body)?),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_refusal_names_the_flag_in_the_place_of_the_field() {
        for (param, message, told) in [
            (json!("top_p"), "top_p: must be above 0", "--top-p: must be above 0"),
            (
                json!("interventions[1].step"),
                "interventions[1].step: no",
                "--interventions[1].step: no",
            ),
            (json!("question"), "question: must not be empty", "must not be empty"),
            (json!(null), "internal error", "internal error"),
        ] {
            let error = json!({"message": message, "type": "t", "param": param, "code": "c"});
            let refusal: Refusal = serde_json::from_value(json!({ "error": error })).unwrap();
            assert_eq!(refusal.told(), told);
        }
    }
}
