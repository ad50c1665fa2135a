//! Answers over HTTP from a real checkpoint with golden outputs: whole and streamed, and the refusals that need a model.

use crate::support::Expected;
use crate::support::FIXTURE_MAX_TOKENS;
use crate::support::TOLERANCE;
use crate::support::data;
use crate::support::distance;
use crate::wire::Event;
use crate::wire::MODEL;
use crate::wire::Wire;
use crate::wire::json_request;
use axum::body::Body;
use axum::http::StatusCode;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use coconut::engine::config::EngineConfig;
use coconut::engine::config::PrefixCache;
use coconut::http::Config;
use futures::future::join_all;
use futures::poll;
use serde_json::Value;
use serde_json::json;
use std::path::Path;
use std::pin::pin;
use std::time::Duration;

const QUESTION: &str = "Every lempus is a yerpus. Is Bob a lempus?";

fn wire() -> Wire {
    Wire::answering(EngineConfig::default()).0
}

fn everything(question: &str) -> Value {
    let include = ["thoughts", "thought_vectors", "first_logits", "logprobs"];
    json!({"question": question, "max_tokens": FIXTURE_MAX_TOKENS, "include": include})
}

fn expected() -> Expected {
    let text = std::fs::read_to_string(data(MODEL).join("expected.json")).unwrap();
    serde_json::from_str(&text).unwrap()
}

fn floats(base64: &Value) -> Vec<f32> {
    let bytes = BASE64_STANDARD.decode(base64.as_str().unwrap()).unwrap();
    bytes.chunks_exact(4).map(|chunk| f32::from_le_bytes(chunk.try_into().unwrap())).collect()
}

/// The parts of an answer that two answers to one question share.
fn lasting(mut answer: Value) -> Value {
    for field in ["id", "created", "timings"] {
        answer.as_object_mut().unwrap().remove(field).unwrap();
    }
    answer
}

// ===== answers =====

#[tokio::test]
async fn answers_are_the_golden_ones_with_all_questions_at_once() {
    let wire = wire();
    let cases = expected().cases;
    let replies = join_all(cases.iter().map(|case| {
        let mut question = everything(&case.question);
        question["latent_steps"] = json!(case.n_latent);
        wire.ask(question)
    }))
    .await;
    for (case, reply) in cases.iter().zip(replies) {
        assert_eq!(reply.status, StatusCode::OK, "{reply:?}");
        let answer = reply.json();
        assert_eq!(answer["text"].as_str(), case.text.as_deref());
        assert_eq!(answer["usage"]["latent_steps"], case.n_latent);
        assert!(distance(&floats(&answer["first_logits"]), &case.first_logits) < TOLERANCE);
        let thoughts = answer["thoughts"].as_array().unwrap();
        assert_eq!(thoughts.len(), case.latents.len());
        for (thought, golden) in thoughts.iter().zip(&case.latents) {
            assert!(distance(&floats(&thought["vector"]), golden) < TOLERANCE, "{thought}");
        }
    }
}

#[tokio::test]
async fn an_answer_has_the_documented_fields_in_order() {
    let answer = wire().ask(everything(QUESTION)).await.body;
    let fields = [
        "id",
        "object",
        "created",
        "model",
        "answer",
        "text",
        "finish_reason",
        "thoughts",
        "first_logits",
        "logprobs",
        "usage",
        "timings",
    ];
    let places: Vec<_> = fields.iter().map(|field| answer.find(&format!("\"{field}\":"))).collect();
    assert!(places.iter().all(Option::is_some) && places.is_sorted(), "{answer}");

    let answer: Value = serde_json::from_str(&answer).unwrap();
    assert_eq!(answer.as_object().unwrap().len(), fields.len(), "{answer}");
    assert!(answer["id"].as_str().unwrap().starts_with("reason-"), "{answer}");
    assert_eq!((&answer["object"], &answer["model"]), (&json!("reason"), &json!(MODEL)));
    assert_eq!(answer["thoughts"][0]["top_tokens"].as_array().unwrap().len(), 5, "{answer}");
    let usage = &answer["usage"];
    let count = |name: &str| usage[name].as_u64().unwrap();
    let sum = count("prompt_tokens") + count("latent_steps") + count("completion_tokens");
    assert_eq!(count("total_tokens"), sum, "{usage}");
    assert_eq!(answer["logprobs"].as_array().unwrap().len() as u64, count("completion_tokens"));
    let timings = &answer["timings"];
    let phases = ["queue_ms", "prefill_ms", "latent_ms", "decode_ms"]
        .map(|name| timings[name].as_f64().unwrap());
    assert!(
        (phases.iter().sum::<f64>() - timings["total_ms"].as_f64().unwrap()).abs() < 0.01,
        "{timings}"
    );
}

