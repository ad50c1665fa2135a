//! What is done to thoughts, and what is fed in their places.

use crate::support::TOLERANCE;
use crate::support::distance;
use crate::wire::Wire;
use crate::wire::reasoner_of;
use crate::wire_thoughts::OTHER;
use crate::wire_thoughts::ask;
use crate::wire_thoughts::assert_close;
use crate::wire_thoughts::base64;
use crate::wire_thoughts::computed;
use crate::wire_thoughts::floats;
use crate::wire_thoughts::vectors;
use crate::wire_thoughts::wire;
use crate::wire_thoughts::with;
use coconut::engine::config::EngineConfig;
use coconut::engine::config::PrefixCache;
use coconut::metrics::Metrics;
use serde_json::Value;
use serde_json::json;
use std::path::PathBuf;
use std::sync::Arc;

// ===== interventions =====

#[tokio::test]
async fn an_intervention_that_changes_nothing_changes_no_bit() {
    let wire = wire();
    let plain = ask(&wire, json!({})).await;
    let own = plain["thoughts"][1]["vector"].clone();
    for intervention in [
        json!({"step": "all", "op": "add", "vector": own, "alpha": 0}),
        json!({"step": [1, 3], "op": "scale", "alpha": 1}),
        json!({"step": 2, "op": "set", "vector": own}),
        json!({"step": 2, "op": "copy", "from": {"step": 2}}),
        json!({"step": "all", "op": "noise", "alpha": 0}),
    ] {
        let mut answer = ask(&wire, json!({"interventions": [intervention]})).await;
        for thought in answer["thoughts"].as_array_mut().unwrap() {
            let before = thought.as_object_mut().unwrap().remove("computed_norm");
            assert!(before.is_none_or(|norm| norm == thought["norm"]), "{intervention}");
        }
        assert_eq!(computed(&answer), computed(&plain), "{intervention}");
        assert_eq!(answer["resolved"]["interventions"][0]["op"], intervention["op"]);
    }
    assert!(plain.get("resolved").is_none(), "{plain}");
}

#[tokio::test]
async fn interventions_do_what_they_say_and_others_are_not_told_of_them() {
    // Where thoughts are kept for later requests: none of these may be found by the last one.
    let wire = Wire::answering(EngineConfig::default()).0;
    let plain = ask(&wire, json!({})).await;
    let thoughts = vectors(&plain);
    let zeros = base64(&vec![0.0; thoughts[0].len()]);
    let elsewhere = ask(&wire, json!({"question": OTHER})).await;
    let theirs = elsewhere["thoughts"][2]["vector"].clone();
    for (one, other) in [
        (json!({"op": "zero"}), json!({"op": "set", "vector": zeros})),
        (json!({"op": "zero"}), json!({"op": "scale", "alpha": 0})),
        (json!({"op": "repeat"}), json!({"op": "set", "vector": base64(&thoughts[0])})),
        (
            json!({"op": "copy", "from": {"question": OTHER, "step": 3}}),
            json!({"op": "set", "vector": theirs}),
        ),
    ] {
        let answer = async |mut edit: Value| {
            edit["step"] = json!(2);
            ask(&wire, json!({"interventions": [edit]})).await
        };
        let (one, other) = (answer(one).await, answer(other).await);
        for (step, (a, b)) in vectors(&one).iter().zip(vectors(&other)).enumerate() {
            assert!(distance(a, &b) < TOLERANCE, "thought {}", step + 1);
        }
        assert_close(&one, &other, "an edit in two ways");
        assert!(distance(&vectors(&one)[3], &thoughts[3]) > TOLERANCE, "what follows is another");
        assert!(one["thoughts"][1]["computed_norm"].is_number(), "{}", one["thoughts"][1]);
    }
    let skipped = ask(&wire, json!({"interventions": [{"step": [2, 4], "op": "skip"}]})).await;
    let steps: Vec<_> =
        skipped["thoughts"].as_array().unwrap().iter().map(|it| it["step"].clone()).collect();
    assert_eq!((steps, &skipped["usage"]["latent_steps"]), (vec![json!(1), json!(3)], &json!(2)));
    let again = ask(&wire, json!({})).await;
    for (a, b) in vectors(&again).iter().zip(&thoughts) {
        assert!(distance(a, b) < TOLERANCE);
    }
    assert_eq!(again["text"], plain["text"]);
}

// ===== controls =====

