//! OpenAI's routes as their clients use them: each answer is held to what our own routes say of the same.

mod calls;
mod chat;
mod completions;
mod refusals;
mod responses;
mod several;
mod templates;
mod tokens;

use crate::wire::Event;
use crate::wire::Reply;
use crate::wire::Wire;
use axum::body::Body;
use axum::http::Request;
use coconut::engine::config::EngineConfig;
use coconut::engine::config::PrefixCache;
use serde_json::Value;
use serde_json::json;

pub const QUESTION: &str = "Every rempus is a jelpus. Is Bob a lempus or a rempus?";
pub const OTHER: &str = "Tom has 3 boxes of 12 pens. How many pens are there?";

/// Nothing is reused, so that equal requests give equal bits.
pub fn wire() -> Wire {
    let config = EngineConfig { prefix_cache: PrefixCache::Off, ..EngineConfig::default() };
    Wire::answering(config).0
}

pub async fn post(wire: &Wire, path: &str, body: &Value) -> Reply {
    let request = Request::post(path).header("content-type", "application/json");
    wire.send(request.body(Body::from(body.to_string())).unwrap()).await
}

pub async fn ok(wire: &Wire, path: &str, body: Value) -> Value {
    let reply = post(wire, path, &body).await;
    assert_eq!(reply.status, 200, "{path} {body}: {reply:?}");
    reply.json()
}

/// The chunks of a stream, which are data alone and end in `[DONE]`.
pub async fn chunks(wire: &Wire, path: &str, body: Value) -> Vec<Value> {
    let reply = post(wire, path, &body).await;
    assert_eq!(reply.status, 200, "{path} {body}: {reply:?}");
    let lines: Vec<&str> = reply.body.lines().filter(|line| !line.is_empty()).collect();
    let (last, chunks) = lines.split_last().unwrap();
    assert_eq!(*last, "data: [DONE]");
    let chunk = |line: &&str| serde_json::from_str(line.strip_prefix("data: ").unwrap()).unwrap();
    chunks.iter().map(chunk).collect()
}

/// What our own route says.
pub async fn reason(wire: &Wire, extra: Value) -> Value {
    let mut question = json!({"question": QUESTION, "max_tokens": 6});
    merge(&mut question, &extra);
    let reply = wire.ask(question).await;
    assert_eq!(reply.status, 200, "{reply:?}");
    reply.json()
}

pub fn merge(into: &mut Value, extra: &Value) {
    for (field, value) in extra.as_object().unwrap() {
        into[field] = value.clone();
    }
}

pub fn names(events: &[Event]) -> Vec<&str> {
    events.iter().map(|event| event.name.as_str()).collect()
}
