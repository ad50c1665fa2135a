//! What can go wrong late in `coconut train`, and must not take the run with it: questions that cannot be asked, a
//! validation that fails, a picture that cannot be drawn.

use crate::training_runs::METHOD;
use crate::training_runs::bytes;
use crate::training_runs::settings;
use crate::training_runs::train;
use coconut::train::journal::Event;
use serde_json::Value;
use serde_json::json;
use std::path::Path;
use std::path::PathBuf;
use tempfile::TempDir;

/// A run with a question in its validation, the second, that no model of 128 positions can be asked; another one, the
/// third, leaves room for few answer tokens; the fourth row is no question.
fn with_long_questions(folder: &TempDir) -> PathBuf {
    let config = settings(folder.path(), METHOD);
    let examples = folder.path().join("examples.json");
    let mut rows: Vec<Value> =
        serde_json::from_str(&std::fs::read_to_string(&examples).unwrap()).unwrap();
    let question = rows[0]["question"].as_str().unwrap().to_owned();
    rows.insert(1, json!({ "question": question.repeat(200), "answer": "1" }));
    rows.insert(2, json!({ "question": "a ".repeat(58), "answer": "1" }));
    rows.insert(3, json!({ "question": question }));
    let valid = folder.path().join("valid.json");
    std::fs::write(&valid, json!(rows).to_string()).unwrap();
    let text = std::fs::read_to_string(&config).unwrap();
    let data = format!("data = {examples:?}");
    assert!(text.contains(&data));
    std::fs::write(&config, text.replace(&data, &format!("data = {valid:?}"))).unwrap();
    config
}

fn validations(out: &Path) -> Vec<(usize, usize)> {
    let text = std::fs::read_to_string(out.join("metrics.jsonl")).unwrap();
    let events = text.lines().map(|line| serde_json::from_str::<Event>(line).unwrap());
    let validation = |event| match event {
        Event::Validate { step, questions, .. } => Some((step, questions)),
        Event::Train { .. } => None,
    };
    events.filter_map(validation).collect()
}

fn states(out: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(out).unwrap().map(|entry| entry.unwrap().path());
    entries
        .filter(|path| path.file_name().unwrap().to_string_lossy().starts_with("state-"))
        .collect()
}

#[test]
fn questions_that_cannot_be_asked_count_as_wrong_and_are_named_once() {
    let folder = TempDir::new().unwrap();
    let config = with_long_questions(&folder);
    let out = folder.path().join("run");
    let output = train(&config, &out).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    let named =
        "valid.json: 1 of 5 are too long for the model and count as wrong: question 2 takes";
    assert_eq!(said.matches(named).count(), 1, "{said}");
    let left_out =
        "valid.json: 1 row is no question and left out; question 4 (line 1): missing field";
    assert_eq!(said.matches(left_out).count(), 1, "{said}");
    assert_eq!(validations(&out), [(6, 5), (12, 5)], "all of them count");
    assert!(out.join("checkpoint/model.safetensors").is_file());
}

#[test]
fn a_validation_that_fails_leaves_a_state_to_go_on_from() {
    let folder = TempDir::new().unwrap();
    let config = settings(folder.path(), METHOD);
    let whole = folder.path().join("whole");
    assert!(train(&config, &whole).output().unwrap().status.success());
    let out = folder.path().join("run");
    std::fs::create_dir(&out).unwrap();
    // The best checkpoint cannot be written.
    let in_the_way = out.join(".best.unfinished");
    std::fs::write(&in_the_way, "").unwrap();
    for _ in 0..2 {
        let output = train(&config, &out).arg("--resume").output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success() && said.contains(".best.unfinished"), "{said}");
        let states = states(&out);
        assert_eq!(states.len(), 1);
        assert!(states[0].ends_with("state-000000006"), "{states:?}");
    }
    std::fs::remove_file(&in_the_way).unwrap();
    let output = train(&config, &out).arg("--resume").output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(bytes(&out) == bytes(&whole), "the weights differ");
    assert_eq!(validations(&out), validations(&whole), "none is left out and none noted twice");
    assert!(out.join("best/model.safetensors").is_file());
}

#[test]
fn a_picture_that_cannot_be_drawn_does_not_end_a_run() {
    let folder = TempDir::new().unwrap();
    let config = settings(folder.path(), METHOD);
    let out = folder.path().join("run");
    std::fs::create_dir_all(out.join("curve.svg")).unwrap();
    let output = train(&config, &out).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && said.contains("the run goes on without it"), "{said}");
    assert!(out.join("checkpoint/model.safetensors").is_file());
}
