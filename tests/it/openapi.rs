//! The committed document is the one that the code serves.

use crate::wire::Wire;
use coconut::http;
use coconut::http::Config;
use serde_json::Value;
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

#[test]
fn every_route_says_what_its_errors_look_like() {
    let document: Value = serde_json::from_str(&http::document().to_json().unwrap()).unwrap();
    let paths = document["paths"].as_object().unwrap();
    let expected = ["/health/live", "/health/ready", "/metrics", "/v1/models", "/v1/reason"];
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
