//! `coconut eval`: right answers are counted as they are found by asking one at a time, and where the trained checkpoint
//! lies beside the checkout, they are as many as PyTorch finds.

use crate::cli::coconut;
use crate::cli::run;
use crate::support::FIXTURE_MAX_TOKENS;
use crate::support::Fixture;
use crate::support::UNOPTIMISED;
use crate::support::data;
use crate::support::questions_of;
use coconut::latent::generate::generate;
use serde_json::Value;
use serde_json::json;
use std::path::Path;
use std::path::PathBuf;
use tempfile::TempDir;

/// Fixtures of two families, with what their answers are compared as.
const FIXTURES: [&str; 2] = ["coconut-gpt2-hf", "codi-gpt2"];

/// Questions for a fixture: its own answers, and for every third question a wrong one.
fn questions(fixture: &Fixture) -> (Vec<Value>, usize) {
    let mut right = 0;
    let cases = fixture.expected.cases.iter().enumerate().map(|(index, case)| {
        let program = fixture.program(case);
        let ids = generate(
            &fixture.model,
            &coconut::latent::program::Program { latent_steps: 2, ..program },
        )
        .unwrap()
        .ids;
        let answer = fixture.recipe.answer.extract(&fixture.tokenizer.decode(&ids));
        // An answer that is nothing cannot be asked for.
        let wrong = index % 3 == 0 || answer.is_empty();
        right += usize::from(!wrong);
        let answer = if wrong { "something else".to_owned() } else { answer };
        json!({ "question": case.question, "steps": [], "answer": answer })
    });
    (cases.collect(), right)
}

fn eval(model: &Path, data: &Path, flags: &[&str]) -> (String, Value) {
    let folder = TempDir::new().unwrap();
    let json = folder.path().join("result.json");
    let words = ["eval", "--model", model.to_str().unwrap(), "--data", data.to_str().unwrap()];
    let words = words.into_iter().chain(["--json", json.to_str().unwrap()]);
    let output = coconut(&words.chain(flags.iter().copied()).collect::<Vec<_>>()).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    let json = serde_json::from_slice(&std::fs::read(json).unwrap()).unwrap();
    (String::from_utf8(output.stdout).unwrap(), json)
}

#[test]
fn right_answers_are_counted() {
    for name in FIXTURES {
        let fixture = Fixture::load(name);
        let (questions, right) = questions(&fixture);
        let count = questions.len();
        assert!(0 < right && right < count, "{name}: {right} of {count}");
        let folder = TempDir::new().unwrap();
        let (file, picture) = (folder.path().join("q.json"), folder.path().join("p.svg"));
        std::fs::write(&file, Value::from(questions).to_string()).unwrap();
        let tokens = FIXTURE_MAX_TOKENS.to_string();
        let flags = ["--latent-steps", "0,2", "--max-tokens", &tokens, "--concurrency", "3"];
        let picture_flags = ["--picture", picture.to_str().unwrap()];
        let (table, report) = eval(&data(name), &file, &[&flags[..], &picture_flags].concat());
        let run = &report["runs"][1];
        assert_eq!((&run["latent_steps"], &run["correct"]), (&2.into(), &right.into()), "{name}");
        assert_eq!(run["mean_thoughts"], 2.0);
        assert_eq!(run["answers"].as_array().unwrap().len(), count);
        assert_eq!(report["runs"][0]["mean_thoughts"], 0.0);
        let lines: Vec<&str> = table.lines().collect();
        assert_eq!(lines.len(), 4, "{table}");
        assert!(lines[3].contains(&format!("{right}/{count}")), "{table}");
        let picture = std::fs::read_to_string(picture).unwrap();
        assert!(picture.starts_with("<svg") && picture.contains("latent steps"), "{picture}");
        assert_eq!(picture.matches("<circle").count(), 2);
    }
}

#[test]
fn what_cannot_be_asked_is_said() {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("questions.txt");
    let long = "Tom has 3 boxes. ".repeat(200);
    std::fs::write(&file, format!("{long}||<<1=1>> #### 1\nHow many?||<<2=2>> #### 2\n")).unwrap();
    let (table, report) = eval(&data(FIXTURES[0]), &file, &["--max-tokens", "4"]);
    assert!(table.contains("1 without an answer at 6 latent steps; question 1: "), "{table}");
    assert_eq!(report["runs"][0]["unanswered"], 1);
    let (_, report) = eval(&data(FIXTURES[0]), &file, &["--max-tokens", "4", "--limit", "1"]);
    assert_eq!(report["runs"][0]["questions"], 1);

    let model = data(FIXTURES[0]);
    let (model, file) = (model.to_str().unwrap(), file.to_str().unwrap());
    for (flags, said) in [
        (["--data", "no/such/file", "--latent-steps", "6"], "no/such/file"),
        (["--data", file, "--latent-steps", "33"], "maximum of 32"),
        (["--data", file, "--latent-steps", "8..0"], "begins above its end"),
    ] {
        let (output, text) = run(&[&["eval", "--model", model][..], &flags].concat());
        assert!(!output.status.success() && text.contains(said), "{text}");
    }
}

