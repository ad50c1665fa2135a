//! `coconut bench` as a user runs it: against a server with a fixture, whose own counts must agree, and against one that
//! does everything wrong that a server can.

use crate::cli::coconut;
use crate::serve::Running;
use crate::serve::config;
use crate::serve::fixture;
use crate::serve::start;
use crate::wire::reasoner;
use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::IntoResponse as _;
use axum::response::Response;
use axum::routing::post;
use coconut::engine::config::EngineConfig;
use serde_json::Value;
use serde_json::json;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Output;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering;
use tempfile::TempDir;
use tokio::net::TcpListener;

const QUESTIONS: [&str; 3] =
    ["Is Bob a lempus?", "Every lempus is a yerpus. Is Bob a yerpus?", "How many pens are left?"];

/// A folder with questions, for results.
struct Bench {
    folder: TempDir,
}

/// What a run said.
struct Ran {
    output: Output,
    json: Value,
}

impl Bench {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let example = |question: &&str| {
            json!({"question": question, "steps": [], "answer": "yes"}).to_string()
        };
        let lines: Vec<String> = QUESTIONS.iter().map(example).collect();
        std::fs::write(folder.path().join("questions.jsonl"), lines.join("\n")).unwrap();
        Self { folder }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.path(name)).unwrap()
    }

    async fn run(&self, address: SocketAddr, flags: &str) -> Ran {
        let mut command = coconut(&["bench"]);
        command.args(["--url", &format!("http://{address}")]).args(flags.split_whitespace());
        command.arg("--data").arg(self.path("questions.jsonl"));
        command.arg("--json").arg(self.path("report.json"));
        command.arg("--picture").arg(self.path("picture.svg"));
        let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
        assert!(self.path("report.json").exists(), "{output:?}");
        Ran { output, json: serde_json::from_str(&self.read("report.json")).unwrap() }
    }
}

impl Ran {
    fn succeeded(self) -> Value {
        assert!(self.output.status.success(), "{:?}", self.output);
        self.json
    }
}

async fn ready() -> Running {
    let server = start(config(), fixture).await;
    server.until("/health/ready", "HTTP/1.1 200").await;
    server
}

fn count(report: &Value, rate: &str) -> f64 {
    (report[rate].as_f64().unwrap() * report["seconds"].as_f64().unwrap()).round()
}

#[tokio::test]
async fn clients_in_a_closed_loop_make_exactly_the_requests_asked_for() {
    let (server, bench) = (ready().await, Bench::new());
    let answers = bench.path("answers.jsonl");
    let flags = format!(
        "--requests 7 --concurrency 3 --warmup 2 --latent-steps 3 --max-tokens 4 --ignore-eos --answers {}",
        answers.display()
    );
    let ran = bench.run(server.address, &flags).await;
    let printed = String::from_utf8_lossy(&ran.output.stdout).into_owned();
    assert!(printed.contains("7 answered") && printed.contains("p99"), "{printed}");
    let report = ran.succeeded();
    assert_eq!((&report["requests"], &report["answered"]), (&json!(7), &json!(7)));
    assert_eq!(report["errors"], json!({}));
    assert_eq!(
        (count(&report, "tokens_per_second"), count(&report, "thoughts_per_second")),
        (28.0, 21.0)
    );
    assert_eq!(report["first_token_ms"], Value::Null);
    let longest = report["latency_ms"]["max"].as_f64().unwrap() / 1000.0;
    let seconds = report["seconds"].as_f64().unwrap();
    assert!(longest > 0.0 && longest <= seconds, "{report}");
    assert!(bench.read("picture.svg").contains("</svg>"));

    let lines: Vec<Value> = bench
        .read("answers.jsonl")
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let asked: Vec<&str> = lines.iter().map(|line| line["question"].as_str().unwrap()).collect();
    assert_eq!(asked, QUESTIONS.into_iter().cycle().take(7).collect::<Vec<_>>());
    assert_eq!(lines[0]["text"], lines[3]["text"]);
    // The server has counted the same, and the warm-up.
    let metrics = server.get("/metrics").await;
    assert!(metrics.contains("\ncoconut_finished_total{reason=\"length\"} 9\n"), "{metrics}");
    server.stopped().await.unwrap();
}

#[tokio::test]
async fn an_open_loop_of_streams_knows_the_time_to_the_first_token() {
    let (server, bench) = (ready().await, Bench::new());
    for route in ["reason", "completions", "chat"] {
        let flags =
            "--rate 500 --requests 11 --stream --latent-steps 2 --max-tokens 5 --ignore-eos";
        let flags = format!("{flags} --route {route}");
        let report = bench.run(server.address, &flags).await.succeeded();
        assert_eq!((&report["requests"], &report["answered"]), (&json!(11), &json!(11)), "{route}");
        assert_eq!(
            (count(&report, "tokens_per_second"), count(&report, "thoughts_per_second")),
            (55.0, 22.0)
        );
        let time = |of: &str, which: &str| report[of][which].as_f64().unwrap();
        assert!(time("first_token_ms", "max") <= time("latency_ms", "max"), "{report}");
        assert!(time("first_token_ms", "p50") > 0.0, "{report}");
    }
    server.stopped().await.unwrap();
}