#[tokio::test]
async fn what_is_not_asked_for_is_not_there() {
    let answer = wire().ask(json!({"question": QUESTION, "max_tokens": 3})).await.json();
    for field in ["thoughts", "first_logits", "logprobs"] {
        assert_eq!(answer.get(field), None, "{answer}");
    }
}

#[tokio::test]
async fn a_stream_tells_the_same_as_the_whole_answer() {
    // To the last digit and with the same counts: both are computed.
    let config = EngineConfig { prefix_cache: PrefixCache::Off, ..EngineConfig::default() };
    let wire = Wire::answering(config).0;
    let mut question = everything(QUESTION);
    let whole = wire.ask(question.clone()).await.json();
    question["stream"] = json!(true);
    let reply = wire.ask(question).await;
    assert_eq!(reply.header("x-accel-buffering"), Some("no"));
    let events = reply.events();

    let of = |name: &str| -> Vec<&Value> {
        events.iter().filter(|event| event.name == name).map(|event| &event.data).collect()
    };
    assert_eq!(
        of("thought").into_iter().cloned().collect::<Vec<_>>(),
        *whole["thoughts"].as_array().unwrap()
    );
    let text: String = of("token").iter().map(|token| token["text"].as_str().unwrap()).collect();
    assert_eq!(text, whole["text"]);
    for (index, (token, logprob)) in
        of("token").iter().zip(whole["logprobs"].as_array().unwrap()).enumerate()
    {
        assert_eq!((&token["index"], &token["id"]), (&json!(index), &logprob["id"]));
    }
    let Some(Event { name, data }) = events.last() else { panic!("no events") };
    assert_eq!(name, "done");
    assert_eq!(lasting(data.clone()), lasting(whole));
}

#[tokio::test]
async fn a_bare_stream_counts_thoughts_and_shows_nothing_else() {
    let question =
        json!({"question": QUESTION, "latent_steps": 2, "max_tokens": 2, "stream": true});
    let events = wire().ask(question).await.events();
    let thoughts: Vec<_> =
        events.iter().filter(|event| event.name == "thought").map(|event| &event.data).collect();
    assert_eq!(thoughts, [&json!({"step": 1}), &json!({"step": 2})]);
}

/// The end-of-sequence id of this recipe is the one that the checkpoint says again and again.
#[tokio::test]
async fn without_regard_for_the_end_of_sequence_an_answer_has_all_its_tokens() {
    let case = expected().cases.swap_remove(0);
    let recipe = json!({"family": "coconut", "start": [401], "end": [402], "eos": [case.answer_ids[0]],
        "latent_steps": {"default": 6, "max": 6}});
    let wire = Wire::reading_as(&recipe);
    for (ignore_eos, tokens, finish) in [(false, 0, "stop"), (true, 9, "length")] {
        let question =
            json!({"question": case.question, "max_tokens": 9, "ignore_eos": ignore_eos});
        let answer = wire.ask(question).await.json();
        assert_eq!(answer["usage"]["completion_tokens"], tokens, "{answer}");
        assert_eq!(answer["finish_reason"], finish, "{answer}");
    }
}

#[tokio::test]
async fn a_seed_makes_a_sampled_answer_repeatable() {
    let wire = wire();
    let question = json!({"question": QUESTION, "temperature": 1.5, "seed": 11, "max_tokens": 12});
    let (first, second) =
        (wire.ask(question.clone()).await.json(), wire.ask(question.clone()).await.json());
    assert_eq!(first["text"], second["text"]);
    let mut others = Vec::new();
    for seed in 0..4 {
        let mut question = question.clone();
        question["seed"] = json!(seed);
        others.push(wire.ask(question).await.json()["text"].clone());
    }
    assert!(others.iter().any(|other| *other != first["text"]), "{others:?}");
}

