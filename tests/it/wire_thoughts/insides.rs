//! What is inside the model, over HTTP: it agrees with what thoughts and answers tell, and changes nothing.

use crate::support::TOLERANCE;
use crate::support::data;
use crate::support::distance;
use crate::wire::Wire;
use crate::wire_thoughts::ask;
use crate::wire_thoughts::computed;
use crate::wire_thoughts::floats;
use crate::wire_thoughts::post;
use crate::wire_thoughts::vectors;
use crate::wire_thoughts::wire;
use crate::wire_thoughts::with;
use serde_json::Value;
use serde_json::json;

const ALL: [&str; 9] = [
    "thoughts",
    "thought_vectors",
    "first_logits",
    "logprobs",
    "entropy",
    "cosine",
    "hidden_states",
    "lens",
    "attention",
];

fn rows<'a>(answer: &'a Value, place: &str) -> Vec<&'a Value> {
    answer["inside"].as_array().unwrap().iter().filter(|row| row["place"] == place).collect()
}

#[tokio::test]
async fn what_is_seen_inside_is_what_thoughts_and_answers_come_of() {
    for model in ["coconut-gpt2-hf", "coconut-qwen3-hf", "coconut-llama3rope-hf-bf16"] {
        let wire = Wire::serving(data(model));
        let places = ["prompt", "latent", "marker", "answer"];
        let seen = ask(&wire, json!({"include": ALL, "inside": {"places": places}})).await;
        let thoughts = seen["thoughts"].as_array().unwrap();
        let latent = rows(&seen, "latent");
        assert_eq!(latent.len(), thoughts.len());
        assert_eq!(rows(&seen, "prompt").len(), 1);
        // The last layer behind the final norm is the next thought: these have no projector.
        let sources = rows(&seen, "prompt").into_iter().chain(latent.iter().copied());
        for (row, thought) in sources.zip(thoughts) {
            let last = row["lens"].as_array().unwrap().last().unwrap();
            for (a, b) in last["top_tokens"]
                .as_array()
                .unwrap()
                .iter()
                .zip(thought["top_tokens"].as_array().unwrap())
            {
                assert_eq!(a["id"], b["id"], "{model}");
                let (a, b) =
                    (a["probability"].as_f64().unwrap(), b["probability"].as_f64().unwrap());
                assert!((a - b).abs() < 1e-3, "{model}: {a} {b}");
            }
            let (a, b) = (last["entropy"].as_f64().unwrap(), thought["entropy"].as_f64().unwrap());
            assert!((a - b).abs() < 1e-2, "{model}: {a} {b}");
        }
        for row in seen["inside"].as_array().unwrap() {
            let shape: Vec<usize> =
                serde_json::from_value(row["attention"]["shape"].clone()).unwrap();
            let weights = floats(&row["attention"]["data"]);
            assert_eq!(weights.len(), shape.iter().product::<usize>());
            assert_eq!(Some(shape[2] as u64 - 1), row["position"].as_u64());
            assert!(
                weights
                    .chunks_exact(shape[2])
                    .all(|row| (row.iter().sum::<f32>() - 1.0).abs() < 1e-4)
            );
            let shape: Vec<usize> =
                serde_json::from_value(row["hidden_states"]["shape"].clone()).unwrap();
            assert_eq!(shape[0], row["lens"].as_array().unwrap().len());
        }
    }
}

#[tokio::test]
async fn looking_changes_no_bit_and_is_told_only_where_asked_for() {
    let wire = wire();
    let plain = ask(&wire, json!({})).await;
    let seen = ask(&wire, json!({"include": ALL})).await;
    let thoughts = vectors(&plain);
    assert_eq!(vectors(&seen), thoughts);
    assert_eq!((&seen["text"], &seen["first_logits"]), (&plain["text"], &plain["first_logits"]));
    assert!(plain.get("inside").is_none() && plain["thoughts"][0].get("entropy").is_none());
    assert!(seen["thoughts"][0].get("cosine").is_none(), "nothing is before the first");
    for (step, pair) in thoughts.windows(2).enumerate() {
        let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f32>();
        let cosine =
            dot(&pair[0], &pair[1]) / (dot(&pair[0], &pair[0]) * dot(&pair[1], &pair[1])).sqrt();
        let told = seen["thoughts"][step + 1]["cosine"].as_f64().unwrap() as f32;
        assert!((told - cosine).abs() < 1e-4, "{told} {cosine}");
    }
    assert!(seen["logprobs"][0]["entropy"].as_f64().unwrap() > 0.0);
    // By default thoughts and answers, and the choice of layers, heads and tokens holds.
    assert!(rows(&seen, "prompt").is_empty() && !rows(&seen, "answer").is_empty());
    let inside = json!({"layers": [2, 0], "heads": [1], "places": ["latent"], "ranked": [3, "<|end-latent|>"], "top_tokens": 2, "final_norm": false});
    let some = ask(&wire, json!({"include": ["lens", "attention"], "inside": inside})).await;
    assert_eq!(some["inside"].as_array().unwrap().len(), 4);
    let row = &some["inside"][0];
    assert_eq!((&row["lens"][0]["layer"], &row["lens"][1]["layer"]), (&json!(2), &json!(0)));
    assert_eq!(row["lens"][0]["top_tokens"].as_array().unwrap().len(), 2);
    let ranked = row["lens"][0]["ranked"].as_array().unwrap();
    assert_eq!((&ranked[0]["id"], &ranked[1]["token"]), (&json!(3), &json!("<|end-latent|>")));
    assert_eq!(row["attention"]["shape"][0], 1, "layer 0 has none");
    assert!(row.get("hidden_states").is_none() && computed(&some)[3].is_null());
}

