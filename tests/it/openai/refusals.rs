//! What OpenAI's routes refuse: 400, in OpenAI's form, with the field that is to blame.

use crate::openai::QUESTION;
use crate::openai::chunks;
use crate::openai::merge;
use crate::openai::post;
use crate::openai::wire;
use crate::wire::Wire;
use coconut::http::ApiKeys;
use coconut::http::Config;
use serde_json::Value;
use serde_json::json;

async fn blamed(wire: &Wire, path: &str, body: &Value) -> (u16, Value) {
    let reply = post(wire, path, body).await;
    let error = reply.json()["error"].clone();
    assert_eq!(error["type"], json!("invalid_request_error"), "{body}: {reply:?}");
    (reply.status.as_u16(), error["param"].clone())
}

#[tokio::test]
async fn fields_of_all_routes() {
    let wire = wire();
    let routes = [
        ("/v1/completions", json!({"prompt": QUESTION})),
        ("/v1/chat/completions", json!({"messages": [{"role": "user", "content": QUESTION}]})),
        ("/v1/responses", json!({"input": QUESTION})),
    ];
    for (path, body) in routes {
        for (extra, field) in [
            (json!({"presence_penalty": 0.5}), "presence_penalty"),
            (json!({"frequency_penalty": -1}), "frequency_penalty"),
            (json!({"repetition_penalty": 1.1}), "repetition_penalty"),
            (json!({"logit_bias": {"5": 1}}), "logit_bias"),
            (json!({"best_of": 2}), "best_of"),
            (json!({"stop_token_ids": [1]}), "stop_token_ids"),
            (json!({"temperature": 2.5}), "temperature"),
            (json!({"top_p": 0}), "top_p"),
            (json!({"seed": "x"}), "seed"),
            (json!({"stop": ["a", ""]}), "stop"),
            (json!({"n": 0}), "n"),
            (json!({"latent_steps": 33}), "latent_steps"),
            (json!({"latent_steps": 2.5}), "latent_steps"),
            (json!({"include": ["nothing"]}), "include[0]"),
            (json!({"interventions": [{"op": "zero", "step": 7}]}), "interventions[0].step"),
            (json!({"interventions": [{"op": "zero", "step": 1, "what": 1}]}), "interventions[0]"),
            (json!({"sweep": [1, 1]}), "sweep"),
            (json!({"stream_options": [true, null]}), "stream_options"),
            (json!({"latent_noise": [0.5]}), "latent_noise"),
            (json!({"interventions": [[1, "zero"]]}), "interventions"),
            (json!({"latent_noise": {"sigma": -1}}), "latent_noise.sigma"),
            (json!({"latent_noise": {}}), "latent_noise.sigma"),
            (json!({"interventions": [{"op": "zero"}]}), "interventions[0].step"),
            (json!({"top_k": 2.5}), "top_k"),
            (json!({"seed": 1e30}), "seed"),
            (json!({"inside": {"layers": [99]}, "include": ["lens"]}), "inside.layers"),
            (json!({"inside": {"heads": [99]}, "include": ["attention"]}), "inside.heads"),
            (json!({"inside": {"ranked": [4_000_000]}, "include": ["lens"]}), "inside.ranked"),
        ] {
            let mut asked = body.clone();
            merge(&mut asked, &extra);
            let (status, param) = blamed(&wire, path, &asked).await;
            let param = param.as_str().unwrap_or_default();
            assert!(
                status == 400 && param.starts_with(field.trim_end_matches("[0]")),
                "{path} {extra}: {status} {param}"
            );
        }
        let mut other = body.clone();
        other["model"] = json!("gpt-4o");
        assert_eq!(blamed(&wire, path, &other).await, (404, json!("model")));
    }
}

async fn assert_blamed(path: &str, cases: &[(Value, &str)]) {
    let wire = wire();
    for (body, field) in cases {
        assert_eq!(blamed(&wire, path, body).await, (400, json!(field)), "{path} {body:.200}");
    }
}

