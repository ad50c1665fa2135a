//! `coconut eval --url` as a user runs it: against a real server it finds what `eval` finds without one, goes on where it
//! ended, and comes back when a server says to.

use crate::cli::coconut;
use crate::serve::Running;
use crate::serve::config;
use crate::serve::fixture;
use crate::serve::start;
use crate::support::data;
use crate::wire::MODEL;
use axum::Router;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::http::StatusCode;
use axum::response::IntoResponse as _;
use axum::response::Response;
use axum::routing::get;
use axum::routing::post;
use coconut::http;
use coconut::http::ApiKeys;
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

/// A folder with questions and results.
struct Folder(TempDir);

impl Folder {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut questions: Vec<Value> =
            ["Is Bob a lempus?", "Every lempus is a yerpus.", "How many?"]
                .map(|question| json!({"question": question, "answer": "a"}))
                .to_vec();
        // One that is too long, and one whose words are not all known.
        questions.push(json!({"question": "x ".repeat(5000), "answer": "a"}));
        questions.push(json!({"question": "Quux \u{1f40d}?", "answer": "a"}));
        std::fs::write(folder.path().join("q.json"), Value::from(questions).to_string()).unwrap();
        Self(folder)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn json(&self, name: &str) -> Value {
        serde_json::from_str(&std::fs::read_to_string(self.path(name)).unwrap()).unwrap()
    }

    /// Evaluates, with the report in this file.
    async fn eval(&self, name: &str, who: &[&str], flags: &str) -> Output {
        let mut command = coconut(&["eval", "--max-tokens", "4"]);
        command.args(who).args(flags.split_whitespace());
        command.arg("--data").arg(self.path("q.json")).arg("--json").arg(self.path(name));
        tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap()
    }

