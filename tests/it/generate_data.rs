//! `coconut generate-data` as a user runs it: files that this program reads again, and a tokenizer for them.

use crate::cli::run;
use crate::support::questions_of;
use coconut::data::example::Example;
use coconut::data::prosqa::record::Record;
use coconut::text::Tokenizer;
use std::path::Path;
use std::path::PathBuf;
use std::process::Command;
use tempfile::TempDir;

/// Runs `coconut generate-data` with `--out` in a fresh folder; gives the folder, the file and what was printed.
#[track_caller]
fn generate(words: &[&str], name: &str) -> (TempDir, PathBuf, String) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(name);
    let out = ["--out", path.to_str().unwrap()];
    let (output, text) = run(&[&["generate-data"], words, &out[..]].concat());
    assert!(output.status.success(), "{text}");
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "nothing else is left behind");
    (folder, path, text)
}

#[track_caller]
fn refused(words: &[&str]) -> String {
    let (output, text) = run(&[&["generate-data"], words].concat());
    assert_eq!(output.status.code(), Some(1), "{text}");
    text
}

/// A file beside the checkout, where it is there.
fn shared(name: &str) -> Option<PathBuf> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared").join(name);
    path.exists().then_some(path)
}

#[test]
fn prosqa_is_written_as_published_and_read_again() {
    let words = ["prosqa", "--count", "20", "--seed", "5"];
    let (_list, list, text) = generate(&[&words[..], &["--stats"]].concat(), "valid.json");
    assert!(text.contains("20 questions in") && text.contains("shortest paths"), "{text}");
    let (_lines, lines, _) = generate(&[&words[..], &["--jsonl"]].concat(), "valid.jsonl");
    let records: Vec<Record> = serde_json::from_slice(&std::fs::read(&list).unwrap()).unwrap();
    let examples: Vec<Example> = records.iter().map(Record::example).collect();
    assert_eq!(questions_of(&list), examples);
    assert_eq!(questions_of(&lines), examples);

    let (output, _) = run(&[&["generate-data"], &words[..], &["--out", "-"]].concat());
    assert_eq!(output.stdout, std::fs::read(&list).unwrap(), "a seed gives the same bytes again");
    let (_other, other, _) =
        generate(&["prosqa", "--count", "20", "--seed", "6"], "in/folders/other.json");
    assert_ne!(questions_of(&other), examples);
}

#[test]
fn a_pipe_is_written_to_and_stays_one() {
    let folder = tempfile::tempdir().unwrap();
    let pipe = folder.path().join("pipe");
    assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let reader = std::thread::spawn({
        let pipe = pipe.clone();
        move || std::fs::read_to_string(pipe).unwrap()
    });
    let out = pipe.to_str().unwrap();
    let (output, text) = run(&["generate-data", "prosqa", "--count", "1", "--jsonl", "--out", out]);
    assert!(output.status.success() && !pipe.is_file(), "{text}");
    assert!(serde_json::from_str::<Record>(&reader.join().unwrap()).is_ok());
}

#[test]
fn small_graphs_have_so_many_nodes() {
    let (_folder, path, _) =
        generate(&["prosqa", "--count", "50", "--nodes", "8..12", "--min-hops", "2"], "small.json");
    let records: Vec<Record> = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    let mut sizes: Vec<usize> = records.iter().map(|record| record.idx_to_symbol.len()).collect();
    sizes.sort_unstable();
    sizes.dedup();
    assert_eq!(sizes, [8, 9, 10, 11, 12]);
    assert!(records.iter().all(|record| record.steps.len() >= 2));
}

#[test]
fn multiplications_are_right_and_splits_apart() {
    let words = ["multiplication", "--digits", "3", "--count", "200", "--seed", "1"];
    let (_train, train, text) = generate(&words, "train.txt");
    assert!(text.contains("200 questions in"), "{text}");
    let (_valid, valid, _) = generate(&[&words[..], &["--split", "valid"]].concat(), "valid.txt");
    let number = |text: &str| text.split(' ').rev().collect::<String>().parse::<u64>().unwrap();
    let (train, valid) = (questions_of(&train), questions_of(&valid));
    for example in train.iter().chain(&valid) {
        let (a, b) = example.question.split_once(" * ").unwrap();
        assert_eq!(number(a) * number(b), number(&example.answer), "{example:?}");
        assert_eq!(example.steps.len(), 3);
    }
    assert!(valid.iter().all(|example| !train.contains(example)));
    assert!(
        refused(&["multiplication", "--digits", "1", "--count", "82", "--out", "-"])
            .contains("only")
    );
}

