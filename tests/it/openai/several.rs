//! Several prompts in one request, where the engine has less room than they need: what is counted, and who is let in beside.

use crate::openai::QUESTION;
use crate::openai::chunks;
use crate::openai::ok;
use crate::openai::post;
use crate::wire::Wire;
use axum::body::Body;
use axum::http::Request;
use coconut::engine::config::EngineConfig;
use serde_json::Value;
use serde_json::json;
use tower::ServiceExt as _;

const PATH: &str = "/v1/completions";

fn narrow(max_queued: usize) -> Wire {
    Wire::answering(EngineConfig { max_running: 1, max_queued, ..EngineConfig::default() }).0
}

#[tokio::test]
async fn a_request_that_is_answered_counts_no_refusal() {
    let wire = narrow(2);
    let answer = ok(&wire, PATH, json!({"prompt": vec![QUESTION; 30], "max_tokens": 2})).await;
    assert_eq!(answer["choices"].as_array().unwrap().len(), 30);
    assert_eq!(wire.metrics.rejected_total.with_label_values(&["queue_full"]).get(), 0);
}

/// The first request is not read on, so that it keeps what it has.
#[tokio::test]
async fn others_are_let_in_beside_a_request_with_many_prompts() {
    let wire = narrow(4);
    let many = json!({"prompt": vec![QUESTION; 100], "max_tokens": 200, "ignore_eos": true, "stream": true});
    let request = Request::post(PATH).header("content-type", "application/json");
    let request = request.body(Body::from(many.to_string())).unwrap();
    let unread = wire.router().oneshot(request).await.unwrap();
    for _ in 0..3 {
        ok(&wire, PATH, json!({"prompt": QUESTION, "max_tokens": 1})).await;
    }
    drop(unread);
}

/// The last prompt is refused once the first ones are being answered.
#[tokio::test]
async fn what_is_dropped_with_a_refused_prompt_is_no_cancellation() {
    let (wire, reasoner) = Wire::answering(EngineConfig::default());
    let long = "Bob is a lempus. ".repeat(2000);
    let body = json!({"prompt": [QUESTION, QUESTION, long], "max_tokens": 200, "ignore_eos": true});
    let reply = post(&wire, PATH, &body).await;
    assert_eq!(reply.blames(400, "too_long").as_deref(), Some("prompt"));
    reasoner.drain();
    reasoner.drained().await;
    let ended = |reason| wire.metrics.finished_total.with_label_values(&[reason]).get();
    assert_eq!(wire.metrics.cancelled_total.get(), 0);
    // They may have been quicker.
    assert_eq!(ended("dropped") + ended("length"), 2);
}

#[tokio::test]
async fn counts_on_the_way_know_of_prompts_that_waited() {
    let wire = narrow(2);
    let usage = json!({"include_usage": true, "continuous_usage_stats": true});
    let body = json!({"prompt": vec![QUESTION; 20], "max_tokens": 2, "stream": true, "stream_options": usage});
    let chunks = chunks(&wire, PATH, body).await;
    let said: Vec<&Value> = chunks.iter().map(|chunk| &chunk["usage"]["prompt_tokens"]).collect();
    let (all, before) = said.split_last().unwrap();
    assert!(before[0].as_u64() < all.as_u64(), "most wait at first: {said:?}");
    assert_eq!(before.last(), Some(all));
}

#[tokio::test]
async fn whole_numbers_may_be_written_with_a_point() {
    let (wire, _) = Wire::answering(EngineConfig::default());
    let with = |seed, top_k, ids: Value| json!({"prompt": ids, "seed": seed, "top_k": top_k, "temperature": 1.0, "max_tokens": 4});
    let plain = ok(&wire, PATH, with(json!(6), json!(3), json!([5, 6, 7]))).await;
    let pointed = ok(&wire, PATH, with(json!(6.0), json!(3.0), json!([5.0, 6.0, 7.0]))).await;
    assert_eq!(pointed["choices"][0]["text"], plain["choices"][0]["text"]);
    ok(&wire, PATH, with(json!(-6.0), json!(-1.0), json!([[5.0], [6.0]]))).await;
    let text = ok(&wire, "/detokenize", json!({"tokens": [5.0, 6.0]})).await;
    assert_eq!(text, ok(&wire, "/detokenize", json!({"tokens": [5, 6]})).await);
    let reply = post(&wire, "/detokenize", &json!({"tokens": [5.0, 6.5]})).await;
    assert_eq!(reply.blames(400, "invalid_value").as_deref(), Some("tokens[1]"));
}