#[tokio::test]
async fn insides_are_streamed_and_belong_to_their_samples() {
    let wire = wire();
    let asked = json!({"include": ["hidden_states"], "n": 2, "latent_noise": {"sigma": 0.5}, "seed": 4, "inside": {"layers": [1]}});
    let whole = ask(&wire, asked.clone()).await;
    let mut streamed = with(asked);
    streamed["stream"] = json!(true);
    let events = wire.ask(streamed.clone()).await.events();
    let events: Vec<_> =
        events.iter().filter(|event| event.name == "inside").map(|it| &it.data).collect();
    let told = whole["inside"].as_array().unwrap();
    assert_eq!(events.len(), told.len());
    for choice in 0..2 {
        let of = |rows: &[&Value]| rows.iter().filter(|row| row["choice"] == choice).count();
        assert_eq!(of(&events), of(&told.iter().collect::<Vec<_>>()));
        assert!(of(&events) >= 4, "its thoughts are its own");
    }
    let swept = json!({"include": ["lens"], "sweep": [0, 2, 4], "inside": {"layers": [3]}});
    let swept = ask(&wire, swept).await;
    let steps: Vec<_> = rows(&swept, "latent").iter().map(|row| row["index"].clone()).collect();
    assert_eq!(steps, [1, 2, 3, 4], "each once, whoever goes on from it");
    assert!(rows(&swept, "answer").iter().all(|row| row["choice"].is_number()));
    let score = json!({"question": "Is Bob a lempus?", "continuations": ["a", "b"], "include": ["hidden_states"], "inside": {"places": ["latent"]}});
    let score = post(&wire, "/v1/score", &score).await.json();
    assert_eq!(score["inside"].as_array().unwrap().len(), 6);
    assert!(
        distance(
            &floats(&score["inside"][0]["hidden_states"]["data"]),
            &floats(&score["inside"][1]["hidden_states"]["data"])
        ) > TOLERANCE
    );
}

/// The k-th thought of one stage stands where the end marker of another does.
#[tokio::test]
async fn rows_of_scores_name_what_they_belong_to_whatever_the_order_of_a_sweep() {
    let wire = wire();
    let body = json!({"question": "Is Bob a lempus?", "sweep": [2, 0, 1], "prefix": "So", "continuations": ["a b", "c d"],
        "include": ["lens"], "inside": {"layers": [3], "top_tokens": 1, "places": ["latent", "marker", "answer"]}});
    let whole = post(&wire, "/v1/score", &body).await.json();
    let steps: Vec<_> = rows(&whole, "latent").iter().map(|row| row["index"].clone()).collect();
    assert_eq!(steps, [1, 2]);
    let first = rows(&whole, "latent")[0]["position"].as_u64().unwrap();
    let answers = rows(&whole, "answer");
    assert_eq!(answers.len(), 3 * 2);
    for row in answers {
        let choice = row["choice"].as_u64().unwrap() as usize;
        let thoughts = whole["scores"][choice]["latent_steps"].as_u64().unwrap();
        let behind = row["position"].as_u64().unwrap() - first - thoughts;
        assert_eq!(behind, answers_begin(&whole, first), "{row}");
    }
    let mut streamed = body;
    streamed["stream"] = json!(true);
    let events = post(&wire, "/v1/score", &streamed).await.events();
    let told = |row: &Value| [row["place"].clone(), row["choice"].clone(), row["position"].clone()];
    let told_of = |rows: Vec<&Value>| -> Vec<_> { rows.into_iter().map(told).collect() };
    let events = events.iter().filter(|event| event.name == "inside").map(|event| &event.data);
    assert_eq!(
        told_of(events.collect()),
        told_of(whole["inside"].as_array().unwrap().iter().collect())
    );
}

/// Positions of markers and prefix, from an answer behind no thoughts.
fn answers_begin(whole: &Value, first: u64) -> u64 {
    let places = rows(whole, "answer").into_iter().map(|row| row["position"].as_u64().unwrap());
    places.min().unwrap() - first
}

#[tokio::test]
async fn pauses_are_looked_into_in_the_places_of_thoughts() {
    let asked = json!({"feedback": "pause", "sweep": [2, 4], "include": ["lens"], "inside": {"layers": [1], "places": ["latent"]}});
    let answer = ask(&wire(), asked).await;
    let steps: Vec<_> = rows(&answer, "latent").iter().map(|row| row["index"].clone()).collect();
    assert_eq!(steps, [1, 2, 3, 4]);
}

#[tokio::test]
async fn what_is_not_there_is_refused_by_name() {
    let wire = wire();
    for (include, inside, field) in [
        (json!(["lens"]), json!({"layers": [4]}), "inside.layers"),
        (json!(["attention"]), json!({"heads": [99]}), "inside.heads"),
        (json!(["lens"]), json!({"ranked": [1_000_000]}), "inside.ranked"),
        (json!(["lens"]), json!({"ranked": ["far more than one token"]}), "inside.ranked"),
        (json!(["lens"]), json!({"top_tokens": 101}), "inside.top_tokens"),
        (json!(["lens"]), json!({"places": ["elsewhere"]}), "inside.places[0]"),
        (json!(["thoughts"]), json!({"layers": [0]}), "inside"),
    ] {
        let reply = wire.ask(with(json!({"include": include, "inside": inside}))).await;
        assert_eq!(reply.blames(422, "invalid_value").as_deref(), Some(field), "{inside}");
    }
}
