//! Numbers from outside, at the edges of what numbers can be: every numeric field and header of every route. Which there are
//! is read off the OpenAPI document, so that new ones are tried too.

use crate::wire::Reply;
use crate::wire::Wire;
use axum::body::Body;
use axum::http::Request;
use coconut::engine::config::EngineConfig;
use coconut::http;
use proptest::prelude::*;
use proptest::test_runner::TestRunner;
use serde_json::Value;
use serde_json::json;

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
pub const TEXTS: &[&str] = &["NaN", "inf", "-inf", "1", ""];

/// A numeric field or header of a route.
#[derive(Clone, Debug)]
struct Field {
    path: String,
    place: Place,
    /// As errors call it.
    name: String,
    /// Where it stands in the body.
    pointer: String,
    schema: Value,
}

/// Fields within fields, with what else a body needs for them to count: where they stand, how errors call them, and their
/// place in the document.
fn nested() -> [(&'static str, Value, &'static str, &'static str); 10] {
    let intervention = |extra: Value| json!({"interventions": [extra]});
    let copy = json!({"step": 1, "op": "copy", "from": {"step": 1}});
    let noise = json!({"step": 1, "op": "noise", "alpha": 1, "seed": 1});
    let sigma = json!({"latent_noise": {"sigma": 1}});
    let inside = |extra: Value| json!({"include": ["lens", "attention"], "inside": extra});
    let top = "InsideBody/properties/top_tokens";
    [
        ("/inside/layers/0", inside(json!({"layers": [1]})), "inside", "Whole"),
        ("/inside/heads/0", inside(json!({"heads": [1]})), "inside", "Whole"),
        ("/inside/top_tokens", inside(json!({"top_tokens": 1})), "inside.top_tokens", top),
        ("/sweep/0", json!({"sweep": [1], "latent_steps": null}), "sweep[0]", "Whole"),
        ("/latent_noise/sigma", sigma, "latent_noise.sigma", "NoiseBody/properties/sigma"),
        (
            "/interventions/0/step",
            intervention(noise.clone()),
            "interventions[0].step",
            "AtBody/oneOf/0",
        ),
        (
            "/interventions/0/alpha",
            intervention(noise.clone()),
            "interventions[0].alpha",
            "InterventionBody/properties/alpha",
        ),
        (
            "/interventions/0/seed",
            intervention(noise),
            "interventions[0].seed",
            "InterventionBody/properties/seed",
        ),
        (
            "/interventions/0/from/step",
            intervention(copy),
            "interventions[0].from.step",
            "FromBody/properties/step",
        ),
        (
            "/tolerance",
            json!({"latent_steps": "auto", "tolerance": 0.5}),
            "tolerance",
            "ReasonRequest/properties/tolerance",
        ),
    ]
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
                pointer: format!("/{}", name.as_str().unwrap()),
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
            let cheap = [
                ("max_tokens", json!(2)),
                ("max_output_tokens", json!(2)),
                ("include", json!(["thoughts"])),
            ];
            for (cheap, value) in cheap {
                if properties.contains_key(cheap) {
                    example[cheap] = value;
                }
            }
            let has_thoughts = properties.contains_key("interventions");
            for (pointer, extra, name, place) in nested().into_iter().filter(|_| has_thoughts) {
                let mut body = example.clone();
                body.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
                let place = document.pointer(&format!("/components/schemas/{place}")).unwrap();
                let (name, pointer) = (name.to_owned(), pointer.to_owned());
                let (path, schema, place) = (path.clone(), place.clone(), Place::Body(body));
                fields.push(Field { path, place, name, pointer, schema });
            }
            let is_plain = |name: &str| name != "tolerance";
            let numeric =
                properties.iter().filter(|(name, schema)| is_number(schema) && is_plain(name));
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
    let example = match path.as_str() {
        "/v1/completions" => json!({"prompt": "Is Bob a lempus?", "max_tokens": 2}),
        "/v1/chat/completions" => {
            json!({"messages": [{"role": "user", "content": "Is Bob?"}], "max_tokens": 2})
        }
        "/v1/responses" => json!({"input": "Is Bob a lempus?", "max_output_tokens": 2}),
        "/v1/score" => json!({"question": "Is Bob a lempus?", "continuations": ["yes"]}),
        _ => json!({"question": "Is Bob a lempus?", "max_tokens": 2}),
    };
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
            Place::Body(_) => match body.pointer_mut(&field.pointer) {
                Some(value) => *value = json!(mark(index)),
                None => body[&field.name] = json!(mark(index)),
            },
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
            let named = values
                .iter()
                .any(|(field, _)| param.as_ref().is_some_and(|it| is_named(field, it)));
            assert!(named, "{said:?}: {reply:?}");
        }
        _ => panic!("{said:?}: {reply:?}"),
    }
}

/// Whether an error names this field: with the one of its values that is wrong, or whole.
fn is_named(field: &Field, param: &str) -> bool {
    let name = &field.name;
    let is_within = |inner: &str, outer: &str| {
        inner.strip_prefix(outer).is_some_and(|rest| rest.starts_with(['[', '.']))
    };
    param == name || is_within(name, param) || is_within(param, name)
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
                // Those within fields have bodies of their own.
                let is_nested = |field: &Field| {
                    let ours = nested();
                    ours.iter().any(|(pointer, ..)| *pointer == field.pointer)
                };
                let fits = values.iter().all(|(other, _)| {
                    other.name != field.name && other.path == field.path && !is_nested(other)
                });
                if fits && (values.is_empty() || !is_nested(field)) {
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
            let ours = ["/v1/reason", "/v1/score"].contains(&field.path.as_str());
            let blamed = reply.blames(if ours { 422 } else { 400 }, "invalid_value").unwrap();
            assert!(is_named(&field, &blamed), "{values:?}: {blamed}");
        }
    }
    assert!(bounds >= 8, "{bounds} bounds");
}
