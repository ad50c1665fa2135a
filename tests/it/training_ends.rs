//! What can go wrong late in `coconut train`, and must not take the run with it: questions that cannot be asked, a
//! validation that fails, a picture that cannot be drawn; and what going on must not do.

use crate::training_runs::METHOD;
use crate::training_runs::bytes;
use crate::training_runs::settings;
use crate::training_runs::train;
use crate::training_runs::with_graph_words;
use coconut::train::journal::Event;
use serde_json::Value;
use serde_json::json;
use std::io::BufRead as _;
use std::io::BufReader;
use std::path::Path;
use std::path::PathBuf;
use std::process::Stdio;
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

fn events(out: &Path) -> Vec<Event> {
    let text = std::fs::read_to_string(out.join("metrics.jsonl")).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn validations(out: &Path) -> Vec<(usize, usize)> {
    let validation = |event| match event {
        Event::Validate { step, questions, .. } => Some((step, questions)),
        Event::Train { .. } => None,
    };
    events(out).into_iter().filter_map(validation).collect()
}

fn states(out: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(out).unwrap().map(|entry| entry.unwrap().path());
    entries
        .filter(|path| path.file_name().unwrap().to_string_lossy().starts_with("state-"))
        .collect()
}

#[test]
fn a_phase_is_done_again_until_its_loss_is_reached_also_over_a_kill() {
    let folder = tempfile::tempdir().unwrap();
    let config = settings(folder.path(), METHOD);
    let text = std::fs::read_to_string(&config).unwrap();
    let until = |loss: f64| {
        let field = format!("accumulate = 2\nuntil = {{ loss = {loss}, rounds = 3 }}");
        std::fs::write(&config, text.replace("accumulate = 2", &field)).unwrap();
    };
    let lines = |out: &Path| -> Vec<(f64, usize, f64)> {
        let line = |event| match event {
            Event::Train { loss, stage, lr, .. } => Some((loss, stage, lr)),
            Event::Validate { .. } => None,
        };
        events(out).into_iter().filter_map(line).collect()
    };

    until(1e-9);
    let never = folder.path().join("never");
    let output = train(&config, &never).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(said.contains("curriculum: no loss of 0.000000001 in 3 rounds"), "{said}");
    let all = lines(&never);
    assert_eq!(all.len(), 3 * 12);
    let schedule = |round: &[(f64, usize, f64)]| -> Vec<(usize, f64)> {
        round.iter().map(|(_, stage, lr)| (*stage, *lr)).collect()
    };
    assert_eq!(schedule(&all[..12]), schedule(&all[12..24]));

    let ends = [all[11].0, all[23].0, all[35].0];
    assert!(ends[1] < ends[0], "a second round teaches more: {ends:?}");
    until(ends[1]);
    let (whole, broken) = (folder.path().join("whole"), folder.path().join("broken"));
    let output = train(&config, &whole).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    assert_eq!(lines(&whole).len(), 24);
    assert_eq!(validations(&whole).last().unwrap().0, 24, "what is learnt is validated");

    // Killed at the end of the first round, and in the second.
    for reached in ["step 12/", "step 14/"] {
        let mut child =
            train(&config, &broken).arg("--resume").stderr(Stdio::piped()).spawn().unwrap();
        let mut said = BufReader::new(child.stderr.take().unwrap()).lines();
        assert!(said.any(|line| line.unwrap().starts_with(reached)), "{reached}");
        child.kill().unwrap();
        child.wait().unwrap();
    }
    let output = train(&config, &broken).arg("--resume").output().unwrap();
    assert!(output.status.success(), "{output:?}");
    assert!(bytes(&whole) == bytes(&broken), "the weights differ");
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

/// A run of 12 steps that was killed in its second half.
fn killed(config: &Path, out: &Path) {
    let mut child = train(config, out).stderr(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
    assert!(lines.any(|line| line.unwrap().starts_with("step 6/12 ")), "step 6 is reached");
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn the_log_of_a_run_that_goes_on_says_what_an_unbroken_one_says() {
    let folder = TempDir::new().unwrap();
    let config = settings(folder.path(), METHOD);
    let text = std::fs::read_to_string(&config).unwrap();
    // States fall between two lines of the log.
    let text =
        text.replace("log_every = 1", "log_every = 4").replace("save_every = 2", "save_every = 3");
    std::fs::write(&config, text).unwrap();
    let losses = |out: &Path| -> Vec<(usize, f64)> {
        let loss = |event| match event {
            Event::Train { step, loss, .. } => Some((step, loss)),
            Event::Validate { .. } => None,
        };
        events(out).into_iter().filter_map(loss).collect()
    };
    let (whole, broken) = (folder.path().join("whole"), folder.path().join("broken"));
    assert!(train(&config, &whole).output().unwrap().status.success());
    killed(&config, &broken);
    assert!(train(&config, &broken).arg("--resume").output().unwrap().status.success());
    assert_eq!(losses(&whole).len(), 3);
    for (one, other) in losses(&whole).into_iter().zip(losses(&broken)) {
        assert!(one.0 == other.0 && (one.1 - other.1).abs() < 1e-9, "{one:?} {other:?}");
    }
}

#[test]
fn a_run_does_not_go_on_with_other_questions_under_the_same_name() {
    let folder = TempDir::new().unwrap();
    let config = settings(folder.path(), METHOD);
    let out = folder.path().join("run");
    killed(&config, &out);
    let examples = folder.path().join("examples.json");
    let text = std::fs::read_to_string(&examples).unwrap();
    let mut rows: Vec<Value> = serde_json::from_str(&text).unwrap();
    rows.reverse();
    std::fs::write(&examples, json!(rows).to_string()).unwrap();
    let output = train(&config, &out).arg("--resume").output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success(), "{said}");
    assert!(
        said.contains(&format!("was trained with another content of {}", examples.display())),
        "{said}"
    );
    // With the ones it had, it does.
    std::fs::write(&examples, text).unwrap();
    assert!(train(&config, &out).arg("--resume").output().unwrap().status.success());
}

#[test]
fn questions_with_words_that_the_tokenizer_lacks_are_counted_before_the_first_step() {
    let folder = TempDir::new().unwrap();
    let config = settings(folder.path(), METHOD);
    let text = with_graph_words(&std::fs::read_to_string(&config).unwrap());
    std::fs::write(&config, text).unwrap();
    let output = train(&config, &folder.path().join("run")).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    let before = said.split_once("step 1/").map_or(&said[..], |(before, _)| before);
    // Once for what is trained on, once for what is asked.
    let counted =
        before.matches("examples.json: 1 of 3 have words that the tokenizer lacks").count();
    assert_eq!(counted, 2, "{said}");
}
