//! Numbers from outside, at the edges of what numbers can be: every numeric field and header of every route, and every flag
//! of every command. Which there are is read off the OpenAPI document and the command line, so that new ones are tried
//! too.

use crate::cli::coconut;
use crate::support::data;
use crate::wire::MODEL;
use crate::wire::Reply;
use crate::wire::Wire;
use axum::body::Body;
use axum::http::Request;
use clap::CommandFactory as _;
use coconut::cli::Cli;
use coconut::engine::config::EngineConfig;
use coconut::http;
use proptest::prelude::*;
use proptest::test_runner::TestRunner;
use serde_json::Value;
use serde_json::json;
use std::any::TypeId;
use std::io::BufRead as _;
use std::io::BufReader;
use std::io::Read as _;
use std::path::PathBuf;
use std::process::Stdio;

/// As they stand in JSON or on a command line.
pub const EXTREMES: &[&str] = &[
    "0",
    "1",
    "-1",
    "-0",
    "-0.0",
    "0.5",
    "2147483647",
    "2147483648",
    "4294967295",
    "4294967296",
    "9007199254740992",
    "9223372036854775807",
    "9223372036854775808",
    "18446744073709551599",
    "18446744073709551604",
    "18446744073709551614",
    "18446744073709551615",
    "18446744073709551616",
    "-9223372036854775808",
    "340282366920938463463374607431768211456",
    "5e-324",
    "1e-320",
    "1e-300",
    "1e-37",
    "1e308",
    "-1e308",
    "1e999",
];

/// What no number is written like.
const TEXTS: &[&str] = &["NaN", "inf", "-inf", "1", ""];

// ===== the wire =====

/// A numeric field or header of a route.
#[derive(Clone, Debug)]
struct Field {
    path: String,
    place: Place,
    name: String,
    schema: Value,
}

#[derive(Clone, Debug)]
enum Place {
    /// The body that the document gives as an example, with as little to compute as its fields allow.
    Body(Value),
    Header,
}

fn document() -> Value {
    serde_json::from_str(&http::document().to_json().unwrap()).unwrap()
}

fn is_number(schema: &Value) -> bool {
    let named = |kind: &Value| kind == "integer" || kind == "number";
    let kinds = &schema["type"];
    named(kinds) || kinds.as_array().is_some_and(|kinds| kinds.iter().any(named))
}

fn fields() -> Vec<Field> {
    let document = document();
    let mut fields = Vec::new();
    for (path, methods) in document["paths"].as_object().unwrap() {
        for operation in methods.as_object().unwrap().values() {
            let field = |name: &Value, place: Place, schema: &Value| Field {
                path: path.clone(),
                place,
                name: name.as_str().unwrap().to_owned(),
                schema: schema.clone(),
            };
            for parameter in operation["parameters"].as_array().into_iter().flatten() {
                // The time to wait is a number written as a header's text.
                let digits = parameter["schema"]["pattern"].as_str();
                if is_number(&parameter["schema"]) || digits.is_some_and(|it| it.contains("[0-9]"))
                {
                    assert_eq!(parameter["in"], "header", "{path}: teach this test other places");
                    fields.push(field(&parameter["name"], Place::Header, &parameter["schema"]));
                }
            }
            let body = &operation["requestBody"]["content"]["application/json"]["schema"];
            let Some(reference) = body["$ref"].as_str() else { continue };
            let schema = document.pointer(reference.trim_start_matches('#')).unwrap();
            let properties = schema["properties"].as_object().unwrap();
            let mut example = schema["example"].clone();
            for (cheap, value) in [("max_tokens", json!(2)), ("include", json!(["thoughts"]))] {
                if properties.contains_key(cheap) {
                    example[cheap] = value;
                }
            }
            let numeric = properties.iter().filter(|(_, schema)| is_number(schema));
            fields.extend(
                numeric.map(|(name, schema)| {
                    field(&json!(name), Place::Body(example.clone()), schema)
                }),
            );
        }
    }
    fields
}

/// A request with these values, which are JSON as it stands, in place of those of the example.
fn request(values: &[(&Field, String)]) -> Request<Body> {
    let path = &values[0].0.path;
    let mut request = Request::post(path).header("content-type", "application/json");
    let example = json!({"question": "Is Bob a lempus?", "max_tokens": 2});
    let mut body = values
        .iter()
        .find_map(|(field, _)| match &field.place {
            Place::Body(example) => Some(example.clone()),
            Place::Header => None,
        })
        .unwrap_or(example);
    let mark = |index: usize| format!("value {index}");
    for (index, (field, value)) in values.iter().enumerate() {
        match field.place {
            Place::Body(_) => body[&field.name] = json!(mark(index)),
            Place::Header => request = request.header(&field.name, value),
        }
    }
    let mut body = body.to_string();
    for (index, (_, value)) in values.iter().enumerate() {
        body = body.replace(&json!(mark(index)).to_string(), value);
    }
    request.body(Body::from(body)).unwrap()
}

