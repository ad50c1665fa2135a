//! Chat templates: rendered as transformers renders them, and fed as they are rendered.

use crate::openai::merge;
use crate::openai::ok;
use crate::openai::post;
use crate::support::data;
use crate::wire::Wire;
use coconut::text::chat::ChatTemplate;
use coconut::text::chat::Conversation;
use coconut::text::chat::Json;
use coconut::text::chat::Message;
use serde::Deserialize;
use serde_json::Value;
use serde_json::json;
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use tempfile::TempDir;

#[derive(Deserialize)]
struct Expected {
    tokens: BTreeMap<String, String>,
    cases: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    template: String,
    name: String,
    messages: Vec<BTreeMap<String, Json>>,
    tools: Option<Json>,
    #[serde(default)]
    settings: BTreeMap<String, Json>,
    text: Option<String>,
    refused: Option<String>,
}

fn message(mut fields: BTreeMap<String, Json>) -> Message {
    let mut text = |name| fields.remove(name).and_then(|text| text.as_str().map(str::to_owned));
    let (role, content) = (text("role").unwrap(), text("content"));
    Message { role, content, more: fields }
}

#[test]
fn conversations_read_as_transformers_writes_them() {
    let text = fs::read_to_string(data("chat/expected.json")).unwrap();
    let expected: Expected = serde_json::from_str(&text).unwrap();
    for case in expected.cases {
        let source = fs::read_to_string(data("chat").join(&case.template)).unwrap();
        let template = ChatTemplate::parse(&source, expected.tokens.clone()).unwrap();
        let messages = case.messages.into_iter().map(message).collect();
        let (tools, settings) = (case.tools, case.settings);
        let conversation = Conversation { messages, tools, settings, ..Conversation::default() };
        let wanted = case.text.ok_or(case.refused.unwrap_or_default());
        assert_eq!(template.render(&conversation), wanted, "{} {}", case.template, case.name);
    }
}

/// A language model without thoughts, with what else is written into its folder.
fn folder(more: impl FnOnce(&Path)) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for name in ["config.json", "model.safetensors", "tokenizer.json"] {
        fs::copy(data("coconut-qwen3-hf").join(name), folder.path().join(name)).unwrap();
    }
    let recipe = json!({"family": "chat", "latent_steps": {"default": 0, "max": 0}, "eos": [0]});
    fs::write(folder.path().join("coconut.json"), recipe.to_string()).unwrap();
    more(folder.path());
    folder
}

const SOURCE: &str = "{% for m in messages %}[{{ m.role }}] {{ m.content }}\n{% endfor %}{% if tools %}{{ tools | tojson }}{% endif %}[assistant]{{ mood }}";
const RENDERED: &str = "[system] Think.\n[user] Is Bob a lempus?\n[assistant]";

#[expect(clippy::needless_pass_by_value, reason = "made where it is given")]
fn chat(extra: Value) -> Value {
    let messages = json!([
        {"role": "system", "content": "Think."},
        {"role": "user", "content": "Is Bob a lempus?"},
    ]);
    let mut body = json!({"messages": messages, "max_tokens": 5, "ignore_eos": true});
    merge(&mut body, &extra);
    body
}

#[tokio::test]
async fn a_template_is_found_wherever_transformers_puts_it() {
    let config = |value: Value| {
        move |folder: &Path| {
            let value = json!({"chat_template": value, "eos_token": {"content": "<|endoftext|>"}});
            fs::write(folder.join("tokenizer_config.json"), value.to_string()).unwrap();
        }
    };
    let alone = |folder: &Path| fs::write(folder.join("chat_template.jinja"), SOURCE).unwrap();
    let named =
        json!([{"name": "other", "template": "x"}, {"name": "default", "template": SOURCE}]);
    for folder in [folder(config(json!(SOURCE))), folder(config(named)), folder(alone)] {
        let wire = Wire::serving(folder.path().to_owned());
        let theirs = ok(&wire, "/v1/chat/completions", chat(json!({}))).await;
        let ours = json!({"prompt": RENDERED, "max_tokens": 5, "ignore_eos": true});
        let ours = ok(&wire, "/v1/completions", ours).await;
        assert_eq!(theirs["choices"][0]["message"]["content"], ours["choices"][0]["text"]);
        assert_eq!(theirs["usage"]["prompt_tokens"], ours["usage"]["prompt_tokens"]);
        let info = wire.get("/tokenizer_info").await.json();
        assert_eq!(info["chat_template"], json!(SOURCE));
    }
}

#[tokio::test]
async fn tools_and_settings_reach_the_template_and_none_keeps_tools_from_it() {
    let folder = folder(|folder| fs::write(folder.join("chat_template.jinja"), SOURCE).unwrap());
    let wire = Wire::serving(folder.path().to_owned());
    let tokens = async |extra| {
        let answer = ok(&wire, "/v1/chat/completions", chat(extra)).await;
        answer["usage"]["prompt_tokens"].as_u64().unwrap()
    };
    let tools = json!([{"type": "function", "function": {"name": "f"}}]);
    let plain = tokens(json!({})).await;
    assert!(tokens(json!({"tools": tools})).await > plain);
    assert_eq!(tokens(json!({"tools": tools, "tool_choice": "none"})).await, plain);
    assert!(tokens(json!({"chat_template_kwargs": {"mood": " happily"}})).await > plain);
}

#[tokio::test]
async fn a_template_that_objects_or_is_none_says_so() {
    for (source, said) in [
        ("{{ raise_exception('no systems here') }}", "messages: no systems here"),
        ("{% for %}", "chat template fails in its line 1"),
        ("{{ messages[0].content.nothing() }}", "chat template fails in its line 1"),
    ] {
        let folder =
            folder(|folder| fs::write(folder.join("chat_template.jinja"), source).unwrap());
        let wire = Wire::serving(folder.path().to_owned());
        let reply = post(&wire, "/v1/chat/completions", &chat(json!({}))).await;
        let error = &reply.json()["error"];
        assert_eq!((reply.status.as_u16(), &error["param"]), (400, &json!("messages")));
        assert!(error["message"].as_str().unwrap().contains(said), "{error}");
        ok(&wire, "/v1/completions", json!({"prompt": "a", "max_tokens": 1, "ignore_eos": true}))
            .await;
    }
}
