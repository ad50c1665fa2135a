//! Several answers to one question.

use crate::support::TOLERANCE;
use crate::support::distance;
use crate::wire_thoughts::OTHER;
use crate::wire_thoughts::ask;
use crate::wire_thoughts::assert_close;
use crate::wire_thoughts::floats;
use crate::wire_thoughts::vectors;
use crate::wire_thoughts::wire;
use crate::wire_thoughts::with;
use serde_json::json;
use std::collections::BTreeMap;

// ===== samples =====

#[tokio::test]
async fn samples_are_what_each_would_be_alone_whatever_else_is_computed() {
    let wire = wire();
    for extra in [
        json!({"n": 4, "latent_noise": {"sigma": 0.6}, "seed": 40}),
        json!({"n": 4, "temperature": 1.3, "seed": 40}),
        json!({"n": 4, "feedback": "random", "seed": 40}),
        json!({"n": 4, "feedback": "shuffle", "seed": 40}),
        json!({"n": 4, "interventions": [{"step": 2, "op": "noise", "alpha": 2.0}], "seed": 40}),
    ] {
        let draws_thoughts = extra.get("temperature").is_none();
        let noisy = json!({"question": OTHER, "latent_noise": {"sigma": 1.0}, "n": 3, "seed": 1});
        let (all, _) = futures::join!(ask(&wire, extra.clone()), ask(&wire, noisy));
        let choices = all["choices"].as_array().unwrap();
        assert_eq!(choices.len(), 4);
        for (index, choice) in choices.iter().enumerate() {
            assert_eq!((&choice["index"], &choice["seed"]), (&json!(index), &json!(40 + index)));
            let mut alone = extra.clone();
            alone["n"] = json!(1);
            alone["seed"] = choice["seed"].clone();
            let alone = ask(&wire, alone).await;
            assert_close(choice, &alone, &format!("sample {index}"));
            if draws_thoughts {
                let own = vectors(choice);
                assert_eq!(own.len(), 4, "what is drawn makes thoughts its own");
                assert!(own.iter().zip(vectors(&alone)).all(|(a, b)| distance(a, &b) < TOLERANCE));
            }
        }
        let logits: Vec<_> = choices.iter().map(|choice| floats(&choice["first_logits"])).collect();
        if draws_thoughts {
            assert!(distance(&logits[0], &logits[1]) > TOLERANCE, "samples differ");
        }
        let mut counts = BTreeMap::<&str, usize>::new();
        for choice in choices {
            *counts.entry(choice["answer"].as_str().unwrap()).or_default() += 1;
        }
        let most = *counts.values().max().unwrap();
        assert_eq!(all["vote"]["count"], most);
        assert_eq!(all["vote"]["agreement"], most as f64 / 4.0);
        assert_eq!(
            (&all["answer"], counts[all["answer"].as_str().unwrap()]),
            (&all["vote"]["answer"], most)
        );
    }
}

#[tokio::test]
async fn streamed_samples_name_themselves() {
    let wire = wire();
    let extra = json!({"n": 3, "latent_noise": {"sigma": 0.5}, "seed": 2});
    let whole = ask(&wire, extra.clone()).await;
    let mut streamed = extra;
    streamed["stream"] = json!(true);
    let events = wire.ask(with(streamed)).await.events();
    let of = |name: &str, choice: usize| {
        events.iter().filter(|event| event.name == name && event.data["choice"] == choice).count()
    };
    for choice in whole["choices"].as_array().unwrap() {
        let index = choice["index"].as_u64().unwrap() as usize;
        assert_eq!(of("thought", index), choice["thoughts"].as_array().unwrap().len());
        assert_eq!(of("token", index), choice["logprobs"].as_array().unwrap().len());
    }
}

/// A stop string ends the answer that it is in, and no other.
#[tokio::test]
async fn a_stop_string_ends_one_sample() {
    let wire = wire();
    let extra = json!({"n": 5, "temperature": 2.0, "seed": 9, "max_tokens": 12});
    let free = ask(&wire, extra.clone()).await;
    let texts: Vec<_> =
        free["choices"].as_array().unwrap().iter().map(|it| it["text"].as_str().unwrap()).collect();
    let is_good = |stop: &str| {
        let with = texts.iter().filter(|text| text.contains(stop)).count();
        0 < with && with < texts.len()
    };
    let letters = ('a'..='z').map(String::from);
    let stop = letters.into_iter().find(|stop| is_good(stop)).expect("texts differ");
    let mut stopped = extra;
    stopped["stop"] = json!(stop);
    stopped["include"] = json!(["lens", "logprobs"]);
    stopped["inside"] = json!({"layers": [1], "places": ["answer"]});
    let stopped = ask(&wire, stopped).await;
    for (choice, free) in stopped["choices"].as_array().unwrap().iter().zip(texts) {
        assert_eq!(choice["text"].as_str(), free.split(&stop).next(), "{free:?} at {stop:?}");
        let tokens = choice["logprobs"].as_array().unwrap().len() as u64;
        let rows = stopped["inside"].as_array().unwrap().iter();
        let rows = rows.filter(|row| row["choice"] == choice["index"]);
        let beyond = rows.filter(|row| row["index"].as_u64().unwrap() >= tokens);
        assert_eq!(beyond.count(), 0, "no row without its token");
    }
}
