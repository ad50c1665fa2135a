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
    let first = ok(&wire, PATH, asked(json!([conversation[0]]), json!({}))).await;
    let before = wire.metrics.prefix_cache_hits_total.get();
    let second = ok(&wire, PATH, asked(conversation, json!({}))).await;
    let choice = &second["choices"][0];
    assert_eq!(choice["message"]["content"], json!("Tom is a lempus."));
    assert_eq!(choice["finish_reason"], json!("stop"));
    // Everything before what was observed is fed as it was said: the prompt, the call, and two labels around the observation.
    let told =
        ok(&wire, "/tokenize", json!({"prompt": format!("Observation 1: {FACTS}\nThought 2:")}))
            .await;
    let (first, told) = (&first["usage"], told["count"].as_u64().unwrap());
    let (prompt, said) = (&first["prompt_tokens"], &first["completion_tokens"]);
    assert_eq!(
        second["usage"]["prompt_tokens"].as_u64().unwrap(),
        prompt.as_u64().unwrap() + said.as_u64().unwrap() + told
    );
    let hits = wire.metrics.prefix_cache_hits_total.get() - before;
    assert!(hits >= 16, "the second turn reads what the first one computed and said: {hits}");
}

#[tokio::test]
async fn a_model_that_is_interrupted_at_its_calls_is_not_interrupted_elsewhere() {
    let wire = Wire::serving(models("prosqa-react"));
    let user = json!([{"role": "user", "content": ASKED}]);
    let reply = post(&wire, PATH, &asked(user, json!({"stop": "."}))).await;
    assert_eq!(reply.blames(400, "invalid_value").as_deref(), Some("stop"));
}

/// Where the first call finds nothing, the model has to read its own call to know what to ask next.
#[tokio::test]
async fn three_turns_are_answered_as_one_dialogue_in_the_server_is() {
    let wire = Wire::serving(models("prosqa-react"));
    let mut messages = vec![json!({"role": "user", "content": ASKED})];
    for (argument, observation) in
        [("lempus", "none"), ("scrompus", "Tom is a terpus. Every terpus is a scrompus.")]
    {
        let turn = ok(&wire, PATH, asked(json!(messages), json!({}))).await;
        let message = turn["choices"][0]["message"].clone();
        let call = message["tool_calls"][0].clone();
        assert_eq!(
            call["function"]["arguments"],
            json!(format!(r#"{{"from":"Tom","to":"{argument}"}}"#))
        );
        messages.push(message);
        messages.push(json!({"role": "tool", "tool_call_id": call["id"], "content": observation}));
    }
    let last = ok(&wire, PATH, asked(json!(messages), json!({}))).await;
    assert_eq!(last["choices"][0]["message"]["content"], json!("Tom is a scrompus."));
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
        (json!({"facts": FACTS}), "facts"),
    ] {
        let reply = post(&wire, PATH, &asked(user.clone(), extra)).await;
        assert_eq!(reply.blames(400, "invalid_value").as_deref(), Some(field));
    }
}

#[tokio::test]
async fn responses_call_in_one_turn_and_answer_in_the_next() {
    let wire = Wire::serving(models("prosqa-react"));
    let function = tools()[0]["function"].clone();
    let mut tool = function;
    tool["type"] = json!("function");
    let body = json!({"input": ASKED, "tools": [tool]});
    let first = ok(&wire, "/v1/responses", body.clone()).await;
    assert_eq!(first["tools"], body["tools"]);
    let output = first["output"].as_array().unwrap();
    assert_eq!(
        (&output[0]["type"], &output[1]["type"]),
        (&json!("message"), &json!("function_call"))
    );
    assert_eq!(output[1]["arguments"], json!(r#"{"from":"Tom","to":"lempus"}"#));
    let answered =
        json!({"type": "function_call_output", "call_id": output[1]["call_id"], "output": FACTS});
    let input = json!([{"role": "user", "content": ASKED}, output[0], output[1], answered]);
    let second = ok(&wire, "/v1/responses", json!({"input": input, "tools": body["tools"]})).await;
    assert_eq!(second["output"][0]["content"][0]["text"], json!("Tom is a lempus."));

    let mut streamed = body;
    streamed["stream"] = json!(true);
    let events = post(&wire, "/v1/responses", &streamed).await.events();
    let of = |kind: &str| events.iter().filter(|event| event.name == kind).collect::<Vec<_>>();
    let pieces = of("response.function_call_arguments.delta");
    let pieces: String = pieces.iter().map(|event| event.data["delta"].as_str().unwrap()).collect();
    assert_eq!(json!(pieces), output[1]["arguments"]);
    let done = &of("response.completed")[0].data["response"]["output"];
    assert_eq!(done[1]["name"], json!("path"));
    let added = of("response.output_item.added");
    let places: Vec<&Value> = added.iter().map(|event| &event.data["output_index"]).collect();
    assert_eq!(places, [&json!(0), &json!(1)]);
    let ids = of("response.output_item.done");
    assert_eq!(ids[1].data["item"]["id"], added[1].data["item"]["id"]);
}
