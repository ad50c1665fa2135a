//! A byte order mark before a text is no part of it, wherever text of others is read, and other encodings are told.

use crate::cli::coconut;
use crate::cli::run;
use crate::support::data;
use crate::training_runs::METHOD;
use crate::training_runs::settings;
use crate::training_runs::train;
use std::fs;
use std::path::Path;
use std::process::Stdio;
use tempfile::TempDir;

/// A checkpoint whose every JSON file is written by `write`.
fn checkpoint(write: &dyn Fn(&str) -> Vec<u8>) -> TempDir {
    let folder = TempDir::new().unwrap();
    for entry in fs::read_dir(data("coconut-gpt2-hf")).unwrap().map(|entry| entry.unwrap().path()) {
        let to = folder.path().join(entry.file_name().unwrap());
        match entry.extension().is_some_and(|extension| extension == "json") {
            true => fs::write(to, write(&fs::read_to_string(&entry).unwrap())).unwrap(),
            false => drop(fs::copy(&entry, to).unwrap()),
        }
    }
    folder
}

fn marked(text: &str) -> Vec<u8> {
    format!("\u{feff}{text}").into_bytes()
}

fn wide(text: &str) -> Vec<u8> {
    text.encode_utf16().flat_map(u16::to_le_bytes).collect()
}

/// Marks the files of a folder.
fn mark(folder: &Path, names: &[&str]) {
    for name in names {
        let text = fs::read_to_string(folder.join(name)).unwrap();
        fs::write(folder.join(name), marked(&text)).unwrap();
    }
}

#[test]
fn checkpoints_with_marks_are_read() {
    let plain = checkpoint(&|text| text.as_bytes().to_vec());
    let converted = TempDir::new().unwrap();
    let out = converted.path().join("out");
    let words =
        ["convert", "--model", plain.path().to_str().unwrap(), "--out", out.to_str().unwrap()];
    let (output, text) = run(&words);
    assert!(output.status.success(), "{text}");
    mark(&out, &["config.json", "tokenizer.json", "coconut.json"]);
    for folder in [checkpoint(&marked).path(), &out] {
        let (output, text) = run(&["inspect", "--model", folder.to_str().unwrap()]);
        assert!(output.status.success(), "{text}");
    }
    let folder = checkpoint(&wide);
    let (output, text) = run(&["inspect", "--model", folder.path().to_str().unwrap()]);
    assert!(!output.status.success() && text.contains("is UTF-16"), "{text}");
}

#[test]
fn recipes_and_states_with_marks_are_read() {
    let folder = TempDir::new().unwrap();
    let config = settings(folder.path(), METHOD);
    mark(folder.path(), &["run.toml", "examples.json"]);
    let out = folder.path().join("run");
    let output = train(&config, &out).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    fs::write(&config, wide(&fs::read_to_string(&config).unwrap())).unwrap();
    let output = train(&config, &out).arg("--resume").output().unwrap();
    assert!(String::from_utf8_lossy(&output.stderr).contains("is UTF-16"));
}

/// A key that has a mark before it would fit nobody's, without a word.
#[test]
fn a_file_of_keys_in_another_encoding_is_refused() {
    let folder = TempDir::new().unwrap();
    let keys = folder.path().join("keys.txt");
    fs::write(&keys, wide("secret\n")).unwrap();
    let model = data("coconut-gpt2-hf");
    let words = ["serve", "--listen", "127.0.0.1:0", "--model", model.to_str().unwrap()];
    let words = [&words[..], &["--api-keys-file", keys.to_str().unwrap()]].concat();
    let output = coconut(&words).stdin(Stdio::null()).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && said.contains("is UTF-16"), "{said}");
}
