//! The golden numbers over HTTP, from every published layout: all cases of a checkpoint at once, so that they share
//! steps, read back from the JSON that a client gets.

use crate::parity::FIXTURES;
use crate::support::Case;
use crate::support::F32;
use crate::support::FIXTURE_MAX_TOKENS;
use crate::support::Fixture;
use crate::support::assert_golden;
use crate::support::data;
use axum::Router;
use axum::body::Body;
use axum::body::to_bytes;
use axum::http::Request;
use axum::http::StatusCode;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use coconut::engine::config::EngineConfig;
use coconut::engine::config::KvBudget;
use coconut::http::AppState;
use coconut::http::Config;
use coconut::http::router;
use coconut::latent::checkpoint::Location;
use coconut::latent::convert::Conversion;
use coconut::latent::convert::convert;
use coconut::metrics::Metrics;
use coconut::model::device::Processor;
use coconut::reason::reasoner::Reasoner;
use coconut::reason::reasoner::ReasonerConfig;
use futures::future::join_all;
use serde_json::Value;
use serde_json::json;
use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use tempfile::TempDir;
use tower::ServiceExt as _;

fn served(folder: &Path) -> Router {
    let metrics = Arc::new(Metrics::new());
    let engine = EngineConfig { kv: KvBudget::Positions(4096), ..EngineConfig::default() };
    let model = Location::folder(folder);
    let config = ReasonerConfig {
        model,
        name: None,
        processor: Processor::Cpu,
        precision: F32,
        engine,
        thought_means: None,
    };
    let reasoner = Reasoner::load(&config, Arc::clone(&metrics)).unwrap();
    let state = AppState::new(Config::default(), metrics);
    state.serve(Arc::new(reasoner));
    router(&state)
}

async fn json_of(router: &Router, request: Request<Body>) -> Value {
    let response = router.clone().oneshot(request).await.unwrap();
    let status = response.status();
    let body = to_bytes(response.into_body(), 1 << 24).await.unwrap();
    assert_eq!(status, StatusCode::OK, "{}", String::from_utf8_lossy(&body));
    serde_json::from_slice(&body).unwrap()
}

async fn ask(router: &Router, case: &Case, max_tokens: usize) -> Value {
    let body = json!({
        "question": case.question,
        "latent_steps": case.n_latent,
        "max_tokens": max_tokens,
        "include": ["thoughts", "thought_vectors", "first_logits", "logprobs"],
    });
    let request = Request::post("/v1/reason").header("content-type", "application/json");
    json_of(router, request.body(Body::from(body.to_string())).unwrap()).await
}

fn floats(value: &Value) -> Vec<f32> {
    let bytes = BASE64_STANDARD.decode(value.as_str().unwrap()).unwrap();
    bytes.chunks_exact(4).map(|four| f32::from_le_bytes(four.try_into().unwrap())).collect()
}

/// All cases of a fixture at once, asked of the checkpoint in `folder`.
async fn assert_golden_over_http(name: &str, folder: &Path) {
    let fixture = Fixture::load(name);
    let max_tokens = fixture.recipe.max_tokens.unwrap_or(FIXTURE_MAX_TOKENS);
    let max_tokens = max_tokens.min(FIXTURE_MAX_TOKENS);
    let router = served(folder);
    let cases = &fixture.expected.cases;
    let answers = join_all(cases.iter().map(|case| ask(&router, case, max_tokens))).await;
    for (case, answer) in cases.iter().zip(answers) {
        let thoughts = answer["thoughts"].as_array().unwrap().iter();
        let thoughts: Vec<_> = thoughts.map(|thought| floats(&thought["vector"])).collect();
        let tokens = answer["logprobs"].as_array().unwrap().iter();
        let ids: Vec<u32> = tokens.map(|token| token["id"].as_u64().unwrap() as u32).collect();
        assert_golden(case, &thoughts, &floats(&answer["first_logits"]), &ids);
        if let Some(text) = &case.text {
            assert_eq!(answer["text"], text.as_str(), "{name}");
        }
    }
    let models = json_of(&router, Request::get("/v1/models").body(Body::empty()).unwrap()).await;
    assert!(models.to_string().contains(&fixture.recipe.family), "{models}");
}

#[tokio::test]
async fn every_published_layout_answers_over_http_with_the_golden_numbers() {
    for name in FIXTURES {
        assert_golden_over_http(name, &data(name)).await;
    }
}

#[tokio::test]
async fn converted_checkpoints_answer_over_http_with_the_golden_numbers() {
    let folder = TempDir::new().unwrap();
    for name in FIXTURES {
        let to = folder.path().join(name);
        let from = Location::folder(data(name));
        convert(&Conversion { from, to: to.clone(), dtype: None }).unwrap();
        assert_golden_over_http(name, &to).await;
    }
}

/// No fixture is left out of these tests.
#[test]
fn every_fixture_is_tested() {
    let folders = std::fs::read_dir(data("")).unwrap().map(|entry| entry.unwrap().path());
    let has = |path: &Path, name: &str| path.join(name).is_file();
    let folders = folders.filter(|path| has(path, "config.json") && has(path, "expected.json"));
    let names = folders.map(|path| path.file_name().unwrap().to_str().unwrap().to_owned());
    let names: BTreeSet<String> = names.collect();
    assert_eq!(names, FIXTURES.iter().map(|&name| name.to_owned()).collect());
}