/// An answer, or a refusal that names one of the fields; a deadline may also have passed at once.
fn assert_well_answered(values: &[(&Field, String)], reply: &Reply) {
    let said: Vec<_> = values.iter().map(|(field, value)| (&field.name, value)).collect();
    let hurried = values.iter().any(|(field, _)| matches!(field.place, Place::Header));
    match reply.status.as_u16() {
        200 => {}
        504 if hurried => {}
        400..=499 => {
            let param = reply.json()["error"]["param"].as_str().map(str::to_owned);
            let named = values.iter().any(|(field, _)| param.as_ref() == Some(&field.name));
            assert!(named, "{said:?}: {reply:?}");
        }
        _ => panic!("{said:?}: {reply:?}"),
    }
}

/// As if nothing had happened: nothing is left, and the engine was never started anew.
async fn assert_well(wire: &Wire) {
    let answer = wire.ask(json!({"question": "Is Bob a lempus?", "max_tokens": 2})).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    for path in ["/health/live", "/health/ready"] {
        assert_eq!(wire.get(path).await.status, 200, "{path}");
    }
    assert_eq!(wire.metrics.engine_restarts_total.get(), 0);
    assert_eq!(wire.metrics.running.get() + wire.metrics.queue_depth.get(), 0);
}

/// The values of a field that are tried: numbers as they are, and texts where JSON has quotes for them.
fn tried(field: &Field) -> Vec<String> {
    let numbers = EXTREMES.iter().map(|&number| number.to_owned());
    let texts = TEXTS.iter().map(|text| match field.place {
        Place::Body(_) => json!(text).to_string(),
        Place::Header => (*text).to_owned(),
    });
    numbers.chain(texts).collect()
}

#[tokio::test]
async fn every_number_of_every_route_is_answered_or_refused_by_name() {
    let wire = Wire::answering(EngineConfig::default()).0;
    let fields = fields();
    assert!(fields.len() >= 8, "{fields:?}");
    for field in &fields {
        for value in tried(field) {
            let values = [(field, value)];
            assert_well_answered(&values, &wire.send(request(&values)).await);
        }
    }
    assert_well(&wire).await;
}

/// Numbers that are fine by themselves may not be so together.
#[test]
fn numbers_at_their_edges_together_do_no_harm() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let wire = runtime.block_on(async { Wire::answering(EngineConfig::default()).0 });
    let fields = fields();
    let one = any::<(prop::sample::Index, prop::sample::Index)>();
    TestRunner::default()
        .run(&prop::collection::vec(one, 2..6), |chosen| {
            let mut values: Vec<(&Field, String)> = Vec::new();
            for (field, value) in chosen {
                let field = field.get(&fields);
                if values.iter().all(|(other, _)| other.name != field.name) {
                    values.push((field, value.get(&tried(field)).clone()));
                }
            }
            let reply = runtime.block_on(wire.send(request(&values)));
            assert_well_answered(&values, &reply);
            Ok(())
        })
        .unwrap();
    runtime.block_on(assert_well(&wire));
}

#[tokio::test]
async fn the_bounds_in_the_document_are_those_that_hold() {
    let wire = Wire::answering(EngineConfig::default()).0;
    let mut bounds = 0;
    for field in fields() {
        for (bound, step) in [("minimum", -1.0), ("maximum", 1.0)] {
            let Some(at) = field.schema[bound].as_f64() else { continue };
            bounds += 1;
            let beyond = serde_json::Number::from_f64(at + step).unwrap();
            let beyond = match field.schema["type"].to_string().contains("integer") {
                true => format!("{}", at as i128 + step as i128),
                false => beyond.to_string(),
            };
            let values = [(&field, beyond)];
            let reply = wire.send(request(&values)).await;
            assert_eq!(
                reply.blames(422, "invalid_value").as_ref(),
                Some(&field.name),
                "{values:?}"
            );
        }
    }
    assert!(bounds >= 8, "{bounds} bounds");
}

// ===== flags =====

/// A working command line, to which a flag is added.
fn words(command: &[String], questions: &str) -> Vec<String> {
    let model = data(MODEL).display().to_string();
    let rest: &[&str] = match command.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["serve"] => &["--model", &model, "--listen", "127.0.0.1:0"],
        ["eval"] => &["--model", &model, "--data", questions, "--max-tokens", "2"],
        // Nobody listens there.
        ["bench"] => &["--url", "http://127.0.0.1:1", "--data", questions, "--requests", "1"],
        ["healthcheck"] => &["--address", "127.0.0.1:1"],
        ["train"] => &["--config", "no/such/file.toml"],
        ["generate-data", "prosqa"] => &["--count", "1", "--out", "-"],
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
    let flags = flags();
    assert!(flags.len() >= 30, "{flags:?}");
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
            match Cli::command().try_get_matches_from(all) {
                Ok(_) => taken.push(value),
                Err(error) => {
                    let said = error.to_string();
                    assert!(said.contains(&flag), "{command:?} {flag}={value}: {said}");
                }
            }
        }
        // The first and the last of those that are taken are tried.
        let ends = [taken.first(), taken.last().filter(|_| taken.len() > 1)];
        for value in ends.into_iter().flatten() {
            outcome(&with(value));
        }
    }
}
