//! What every request meets before a model is involved: error shapes, keys, CORS, request ids, metrics. All on a server
//! that is still loading, but where the engine refuses.

use crate::wire::Wire;
use crate::wire::json_request;
use axum::body::Body;
use axum::http::Method;
use axum::http::Request;
use axum::http::StatusCode;
use coconut::engine::config::EngineConfig;
use coconut::http::ApiKeys;
use coconut::http::Config;
use coconut::http::Cors;
use flate2::Compression;
use flate2::write::GzEncoder;
use std::io::Write as _;

fn wire() -> Wire {
    Wire::loading(Config::default())
}

fn body(text: &str) -> Request<Body> {
    json_request().body(Body::from(text.to_owned())).unwrap()
}

// ===== errors =====

#[tokio::test]
async fn unknown_paths_and_methods_have_the_error_shape() {
    assert_eq!(wire().get("/v2/reason").await.blames(404, "not_found"), None);
    let reply = wire().get("/v1/reason").await;
    assert_eq!(reply.blames(405, "method_not_allowed"), None);
    assert_eq!(reply.header("allow"), Some("POST"));
}

#[tokio::test]
async fn bodies_that_cannot_be_read_have_the_error_shape() {
    let config = Config { max_body_bytes: 64, ..Config::default() };
    let wire = Wire::loading(config);
    assert_eq!(wire.send(body("{\"question\": ")).await.blames(400, "malformed_request"), None);
    let large = format!(r#"{{"question": "{}"}}"#, "x".repeat(64));
    let reply = wire.send(body(&large)).await;
    assert_eq!(reply.blames(413, "body_too_large"), None);
    assert!(reply.body.contains("64 bytes"), "{reply:?}");
    let text = Request::post("/v1/reason")
        .header("content-type", "text/plain")
        .body(Body::from("{}"))
        .unwrap();
    assert_eq!(wire.send(text).await.blames(415, "unsupported_media_type"), None);
    let untyped = Request::post("/v1/reason").body(Body::from("{}")).unwrap();
    assert_eq!(wire.send(untyped).await.blames(415, "unsupported_media_type"), None);
}

#[tokio::test]
async fn a_body_is_read_in_the_encoding_that_it_says() {
    let wire = Wire::loading(Config { max_body_bytes: 4096, ..Config::default() });
    let encoded = |encoding: &str, body: Vec<u8>| {
        json_request().header("content-encoding", encoding).body(Body::from(body)).unwrap()
    };
    let question = gzip(br#"{"question": "?"}"#);
    wire.send(encoded("gzip", question.clone())).await.blames(503, "loading");
    wire.send(encoded("identity", br#"{"question": "?"}"#.to_vec())).await.blames(503, "loading");
    wire.send(encoded("gzip", b"{}".to_vec())).await.blames(400, "malformed_request");
    wire.send(encoded("gzip", gzip(&[b' '; 100_000]))).await.blames(413, "body_too_large");
    let reply = wire.send(encoded("zstd", question)).await;
    assert_eq!(reply.blames(415, "unsupported_encoding").as_deref(), Some("content-encoding"));
    assert_eq!(reply.header("accept-encoding"), Some("gzip, deflate"));
    assert!(reply.body.contains("zstd"), "{reply:?}");
}

fn gzip(text: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(text).unwrap();
    encoder.finish().unwrap()
}

#[tokio::test]
async fn a_field_that_is_wrong_is_named() {
    let wire = wire();
    for (text, param) in [
        ("{}", "question"),
        (r#"{"question": 7}"#, "question"),
        (r#"{"question": "?", "latent_steps": -1}"#, "latent_steps"),
        (r#"{"question": "?", "latent_steps": "six"}"#, "latent_steps"),
        (r#"{"question": "?", "stop": 1}"#, "stop"),
        (r#"{"question": "?", "include": ["thoughts", "dreams"]}"#, "include[1]"),
        (r#"{"question": "?", "n_latent": 6}"#, "n_latent"),
    ] {
        assert_eq!(
            wire.send(body(text)).await.blames(422, "invalid_value").as_deref(),
            Some(param),
            "{text}"
        );
    }
}

#[tokio::test]
async fn a_timeout_header_without_sense_is_named() {
    let request =
        json_request().header("x-request-timeout", "soon").body(Body::from("{}")).unwrap();
    assert_eq!(
        wire().send(request).await.blames(400, "malformed_request").as_deref(),
        Some("x-request-timeout")
    );
}

#[tokio::test]
async fn a_body_that_does_not_arrive_is_not_waited_for() {
    let config =
        Config { request_timeout: std::time::Duration::from_millis(1), ..Config::default() };
    let never = Body::from_stream(futures::stream::pending::<Result<&str, std::io::Error>>());
    let reply = Wire::loading(config).send(json_request().body(never).unwrap()).await;
    assert_eq!(reply.blames(408, "body_timeout"), None);
}

#[tokio::test]
async fn while_loading_the_server_is_alive_and_not_ready() {
    let wire = wire();
    assert_eq!(wire.get("/health/live").await.status, StatusCode::OK);
    for reply in [
        wire.get("/health/ready").await,
        wire.get("/v1/models").await,
        wire.send(body(r#"{"question": "?"}"#)).await,
    ] {
        assert_eq!(reply.blames(503, "loading"), None);
        assert!(reply.header("retry-after").unwrap().parse::<u64>().unwrap() >= 1, "{reply:?}");
    }
}

// ===== keys =====

fn locked(protect_metrics: bool) -> Wire {
    let api_keys = ApiKeys::new(["one".to_owned(), "two".to_owned()]);
    Wire::loading(Config { api_keys, protect_metrics, ..Config::default() })
}

async fn status_with(wire: &Wire, path: &str, authorization: &str) -> u16 {
    let request =
        Request::get(path).header("authorization", authorization).body(Body::empty()).unwrap();
    wire.send(request).await.status.as_u16()
}

#[tokio::test]
async fn without_a_key_nobody_is_answered() {
    let wire = locked(false);
    let reply = wire.get("/v1/models").await;
    assert_eq!(reply.blames(401, "missing_api_key"), None);
    assert_eq!(reply.header("www-authenticate"), Some("Bearer"));
    // The key comes before the body: nobody learns about fields without one.
    wire.send(body("{")).await.blames(401, "missing_api_key");
}

#[tokio::test]
async fn each_key_opens_and_nothing_else_does() {
    let wire = locked(false);
    for good in ["Bearer one", "Bearer two", "bearer one"] {
        assert_eq!(
            status_with(&wire, "/v1/models", good).await,
            503,
            "{good}: past the lock, still loading"
        );
    }
    for bad in ["Bearer three", "Bearer ", "Bearer", "Basic one", "one", "Bearer one two"] {
        assert_eq!(status_with(&wire, "/v1/models", bad).await, 401, "{bad}");
    }
}

#[tokio::test]
async fn health_and_documentation_stay_open_and_metrics_by_choice() {
    for path in ["/health/live", "/metrics", "/load", "/openapi.json"] {
        assert_eq!(locked(false).get(path).await.status, StatusCode::OK, "{path}");
    }
    let wire = locked(true);
    assert_eq!(wire.get("/health/live").await.status, StatusCode::OK);
    for path in ["/metrics", "/load"] {
        wire.get(path).await.blames(401, "missing_api_key");
        assert_eq!(status_with(&wire, path, "Bearer two").await, 200, "{path}");
    }
}

// ===== CORS =====

async fn allowed_origin(cors: Cors, origin: &str) -> Option<String> {
    let wire = Wire::loading(Config { cors, ..Config::default() });
    let request =
        Request::get("/health/live").header("origin", origin).body(Body::empty()).unwrap();
    wire.send(request).await.header("access-control-allow-origin").map(str::to_owned)
}

#[tokio::test]
async fn pages_of_other_origins_read_answers_only_where_allowed() {
    let page = "https://page.example";
    let some = || Cors::Origins(vec![page.parse().unwrap()]);
    assert_eq!(allowed_origin(Cors::Off, page).await, None);
    assert_eq!(allowed_origin(Cors::Any, page).await.as_deref(), Some("*"));
    assert_eq!(allowed_origin(some(), page).await.as_deref(), Some(page));
    assert_eq!(allowed_origin(some(), "https://other.example").await, None);
}

#[tokio::test]
async fn a_preflight_needs_no_key() {
    let config =
        Config { cors: Cors::Any, api_keys: ApiKeys::new(["one".to_owned()]), ..Config::default() };
    let preflight = Request::builder()
        .method(Method::OPTIONS)
        .uri("/v1/reason")
        .header("origin", "https://page.example")
        .header("access-control-request-method", "POST")
        .header("access-control-request-headers", "authorization,content-type")
        .body(Body::empty())
        .unwrap();
    let reply = Wire::loading(config).send(preflight).await;
    assert_eq!(reply.status, StatusCode::OK, "{reply:?}");
    assert!(
        reply.header("access-control-allow-headers").unwrap().contains("authorization"),
        "{reply:?}"
    );
}

// ===== request ids and metrics =====

#[tokio::test]
async fn every_response_has_a_request_id() {
    let wire = wire();
    let named =
        Request::get("/nowhere").header("x-request-id", "job-7").body(Body::empty()).unwrap();
    assert_eq!(wire.send(named).await.header("x-request-id"), Some("job-7"));
    let (first, second) = (wire.get("/nowhere").await, wire.get("/nowhere").await);
    assert!(first.header("x-request-id").is_some());
    assert_ne!(first.header("x-request-id"), second.header("x-request-id"));
}

#[tokio::test]
async fn requests_are_counted_by_route_and_status() {
    let wire = wire();
    wire.get("/health/live").await;
    wire.get("/some/thing").await;
    wire.send(body(r#"{"question": "?"}"#)).await;
    let reply = wire.get("/metrics").await;
    assert_eq!(reply.header("content-type"), Some("text/plain; version=0.0.4; charset=utf-8"));
    for line in [
        r#"coconut_http_requests_total{method="GET",route="/health/live",status="200"} 1"#,
        r#"coconut_http_requests_total{method="GET",route="unmatched",status="404"} 1"#,
        r#"coconut_http_requests_total{method="POST",route="/v1/reason",status="503"} 1"#,
        r#"coconut_http_request_seconds_count{route="/v1/reason"} 1"#,
        r#"coconut_rejected_total{reason="loading"} 1"#,
        "coconut_http_in_flight 1",
    ] {
        assert!(reply.body.lines().any(|have| have == line), "{line}\n{}", reply.body);
    }
    assert_eq!(wire.metrics.http_in_flight.get(), 0);
}

/// Whoever refuses it: who reads the body, the route, the reasoner or the engine.
#[tokio::test]
async fn what_is_refused_is_counted_once_where_the_answer_leaves() {
    let (wire, _) = Wire::answering(EngineConfig::default());
    let count = |reason: &str| wire.metrics.rejected_total.with_label_values(&[reason]).get();
    let long = "Bob is a lempus. ".repeat(100);
    let mut counted = (0, 0);
    for (path, question, status) in [
        ("/v1/reason", "{".to_owned(), 400),
        ("/v1/reason", r#"{"question": 1}"#.to_owned(), 422),
        (
            "/v1/reason",
            r#"{"question": "Is Bob a lempus?", "latent_steps": 99999}"#.to_owned(),
            422,
        ),
        ("/v1/reason", r#"{"question": "Is Bob a lempus?", "n": 1025}"#.to_owned(), 422),
        ("/v1/completions", r#"{"prompt": "Bob", "max_tokens": -1}"#.to_owned(), 400),
        ("/v1/reason", format!(r#"{{"question": "{long}"}}"#), 422),
        ("/v1/completions", format!(r#"{{"prompt": ["{long}", "{long}"]}}"#), 400),
    ] {
        let asked = Request::post(path).header("content-type", "application/json");
        let reply = wire.send(asked.body(Body::from(question)).unwrap()).await;
        assert_eq!(reply.status.as_u16(), status, "{reply:?}");
        match reply.json()["error"]["code"].as_str() {
            Some("too_long") => counted.1 += 1,
            _ => counted.0 += 1,
        }
        assert_eq!((count("invalid"), count("too_long")), counted, "{path}: {reply:?}");
    }
    assert_eq!(counted, (5, 2));
    let plain = Request::post("/v1/reason").header("content-type", "text/plain");
    wire.send(plain.body(Body::from("?")).unwrap()).await.blames(415, "unsupported_media_type");
    assert_eq!(count("invalid"), 6);
    // What a key or a path is lacking is no question.
    wire.get("/nowhere").await;
    assert_eq!((count("invalid"), count("too_long")), (6, 2));
}