/// The default checkpoint knows its own questions' words, and no others.
#[tokio::test]
async fn words_that_the_model_does_not_know_are_named_in_the_answer() {
    let wire = Wire::serving(Path::new(env!("CARGO_MANIFEST_DIR")).join("models/prosqa"));
    let known = "Tom is a wumpus. Every wumpus is a zumpus. Is Tom a zumpus or a lempus?";
    let answer = wire.ask(json!({"question": known})).await.json();
    assert_eq!(answer["usage"]["unknown_tokens"], 0, "{answer}");
    assert_eq!(answer.get("warnings"), None, "{answer}");

    let unknown = "Is Tom hungry?";
    let whole = wire.ask(json!({"question": unknown})).await.json();
    let events = wire.ask(json!({"question": unknown, "stream": true})).await.events();
    for answer in [&whole, &events.last().unwrap().data] {
        assert_eq!(answer["usage"]["unknown_tokens"], 1, "{answer}");
        let warnings = answer["warnings"].as_array().unwrap();
        assert_eq!(warnings.len(), 1, "{answer}");
        assert_eq!(warnings[0]["code"], "unknown_tokens", "{answer}");
        assert!(warnings[0]["message"].as_str().unwrap().contains("`hungry`"), "{answer}");
    }
}

#[tokio::test]
async fn the_served_model_is_listed() {
    let list = wire().get("/v1/models").await.json();
    assert_eq!(list["object"], "list");
    let model = &list["data"][0];
    assert_eq!((&model["id"], &model["object"]), (&json!(MODEL), &json!("model")));
    assert_eq!(model["coconut"]["architecture"], "gpt2");
    assert_eq!(model["coconut"]["max_positions"], 256);
}

/// What is computed before the server is ready is nobody's.
#[tokio::test]
async fn a_server_begins_with_nothing_counted_and_nothing_kept() {
    let wire = wire();
    let metrics = &wire.metrics;
    assert_eq!(
        (metrics.step_seconds.get_sample_count(), metrics.prompt_tokens_total.get()),
        (0, 0)
    );
    assert_eq!((metrics.kv_positions_cached.get(), metrics.kv_positions_reserved.get()), (0, 0));
    let usage = wire.ask(json!({"question": "!".repeat(100), "max_tokens": 1})).await.json();
    assert_eq!(usage["usage"]["cached_positions"], 0, "{usage}");
}

/// Prompt, thoughts, the end marker and the answer but for its last token, which is never fed.
#[tokio::test]
async fn an_answer_ends_at_the_models_last_position() {
    let wire = wire();
    for stream in [false, true] {
        let asked = |max: usize| json!({"question": QUESTION, "max_tokens": max, "ignore_eos": true, "stream": stream});
        let reply = wire.ask(asked(256)).await;
        let answer = match stream {
            true => reply.events().pop().unwrap().data,
            false => reply.json(),
        };
        assert_eq!(answer["finish_reason"], "length", "{answer}");
        let count = |field: &str| answer["usage"][field].as_u64().unwrap();
        let [prompt, steps, answered] =
            ["prompt_tokens", "latent_steps", "completion_tokens"].map(count);
        assert_eq!(prompt + steps + 1 + answered - 1, 256);
        let reply = wire.ask(asked(257)).await;
        assert_eq!(reply.blames(422, "too_long").as_deref(), Some("max_tokens"));
    }
}

// ===== refusals =====

#[tokio::test]
async fn values_that_no_model_could_use_are_blamed_on_their_field() {
    let wire = wire();
    for (field, value) in [
        ("question", json!("  ")),
        ("latent_steps", json!(1_000_000)),
        ("max_tokens", json!(0)),
        ("temperature", json!(-1)),
        ("top_p", json!(0)),
        ("top_k", json!(0)),
        ("stop", json!([""])),
    ] {
        let mut question = json!({"question": QUESTION});
        question[field] = value;
        assert_eq!(wire.ask(question).await.blames(422, "invalid_value").as_deref(), Some(field));
    }
}