#[test]
fn text_lines_become_json() {
    let folder = tempfile::tempdir().unwrap();
    let from = folder.path().join("train.txt");
    std::fs::write(&from, "Two and two?||<<2+2=4>> <<4*1=4>> #### 4\r\n\nNothing?|| #### 0\n")
        .unwrap();
    let (_folder, path, text) =
        generate(&["gsm8k-aug", "--from", from.to_str().unwrap()], "train.json");
    assert!(text.contains("2 questions in"), "{text}");
    assert_eq!(questions_of(&path), questions_of(&from));

    std::fs::write(&from, "Two and two?|| #### 4\nno answer||\n").unwrap();
    let out = folder.path().join("out.json");
    let words = ["gsm8k-aug", "--from", from.to_str().unwrap(), "--out", out.to_str().unwrap()];
    let text = refused(&[&words[..], &["--strict"]].concat());
    assert!(text.contains("train.txt: line 2, question 2: no `####`"), "{text}");
    std::fs::write(&from, "\n").unwrap();
    assert!(refused(&words).contains("holds no question"));
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "no half file is left behind");
}

#[test]
fn impossible_graphs_are_refused_before_a_file_is_touched() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("out.json");
    let out = out.to_str().unwrap();
    for (flags, said) in [
        (["--nodes", "3..4"], "nodes"),
        (["--nodes", "12..8"], "no number of nodes"),
        (["--nodes", "8..99"], "99 nodes are more"),
        (["--min-hops", "0"], "--min-hops"),
    ] {
        let words = [&["prosqa", "--count", "1", "--out", out], &flags[..]].concat();
        assert!(refused(&words).contains(said), "{flags:?}");
    }
    let (output, text) =
        run(&["generate-data", "prosqa", "--count", "1", "--out", out, "--min-hops", "0"]);
    assert!(!output.status.success() && text.contains("0 is not in 1.."), "{text}");
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    std::fs::write(out, "a file, no folder").unwrap();
    let text = refused(&["prosqa", "--count", "1", "--out", &format!("{out}/none/out.json")]);
    assert!(text.contains("none/out.json"), "{text}");
}

#[test]
#[expect(clippy::print_stderr, reason = "a check that looked at less says so")]
fn the_tokenizer_knows_every_question() {
    let (_folder, path, text) = generate(&["tokenizer", "prosqa"], "tokenizer.json");
    assert!(text.contains("71 tokens"), "{text}");
    let tokenizer = Tokenizer::load(&path).unwrap();
    let (_questions, questions, _) = generate(&["prosqa", "--count", "50"], "made.json");
    let mut files = vec![questions];
    let published = ["data/prosqa_valid.json", "data/prosqa_small.json"];
    files.extend(published.iter().filter_map(|name| shared(name)));
    if files.len() == 1 {
        eprintln!("no ../shared: the published questions were not looked at");
    }
    let trained = shared("checkpoints/prosqa-small-llama/tokenizer.json")
        .map(|path| Tokenizer::load(&path).unwrap());
    let unknown = tokenizer.id("<|unk|>").unwrap();
    for example in files.iter().flat_map(|path| questions_of(path)) {
        let Example { question, steps, answer, .. } = &example;
        let text = format!("{question}\n{}\n### {answer}", steps.join("\n"));
        let ids = tokenizer.encode(&text, true).unwrap();
        assert!(!ids.contains(&unknown), "{text}");
        assert_eq!(tokenizer.decode(&ids), text);
        if let Some(trained) = &trained {
            assert_eq!(
                trained.encode(&text, true).unwrap(),
                ids,
                "the ids of the trained checkpoint"
            );
        }
    }
    let marked = "Bob\n<|start-latent|><|latent|><|end-latent|>### Bob<|endoftext|>";
    assert_eq!(tokenizer.encode(marked, true).unwrap(), [15, 5, 1, 70, 2, 4, 15, 3]);
    assert_eq!(tokenizer.encode("Bob is a banana", true).unwrap(), [15, 8, unknown]);
}
