//! Everything that a request can say about thoughts, over HTTP: each is held to the same thing asked in another way.

mod edits;
mod ends;
mod insides;
mod refusals;
mod samples;

use crate::support::TOLERANCE;
use crate::support::distance;
use crate::wire::Reply;
use crate::wire::Wire;
use axum::body::Body;
use axum::http::Request;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use coconut::engine::config::EngineConfig;
use coconut::engine::config::PrefixCache;
use futures::future::join_all;
use serde_json::Value;
use serde_json::json;

pub const QUESTION: &str = "Every rempus is a jelpus. Is Bob a lempus or a rempus?";
pub const OTHER: &str = "Tom has 3 boxes of 12 pens. How many pens are there?";

/// Nothing is reused, so that equal requests give equal bits.
pub fn wire() -> Wire {
    let config = EngineConfig { prefix_cache: PrefixCache::Off, ..EngineConfig::default() };
    Wire::answering(config).0
}

#[expect(clippy::needless_pass_by_value, reason = "made where it is given")]
pub fn with(extra: Value) -> Value {
    let mut question = json!({"question": QUESTION, "latent_steps": 4, "max_tokens": 6,
        "include": ["thoughts", "thought_vectors", "first_logits", "logprobs"]});
    for (field, value) in extra.as_object().unwrap() {
        question[field] = value.clone();
    }
    if extra.get("sweep").is_some() {
        question.as_object_mut().unwrap().remove("latent_steps");
    }
    question
}

pub async fn ask(wire: &Wire, extra: Value) -> Value {
    let reply = wire.ask(with(extra)).await;
    assert_eq!(reply.status, 200, "{reply:?}");
    reply.json()
}

pub async fn post(wire: &Wire, path: &str, body: &Value) -> Reply {
    let request = Request::post(path).header("content-type", "application/json");
    wire.send(request.body(Body::from(body.to_string())).unwrap()).await
}

pub async fn score(wire: &Wire, body: Value) -> Value {
    let reply = post(wire, "/v1/score", &body).await;
    assert_eq!(reply.status, 200, "{reply:?}");
    reply.json()
}

pub fn floats(value: &Value) -> Vec<f32> {
    let bytes = BASE64_STANDARD.decode(value.as_str().unwrap()).unwrap();
    bytes.chunks_exact(4).map(|four| f32::from_le_bytes(four.try_into().unwrap())).collect()
}

pub fn base64(values: &[f32]) -> String {
    let bytes: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
    BASE64_STANDARD.encode(bytes)
}

pub fn vectors(answer: &Value) -> Vec<Vec<f32>> {
    let thoughts = answer["thoughts"].as_array().unwrap();
    thoughts.iter().map(|thought| floats(&thought["vector"])).collect()
}

/// What of an answer follows from what was computed.
pub fn computed(answer: &Value) -> Value {
    let fields = ["answer", "text", "finish_reason", "thoughts", "first_logits", "logprobs"];
    fields.iter().map(|field| answer[*field].clone()).collect()
}

pub fn assert_close(ours: &Value, theirs: &Value, what: &str) {
    assert_eq!(ours["text"], theirs["text"], "{what}");
    let off = distance(&floats(&ours["first_logits"]), &floats(&theirs["first_logits"]));
    assert!(off < TOLERANCE, "{what}: off by {off}");
}

/// All shapes at once, each as it would be alone.
#[tokio::test]
async fn shapes_do_not_disturb_each_other() {
    let wire = wire();
    let shapes = [
        json!({}),
        json!({"sweep": [0, 2, 4]}),
        json!({"n": 3, "latent_noise": {"sigma": 0.7}, "seed": 5}),
        json!({"interventions": [{"step": 2, "op": "zero"}]}),
        json!({"feedback": "shuffle", "seed": 1}),
        json!({"latent_steps": "auto", "tolerance": 0.5}),
    ];
    let mut alone = Vec::new();
    for shape in &shapes {
        alone.push(ask(&wire, shape.clone()).await);
    }
    let together = join_all(shapes.iter().map(|shape| ask(&wire, shape.clone()))).await;
    for ((one, mixed), shape) in alone.iter().zip(&together).zip(&shapes) {
        assert_eq!(one["text"], mixed["text"], "{shape}");
        for list in ["answers", "choices"] {
            let texts = |answer: &Value| -> Vec<Value> {
                answer[list].as_array().into_iter().flatten().map(|it| it["text"].clone()).collect()
            };
            assert_eq!(texts(one), texts(mixed), "{shape}");
        }
    }
}
