//! `POST /v1/responses`.

use crate::openai::QUESTION;
use crate::openai::names;
use crate::openai::ok;
use crate::openai::post;
use crate::openai::reason;
use crate::openai::wire;
use serde_json::json;

const PATH: &str = "/v1/responses";

#[tokio::test]
async fn an_input_is_answered_as_a_question_is() {
    let wire = wire();
    let ours = reason(&wire, json!({"latent_steps": 3})).await;
    let messages = json!([{"role": "user", "content": [{"type": "input_text", "text": QUESTION}]}]);
    for input in [json!(QUESTION), messages] {
        let body = json!({"input": input, "instructions": "Think.", "max_output_tokens": 6, "latent_steps": 3});
        let theirs = ok(&wire, PATH, body).await;
        assert_eq!(theirs["output"][0]["content"][0]["text"], ours["text"]);
        let cut = ours["finish_reason"] == json!("length");
        assert_eq!(theirs["status"], json!(if cut { "incomplete" } else { "completed" }));
        assert_eq!(theirs["output"][0]["status"], theirs["status"]);
        assert_eq!(theirs["instructions"], json!("Think."));
        assert_eq!((&theirs["tools"], &theirs["tool_choice"]), (&json!([]), &json!("auto")));
        assert_eq!(theirs["usage"]["input_tokens"], ours["usage"]["prompt_tokens"]);
        assert_eq!(theirs["usage"]["output_tokens_details"]["reasoning_tokens"], json!(3));
    }
}

#[tokio::test]
async fn events_are_named_and_numbered_and_say_the_same() {
    let wire = wire();
    let body = json!({"input": QUESTION, "max_output_tokens": 6, "latent_steps": 2, "include": ["thoughts"]});
    let whole = ok(&wire, PATH, body.clone()).await;
    let mut streamed = body;
    streamed["stream"] = json!(true);
    let events = post(&wire, PATH, &streamed).await.events();
    let kinds = names(&events);
    assert_eq!(
        kinds[..4],
        [
            "response.created",
            "response.in_progress",
            "response.coconut.progress",
            "response.coconut.progress",
        ]
    );
    assert_eq!(kinds[4..6], ["response.output_item.added", "response.content_part.added"]);
    assert_eq!(kinds.iter().filter(|kind| **kind == "response.coconut.progress").count(), 2);
    for (number, event) in events.iter().enumerate() {
        assert_eq!(event.data["sequence_number"], json!(number));
        assert_eq!(event.data["type"], json!(event.name));
    }
    let deltas = events.iter().filter(|event| event.name == "response.output_text.delta");
    let text: String = deltas.map(|event| event.data["delta"].as_str().unwrap()).collect();
    assert_eq!(text, whole["output"][0]["content"][0]["text"].as_str().unwrap());
    let last = &events.last().unwrap().data["response"];
    assert_eq!((&last["status"], &last["usage"]), (&whole["status"], &whole["usage"]));
    assert_eq!(last["output"][0]["content"], whole["output"][0]["content"]);
}
