//! What cannot be done, by the field that asks for it.

use crate::wire_thoughts::QUESTION;
use crate::wire_thoughts::base64;
use crate::wire_thoughts::post;
use crate::wire_thoughts::wire;
use crate::wire_thoughts::with;
use serde_json::json;

// ===== refusals =====

#[tokio::test]
async fn what_cannot_be_done_is_refused_by_its_field() {
    let wire = wire();
    for (extra, field) in [
        (json!({"latent_steps": "soon"}), "latent_steps"),
        (json!({"latent_steps": 2.5}), "latent_steps"),
        (json!({"tolerance": 0.1}), "tolerance"),
        (json!({"latent_steps": "auto", "tolerance": 1.5}), "tolerance"),
        (json!({"sweep": []}), "sweep"),
        (json!({"sweep": [1, 1]}), "sweep"),
        (json!({"sweep": [1, "x"]}), "sweep[1]"),
        (json!({"sweep": [1, 33]}), "sweep"),
        (json!({"sweep": [1], "n": 2}), "n"),
        (json!({"n": 0}), "n"),
        (json!({"n": 1025}), "n"),
        (json!({"feedback": "telepathy"}), "feedback"),
        (json!({"feedback": "mean"}), "feedback"),
        (json!({"feedback": "random", "latent_steps": "auto"}), "feedback"),
        (json!({"feedback": "random", "latent_noise": {"sigma": 1}}), "latent_noise"),
        (json!({"latent_noise": {"sigma": -1}}), "latent_noise.sigma"),
        (json!({"latent_noise": {}}), "latent_noise.sigma"),
        (json!({"inside": {"layers": [99]}, "include": ["lens"]}), "inside.layers"),
    ] {
        let reply = wire.ask(with(extra.clone())).await;
        assert_eq!(reply.blames(422, "invalid_value").as_deref(), Some(field), "{extra}");
    }
}

#[tokio::test]
async fn interventions_that_cannot_be_made_are_refused_by_their_field() {
    let wire = wire();
    let vector = base64(&[1.0; 3]);
    for (extra, field) in [
        (json!({"interventions": [{"step": 1, "op": "melt"}]}), "interventions[0].op"),
        (json!({"interventions": [{"op": "zero"}]}), "interventions[0].step"),
        (json!({"interventions": [{"step": 5, "op": "zero"}]}), "interventions[0].step"),
        (json!({"interventions": [{"step": 0, "op": "zero"}]}), "interventions[0].step"),
        (json!({"interventions": [{"step": [], "op": "zero"}]}), "interventions[0].step"),
        (json!({"interventions": [{"step": "some", "op": "zero"}]}), "interventions[0].step"),
        (json!({"interventions": [{"step": 1, "op": "set"}]}), "interventions[0].vector"),
        (
            json!({"interventions": [{"step": 1, "op": "set", "vector": "?"}]}),
            "interventions[0].vector",
        ),
        (
            json!({"interventions": [{"step": 1, "op": "set", "vector": vector}]}),
            "interventions[0].vector",
        ),
        (
            json!({"interventions": [{"step": 1, "op": "zero", "alpha": 1}]}),
            "interventions[0].alpha",
        ),
        (json!({"interventions": [{"step": 1, "op": "scale"}]}), "interventions[0].alpha"),
        (json!({"interventions": [{"step": 1, "op": "mean"}]}), "interventions[0].op"),
        (json!({"interventions": [{"step": 1, "op": "repeat"}]}), "interventions"),
        (
            json!({"interventions": [{"step": 1, "op": "copy", "from": {"step": 40}}]}),
            "interventions[0].from.step",
        ),
        (
            json!({"interventions": [{"step": 1, "op": "copy", "from": {"question": " ", "step": 1}}]}),
            "interventions[0].from.question",
        ),
        (
            json!({"interventions": [{"step": 1, "op": "zero"}], "feedback": "pause"}),
            "interventions",
        ),
    ] {
        let reply = wire.ask(with(extra.clone())).await;
        assert_eq!(reply.blames(422, "invalid_value").as_deref(), Some(field), "{extra}");
    }
}

#[tokio::test]
async fn continuations_that_cannot_be_scored_are_refused_by_their_field() {
    let wire = wire();
    for (extra, field) in [
        (json!({"continuations": []}), "continuations"),
        (json!({"continuations": [""]}), "continuations[0]"),
        (json!({"continuations": ["a", []]}), "continuations[1]"),
        (json!({"continuations": [[4_000_000_000_u32]]}), "continuations"),
        (json!({"continuations": ["a"], "include": ["logprobs"]}), "include"),
        (json!({"continuations": ["a"], "max_tokens": 3}), "max_tokens"),
    ] {
        let mut body = json!({"question": QUESTION});
        body.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
        let reply = post(&wire, "/v1/score", &body).await;
        assert_eq!(reply.blames(422, "invalid_value").as_deref(), Some(field), "{extra}");
    }
    let long = "Bob is a lempus. ".repeat(400);
    for (field, body) in [
        ("continuations", json!({"question": QUESTION, "continuations": ["a", long]})),
        ("prefix", json!({"question": QUESTION, "prefix": long, "continuations": ["a"]})),
        ("question", json!({"question": long, "continuations": ["a"]})),
    ] {
        let reply = post(&wire, "/v1/score", &body).await;
        assert_eq!(reply.blames(422, "too_long").as_deref(), Some(field), "{reply:?}");
    }
    let many = json!({"question": QUESTION, "sweep": (0..32).collect::<Vec<_>>(), "continuations": vec!["a"; 40]});
    let reply = post(&wire, "/v1/score", &many).await;
    assert_eq!(reply.blames(422, "invalid_value").as_deref(), Some("continuations"));
}
