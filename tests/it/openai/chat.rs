//! `POST /v1/chat/completions`.

use crate::openai::QUESTION;
use crate::openai::chunks;
use crate::openai::merge;
use crate::openai::ok;
use crate::openai::reason;
use crate::openai::wire;
use serde_json::Value;
use serde_json::json;

const PATH: &str = "/v1/chat/completions";

#[expect(clippy::needless_pass_by_value, reason = "made where it is given")]
fn chat(extra: Value) -> Value {
    let messages = json!([
        {"role": "system", "content": "Think."},
        {"role": "user", "content": "Hello?"},
        {"role": "assistant", "content": "Yes."},
        {"role": "user", "content": QUESTION},
    ]);
    let mut body = json!({"messages": messages, "max_completion_tokens": 6});
    merge(&mut body, &extra);
    body
}

#[tokio::test]
async fn where_there_is_no_template_the_last_user_message_is_the_question() {
    let wire = wire();
    let ours = reason(&wire, json!({"latent_steps": 3})).await;
    let parts = json!([{"role": "user", "content": [{"type": "text", "text": QUESTION}]}]);
    for extra in [json!({}), json!({"messages": parts})] {
        let mut extra = extra;
        extra["latent_steps"] = json!(3);
        let theirs = ok(&wire, PATH, chat(extra)).await;
        let choice = &theirs["choices"][0];
        assert_eq!(choice["message"]["content"], ours["text"]);
        assert_eq!(choice["message"]["role"], json!("assistant"));
        assert_eq!(choice["coconut"]["answer"], ours["answer"]);
        assert_eq!(theirs["usage"]["prompt_tokens"], ours["usage"]["prompt_tokens"]);
    }
}

#[tokio::test]
async fn chunks_put_together_are_the_whole() {
    let wire = wire();
    let plain = json!({"n": 2, "temperature": 1.2, "seed": 3, "logprobs": true, "top_logprobs": 2});
    let whole = ok(&wire, PATH, chat(plain.clone())).await;
    let mut streamed = plain;
    merge(&mut streamed, &json!({"stream": true, "stream_options": {"include_usage": true}}));
    let chunks = chunks(&wire, PATH, chat(streamed)).await;
    for index in 0..2 {
        let added = chunks.iter().flat_map(|chunk| chunk["choices"].as_array().unwrap());
        let added: Vec<_> = added.filter(|choice| choice["index"] == json!(index)).collect();
        let texts = added.iter().filter_map(|choice| choice["delta"]["content"].as_str());
        let choice = &whole["choices"][index];
        assert_eq!(texts.collect::<String>(), choice["message"]["content"].as_str().unwrap());
        assert_eq!(added[0]["delta"]["role"], json!("assistant"));
        assert!(added[1..].iter().all(|choice| choice["delta"].get("role").is_none()));
        let tokens = added.iter().filter_map(|choice| choice["logprobs"]["content"].as_array());
        let tokens: Vec<Value> = tokens.flatten().cloned().collect();
        assert_eq!(json!(tokens), choice["logprobs"]["content"]);
        assert!(tokens.iter().all(|token| token["top_logprobs"].as_array().unwrap().len() == 2));
        assert_eq!(added.last().unwrap()["finish_reason"], choice["finish_reason"]);
    }
    let last = chunks.last().unwrap();
    assert_eq!((&last["choices"], &last["usage"]), (&json!([]), &whole["usage"]));
    assert!(last["coconut"]["timings"]["total_ms"].as_f64().unwrap() > 0.0);
}

#[tokio::test]
async fn thoughts_can_be_seen_and_changed() {
    let wire = wire();
    let seen = json!({"latent_steps": 3, "include": ["thoughts"], "interventions": [{"op": "zero", "step": 2}]});
    let ours = reason(&wire, seen.clone()).await;
    let theirs = ok(&wire, PATH, chat(seen.clone())).await;
    assert_eq!(theirs["coconut"]["thoughts"], ours["thoughts"]);
    assert_eq!(theirs["coconut"]["resolved"]["interventions"], ours["resolved"]["interventions"]);
    let mut streamed = seen;
    streamed["stream"] = json!(true);
    let chunks = chunks(&wire, PATH, chat(streamed)).await;
    let thoughts: Vec<_> =
        chunks.iter().filter_map(|chunk| chunk["progress"].get("thought")).collect();
    assert_eq!(json!(thoughts), ours["thoughts"]);
}

#[tokio::test]
async fn samples_have_a_vote() {
    let sampled = json!({"n": 3, "latent_noise": {"sigma": 0.5}, "seed": 5, "latent_steps": 2});
    let wire = wire();
    let ours = reason(&wire, sampled.clone()).await;
    let theirs = ok(&wire, PATH, chat(sampled)).await;
    assert_eq!(theirs["coconut"]["vote"], ours["vote"]);
    let texts = |choices: &Value, pointer: &str| {
        let choices = choices.as_array().unwrap().iter();
        choices.map(|choice| choice.pointer(pointer).unwrap().clone()).collect::<Vec<_>>()
    };
    assert_eq!(texts(&theirs["choices"], "/message/content"), texts(&ours["choices"], "/text"));
}

#[tokio::test]
async fn what_clients_send_without_meaning_it_is_taken() {
    let ignored = json!({
        "model": "coconut-gpt2-hf", "user": "me", "store": false, "metadata": {}, "service_tier": "auto", "reasoning_effort": "low",
        "presence_penalty": 0, "frequency_penalty": 0.0, "repetition_penalty": 1.0, "logit_bias": {}, "logprobs": null,
        "stop": null, "tools": [], "tool_choice": "auto", "response_format": {"type": "text"}, "parallel_tool_calls": true,
        "n": 1, "stream": null, "stream_options": null, "top_k": -1, "min_p": 0.0, "best_of": 1, "seed": -7, "what_is_this": [1],
    });
    ok(&wire(), PATH, chat(ignored)).await;
}
