//! A served checkpoint whose steps break off midway, over a real socket: what clients and orchestrators see.

use crate::engine::Engine;
use crate::engine::config::EngineConfig;
use crate::engine::restart_tests::Breaking;
use crate::http;
use crate::http::listen::Limits;
use crate::http::serve;
use crate::reason::committed;
use crate::reason::reasoner::Reasoner;
use serde_json::Value;
use serde_json::json;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::io::AsyncReadExt as _;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpListener;
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tokio::time::timeout;

/// Nothing here takes so long, unless it never ends.
const PATIENCE: Duration = Duration::from_secs(60);

/// Status and body.
async fn exchange(address: SocketAddr, method_path: &str, body: &str) -> (u16, String) {
    let length = body.len();
    let request = format!(
        "{method_path} HTTP/1.1\r\nhost: test\r\nconnection: close\r\ncontent-type: application/json\r\n\
         content-length: {length}\r\n\r\n{body}"
    );
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut response = String::new();
    timeout(PATIENCE, stream.read_to_string(&mut response)).await.unwrap().unwrap();
    let (head, body) = response.split_once("\r\n\r\n").unwrap();
    (head.split(' ').nth(1).unwrap().parse().unwrap(), body.to_owned())
}

async fn status(address: SocketAddr, path: &str) -> u16 {
    exchange(address, &format!("GET {path}"), "").await.0
}

async fn ask(address: SocketAddr, stream: bool) -> (u16, String) {
    let question = json!({"question": "Every lempus is a yerpus. Is Bob a lempus?", "max_tokens": 6,
        "stream": stream, "include": ["thought_vectors", "first_logits"]});
    exchange(address, "POST /v1/reason", &question.to_string()).await
}

/// What the model computed, to the last digit, and what of it came from earlier questions.
fn computed((status, body): (u16, String)) -> ([Value; 3], [Value; 2]) {
    assert_eq!(status, 200, "{body}");
    let answer: Value = serde_json::from_str(&body).unwrap();
    let usage = &answer["usage"];
    (
        ["thoughts", "first_logits", "text"].map(|field| answer[field].clone()),
        ["cached_positions", "cached_thoughts"].map(|field| usage[field].clone()),
    )
}

fn load(fuse: Arc<AtomicUsize>, metrics: Arc<crate::metrics::Metrics>) -> anyhow::Result<Reasoner> {
    let config = committed::config("tests/data/coconut-gpt2-hf", EngineConfig::default());
    let start = |model, engine| {
        Engine::start_as(model, engine, metrics, |runner| Breaking { runner, fuse })
    };
    Ok(Reasoner::load_with(&config, start)?)
}

#[tokio::test]
async fn a_server_answers_as_before_after_a_failed_step_and_dies_of_many() {
    let fuse = Arc::new(AtomicUsize::new(0));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let limits =
        Limits { max_connections: 8, header_read_timeout: PATIENCE, write_timeout: PATIENCE };
    let config = serve::Config {
        http: http::Config::default(),
        limits,
        drain_delay: Duration::ZERO,
        grace_period: Duration::ZERO,
    };
    let (stop, stopped) = oneshot::channel::<()>();
    let loading = {
        let fuse = Arc::clone(&fuse);
        move |metrics| load(fuse, metrics)
    };
    let shutdown = async { drop(stopped.await) };
    let server = tokio::spawn(serve::run(listener, config, loading, shutdown));
    let ready = async { while status(address, "/health/ready").await != 200 {} };
    timeout(PATIENCE, ready).await.unwrap();

    let before = computed(ask(address, false).await);
    fuse.store(1, Ordering::SeqCst);
    let (code, body) = ask(address, false).await;
    assert!(code == 500 && body.contains("step_failed"), "{code} {body}");
    assert_eq!(
        [status(address, "/health/live").await, status(address, "/health/ready").await],
        [200; 2]
    );
    // Neither keys and values nor thoughts of before are used, and what the broken pass left behind does no harm.
    assert_eq!(computed(ask(address, false).await), before);
    assert_eq!(before.1, [0, 0].map(Value::from));

    fuse.store(1, Ordering::SeqCst);
    let (code, events) = ask(address, true).await;
    assert!(code == 200 && events.contains("event: error"), "{code} {events}");
    let metrics = exchange(address, "GET /metrics", "").await.1;
    assert!(metrics.contains("\ncoconut_engine_restarts_total 2\n"), "{metrics}");
    assert_eq!(computed(ask(address, false).await), before);

    fuse.store(1, Ordering::SeqCst);
    let (code, body) = ask(address, false).await;
    assert!(code == 503 && body.contains("engine_dead"), "{code} {body}");
    assert_eq!(status(address, "/health/live").await, 503);
    stop.send(()).unwrap();
    timeout(PATIENCE, server).await.unwrap().unwrap().unwrap();
}