#[tokio::test]
async fn controls_feed_something_else_in_the_places_of_thoughts() {
    let wire = wire();
    let plain = ask(&wire, json!({})).await;
    let thoughts = vectors(&plain);
    let none = ask(&wire, json!({"feedback": "none"})).await;
    assert_close(&none, &ask(&wire, json!({"latent_steps": 0})).await, "none");
    assert_eq!(none["usage"]["latent_steps"], 0);

    let seed = json!({"feedback": "random", "seed": 7});
    let random = ask(&wire, seed.clone()).await;
    assert_eq!(computed(&random), computed(&ask(&wire, seed).await), "a seed makes it the same");
    assert_eq!(
        (&random["resolved"]["feedback"], &random["resolved"]["seed"]),
        (&json!("random"), &json!(7))
    );
    let length = |x: &[f32]| x.iter().map(|x| x * x).sum::<f32>().sqrt();
    let first = &vectors(&random)[0];
    assert!(distance(first, &thoughts[0]) > TOLERANCE);
    assert!((length(first) / length(&thoughts[0]) - 1.0).abs() < 1e-4);

    let shuffled = vectors(&ask(&wire, json!({"feedback": "shuffle", "seed": 3})).await);
    let place = |x: &Vec<f32>| thoughts.iter().position(|y| distance(x, y) < 1e-6).unwrap();
    let mut order: Vec<_> = shuffled.iter().map(place).collect();
    assert_ne!(order, [0, 1, 2, 3]);
    order.sort_unstable();
    assert_eq!(order, [0, 1, 2, 3], "each of its own thoughts, once");

    let pause = ask(&wire, json!({"feedback": "pause"})).await;
    assert_eq!(pause["thoughts"], json!([]), "nothing is thought");
    assert!(distance(&floats(&pause["first_logits"]), &floats(&none["first_logits"])) > TOLERANCE);
    let sweep = ask(&wire, json!({"feedback": "pause", "sweep": [0, 4]})).await;
    assert_close(&sweep["answers"][1], &pause, "pauses in a sweep");
}

#[tokio::test]
async fn means_are_those_of_the_file() {
    let folder = tempfile::TempDir::new().unwrap();
    let path: PathBuf = folder.path().join("means.safetensors");
    let plain = ask(&wire(), json!({})).await;
    let means: Vec<f32> = vectors(&plain).concat();
    let width = means.len() / 4;
    let bytes: Vec<u8> = means.iter().flat_map(|mean| mean.to_le_bytes()).collect();
    let view =
        safetensors::tensor::TensorView::new(safetensors::Dtype::F32, vec![4, width], &bytes);
    safetensors::serialize_to_file([("thought_means", view.unwrap())], None, &path).unwrap();
    let metrics = Arc::new(Metrics::new());
    let engine = EngineConfig { prefix_cache: PrefixCache::Off, ..EngineConfig::default() };
    let reasoner = reasoner_of(engine, Some(path), Arc::clone(&metrics));
    let wire = Wire::of(Arc::new(reasoner), metrics);
    let mean = ask(&wire, json!({"question": OTHER, "feedback": "mean"})).await;
    assert_eq!(vectors(&mean), vectors(&plain));
    let one = ask(&wire, json!({"interventions": [{"step": "all", "op": "mean"}]})).await;
    assert_close(&one, &plain, "its own thoughts as means");
    let beyond = wire.ask(with(json!({"feedback": "mean", "latent_steps": 5}))).await;
    assert_eq!(beyond.blames(422, "invalid_value").as_deref(), Some("feedback"));
}

#[tokio::test]
async fn what_was_computed_is_told_of_every_thought_that_something_was_done_to() {
    for feedback in ["random", "shuffle"] {
        let answer = ask(&wire(), json!({"feedback": feedback, "seed": 5})).await;
        let thoughts = answer["thoughts"].as_array().unwrap();
        assert!(thoughts.iter().all(|thought| thought["computed_norm"].is_number()), "{feedback}");
    }
    let zero = json!({"interventions": [{"step": 3, "op": "scale", "alpha": 1.0}]});
    let answer = ask(&wire(), zero).await;
    let told: Vec<bool> = answer["thoughts"]
        .as_array()
        .unwrap()
        .iter()
        .map(|it| it.get("computed_norm").is_some())
        .collect();
    assert_eq!(told, [false, false, true, false]);
}
