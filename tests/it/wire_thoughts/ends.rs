//! Several numbers of thoughts in one request, continuations that are scored, and thoughts that end where they settle.

use crate::support::data;
use crate::wire::MODEL;
use crate::wire::Wire;
use crate::wire_thoughts::QUESTION;
use crate::wire_thoughts::ask;
use crate::wire_thoughts::assert_close;
use crate::wire_thoughts::post;
use crate::wire_thoughts::score;
use crate::wire_thoughts::vectors;
use crate::wire_thoughts::wire;
use crate::wire_thoughts::with;
use coconut::engine::config::EngineConfig;
use serde_json::Value;
use serde_json::json;
use std::collections::BTreeMap;

// ===== sweeps =====

#[tokio::test]
async fn a_sweep_answers_as_separate_requests_do_in_the_order_asked_for() {
    for model in [MODEL, "codi-llama", "coconut-qwen3-hf"] {
        let wire = Wire::serving(data(model));
        let asked = [3, 0, 5, 1];
        let swept = ask(&wire, json!({"sweep": asked})).await;
        let answers = swept["answers"].as_array().unwrap();
        assert_eq!(answers.len(), asked.len());
        for (index, (answer, steps)) in answers.iter().zip(asked).enumerate() {
            assert_eq!((&answer["index"], &answer["latent_steps"]), (&json!(index), &json!(steps)));
            let alone = ask(&wire, json!({"latent_steps": steps})).await;
            assert_close(answer, &alone, &format!("{model} after {steps}"));
            assert_eq!(
                answer["logprobs"].as_array().unwrap().len(),
                alone["logprobs"].as_array().unwrap().len()
            );
        }
        // The whole is the answer after the most thoughts, and thoughts are computed once.
        assert_eq!(swept["text"], answers[2]["text"]);
        assert_eq!(swept["thoughts"].as_array().unwrap().len(), 5);
        assert_eq!(swept["usage"]["latent_steps"], 5);
        assert!(swept.get("choices").is_none() && swept.get("vote").is_none());
    }
}

#[tokio::test]
async fn a_streamed_sweep_names_the_answer_of_each_token() {
    let wire = wire();
    let whole = ask(&wire, json!({"sweep": [2, 0]})).await;
    let events = wire.ask(with(json!({"sweep": [2, 0], "stream": true}))).await.events();
    let mut texts = BTreeMap::<u64, String>::new();
    for event in events.iter().filter(|event| event.name == "token") {
        let text = texts.entry(event.data["choice"].as_u64().unwrap()).or_default();
        text.push_str(event.data["text"].as_str().unwrap());
    }
    for answer in whole["answers"].as_array().unwrap() {
        assert_eq!(texts[&answer["index"].as_u64().unwrap()], answer["text"].as_str().unwrap());
    }
    let done = &events.last().unwrap().data;
    assert_eq!(done["answers"], whole["answers"]);
    let thoughts = events.iter().filter(|event| event.name == "thought");
    assert!(
        thoughts.clone().count() == 2 && thoughts.clone().all(|it| it.data.get("choice").is_none())
    );
}

// ===== scores =====

#[tokio::test]
async fn a_score_is_the_probability_with_which_the_model_says_it() {
    for model in [MODEL, "codi-llama", "simcot-gpt2-meta"] {
        let wire = Wire::serving(data(model));
        for steps in [0, 3] {
            let said = ask(&wire, json!({"latent_steps": steps})).await;
            let tokens = said["logprobs"].as_array().unwrap();
            let ids: Vec<_> = tokens.iter().map(|token| token["id"].clone()).collect();
            assert!(!ids.is_empty());
            let body = json!({"question": QUESTION, "latent_steps": steps, "continuations": [ids, [5, 6]]});
            let scores = score(&wire, body).await["scores"].clone();
            let scored = &scores[0];
            assert_eq!(
                (&scored["continuation"], &scored["latent_steps"]),
                (&json!(0), &json!(steps))
            );
            let mut sum = 0.0;
            for (token, said) in scored["tokens"].as_array().unwrap().iter().zip(tokens) {
                let (ours, theirs) =
                    (token["logprob"].as_f64().unwrap(), said["logprob"].as_f64().unwrap());
                assert!(
                    (ours - theirs).abs() < 1e-3 * theirs.abs().max(1.0),
                    "{model}: {ours} {theirs}"
                );
                sum += ours;
            }
            assert!((scored["logprob"].as_f64().unwrap() - sum).abs() < 1e-4);
            let mean = sum / tokens.len() as f64;
            assert!((scored["mean_logprob"].as_f64().unwrap() - mean).abs() < 1e-4);
            assert!(
                scores[1]["logprob"].as_f64() < scored["logprob"].as_f64(),
                "it said the likelier"
            );
        }
    }
}