    async fn there(&self, name: &str, address: SocketAddr, flags: &str) -> Output {
        self.eval(name, &["--url", &format!("http://{address}")], flags).await
    }
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// A report without its times.
fn lasting(mut report: Value) -> Value {
    for run in report["runs"].as_array_mut().unwrap() {
        for field in ["mean_seconds", "wall_seconds"] {
            run.as_object_mut().unwrap().remove(field);
        }
        for answer in run["answers"].as_array_mut().unwrap() {
            answer.as_object_mut().unwrap().remove("seconds");
        }
    }
    report
}

async fn ready(config: coconut::http::serve::Config) -> Running {
    let server = start(config, fixture).await;
    server.until("/health/ready", "HTTP/1.1 200").await;
    server
}

/// How many questions a server has answered.
async fn answered(server: &Running) -> f64 {
    let metrics = server.get("/metrics").await;
    let finished = metrics.lines().filter(|line| line.starts_with("coconut_finished_total{"));
    finished.map(|line| line.rsplit(' ').next().unwrap().parse::<f64>().unwrap()).sum()
}

#[tokio::test]
async fn a_server_is_as_right_as_the_checkpoint_to_the_answer() {
    let (server, folder) = (ready(config()).await, Folder::new());
    let model = data(MODEL);
    let here = ["--model", model.to_str().unwrap(), "--dtype", "f32"];
    for flags in [
        "--latent-steps 0,2 --concurrency 3",
        "--latent-steps 3 --samples 3 --latent-noise 0.3 --temperature 0.8 --seed 5",
        "--latent-steps 2 --feedback random --seed 1",
    ] {
        for name in ["here.json", "there.json"] {
            let _ = std::fs::remove_file(folder.path(name));
        }
        let ours = folder.eval("here.json", &here, flags).await;
        assert!(ours.status.success(), "{flags}: {}", said(&ours));
        let theirs = folder.there("there.json", server.address, flags).await;
        assert!(theirs.status.success(), "{flags}: {}", said(&theirs));
        let (ours, theirs) = (folder.json("here.json"), folder.json("there.json"));
        let run = &ours["runs"][0];
        assert_eq!((&run["questions"], &run["unanswered"]), (&json!(5), &json!(1)), "{flags}");
        assert_eq!(lasting(ours), lasting(theirs), "{flags}");
    }
    server.stopped().await.unwrap();
}

#[tokio::test]
async fn what_is_in_the_file_is_not_asked_again() {
    let (server, folder) = (ready(config()).await, Folder::new());
    let first = folder.there("r.json", server.address, "--latent-steps 2 --limit 2").await;
    assert!(first.status.success(), "{}", said(&first));
    let (asked, before) = (answered(&server).await, folder.json("r.json"));
    assert_eq!((asked, before["runs"][0]["questions"].as_u64()), (2.0, Some(2)));
    let all = folder.there("r.json", server.address, "--latent-steps 0,2").await;
    assert!(
        all.status.success() && said(&all).contains("going on behind 2 answers"),
        "{}",
        said(&all)
    );
    // Four of five questions have an answer, at two numbers of thoughts; two were asked before.
    assert_eq!(answered(&server).await, 8.0);
    let report = folder.json("r.json");
    let steps: Vec<_> = (0..2).map(|run| &report["runs"][run]["latent_steps"]).collect();
    assert_eq!(steps, [0, 2]);
    let answers = report["runs"][1]["answers"].as_array().unwrap();
    assert_eq!(answers[..2], before["runs"][0]["answers"].as_array().unwrap()[..]);
    assert_eq!(
        answers.iter().map(|one| one["number"].as_u64().unwrap()).collect::<Vec<_>>(),
        [1, 2, 3, 4, 5]
    );
    // All of it is there: nothing is asked, and the same is told.
    let again = folder.there("r.json", server.address, "--latent-steps 0,2").await;
    assert_eq!((again.stdout, answered(&server).await), (all.stdout, 8.0));
    assert_eq!(folder.json("r.json"), report);
    for (flags, field) in [("--seed 1", "settings"), ("--samples 2", "settings")] {
        let other = folder.there("r.json", server.address, flags).await;
        assert_eq!(other.status.code(), Some(1));
        assert!(said(&other).contains(&format!("`{field}` differs")), "{}", said(&other));
    }
    // The same name and questions, and other weights behind the address.
    let mut elsewhere = report.clone();
    elsewhere["fingerprint"] = "0123456789abcdef".into();
    std::fs::write(folder.path("r.json"), elsewhere.to_string()).unwrap();
    let other = folder.there("r.json", server.address, "--latent-steps 0,2").await;
    assert!(said(&other).contains("`fingerprint` differs"), "{}", said(&other));
    std::fs::write(folder.path("r.json"), report.to_string()).unwrap();
    let questions = std::fs::read_to_string(folder.path("q.json")).unwrap();
    std::fs::write(folder.path("q.json"), questions.replace(r#""a""#, r#""b""#)).unwrap();
    let other = folder.there("r.json", server.address, "--latent-steps 2").await;
    assert!(said(&other).contains("is of other questions"), "{}", said(&other));
    assert_eq!(folder.json("r.json"), report, "another run leaves the file as it is");
    std::fs::write(folder.path("r.json"), "[]").unwrap();
    let other = folder.there("r.json", server.address, "").await;
    assert!(said(&other).contains("is no report"), "{}", said(&other));
    let left = std::fs::read_dir(folder.0.path()).unwrap().count();
    assert_eq!(left, 2, "questions and report, and nothing unfinished");
    server.stopped().await.unwrap();
}

#[tokio::test]
async fn a_server_that_asks_for_a_key_gets_it() {
    let keys = ApiKeys::new(vec!["open".to_owned()]);
    let http = http::Config { api_keys: keys, ..http::Config::default() };
    let (server, folder) =
        (ready(coconut::http::serve::Config { http, ..config() }).await, Folder::new());
    let without = folder.there("r.json", server.address, "--limit 1").await;
    assert!(
        !without.status.success() && said(&without).contains("COCONUT_API_KEY"),
        "{}",
        said(&without)
    );
    let with = folder.there("r.json", server.address, "--limit 1 --api-key open").await;
    assert!(with.status.success(), "{}", said(&with));
    let much = folder.there("s.json", server.address, "--api-key open --latent-steps 33").await;
    assert!(said(&much).contains("maximum of 32"), "{}", said(&much));
    let address = server.address;
    server.stopped().await.unwrap();
    let gone = folder.there("r.json", address, "").await;
    assert!(
        !gone.status.success() && said(&gone).contains("is a coconut server running there?"),
        "{}",
        said(&gone)
    );
}

// ===== a server that is not always there =====

/// What is answered to the question with a number, from 0, counted over all that were asked.
type Misdeed = fn(usize) -> Option<Response>;

async fn unreliable(misdeed: Misdeed) -> (SocketAddr, Arc<AtomicUsize>) {
    let asked = Arc::new(AtomicUsize::new(0));
    let models = async || {
        let facts = json!({"family": "coconut", "default_latent_steps": 6, "max_latent_steps": 32});
        axum::Json(json!({"object": "list", "data": [{"id": "fake", "coconut": facts}]}))
    };
    let answer = async move |State(asked): State<Arc<AtomicUsize>>, _headers: HeaderMap| {
        misdeed(asked.fetch_add(1, Ordering::SeqCst)).unwrap_or_else(|| {
            let usage = json!({"completion_tokens": 3, "latent_steps": 6});
            axum::Json(json!({
                "answer": "a", "text": "### a", "usage": usage, "timings": {"total_ms": 5.0},
            }))
            .into_response()
        })
    };
    let router = Router::new()
        .route("/v1/models", get(models))
        .route("/v1/reason", post(answer))
        .with_state(Arc::clone(&asked));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async { axum::serve(listener, router).await });
    (address, asked)
}

fn later(status: StatusCode) -> Response {
    let error = json!({"error": {"message": "not now", "type": "t", "param": null, "code": "c"}});
    (status, [("retry-after", "0")], axum::Json(error)).into_response()
}

#[tokio::test]
async fn refusals_are_come_back_after() {
    let refusing: Misdeed = |number| match number % 4 {
        1 => Some(later(StatusCode::TOO_MANY_REQUESTS)),
        2 => Some(later(StatusCode::SERVICE_UNAVAILABLE)),
        _ => None,
    };
    let ((address, asked), folder) = (unreliable(refusing).await, Folder::new());
    let output = folder.there("r.json", address, "--concurrency 2").await;
    assert!(output.status.success(), "{}", said(&output));
    let report = folder.json("r.json");
    assert_eq!((&report["runs"][0]["correct"], &report["model"]), (&json!(5), &json!("fake")));
    assert!(asked.load(Ordering::SeqCst) > 5, "{asked:?}");
}

#[tokio::test]
async fn a_run_goes_on_where_its_server_went_away() {
    let dying: Misdeed = |number| (number >= 3).then(|| later(StatusCode::SERVICE_UNAVAILABLE));
    let ((address, _), folder) = (unreliable(dying).await, Folder::new());
    let output = folder.there("r.json", address, "--concurrency 1").await;
    let text = said(&output);
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(text.contains("ended after 3 answers") && text.contains("asked 5 times"), "{text}");
    assert_eq!(folder.json("r.json")["runs"][0]["questions"], 3);
    let ((address, asked), well) = (unreliable(|_| None).await, "--concurrency 1");
    let output = folder.there("r.json", address, well).await;
    assert!(output.status.success(), "{}", said(&output));
    assert_eq!(
        (folder.json("r.json")["runs"][0]["questions"].as_u64(), asked.load(Ordering::SeqCst)),
        (Some(5), 2)
    );
}

/// Answers that are read otherwise than the server reads them would be counted as wrong.
#[tokio::test]
async fn another_rule_for_answers_is_noticed() {
    let ((address, _), folder) = (unreliable(|_| None).await, Folder::new());
    let output = folder.there("r.json", address, "--answer-rule whole").await;
    assert_eq!(output.status.code(), Some(1));
    assert!(said(&output).contains("--answer-rule"), "{}", said(&output));
}
