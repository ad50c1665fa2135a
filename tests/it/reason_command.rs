//! `coconut reason` as a user runs it: what it says is what `POST /v1/reason` answers, from wherever questions come, and
//! what it refuses is refused by the name of the flag.

use crate::cli::coconut;
use crate::cli::run;
use crate::looking::off;
use crate::support::data;
use crate::wire::MODEL;
use crate::wire::Wire;
use serde_json::Value;
use serde_json::json;
use std::io::Write as _;
use std::process::Output;
use std::process::Stdio;
use tempfile::TempDir;

const QUESTIONS: [&str; 3] =
    ["Is Bob a lempus?", "Every lempus is a yerpus. Is Bob a yerpus?", "How many pens are left?"];

/// The fixture, in the numbers that golden outputs are in.
fn reason(words: &[&str]) -> (Output, String) {
    let model = data(MODEL);
    let fixture = ["reason", "--model", model.to_str().unwrap(), "--dtype", "f32"];
    run(&[&fixture[..], words].concat())
}

fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn lines(output: &Output) -> Vec<Value> {
    assert!(output.status.success(), "{output:?}");
    stdout(output).lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// With these on standard input.
fn piped(words: &[&str], text: &str) -> Output {
    let model = data(MODEL);
    let mut command = coconut(&["reason", "--max-tokens", "4", "--model"]);
    command.arg(&model).args(words).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    child.wait_with_output().unwrap()
}

/// Without what is another each time.
fn lasting(mut answer: Value) -> Value {
    for field in ["id", "created", "timings", "question", "model"] {
        answer.as_object_mut().unwrap().remove(field);
    }
    answer
}

#[tokio::test]
async fn json_is_what_the_route_answers_with_every_setting() {
    // Each question is computed as the command computes it: a prompt from memory may differ in its last bits, on some
    // processors.
    let (wire, reasoner) = Wire::answering(off());
    let question = QUESTIONS[1];
    for (flags, fields) in [
        ("", json!({})),
        (
            "--latent-steps 2 --max-tokens 5 --ignore-eos",
            json!({"latent_steps": 2, "max_tokens": 5, "ignore_eos": true}),
        ),
        (
            "--latent-steps auto --tolerance 0.5 --max-tokens 3",
            json!({"latent_steps": "auto", "tolerance": 0.5, "max_tokens": 3}),
        ),
        ("--sweep 0..3 --max-tokens 4", json!({"sweep": [0, 1, 2, 3], "max_tokens": 4})),
        (
            "--feedback random --seed 7 --max-tokens 4",
            json!({"feedback": "random", "seed": 7, "max_tokens": 4}),
        ),
        (
            "-n 3 --latent-noise 0.5 --seed 9 --max-tokens 4",
            json!({"n": 3, "latent_noise": {"sigma": 0.5}, "seed": 9, "max_tokens": 4}),
        ),
        (
            "--temperature 0.7 --top-p 0.9 --top-k 5 --seed 3 --max-tokens 6 --stop x --stop yy",
            json!({"temperature": 0.7, "top_p": 0.9, "top_k": 5, "seed": 3, "max_tokens": 6, "stop": ["x", "yy"]}),
        ),
        (
            "--include logprobs,thought_vectors,cosine --thoughts --top-thought-tokens 3 --max-tokens 4",
            json!({"include": ["logprobs", "thought_vectors", "cosine", "thoughts", "entropy"], "top_thought_tokens": 3, "max_tokens": 4}),
        ),
        (
            r#"--interventions [{"step":2,"op":"zero"}] --include lens --inside {"layers":[1]} --max-tokens 4 --seed 1"#,
            json!({
                "interventions": [{"step": 2, "op": "zero"}], "include": ["lens"], "inside": {"layers": [1]},
                "max_tokens": 4, "seed": 1,
            }),
        ),
        (
            r#"--interventions {"step":2,"op":"skip"} --max-tokens 4 --seed 1"#,
            json!({"interventions": [{"step": 2, "op": "skip"}], "max_tokens": 4, "seed": 1}),
        ),
    ] {
        let words: Vec<&str> =
            [question, "--json"].into_iter().chain(flags.split_whitespace()).collect();
        let (output, _) = reason(&words);
        let [ours] = &lines(&output)[..] else { panic!("{output:?}") };
        assert_eq!(ours["question"], question);
        let mut body = fields;
        body["question"] = json!(question);
        let theirs = wire.ask(body).await.json();
        assert_eq!(lasting(ours.clone()), lasting(theirs), "{flags}");
    }
    drop(reasoner);
}

#[test]
fn questions_come_from_files_and_pipes_in_their_order() {
    let folder = TempDir::new().unwrap();
    let file = |name: &str, text: String| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let records = QUESTIONS.map(|question| json!({ "question": question }));
    let places = [
        file("lines.txt", QUESTIONS.join("\n\n")),
        file(
            "icot.txt",
            QUESTIONS.map(|question| format!("{question}||<<1=1>> #### 1")).join("\n"),
        ),
        file("records.jsonl", records.clone().map(|record| record.to_string()).join("\n")),
        file("list.json", Value::from(records.to_vec()).to_string()),
    ];
    let mut all = Vec::new();
    for place in &places {
        let (output, _) = reason(&["--file", place, "--max-tokens", "4", "--json"]);
        let asked: Vec<_> = lines(&output).iter().map(|line| line["question"].clone()).collect();
        assert_eq!(asked, QUESTIONS, "{place}");
        all.push(
            lines(&output)
                .into_iter()
                .map(lasting)
                .map(|line| line["text"].clone())
                .collect::<Vec<_>>(),
        );
    }
    assert!(all.iter().all(|texts| *texts == all[0]));
    for words in [&["--json"][..], &["-", "--json"], &["--file", "-", "--json"]] {
        let output = piped(words, &QUESTIONS.join("\n"));
        let texts: Vec<_> = lines(&output).iter().map(|line| line["text"].clone()).collect();
        assert_eq!(texts, all[0], "{words:?}");
    }
    let output = piped(&["--limit", "2"], &QUESTIONS.join("\n"));
    assert_eq!(stdout(&output).lines().count(), 2, "an answer a line: {output:?}");
}

#[test]
fn thoughts_are_bars_without_colours_where_nobody_sees_them() {
    let words =
        ["--thoughts", "--latent-steps", "2", "--top-thought-tokens", "4", "--max-tokens", "4"];
    let (output, _) = reason(&[&[QUESTIONS[0]][..], &words].concat());
    let text = stdout(&output);
    assert!(output.status.success() && !text.contains('\u{1b}'), "{text}");
    let lines: Vec<&str> = text.lines().collect();
    for (at, step) in [(0, 1), (5, 2)] {
        assert!(lines[at].starts_with(&format!("thought {step}   norm ")), "{text}");
        assert!(lines[at].contains("entropy"), "{text}");
        let shares = lines[at + 1..at + 5].iter().map(|line| {
            let (before, _) = line.split_once(" %").unwrap();
            before.split_whitespace().last().unwrap().parse::<f64>().unwrap()
        });
        assert!(shares.collect::<Vec<_>>().is_sorted_by(|a, b| a >= b), "{text}");
    }
    let (_, json) = reason(&[QUESTIONS[0], "--json", "--max-tokens", "4", "--latent-steps", "2"]);
    let answer: Value = serde_json::from_str(&json).unwrap();
    assert_eq!(lines[10..].join("\n"), answer["answer"].as_str().unwrap(), "and the answer last");
}

#[test]
fn without_a_model_the_default_answers() {
    let question = "Every rempus is a zumpus. Tom is a rempus. Every zumpus is a lempus. Is Tom a lempus or a yumpus?";
    let (output, text) = run(&["reason", question]);
    assert!(output.status.success(), "{text}");
    assert_eq!(text, "Tom is a lempus.\n", "nothing but the answer");
    let (_, text) = run(&["reason", question, "--sweep", "0,3"]);
    assert_eq!(text, "0\tTom is a yumpus.\n3\tTom is a lempus.\n");
    let (output, text) = run(&["reason", "Is Quux a lempus?"]);
    assert!(output.status.success() && text.contains("warning: "), "{text}");
    assert!(!stdout(&output).contains("warning"), "{text}");
}

#[test]
fn what_is_refused_is_refused_by_its_flag() {
    let question = QUESTIONS[0];
    for (words, code, said) in [
        (
            &[question, "--latent-steps", "33"][..],
            1,
            "error: --latent-steps: 33 is more than this model's maximum of 32",
        ),
        (&[question, "--top-p", "1.5"], 1, "error: --top-p: "),
        (&[question, "--include", "everything", "--json"], 1, "error: --include[0]: "),
        (
            &[question, "--interventions", r#"{"step":1,"op":"zap"}"#],
            1,
            "error: --interventions[0].op: ",
        ),
        (&[question, "--feedback", "mean"], 1, "--thought-means"),
        (&[question, "--tolerance", "0.1"], 1, "--tolerance: belongs to --latent-steps auto"),
        (&[" "], 1, "must not be empty"),
        (&["--file", "no/such/file"], 1, "no/such/file"),
        (&[question, "--latent-steps", "some"], 2, "--latent-steps"),
        (&[question, "--interventions", "zero"], 2, "--interventions"),
        (&[question, "--sweep", "0..3", "--latent-steps", "2"], 2, "--sweep"),
        (&[question, "--include", "logprobs"], 2, "--json"),
        (&[question, "--file", "questions.txt"], 2, "--file"),
    ] {
        let (output, text) = reason(words);
        assert_eq!(output.status.code(), Some(code), "{words:?}: {text}");
        assert!(text.contains(said), "{words:?}: {text}");
    }
}

/// One that is too long is told of, and others are answered all the same.
#[test]
fn a_question_without_an_answer_does_not_keep_others_from_theirs() {
    let long = "x ".repeat(5000);
    let questions = format!("{}\n{long}\n{}\n", QUESTIONS[0], QUESTIONS[2]);
    let output = piped(&["--json"], &questions);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(
        said.contains("question 2: ") && said.contains("1 of 3 questions have no answer"),
        "{said}"
    );
    let text = stdout(&output);
    let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert!(lines[0]["answer"].is_string() && lines[2]["answer"].is_string(), "{text}");
    assert_eq!(lines[1]["error"]["code"], "too_long");
    let output = piped(&["--latent-steps", "99"], &questions);
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(said.matches("--latent-steps").count(), 1, "once for all: {said}");
}

/// As before `head`, which closes its end when it has seen enough.
#[test]
fn a_reader_who_has_enough_is_no_error_to_talk_about() {
    let model = data(MODEL);
    let mut command = coconut(&["reason", "--json", "--max-tokens", "4", "-", "--model"]);
    command.arg(&model).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    drop(child.stdout.take());
    child.stdin.take().unwrap().write_all(QUESTIONS.join("\n").as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(
        (output.status.code(), String::from_utf8(output.stderr).unwrap()),
        (Some(1), String::new())
    );
}
