//! Clients that leave before their answer, with a model that takes no step until they have: nothing here is a race.

use crate::engine::Engine;
use crate::engine::config::EngineConfig;
use crate::engine::gated::Gated;
use crate::http::AppState;
use crate::http::Config;
use crate::http::router;
use crate::metrics::Metrics;
use crate::reason::committed;
use crate::reason::reasoner::Reasoner;
use axum::body::Body;
use axum::http::Request;
use futures::FutureExt as _;
use serde_json::json;
use std::sync::Arc;
use std::sync::mpsc::channel;
use tower::ServiceExt as _;

#[tokio::test]
async fn a_client_that_leaves_takes_its_request_with_it() {
    let metrics = Arc::new(Metrics::new());
    let (open, gate) = channel();
    let config = committed::config("tests/data/coconut-gpt2-hf", EngineConfig::default());
    let start = |model, engine| {
        Engine::start_as(model, engine, Arc::clone(&metrics), |runner| Gated { runner, gate })
    };
    let reasoner = Arc::new(Reasoner::load_with(&config, start).unwrap());
    let state = AppState::new(Config::default(), Arc::clone(&metrics));
    state.serve(Arc::clone(&reasoner));
    for stream in [false, true] {
        let question = json!({"question": "Every lempus is a yerpus. Is Bob a lempus?",
            "max_tokens": 200, "stream": stream});
        let request = Request::post("/v1/reason").header("content-type", "application/json");
        let request = request.body(Body::from(question.to_string())).unwrap();
        // One poll submits the question; dropping what it returns is what a closed connection comes to.
        drop(router(&state).oneshot(request).now_or_never());
    }
    drop(open);
    reasoner.drain();
    reasoner.drained().await;
    assert_eq!(metrics.cancelled_total.get(), 2);
    assert_eq!(metrics.running.get(), 0);
    assert_eq!(metrics.http_in_flight.get(), 0);
}