#[tokio::test]
async fn fields_of_completions() {
    let many = vec!["a"; 1025];
    let long = "Bob is a lempus. ".repeat(2000);
    let cases = [
        (json!({}), "prompt"),
        (json!({"prompt": ""}), "prompt"),
        (json!({"prompt": []}), "prompt"),
        (json!({"prompt": [[]]}), "prompt"),
        (json!({"prompt": {"a": 1}}), "prompt"),
        (json!({"prompt": many}), "prompt"),
        (json!({"prompt": [99_999_999]}), "prompt"),
        (json!({"prompt": long}), "prompt"),
        (json!({"prompt": "a", "suffix": "b"}), "suffix"),
        (json!({"prompt": "a", "logprobs": 21}), "logprobs"),
        (json!({"prompt": "a", "max_tokens": 0}), "max_tokens"),
        (json!({"prompt": "a", "max_tokens": 100_000}), "max_tokens"),
        (json!({"prompt": "a", "echo": true}), "prompt"),
        (json!({"prompt": "<|start-latent|>a<|start-latent|>"}), "prompt"),
        (
            json!({"prompt": "a<|start-latent|>", "echo": true, "logprobs": 1, "sweep": [0, 1]}),
            "echo",
        ),
    ];
    assert_blamed("/v1/completions", &cases).await;
}

#[tokio::test]
async fn fields_of_chat() {
    let user = |content: Value| json!([{"role": "user", "content": content}]);
    let long = "Bob is a lempus. ".repeat(2000);
    let cases = [
        (json!({}), "messages"),
        (json!({"messages": []}), "messages"),
        (json!({"messages": [{"role": "user"}]}), "messages[0].content"),
        (json!({"messages": [["user", "a", null, null, null]]}), "messages[0]"),
        (json!({"messages": [{"role": "system", "content": "a"}]}), "messages"),
        (json!({"messages": user(json!([{"type": "image_url"}]))}), "messages[0].content[0].type"),
        (json!({"messages": user(json!([{"type": "text"}]))}), "messages[0].content[0].text"),
        (json!({"messages": user(json!(long))}), "messages"),
        (
            json!({"messages": user(json!("a")), "max_completion_tokens": 0}),
            "max_completion_tokens",
        ),
        (json!({"messages": user(json!("a")), "max_tokens": 10_000}), "max_tokens"),
        (
            json!({"messages": user(json!("a")), "max_completion_tokens": 10_000}),
            "max_completion_tokens",
        ),
        (json!({"messages": [{"content": "a"}]}), "messages[0].role"),
        (json!({"messages": user(json!("a")), "response_format": {}}), "response_format.type"),
        (json!({"messages": user(json!("a")), "top_logprobs": 2}), "top_logprobs"),
        (
            json!({"messages": user(json!("a")), "response_format": {"type": "json_object"}}),
            "response_format.type",
        ),
    ];
    assert_blamed("/v1/chat/completions", &cases).await;
}

#[tokio::test]
async fn fields_of_responses() {
    let cases = [
        (json!({"input": []}), "input"),
        (json!({"input": "a", "previous_response_id": "resp_1"}), "previous_response_id"),
        (json!({"input": "a", "background": true}), "background"),
        (
            json!({"input": [{"type": "function_call_output", "call_id": "1",
                "output": [{"type": "image"}]}]}),
            "input[0].output[0].type",
        ),
        (json!({"input": "a", "max_output_tokens": 10_000}), "max_output_tokens"),
        (json!({"input": "a", "n": 2}), "n"),
        (json!({"input": "a", "text": {"format": {"type": "json_schema"}}}), "text.format.type"),
    ];
    assert_blamed("/v1/responses", &cases).await;
}

#[tokio::test]
async fn a_failure_in_a_stream_is_a_chunk_with_the_error() {
    let (wire, reasoner) = Wire::answering(coconut::engine::config::EngineConfig::default());
    let body = json!({"prompt": [QUESTION, QUESTION], "stream": true, "ignore_eos": true, "max_tokens": 200});
    let ending = async {
        reasoner.drain();
        reasoner.abort();
    };
    let (chunks, ()) = futures::join!(chunks(&wire, "/v1/completions", body), ending);
    let error = &chunks.last().unwrap()["error"];
    assert!(error["message"].is_string() && error["code"].is_string(), "{chunks:?}");
}

#[tokio::test]
async fn keys_are_asked_for_as_everywhere() {
    let keys = ApiKeys::new(vec!["sesame".to_owned()]);
    let wire = Wire::limited(Config { api_keys: keys, ..Config::default() });
    for path in
        ["/v1/completions", "/v1/chat/completions", "/v1/responses", "/tokenize", "/detokenize"]
    {
        let reply = post(&wire, path, &json!({"prompt": "a"})).await;
        assert_eq!(
            (reply.status.as_u16(), &reply.json()["error"]["type"]),
            (401, &json!("authentication_error")),
            "{path}"
        );
    }
    assert_eq!(wire.get("/v1/models/x").await.status, 401);
    assert_eq!(wire.get("/health").await.status, 200);
}