#[tokio::test]
async fn a_question_that_is_too_long_learns_both_lengths_also_when_streaming() {
    let long = "Bob is a lempus. ".repeat(100);
    let reply = wire().ask(json!({"question": long, "stream": true})).await;
    assert_eq!(reply.blames(422, "too_long").as_deref(), Some("question"));
    let message = reply.json()["error"]["message"].as_str().unwrap().to_owned();
    let numbers: Vec<usize> = message
        .split(|c: char| !c.is_ascii_digit())
        .filter_map(|number| number.parse().ok())
        .collect();
    assert!(numbers.contains(&256) && numbers.iter().any(|&needed| needed > 256), "{message}");
}

/// The one thread for long work is taken: had the question been read on the thread that answers everybody, the first poll
/// would have done all of it.
#[test]
fn a_megabyte_of_question_keeps_nobody_waiting_and_is_refused_by_its_beginning() {
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = runtime.enable_all().max_blocking_threads(1).build().unwrap();
    let (free, taken) = std::sync::mpsc::channel::<()>();
    runtime.spawn_blocking(move || taken.recv());
    let wire = wire();
    let reply = runtime.block_on(async {
        let long = "Bob is a lempus. ".repeat(60_000);
        let mut asked = pin!(wire.ask(json!({"question": long})));
        assert!(poll!(asked.as_mut()).is_pending());
        assert_eq!(wire.get("/health/live").await.status, StatusCode::OK);
        free.send(()).unwrap();
        asked.await
    });
    assert_eq!(reply.blames(422, "too_long").as_deref(), Some("question"));
    assert!(reply.body.contains("its first 4096 bytes alone"), "{reply:?}");
    assert_eq!(wire.metrics.rejected_total.with_label_values(&["too_long"]).get(), 1);
}

#[tokio::test]
async fn a_deadline_that_passes_ends_the_request() {
    let request_timeout = Duration::from_micros(1);
    let wire = Wire::limited(Config { request_timeout, ..Config::default() });
    let question = |stream| json!({"question": QUESTION, "stream": stream, "max_tokens": 100});
    wire.ask(question(false)).await.blames(504, "deadline_exceeded");
    let events = wire.ask(question(true)).await.events();
    let last = events.last().unwrap();
    assert_eq!(
        (last.name.as_str(), &last.data["error"]["code"]),
        ("error", &json!("deadline_exceeded"))
    );
}

#[tokio::test]
async fn a_client_in_a_hurry_has_a_second() {
    let question = json!({"question": QUESTION, "latent_steps": 0, "max_tokens": 1}).to_string();
    let hurried = json_request().header("x-request-timeout", "0.000001");
    let reply = wire().send(hurried.body(Body::from(question)).unwrap()).await;
    assert_eq!(reply.status, StatusCode::OK, "{reply:?}");
}

#[tokio::test]
async fn a_full_queue_answers_or_says_when_to_come_back() {
    let (wire, _) =
        Wire::answering(EngineConfig { max_running: 1, max_queued: 1, ..EngineConfig::default() });
    let question = json!({"question": QUESTION, "max_tokens": 40});
    let replies = join_all((0..20).map(|_| wire.ask(question.clone()))).await;
    let (answered, refused): (Vec<_>, Vec<_>) =
        replies.iter().partition(|reply| reply.status == StatusCode::OK);
    assert!(!answered.is_empty() && !refused.is_empty(), "{replies:?}");
    for reply in refused {
        reply.blames(429, "queue_full");
        assert!(reply.header("retry-after").unwrap().parse::<u64>().unwrap() >= 1, "{reply:?}");
    }
    assert_eq!(
        wire.metrics.rejected_total.with_label_values(&["queue_full"]).get(),
        refused_count(&replies)
    );
}

fn refused_count(replies: &[crate::wire::Reply]) -> u64 {
    replies.iter().filter(|reply| reply.status == StatusCode::TOO_MANY_REQUESTS).count() as u64
}

#[tokio::test]
async fn a_stopping_server_is_alive_not_ready_and_refuses_questions() {
    let (wire, reasoner) = Wire::answering(EngineConfig::default());
    assert_eq!(wire.get("/health/ready").await.status, StatusCode::OK);
    reasoner.drain();
    assert_eq!(wire.get("/health/live").await.status, StatusCode::OK);
    wire.get("/health/ready").await.blames(503, "draining");
    let reply = wire.ask(json!({"question": QUESTION})).await;
    reply.blames(503, "draining");
    assert!(reply.header("retry-after").is_some());
}
