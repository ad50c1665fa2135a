//! The committed document is the one that the code serves.

use crate::wire::Wire;
use axum::body::Body;
use axum::http::Request;
use axum::http::StatusCode;
use coconut::engine::config::EngineConfig;
use coconut::http;
use coconut::http::Config;
use serde_json::Value;
use serde_json::json;
use std::fs;
use std::path::Path;

/// Regenerates the file, so that the next run passes; where `CI` is set it only fails.
#[test]
fn the_committed_document_is_up_to_date() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("openapi/openapi.json");
    let now = http::document().to_pretty_json().unwrap() + "\n";
    let committed = fs::read_to_string(&path).unwrap_or_default();
    if committed == now {
        return;
    }
    if std::env::var_os("CI").is_none() {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, now).unwrap();
        panic!("openapi/openapi.json was out of date and is written anew: commit it");
    }
    panic!("openapi/openapi.json is out of date: run `coconut openapi --out openapi/openapi.json`");
}

#[tokio::test]
async fn the_server_serves_that_document() {
    let served = Wire::loading(Config::default()).get("/openapi.json").await.json();
    let ours: Value = serde_json::from_str(&http::document().to_json().unwrap()).unwrap();
    assert_eq!(served, ours);
}

/// What the document allows is answered: it says what the served model can do.
#[tokio::test]
async fn a_loaded_model_puts_its_own_bounds_into_the_document() {
    let wire = Wire::answering(EngineConfig::default()).0;
    let facts = wire.get("/v1/models").await.json()["data"][0]["coconut"].clone();
    let document = wire.get("/openapi.json").await.json();
    let fields = &document["components"]["schemas"]["ReasonRequest"]["properties"];
    for (field, fact) in [("latent_steps", "max_latent_steps"), ("max_tokens", "max_positions")] {
        let most = fields[field]["maximum"].as_u64().unwrap();
        assert_eq!(Some(most), facts[fact].as_u64(), "{field}");
        let asked = async |value: u64| wire.ask(json!({"question": "?", field: value})).await;
        assert_eq!(asked(most).await.status, StatusCode::OK, "{field}");
        let refused = asked(most + 1).await;
        assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY, "{field}");
        assert_eq!(refused.json()["error"]["param"], field);
    }
}

#[test]
fn every_route_says_what_its_errors_look_like() {
    let document: Value = serde_json::from_str(&http::document().to_json().unwrap()).unwrap();
    let paths = document["paths"].as_object().unwrap();
    let expected = [
        "/detokenize",
        "/health",
        "/health/live",
        "/health/ready",
        "/load",
        "/metrics",
        "/tokenize",
        "/tokenizer_info",
        "/v1/chat/completions",
        "/v1/completions",
        "/v1/models",
        "/v1/models/{id}",
        "/v1/models/{owner}/{name}",
        "/v1/reason",
        "/v1/responses",
        "/v1/score",
        "/version",
    ];
    assert_eq!(paths.keys().map(String::as_str).collect::<Vec<_>>(), expected);
    for (path, methods) in paths {
        let operation = methods.as_object().unwrap().values().next().unwrap();
        for (status, response) in operation["responses"].as_object().unwrap() {
            if status != "200" {
                let schema = &response["content"]["application/json"]["schema"]["$ref"];
                assert_eq!(schema, "#/components/schemas/ErrorBody", "{path} {status}");
            }
        }
    }
}

/// Typed clients write every field they know. Taken from the document, so that no new field or route is left out.
#[tokio::test]
async fn null_is_absent_for_every_optional_field_of_every_route() {
    let document: Value = serde_json::from_str(&http::document().to_json().unwrap()).unwrap();
    let wire = Wire::loading(Config::default());
    let mut fields = 0;
    for (path, method, operation) in operations(&document) {
        let Some(schema) = operation.pointer("/requestBody/content/application~1json/schema/$ref")
        else {
            continue;
        };
        let schema = document.pointer(schema.as_str().unwrap().trim_start_matches('#')).unwrap();
        let required = schema["required"].as_array().map_or(&[][..], Vec::as_slice);
        for (name, field) in schema["properties"].as_object().unwrap() {
            let mut body = schema["example"].clone();
            body[name] = Value::Null;
            let request = Request::builder()
                .method(method.to_ascii_uppercase().as_str())
                .uri(path)
                .header("content-type", "application/json")
                .body(Body::from(body.to_string()))
                .unwrap();
            let reply = wire.send(request).await;
            if required.contains(&Value::from(name.as_str())) {
                let status = if path == "/v1/reason" || path == "/v1/score" { 422 } else { 400 };
                assert_eq!(reply.blames(status, "invalid_value").as_deref(), Some(name.as_str()));
                continue;
            }
            fields += 1;
            // Read, and past the reading: there is no model yet.
            assert_eq!(reply.blames(503, "loading"), None, "{path} {name}");
            let text = field.to_string();
            assert!(text.contains(r#""null""#), "{path}: {name} does not say that it may be null");
        }
    }
    assert!(fields >= 11, "{fields} fields");
}

fn operations(document: &Value) -> impl Iterator<Item = (&str, &str, &Value)> {
    document["paths"].as_object().unwrap().iter().flat_map(|(path, methods)| {
        let methods = methods.as_object().unwrap().iter();
        methods.map(|(method, operation)| (path.as_str(), method.as_str(), operation))
    })
}

#[tokio::test]
async fn the_page_that_shows_it_needs_nothing_from_elsewhere() {
    let wire = Wire::loading(Config::default());
    let page = wire.get("/docs/").await.body;
    let start = wire.get("/docs/swagger-initializer.js").await.body;
    assert!(page.contains("swagger-ui"), "{page}");
    assert!(
        start.contains("/openapi.json") && start.contains(r#""validatorUrl": "none""#),
        "{start}"
    );
    assert!(!page.contains("https://") && !start.contains("https://"), "{page}\n{start}");
}
