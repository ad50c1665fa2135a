//! A model that calls tools, over HTTP: `models/prosqa-react`, which has never seen the facts, and a graph that knows them.

mod bounds;

use crate::cli::run;
use crate::openai::post;
use crate::support::models;
use crate::support::questions_of;
use crate::wire::Wire;
use coconut::data::example::Example;
use coconut::tools::graph::apart;
use coconut::tools::set::ToolSet;
use futures::future::join_all;
use serde_json::Value;
use serde_json::json;
use std::path::Path;
use std::time::Duration;

pub const MODEL: &str = "prosqa-react";
pub const ASKED: &str = "Is Tom a lempus or scrompus?";
pub const FACTS: &str = "Tom is a terpus. Every terpus is a brimpus. Every brimpus is a lempus.";

pub fn graph() -> ToolSet {
    ToolSet::parse(&["graph".to_owned(), "calculator".to_owned()]).unwrap()
}

fn wire() -> Wire {
    Wire::acting(MODEL, graph(), Duration::from_secs(60))
}

async fn answered(wire: &Wire, body: Value) -> Value {
    let reply = wire.ask(body).await;
    assert_eq!(reply.status, 200, "{reply:?}");
    reply.json()
}

/// What of an answer follows from what was said and done.
fn said(answer: &Value) -> Value {
    let turns = answer["trajectory"].as_array().unwrap().iter().map(|turn| {
        let fields = ["round", "thought", "name", "argument", "observation", "is_error"];
        fields.iter().map(|field| turn[*field].clone()).collect::<Value>()
    });
    json!([answer["answer"], answer["text"], turns.collect::<Vec<_>>()])
}

#[tokio::test]
async fn the_answer_is_in_the_tool_alone() {
    let wire = wire();
    let answer = answered(&wire, json!({"question": ASKED, "facts": FACTS})).await;
    assert_eq!(
        (&answer["answer"], &answer["finish_reason"]),
        (&json!("Tom is a lempus."), &json!("stop"))
    );
    let turns = answer["trajectory"].as_array().unwrap();
    assert_eq!(turns[0]["name"], json!("path"));
    assert_eq!(turns[0]["observation"], json!(FACTS));
    assert!(turns.last().unwrap().get("observation").is_none());
    let usage = &answer["usage"];
    assert_eq!(
        usage["total_tokens"].as_u64().unwrap(),
        usage["prompt_tokens"].as_u64().unwrap() + usage["completion_tokens"].as_u64().unwrap()
    );
    let other = FACTS.replace("lempus", "scrompus");
    let answer = answered(&wire, json!({"question": ASKED, "facts": other})).await;
    assert_eq!(answer["answer"], json!("Tom is a scrompus."));
    assert_eq!(answer["trajectory"][0]["observation"], json!("unknown: lempus"), "{answer}");
}

#[tokio::test]
async fn events_tell_what_is_done_as_it_is_done() {
    let wire = wire();
    let body = json!({"question": ASKED, "facts": FACTS});
    let whole = answered(&wire, body.clone()).await;
    let mut streamed = body;
    streamed["stream"] = json!(true);
    let events = wire.ask(streamed).await.events();
    let done = &events.last().unwrap().data;
    assert_eq!(said(done), said(&whole));
    let texts = events.iter().filter(|event| event.name == "token");
    let text: String = texts.map(|event| event.data["text"].as_str().unwrap()).collect();
    assert_eq!(json!(text), whole["text"], "tokens are the text");
    let names: Vec<&str> = events.iter().map(|event| event.name.as_str()).collect();
    let at = |name: &str| names.iter().position(|found| *found == name).unwrap();
    assert!(at("token") < at("action") && at("action") + 1 == at("observation"));
    let observation = &events[at("observation")].data;
    assert_eq!((&observation["round"], &observation["text"]), (&json!(1), &json!(FACTS)));
}

fn questions() -> Vec<Example> {
    let published = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data/prosqa_valid.json");
    match published.is_file() {
        true => questions_of(&published),
        false => {
            let question = format!("{FACTS} {ASKED}");
            vec![Example { question, answer: "Tom is a lempus.".to_owned(), ..Example::default() }]
        }
    }
}

#[tokio::test]
async fn thirty_two_at_once_are_answered_as_each_alone_and_rightly() {
    let wire = wire();
    let questions = questions();
    let bodies: Vec<Value> = questions
        .iter()
        .cycle()
        .take(32)
        .map(|example| {
            let (facts, question) = apart(&example.question);
            json!({"question": question.trim(), "facts": facts})
        })
        .collect();
    let together = join_all(bodies.iter().map(|body| answered(&wire, body.clone()))).await;
    let mut right = 0;
    for ((body, answer), example) in bodies.iter().zip(&together).zip(questions.iter().cycle()) {
        let alone = answered(&wire, body.clone()).await;
        assert_eq!(said(answer), said(&alone));
        right += usize::from(answer["answer"] == json!(example.answer));
    }
    assert!(right >= 31, "{right} of 32");
    assert_eq!(wire.metrics.dialogues.get() + wire.metrics.tools_running.get(), 0);
    assert!(wire.metrics.tool_calls_total.with_label_values(&["path", "found"]).get() >= 64);
}

