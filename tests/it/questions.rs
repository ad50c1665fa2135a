//! Files of questions in the forms in which the field publishes them: each is read as its set means it, and a row that is
//! no question is named and stops nothing.

use crate::cli::run;
use crate::support::data;
use coconut::data::error::Error;
use coconut::data::example::Example;
use coconut::data::fields::Fields;
use coconut::data::fields::Steps;
use coconut::data::fields::Wanted;
use coconut::data::questions::Questions;
use coconut::data::questions::Reading;
use tempfile::TempDir;

const HEN: &str = "A hen lays 3 eggs a day. How many in 6 days?";

fn read(name: &str, reading: &Reading) -> Result<Questions, Error> {
    Questions::read(&data("questions").join(name), reading)
}

fn with_steps() -> Reading {
    Reading { wanted: Wanted { steps: Steps::Read, ..Wanted::default() }, ..Reading::default() }
}

/// Each row as `question | steps | answer`, with what else would be right behind it.
fn shown(questions: &Questions) -> Vec<String> {
    let row = |Example { question, steps, answer, also, .. }: Example| {
        let also: String = also.iter().map(|also| format!(" = {also}")).collect();
        format!("{question} | {} | {answer}{also}", steps.join(" / ")).replace('\n', "\\n")
    };
    questions.examples().into_iter().map(row).collect()
}

#[test]
fn published_sets_are_read_as_they_are() {
    let expected = std::fs::read_to_string(data("questions/expected.md")).unwrap();
    let sections = expected.split("\n## ").skip(1).map(|section| section.split_once('\n').unwrap());
    let mut count = 0;
    for (name, rows) in sections {
        let rows: Vec<&str> = rows.lines().filter_map(|row| row.strip_prefix("    ")).collect();
        let questions = read(name, &with_steps()).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(shown(&questions), rows, "{name}");
        // To ask them, no steps are needed: whatever is there in their place does not matter.
        let asked = read(name, &Reading::default()).unwrap();
        assert!(asked.rows.iter().all(|row| row.example.steps.is_empty()), "{name}");
        assert_eq!(asked.rows.len(), rows.len(), "{name}");
        count += 1;
    }
    assert_eq!(count, 26);
}

#[test]
fn a_row_that_is_no_question_is_named_and_stops_nothing() {
    let questions = read("odd_rows.jsonl", &Reading::default()).unwrap();
    assert_eq!(shown(&questions), [format!("{HEN} |  | 18"), "What is 2+2? |  | 4".to_owned()]);
    let numbers: Vec<u64> = questions.rows.iter().map(|row| row.number).collect();
    assert_eq!(numbers, [1, 6], "places in the file");
    assert_eq!(questions.skipped.count, 4);
    let said = questions.skipped.to_string();
    for part in [
        "4 rows are no question and left out",
        "question 2 (line 2): missing field `answer`; there are `answer`, `question`",
        "question 3 (line 3): question: is empty",
        "question 4 (line 4): ",
        "; ...",
    ] {
        assert!(said.contains(part), "{part}: {said}");
    }
    let strict = Reading { strict: true, ..Reading::default() };
    let error = read("odd_rows.jsonl", &strict).unwrap_err().to_string();
    assert!(
        error.contains("odd_rows.jsonl: line 2, question 2: missing field `answer`"),
        "{error}"
    );
    // As far as they are wanted, the first rows are enough.
    let first = Reading { strict: true, limit: Some(1), ..Reading::default() };
    assert_eq!(read("odd_rows.jsonl", &first).unwrap().rows.len(), 1);
    let empty = read("commonsense_qa_hub.jsonl", &Reading::default()).unwrap().skipped;
    assert!(empty.to_string().contains("question 2 (line 2): answer: is empty"), "{empty}");
}

#[test]
fn other_names_can_be_given() {
    let name = |name: &str| Some(name.to_owned());
    let fields =
        Fields { question: name("task.text"), answer: name("solutions.0.value"), steps: None };
    let reading =
        |fields| Reading { wanted: Wanted { fields, ..Wanted::default() }, ..Reading::default() };
    let questions = read("own_names.json", &reading(fields)).unwrap();
    assert_eq!(shown(&questions), [format!("{HEN} |  | 18")]);
    let fields = Fields { answer: name("solution"), ..Fields::default() };
    let error = read("own_names.json", &reading(fields)).unwrap_err().to_string();
    assert!(error.contains("holds no question that can be used: 1 row is"), "{error}");
    assert!(error.contains("missing field `solution`; there are `answer`"), "{error}");
}

#[test]
fn encodings_do_not_matter_or_are_told() {
    let folder = TempDir::new().unwrap();
    let text = std::fs::read_to_string(data("questions/gsm8k.jsonl")).unwrap();
    let path = folder.path().join("a.jsonl");
    // Two files with a mark each, put together.
    std::fs::write(&path, format!("\u{feff}{text}\u{feff}{text}")).unwrap();
    assert_eq!(Questions::read(&path, &Reading::default()).unwrap().rows.len(), 4);
    let wide: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
    for mark in [&b"\xff\xfe"[..], b""] {
        std::fs::write(&path, [mark, &wide].concat()).unwrap();
        let error = Questions::read(&path, &Reading::default()).unwrap_err().to_string();
        assert!(error.contains("is UTF-16"), "{error}");
    }
}

#[test]
fn eval_and_bench_take_the_names_of_fields() {
    let own = data("questions/own_names.json");
    let odd = data("questions/odd_rows.jsonl");
    let model = data("codi-gpt2");
    let eval = ["eval", "--latent-steps", "1", "--max-tokens", "2", "--model"];
    let eval = [&eval[..], &[model.to_str().unwrap(), "--data"]].concat();
    let named = [
        own.to_str().unwrap(),
        "--question-field",
        "task.text",
        "--answer-field",
        "solutions.0.value",
    ];
    let (output, text) = run(&[&eval[..], &named].concat());
    assert!(output.status.success(), "{text}");
    let (output, text) = run(&[&eval[..], &[odd.to_str().unwrap()]].concat());
    assert!(output.status.success() && text.contains("4 rows are no question"), "{text}");
    assert!(String::from_utf8_lossy(&output.stdout).contains("4 rows are no question"));
    for command in [&eval[..], &["bench", "--data"]] {
        let (output, text) = run(&[command, &[odd.to_str().unwrap(), "--strict"]].concat());
        assert!(!output.status.success() && text.contains("line 2, question 2"), "{text}");
    }
}