#[tokio::test]
async fn a_sweep_runs_once_for_each_value() {
    let (server, bench) = (ready().await, Bench::new());
    let flags = "--requests 2 --max-tokens 3 --ignore-eos --sweep";
    let swept = bench.run(server.address, &format!("{flags} latent-steps=0,2")).await.succeeded();
    assert_eq!(swept["setting"], "latent-steps");
    let thoughts: Vec<f64> = swept["points"]
        .as_array()
        .unwrap()
        .iter()
        .map(|point| count(point, "thoughts_per_second"))
        .collect();
    assert_eq!(thoughts, [0.0, 4.0]);
    assert!(bench.read("picture.svg").contains("latent steps"));

    let swept = bench.run(server.address, &format!("{flags} words=4,16")).await.succeeded();
    let prompt = |index: usize| swept["points"][index]["prompt_tokens"].as_f64().unwrap();
    assert!(prompt(1) > 2.0 * prompt(0), "{swept}");
    server.stopped().await.unwrap();
}

#[tokio::test]
async fn refusals_of_a_full_queue_are_counted() {
    let engine = EngineConfig { max_running: 1, max_queued: 1, ..EngineConfig::default() };
    let server = start(config(), move |metrics| Ok(reasoner(engine, metrics))).await;
    server.until("/health/ready", "HTTP/1.1 200").await;
    let flags = "--requests 40 --concurrency 20 --max-tokens 60 --ignore-eos";
    let report = Bench::new().run(server.address, flags).await.succeeded();
    let refused = report["errors"]["status 429"].as_u64().unwrap_or(0);
    assert_eq!(report["answered"].as_u64().unwrap() + refused, 40, "{report}");
    assert_eq!(report["told_to_return"], refused, "{report}");
    server.stopped().await.unwrap();
}

#[tokio::test]
async fn where_nothing_is_answered_the_exit_code_says_so() {
    let server = ready().await;
    let ran = Bench::new().run(server.address, "--requests 3 --latent-steps 999").await;
    assert_eq!(ran.output.status.code(), Some(1));
    assert_eq!(ran.json["errors"], json!({"status 422": 3}));
    let address = server.address;
    server.stopped().await.unwrap();

    let ran = Bench::new().run(address, "--requests 2").await;
    assert_eq!(ran.output.status.code(), Some(1));
    assert_eq!(ran.json["errors"], json!({"connect": 2}));
    assert!(String::from_utf8_lossy(&ran.output.stderr).contains("no request was answered"));
}

// ===== a server that does everything wrong =====

const ANSWER: &str = r#"{"answer": "a", "text": "a", "usage": {"prompt_tokens": 1, "latent_steps": 2, "completion_tokens": 3}}"#;

/// Answers requests in turn with the misdeeds of a list.
async fn misbehaving(misdeeds: &'static [fn() -> Response]) -> SocketAddr {
    let next = Arc::new(AtomicUsize::new(0));
    let answer = async move |State(next): State<Arc<AtomicUsize>>| {
        let number = next.fetch_add(1, Ordering::SeqCst);
        misdeeds[number % misdeeds.len()]()
    };
    let router = Router::new().route("/v1/reason", post(answer)).with_state(next);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, router).await });
    address
}

fn busy() -> Response {
    (StatusCode::TOO_MANY_REQUESTS, [("retry-after", "0")], "{}").into_response()
}

fn events(body: &'static str) -> Response {
    ([("content-type", "text/event-stream")], body).into_response()
}

#[tokio::test]
async fn each_way_to_fail_is_a_kind_of_its_own() {
    let address = misbehaving(&[
        || ANSWER.into_response(),
        busy,
        || StatusCode::INTERNAL_SERVER_ERROR.into_response(),
        || "{".into_response(),
        // A head, and then nothing.
        || {
            axum::body::Body::from_stream(futures::stream::pending::<
                    Result<&str, std::io::Error>,
                >())
                .into_response()
        },
    ])
    .await;
    let report = Bench::new().run(address, "--requests 10 --timeout 0.5").await.succeeded();
    assert_eq!(report["answered"], 2);
    let errors = json!({"status 429": 2, "status 500": 2, "broken": 2, "timeout": 2});
    assert_eq!(report["errors"], errors);
}

#[tokio::test]
async fn streams_that_end_without_an_answer_are_errors() {
    let address = misbehaving(&[
        || events("event: token\ndata: {}\n\nevent: done\ndata: {\"answer\": \"\", \"text\": \"\", \"usage\": {\"prompt_tokens\": 1, \"latent_steps\": 0, \"completion_tokens\": 1}}\n\n"),
        || events("event: error\ndata: {\"error\": {\"code\": \"deadline\"}}\n\n"),
        || events("event: token\ndata: {}\n\n"),
    ])
    .await;
    let report = Bench::new().run(address, "--requests 6 --stream").await.succeeded();
    assert_eq!(report["answered"], 2);
    assert_eq!(report["errors"], json!({"event deadline": 2, "broken": 2}));
}

#[tokio::test]
async fn clients_that_come_back_when_told_get_their_answers() {
    let address = misbehaving(&[busy, busy, || ANSWER.into_response()]).await;
    let report = Bench::new().run(address, "--requests 4 --respect-retry-after").await.succeeded();
    assert_eq!((&report["answered"], &report["told_to_return"]), (&json!(4), &json!(8)));
    assert_eq!(report["errors"], json!({}));
}