#[tokio::test]
async fn scores_come_by_thoughts_and_continuation_whole_and_streamed() {
    let wire = wire();
    let body = |sweep: Value| json!({"question": QUESTION, "sweep": sweep, "continuations": ["a b", "c", "d e f"], "prefix": "So "});
    let swept = score(&wire, body(json!([2, 0]))).await;
    let places: Vec<_> = swept["scores"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| (one["latent_steps"].as_u64().unwrap(), one["continuation"].as_u64().unwrap()))
        .collect();
    assert_eq!(places, [(2, 0), (2, 1), (2, 2), (0, 0), (0, 1), (0, 2)]);
    assert_eq!(swept["usage"]["latent_steps"], 2, "thoughts are computed once");
    // What is said before is not counted, and counts for what is said then.
    let ids = |tokens: &Value| -> Vec<Value> {
        tokens.as_array().unwrap().iter().map(|token| token["id"].clone()).collect()
    };
    let first = &swept["scores"][1];
    let prefixed = json!({"question": QUESTION, "latent_steps": 2, "continuations": ["So "]});
    let mut whole = ids(&score(&wire, prefixed).await["scores"][0]["tokens"]);
    let before = whole.len();
    whole.extend(ids(&first["tokens"]));
    let whole = json!({"question": QUESTION, "latent_steps": 2, "continuations": [whole]});
    let whole = score(&wire, whole).await["scores"][0]["tokens"].clone();
    for (a, b) in
        first["tokens"].as_array().unwrap().iter().zip(&whole.as_array().unwrap()[before..])
    {
        let (a, b) = (a["logprob"].as_f64().unwrap(), b["logprob"].as_f64().unwrap());
        assert!((a - b).abs() < 1e-3, "{a} {b}");
    }
    let mut streamed = body(json!([2, 0]));
    streamed["stream"] = json!(true);
    let events = post(&wire, "/v1/score", &streamed).await.events();
    let scores: Vec<_> = events.iter().filter(|event| event.name == "score").collect();
    assert_eq!(scores.len(), 6);
    for event in scores {
        assert!(swept["scores"].as_array().unwrap().contains(&event.data), "{event:?}");
    }
    assert_eq!(events.last().unwrap().data["scores"], swept["scores"]);
}

/// More ends than run at once: the request runs by itself.
#[tokio::test]
async fn a_request_may_have_more_ends_than_run_at_once() {
    let config = EngineConfig { max_running: 2, ..EngineConfig::default() };
    let wire = Wire::answering(config).0;
    let ids: Vec<_> = (3..40).map(|id| json!([id])).collect();
    let body = json!({"question": QUESTION, "latent_steps": 1, "continuations": ids});
    let scores = score(&wire, body).await;
    let total: f64 = scores["scores"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["logprob"].as_f64().unwrap().exp())
        .sum();
    assert!(0.0 < total && total < 1.0, "{total}");
}

// ===== ends that are not known before =====

#[tokio::test]
async fn thoughts_end_where_they_settle() {
    let wire = wire();
    let at_once = ask(&wire, json!({"latent_steps": "auto", "tolerance": 1.0})).await;
    let long = ask(&wire, json!({"latent_steps": "auto", "tolerance": 0.0})).await;
    let thoughts = vectors(&long);
    let change = |k: usize| {
        let (a, b) = (&thoughts[k - 1], &thoughts[k]);
        let difference: f32 = a.iter().zip(b).map(|(a, b)| (b - a) * (b - a)).sum();
        difference.sqrt() / b.iter().map(|b| b * b).sum::<f32>().sqrt()
    };
    let first = |tolerance: f32| (1..thoughts.len()).find(|&k| change(k) <= tolerance);
    let expected = |tolerance| first(tolerance).map_or(thoughts.len(), |k| k + 1);
    assert_eq!(at_once["usage"]["latent_steps"], expected(1.0));
    let usual = ask(&wire, json!({"latent_steps": "auto"})).await;
    assert_eq!(usual["usage"]["latent_steps"], expected(0.1));
    let same = ask(&wire, json!({"latent_steps": at_once["usage"]["latent_steps"]})).await;
    assert_close(&at_once, &same, "as many as it took");
    let body = json!({"question": QUESTION, "latent_steps": "auto", "tolerance": 1.0, "continuations": ["a"]});
    assert_eq!(score(&wire, body).await["scores"][0]["latent_steps"], expected(1.0));
}

#[tokio::test]
async fn a_thought_left_out_counts_however_thoughts_end() {
    let skipped = json!([{"step": 2, "op": "skip"}]);
    for how in [json!({"latent_steps": 5}), json!({"latent_steps": "auto", "tolerance": 0.0})] {
        let mut asked = how;
        asked["interventions"] = skipped.clone();
        asked["n"] = json!(2);
        let answer = ask(&wire(), asked).await;
        let fed = answer["usage"]["latent_steps"].as_u64().unwrap();
        assert!(fed >= 4);
        assert_eq!(answer["choices"][1]["latent_steps"], fed + 1, "{answer}");
    }
}

/// The model reads such words as one and the same token, or not at all.
#[tokio::test]
async fn continuations_outside_the_vocabulary_are_warned_of() {
    let wire = crate::wire::Wire::serving(crate::support::models("prosqa"));
    let body = json!({"question": "Tom is a lempus. Is Tom a lempus or scrompus?", "continuations": ["### Tom is a whale."]});
    let scores = score(&wire, body).await;
    assert_eq!(scores["usage"]["unknown_tokens"], 1);
    assert_eq!(scores["warnings"][0]["code"], "unknown_tokens");
    assert!(scores["warnings"][0]["message"].as_str().unwrap().contains("whale"));
    let body = json!({"question": "Tom is a lempus. Is Tom a lempus or scrompus?", "include": ["lens"],
        "inside": {"layers": [1], "ranked": ["whale"]}});
    let refused = post(&wire, "/v1/reason", &body).await;
    assert_eq!(refused.status, 422);
    assert_eq!(refused.json()["error"]["param"], "inside.ranked");
}