#[test]
fn checkpoints_of_the_same_name_are_told_apart() {
    let folder = TempDir::new().unwrap();
    let questions = folder.path().join("questions.txt");
    std::fs::write(&questions, "How many?||<<2=2>> #### 2\n").unwrap();
    let told = |parent: &str, trained: bool| {
        let model = folder.path().join(parent).join("checkpoint");
        std::fs::create_dir_all(&model).unwrap();
        for entry in std::fs::read_dir(data(FIXTURES[0])).unwrap() {
            let from = entry.unwrap().path();
            std::fs::copy(&from, model.join(from.file_name().unwrap())).unwrap();
        }
        let weights = model.join("model.safetensors");
        let mut bytes = std::fs::read(&weights).unwrap();
        if trained {
            // As one more step of training would have it: every weight of the second half is another.
            let half = bytes.len() / 2;
            bytes[half..].chunks_exact_mut(4).for_each(|float| float[0] ^= 1);
        }
        std::fs::write(&weights, bytes).unwrap();
        let (_, report) = eval(&model, &questions, &["--max-tokens", "2"]);
        [&report["model"], &report["fingerprint"]].map(|value| value.as_str().unwrap().to_owned())
    };
    let [name, fingerprint] = told("one", false);
    assert_eq!(told("moved", false), [name.clone(), fingerprint.clone()]);
    let [also, other] = told("other", true);
    assert!(name == also && fingerprint != other, "{fingerprint} {other}");
}

/// Right answers of the default checkpoint without thoughts and with six.
fn default_checkpoint(questions: &Path) -> [u64; 2] {
    let model = Path::new(env!("CARGO_MANIFEST_DIR")).join("models/prosqa");
    let (_, report) = eval(&model, questions, &["--latent-steps", "0,6"]);
    [0, 1].map(|run| report["runs"][run]["correct"].as_u64().unwrap())
}

#[test]
fn the_default_checkpoint_answers_by_its_thoughts() {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("questions.json");
    let count = if UNOPTIMISED { "50" } else { "200" };
    let words = ["generate-data", "prosqa", "--count", count, "--seed", "77", "--out"];
    let (output, text) = run(&[&words[..], &[file.to_str().unwrap()]].concat());
    assert!(output.status.success(), "{text}");
    let [without, with] = default_checkpoint(&file).map(|right| 200 * right);
    let count: u64 = count.parse().unwrap();
    assert!(without <= 130 * count && with >= 188 * count, "{without} and {with} of {count} / 200");
    let Some(file) = shared("data/prosqa_valid.json").filter(|_| !UNOPTIMISED) else { return };
    let [without, with] = default_checkpoint(&file);
    assert!(without <= 195 && with >= 291, "{without} and {with} of 300");
}

// ===== with ../shared beside the checkout =====

/// A file beside the checkout; `None`, with a word about it, where it is not.
#[expect(clippy::print_stderr, reason = "a test that looked at less says so")]
fn shared(name: &str) -> Option<PathBuf> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared").join(name);
    let there = path.exists();
    eprintln!("../shared/{name}: {}", if there { "checked too" } else { "not there, not checked" });
    there.then_some(path)
}

#[test]
fn the_trained_checkpoint_is_as_good_as_in_pytorch() {
    let Some(model) = shared("checkpoints/prosqa-small-llama") else { return };
    let all = [("prosqa_small.json", "0,6", &[38, 299][..]), ("prosqa_valid.json", "6", &[211])];
    for (name, steps, correct) in all.into_iter().take(if UNOPTIMISED { 1 } else { 2 }) {
        let Some(data) = shared(&format!("data/{name}")) else { continue };
        let (table, report) = eval(&model, &data, &["--latent-steps", steps]);
        let runs = report["runs"].as_array().unwrap();
        let found: Vec<u64> = runs.iter().map(|run| run["correct"].as_u64().unwrap()).collect();
        assert_eq!(found, correct, "{table}");
    }
}

#[test]
fn published_questions_can_be_asked() {
    let Some(file) = shared("data/gsm8k_test.txt") else { return };
    let examples = questions_of(&file);
    assert_eq!(examples.len(), 1319);
    assert!(examples.iter().all(|example| example.answer.replace(',', "").parse::<f64>().is_ok()));
    let (_, report) = eval(&data("codi-gpt2"), &file, &["--limit", "5", "--max-tokens", "4"]);
    assert_eq!(report["runs"][0]["questions"], 5);
}
