//! Numbers at the edges of what numbers can be, for every flag of every command. Which there are is read off the command line,
//! so that new ones are tried too.

use crate::cli::coconut;
use crate::numbers::EXTREMES;
use crate::numbers::TEXTS;
use crate::support::data;
use crate::wire::MODEL;
use clap::CommandFactory as _;
use coconut::cli::Cli;
use serde_json::json;
use std::any::TypeId;
use std::io::BufRead as _;
use std::io::BufReader;
use std::io::Read as _;
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::Mutex;

/// A working command line, to which a flag is added.
fn words(command: &[String], questions: &str) -> Vec<String> {
    let model = data(MODEL).display().to_string();
    let out = format!("{questions}.safetensors");
    let rest: &[&str] = match command.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["serve"] => &["--model", &model, "--listen", "127.0.0.1:0"],
        ["reason"] => &["Why?", "--json", "--model", &model, "--max-tokens", "2"],
        ["eval"] => &["--model", &model, "--data", questions, "--max-tokens", "2"],
        ["probe"] => &["--model", &model, "--data", questions, "--max-tokens", "2", "--out", &out],
        // Nobody listens there.
        ["bench"] => &["--url", "http://127.0.0.1:1", "--data", questions, "--requests", "1"],
        ["healthcheck"] => &["--address", "127.0.0.1:1"],
        ["train"] => &["--config", "no/such/file.toml"],
        ["generate-data", "prosqa" | "react"] => &["--count", "1", "--out", "-"],
        ["generate-data", "multiplication"] => &["--count", "1", "--digits", "2", "--out", "-"],
        _ => panic!("{command:?} has a flag with a number: give it a working command line"),
    };
    command.iter().cloned().chain(rest.iter().map(|&word| word.to_owned())).collect()
}

/// Commands and their flags that take more than a text or a path.
fn flags() -> Vec<(Vec<String>, String)> {
    let texts = [TypeId::of::<String>(), TypeId::of::<PathBuf>()];
    let mut found = Vec::new();
    let mut open = vec![(Vec::new(), Cli::command())];
    while let Some((path, command)) = open.pop() {
        for argument in command.get_arguments() {
            let is_text = texts.iter().any(|text| argument.get_value_parser().type_id() == *text);
            let takes = argument.get_action().takes_values() && !is_text;
            let hidden = argument.is_hide_set() || argument.is_hide_env_values_set(); // A secret is any text.
            if takes && argument.get_possible_values().is_empty() && !hidden {
                found.extend(argument.get_long().map(|long| (path.clone(), long.to_owned())));
            }
        }
        for next in command.get_subcommands() {
            let path = path.iter().cloned().chain([next.get_name().to_owned()]).collect();
            open.push((path, next.clone()));
        }
    }
    found
}

/// Numbers alone and in the forms that some flags have.
fn written() -> Vec<String> {
    let shapes = ["#", "0..#", "#..#", "clients=#", "rate=#", "latent-steps=#", "words=#", "#GiB"];
    let texts = TEXTS.iter().chain(EXTREMES);
    texts.flat_map(|number| shapes.map(|shape| shape.replace('#', number))).collect()
}

/// Runs to the end, a server until it is ready: with a word where something is wrong, and never with a panic.
fn outcome(words: &[String]) {
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let mut child = coconut(&words).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let mut log = BufReader::new(child.stderr.take().unwrap());
    let (mut said, mut line) = (String::new(), String::new());
    while log.read_line(&mut line).unwrap() > 0 {
        said.push_str(&line);
        if line.contains("ready") && line.contains("model=") {
            child.kill().unwrap();
            break;
        }
        line.clear();
    }
    log.read_to_string(&mut said).unwrap();
    let status = child.wait().unwrap();
    let ended_well = status.code().is_none_or(|code| code < 100);
    assert!(ended_well && !said.contains("panicked"), "{words:?}: {status} {said}");
}

#[test]
fn every_flag_takes_any_number_or_refuses_it_by_name() {
    let questions = tempfile::NamedTempFile::new().unwrap();
    let question = json!([{"question": "Is Bob a lempus?", "steps": [], "answer": "yes"}]);
    std::fs::write(&questions, question.to_string()).unwrap();
    let questions = questions.path().to_str().unwrap();
    let (flags, mut command_line) = (flags(), Cli::command());
    assert!(flags.len() >= 30, "{flags:?}");
    let mut tried = Vec::new();
    for (command, flag) in flags {
        let mut words = words(&command, questions);
        let flag = format!("--{flag}");
        if let Some(at) = words.iter().position(|word| *word == flag) {
            words.drain(at..at + 2);
        }
        let with = |value: &str| -> Vec<String> {
            words.iter().cloned().chain([format!("{flag}={value}")]).collect()
        };
        let mut taken = Vec::new();
        for value in written() {
            let all = std::iter::once("coconut".to_owned()).chain(with(&value));
            match command_line.try_get_matches_from_mut(all) {
                Ok(_) => taken.push(value),
                Err(error) => {
                    let said = error.to_string();
                    assert!(said.contains(&flag), "{command:?} {flag}={value}: {said}");
                }
            }
        }
        // The first and the last of those that are taken are tried.
        let ends = [taken.first(), taken.last().filter(|_| taken.len() > 1)];
        tried.extend(ends.into_iter().flatten().map(|value| with(value)));
    }
    assert!(tried.len() >= 50, "{tried:?}");
    // Most of them wait for something.
    let tried = Mutex::new(tried);
    let next = || tried.lock().unwrap().pop();
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| std::iter::from_fn(next).for_each(|words| outcome(&words)));
        }
    });
}