#[tokio::test]
async fn a_request_can_have_fewer_tools_and_never_more() {
    let wire = wire();
    let answer = answered(
        &wire,
        json!({"question": ASKED, "facts": FACTS, "tools": ["calculator"], "max_rounds": 1}),
    )
    .await;
    let turn = &answer["trajectory"][0];
    assert!(
        turn["is_error"] == json!(true)
            && turn["observation"].as_str().unwrap().contains("there is no path")
    );
    assert_eq!((&answer["answer"], &answer["finish_reason"]), (&json!(""), &json!("length")));
    for (extra, field) in [
        (json!({"tools": ["graph", "http"]}), "tools"),
        (json!({"max_rounds": 0}), "max_rounds"),
        (json!({"n": 2}), "n"),
        (json!({"sweep": [0]}), "sweep"),
        (json!({"stop": "x"}), "stop"),
    ] {
        let mut body = json!({"question": ASKED});
        body.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
        assert_eq!(wire.ask(body).await.blames(422, "invalid_value").as_deref(), Some(field));
    }
    let plain = Wire::serving(models("prosqa"));
    for field in [json!({"tools": []}), json!({"facts": FACTS}), json!({"max_rounds": 2})] {
        let mut body = json!({"question": ASKED});
        body.as_object_mut().unwrap().extend(field.as_object().unwrap().clone());
        let name = field.as_object().unwrap().keys().next().unwrap();
        assert_eq!(plain.ask(body).await.blames(422, "invalid_value").as_ref(), Some(name));
    }
}

#[tokio::test]
async fn what_a_dialogue_has_no_place_for_is_refused_on_every_route() {
    let wire = wire();
    let fields = [
        (json!({"n": 3}), "n"),
        (json!({"sweep": [0]}), "sweep"),
        (json!({"inside": {"layers": [0]}, "include": ["hidden_states"]}), "inside"),
        (json!({"interventions": [{"op": "zero", "step": 1}]}), "interventions"),
        (json!({"stop": "."}), "stop"),
    ];
    let asked = json!([{"role": "user", "content": ASKED}]);
    for (path, status, body) in [
        ("/v1/reason", 422, json!({"question": ASKED})),
        ("/v1/chat/completions", 400, json!({"messages": asked})),
        ("/v1/responses", 400, json!({"input": ASKED})),
    ] {
        for (extra, field) in &fields {
            let mut body = body.clone();
            body.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
            let reply = post(&wire, path, &body).await;
            assert_eq!(reply.blames(status, "invalid_value").as_deref(), Some(*field), "{path}");
        }
    }
}

#[tokio::test]
async fn words_that_a_dialogue_never_saw_are_told() {
    let wire = wire();
    let answer = answered(&wire, json!({"question": "Is Tom a whale?", "max_rounds": 1})).await;
    assert_eq!(answer["usage"]["unknown_tokens"], json!(1), "{answer}");
    assert_eq!(answer["warnings"][0]["code"], json!("unknown_tokens"), "{answer}");
}

#[tokio::test]
async fn a_dialogue_goes_on_from_what_is_in_memory() {
    let wire = wire();
    // Long enough to fill pages.
    let facts =
        FACTS.replace("Tom is a terpus.", "Tom is a terpus. Tom is a dumpus. Tom is a rorpus.");
    answered(&wire, json!({"question": ASKED, "facts": facts})).await;
    let hits = wire.metrics.prefix_cache_hits_total.get();
    assert!(hits >= 16, "the second round reads what the first computed: {hits} positions");
}

/// A recipe that thinks and acts: thoughts come before what is said in every round, and those of earlier rounds are fed again.
#[tokio::test]
async fn a_model_may_think_before_each_action() {
    let recipe = json!({"family": "coconut", "start": [401], "end": [402], "eos": [400],
        "latent_steps": {"default": 2, "max": 8}, "tools": {"form": "react", "max_rounds": 3}});
    let wire = Wire::reading_as(&recipe);
    let question = "Is Bob a lempus or a rempus?";
    let seen = json!({"question": question, "include": ["thought_vectors"], "latent_steps": 2});
    let answer = answered(&wire, seen.clone()).await;
    let rounds = answer["trajectory"].as_array().unwrap().len() as u64;
    assert!((1..=3).contains(&rounds), "{answer}");
    let thoughts = answer["thoughts"].as_array().unwrap();
    let count = thoughts.len() as u64;
    // A round that found no room for an action had its thoughts.
    assert!(count == 2 * rounds || count == 2 * (rounds + 1), "{answer}");
    assert_eq!(answer["usage"]["latent_steps"].as_u64().unwrap(), count);
    let steps = thoughts.iter().map(|thought| thought["step"].as_u64().unwrap());
    assert!(steps.eq(1..=count), "{answer}");
    // Before the first round there is nothing but the question: its thoughts are those of a model that does not act.
    let mut plain = recipe;
    plain.as_object_mut().unwrap().remove("tools");
    let alone = answered(&Wire::reading_as(&plain), seen).await;
    assert_eq!(json!(thoughts[..2]), alone["thoughts"]);
    assert_ne!(thoughts[0]["vector"], thoughts[2]["vector"], "later ones follow what was said");
}

#[test]
fn an_evaluation_runs_the_tools() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("questions.jsonl");
    let question = format!("{FACTS} {ASKED}");
    let line = json!({"question": question, "steps": [], "answer": "Tom is a lempus."});
    std::fs::write(&data, line.to_string()).unwrap();
    let model = models(MODEL);
    let words = ["eval", "--model", model.to_str().unwrap(), "--data", data.to_str().unwrap()];
    let (output, text) = run(&[&words[..], &["--tools", "graph"]].concat());
    assert!(output.status.success() && text.contains("1/1"), "{text}");
    let (_, text) = run(&words);
    assert!(text.contains("0/1"), "without its tool it knows nothing: {text}");
}
