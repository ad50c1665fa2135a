//! The tokenizer's routes, and what clients ask of a server before they ask it anything.

use crate::openai::QUESTION;
use crate::openai::ok;
use crate::openai::post;
use crate::openai::wire;
use crate::wire::Wire;
use coconut::http::Config;
use coconut::http::MetricsCompat;
use serde_json::json;

#[tokio::test]
async fn text_comes_back_from_its_ids() {
    let wire = wire();
    let text = format!("{QUESTION}\n<|start-latent|> déjà vu");
    let ids = ok(&wire, "/tokenize", json!({"prompt": text, "return_token_strs": true})).await;
    let (tokens, count) = (ids["tokens"].as_array().unwrap(), ids["count"].as_u64().unwrap());
    assert_eq!(tokens.len() as u64, count);
    assert!(ids["token_strs"].as_array().unwrap().contains(&json!("<|start-latent|>")));
    let back = ok(&wire, "/detokenize", json!({"tokens": tokens})).await;
    assert_eq!(back["prompt"], json!(text));
}

#[tokio::test]
async fn a_conversation_comes_to_the_ids_that_are_fed() {
    let wire = wire();
    let messages = json!([{"role": "user", "content": QUESTION}]);
    let ids = ok(&wire, "/tokenize", json!({"messages": messages})).await;
    let answer =
        ok(&wire, "/v1/chat/completions", json!({"messages": messages, "max_tokens": 1})).await;
    assert_eq!(ids["count"], answer["usage"]["prompt_tokens"]);
}

#[tokio::test]
async fn what_cannot_be_meant_is_refused_by_name() {
    let wire = wire();
    for (path, body, field) in [
        ("/tokenize", json!({}), "prompt"),
        ("/tokenize", json!({"prompt": "a", "messages": []}), "prompt"),
        ("/tokenize", json!({"messages": []}), "messages"),
        ("/detokenize", json!({"tokens": [1, 99_999_999]}), "tokens[1]"),
        ("/detokenize", json!({}), "tokens"),
    ] {
        let reply = post(&wire, path, &body).await;
        assert_eq!(
            (reply.status.as_u16(), &reply.json()["error"]["param"]),
            (400, &json!(field)),
            "{body}"
        );
    }
}

#[tokio::test]
async fn what_clients_ask_of_a_server_is_there() {
    let wire = wire();
    let info = wire.get("/tokenizer_info").await.json();
    assert!(info["eos_token"].is_string(), "{info}");
    let model = wire.get("/v1/models").await.json()["data"][0].clone();
    let name = model["id"].as_str().unwrap();
    assert_eq!(wire.get(&format!("/v1/models/{name}")).await.json(), model);
    let unknown = wire.get("/v1/models/someone/else").await;
    assert_eq!(
        (unknown.status.as_u16(), &unknown.json()["error"]["code"]),
        (404, &json!("model_not_found"))
    );
    // Names that are no text.
    for path in ["/v1/models/%ff", "/v1/models/someone/%ff"] {
        let unknown = wire.get(path).await;
        assert_eq!(unknown.blames(404, "model_not_found").as_deref(), Some("model"));
        assert!(unknown.body.contains("%ff"), "{unknown:?}");
    }
    assert_eq!(wire.get("/health").await.status, 200);
    assert_eq!(wire.get("/version").await.json()["version"], json!(env!("CARGO_PKG_VERSION")));
    assert_eq!(wire.get("/load").await.json()["server_load"], json!(0));
    assert_eq!(Wire::loading(Config::default()).get("/health").await.status, 503);
}

#[tokio::test]
async fn metrics_have_vllms_names_where_that_is_asked_for() {
    let config = Config { metrics_compat: Some(MetricsCompat::Vllm), ..Config::default() };
    let wire = Wire::limited(config);
    ok(&wire, "/v1/completions", json!({"prompt": QUESTION, "max_tokens": 1, "ignore_eos": true}))
        .await;
    let text = wire.get("/metrics").await.body;
    let label = "{model_name=\"coconut-gpt2-hf\"}";
    for name in ["num_requests_running", "num_requests_waiting", "kv_cache_usage_perc"] {
        assert!(text.contains(&format!("\nvllm:{name}{label} 0\n")), "{name}: {text}");
    }
    assert!(text.contains(&format!("\nvllm:generation_tokens_total{label} 1\n")), "{text}");
    let ours = crate::openai::wire().get("/metrics").await.body;
    assert!(!ours.contains("vllm:"));
}
