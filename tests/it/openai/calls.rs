//! Calls of a client's tools: told as OpenAI tells them, answered in the next turn.

use crate::openai::chunks;
use crate::openai::merge;
use crate::openai::ok;
use crate::openai::post;
use crate::support::models;
use crate::wire::Wire;
use serde_json::Value;
use serde_json::json;

const PATH: &str = "/v1/chat/completions";
const ASKED: &str = "Is Tom a lempus or scrompus?";
const FACTS: &str = "Tom is a terpus. Every terpus is a brimpus. Every brimpus is a lempus.";

fn tools() -> Value {
    let text = json!({"type": "string"});
    let parameters = json!({"type": "object", "properties": {"from": text, "to": text}, "required": ["from", "to"]});
    json!([{"type": "function", "function": {"name": "path", "description": "The way.", "parameters": parameters}}])
}

#[expect(clippy::needless_pass_by_value, reason = "made where it is given")]
fn asked(messages: Value, extra: Value) -> Value {
    let mut body = json!({"messages": messages, "tools": tools()});
    merge(&mut body, &extra);
    body
}

/// The first turn's message, and the conversation with what a tool answered.
async fn called(wire: &Wire) -> (Value, Value) {
    let user = json!({"role": "user", "content": ASKED});
    let first = ok(wire, PATH, asked(json!([user]), json!({}))).await;
    let choice = &first["choices"][0];
    assert_eq!(choice["finish_reason"], json!("tool_calls"));
    let message = choice["message"].clone();
    let call = &message["tool_calls"][0];
    let result = json!({"role": "tool", "tool_call_id": call["id"], "content": FACTS});
    (message.clone(), json!([user, message, result]))
}

#[tokio::test]
async fn a_tool_is_called_in_one_turn_and_answered_in_the_next() {
    let wire = Wire::serving(models("prosqa-react"));
    let (message, conversation) = called(&wire).await;
    let call = &message["tool_calls"][0];
    assert_eq!((&call["type"], &call["function"]["name"]), (&json!("function"), &json!("path")));
    let arguments: Value =
        serde_json::from_str(call["function"]["arguments"].as_str().unwrap()).unwrap();
    assert_eq!(arguments, json!({"from": "Tom", "to": "lempus"}));
    assert_eq!(message["content"], json!("Is Tom a lempus?"));
    let before = wire.metrics.prefix_cache_hits_total.get();
    let second = ok(&wire, PATH, asked(conversation, json!({}))).await;
    let choice = &second["choices"][0];
    assert_eq!(choice["message"]["content"], json!("Tom is a lempus."));
    assert_eq!(choice["finish_reason"], json!("stop"));
    let hits = wire.metrics.prefix_cache_hits_total.get() - before;
    assert!(hits >= 16, "the second turn reads what the first one computed and said: {hits}");
}

#[tokio::test]
async fn chunks_put_together_are_the_same_calls() {
    let wire = Wire::serving(models("prosqa-react"));
    let (message, _) = called(&wire).await;
    let user = json!([{"role": "user", "content": ASKED}]);
    let chunks = chunks(&wire, PATH, asked(user, json!({"stream": true}))).await;
    let deltas: Vec<&Value> = chunks.iter().map(|chunk| &chunk["choices"][0]["delta"]).collect();
    let calls = deltas.iter().filter_map(|delta| delta["tool_calls"].as_array()).flatten();
    let calls: Vec<&Value> = calls.collect();
    let text = |field: &str| {
        let texts = calls.iter().filter_map(|call| call["function"][field].as_str());
        texts.collect::<String>()
    };
    let function = &message["tool_calls"][0]["function"];
    assert_eq!(
        (json!(text("name")), json!(text("arguments"))),
        (function["name"].clone(), function["arguments"].clone())
    );
    assert!(calls[0]["id"].is_string() && calls[0]["type"] == json!("function"));
    let contents = deltas.iter().filter_map(|delta| delta["content"].as_str());
    assert_eq!(json!(contents.collect::<String>()), message["content"]);
    assert_eq!(chunks.last().unwrap()["choices"][0]["finish_reason"], json!("tool_calls"));
}

#[tokio::test]
async fn tools_may_be_kept_from_a_model_and_what_is_not_there_cannot_be_chosen() {
    let wire = Wire::serving(models("prosqa-react"));
    let user = json!([{"role": "user", "content": ASKED}]);
    let none = json!({"tool_choice": "none", "facts": FACTS, "max_rounds": 1});
    let none = ok(&wire, PATH, asked(user.clone(), none)).await;
    assert!(none["choices"][0]["message"].get("tool_calls").is_none());
    assert_eq!(none["coconut"]["trajectory"].as_array().unwrap().len(), 1, "the server's tools");
    for (extra, field) in [
        (json!({"tool_choice": "sometimes"}), "tool_choice"),
        (
            json!({"tool_choice": {"type": "function", "function": {"name": "other"}}}),
            "tool_choice",
        ),
        (json!({"tools": [], "tool_choice": "required"}), "tool_choice"),
        (json!({"tools": [{"type": "function"}]}), "tools[0].function.name"),
    ] {
        let reply = post(&wire, PATH, &asked(user.clone(), extra)).await;
        assert_eq!(reply.blames(400, "invalid_value").as_deref(), Some(field));
    }
}
