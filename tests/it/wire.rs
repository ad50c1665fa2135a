//! A client of the router without a socket: requests in, statuses, headers, JSON and events out.

use crate::support::F32;
use crate::support::data;
use crate::support::models;
use axum::Router;
use axum::body::Body;
use axum::body::to_bytes;
use axum::http::HeaderMap;
use axum::http::Request;
use axum::http::StatusCode;
use axum::http::request::Builder;
use coconut::engine::config::EngineConfig;
use coconut::http;
use coconut::http::AppState;
use coconut::http::Config;
use coconut::latent::checkpoint::Location;
use coconut::metrics::Metrics;
use coconut::model::device::Processor;
use coconut::reason::reasoner::Reasoner;
use coconut::reason::reasoner::ReasonerConfig;
use coconut::tools::set::ToolSet;
use serde_json::Value;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tower::ServiceExt as _;

/// The checkpoint that answers.
pub const MODEL: &str = "coconut-gpt2-hf";

/// A server without a socket.
pub struct Wire {
    router: Router,
    pub metrics: Arc<Metrics>,
}

/// What came back, read to its end.
#[derive(Debug)]
pub struct Reply {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: String,
}

/// One server-sent event.
#[derive(Debug)]
pub struct Event {
    pub name: String,
    pub data: Value,
}

impl Wire {
    /// A server that never finishes loading.
    pub fn loading(config: Config) -> Self {
        let metrics = Arc::new(Metrics::new());
        Self { router: http::router(&AppState::new(config, Arc::clone(&metrics))), metrics }
    }

    /// A server with the fixture, and its reasoner to stop it with.
    pub fn answering(engine: EngineConfig) -> (Self, Arc<Reasoner>) {
        let metrics = Arc::new(Metrics::new());
        let reasoner = Arc::new(reasoner(engine, Arc::clone(&metrics)));
        (Self::of(Arc::clone(&reasoner), metrics), reasoner)
    }

    /// A server with the fixture and another manifest.
    pub fn reading_as(recipe: &Value) -> Self {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(&file, recipe.to_string()).unwrap();
        let recipe = Some(file.path().to_owned());
        Self::loading_from(Location { recipe, ..Location::folder(data(MODEL)) })
    }

    /// A server with the checkpoint in this folder.
    pub fn serving(folder: PathBuf) -> Self {
        Self::loading_from(Location::folder(folder))
    }

    fn loading_from(model: Location) -> Self {
        let metrics = Arc::new(Metrics::new());
        let config = config(model, EngineConfig::default(), None);
        let reasoner = Reasoner::load(&config, Arc::clone(&metrics)).unwrap();
        Self::of(Arc::new(reasoner), metrics)
    }

    /// A server with the fixture and other settings of the wire.
    pub fn limited(config: Config) -> Self {
        let metrics = Arc::new(Metrics::new());
        let reasoner = Arc::new(reasoner(EngineConfig::default(), Arc::clone(&metrics)));
        Self::with_config(config, reasoner, metrics)
    }

    /// A server with a checkpoint of the project that calls tools, and these.
    pub fn acting(model: &str, tools: ToolSet, tool_timeout: Duration) -> Self {
        let metrics = Arc::new(Metrics::new());
        let reasoning = config(Location::folder(models(model)), EngineConfig::default(), None);
        let reasoner = Arc::new(Reasoner::load(&reasoning, Arc::clone(&metrics)).unwrap());
        let config = Config { tools, tool_timeout, ..Config::default() };
        Self::with_config(config, reasoner, metrics)
    }

    /// A server with this reasoner.
    pub fn of(reasoner: Arc<Reasoner>, metrics: Arc<Metrics>) -> Self {
        Self::with_config(Config::default(), reasoner, metrics)
    }

    fn with_config(config: Config, reasoner: Arc<Reasoner>, metrics: Arc<Metrics>) -> Self {
        let state = AppState::new(config, Arc::clone(&metrics));
        state.serve(reasoner);
        Self { router: http::router(&state), metrics }
    }

    pub fn router(&self) -> Router {
        self.router.clone()
    }

    pub async fn send(&self, request: Request<Body>) -> Reply {
        let response = self.router().oneshot(request).await.unwrap();
        let (status, headers) = (response.status(), response.headers().clone());
        let body = to_bytes(response.into_body(), usize::MAX).await.unwrap();
        Reply { status, headers, body: String::from_utf8(body.to_vec()).unwrap() }
    }

    pub async fn get(&self, path: &str) -> Reply {
        self.send(Request::get(path).body(Body::empty()).unwrap()).await
    }

    pub async fn ask(&self, question: Value) -> Reply {
        self.send(asking(&question)).await
    }
}

pub fn reasoner(engine: EngineConfig, metrics: Arc<Metrics>) -> Reasoner {
    reasoner_of(engine, None, metrics)
}

/// The fixture's, with a file of mean thoughts.
pub fn reasoner_of(
    engine: EngineConfig,
    thought_means: Option<PathBuf>,
    metrics: Arc<Metrics>,
) -> Reasoner {
    Reasoner::load(&config(Location::folder(data(MODEL)), engine, thought_means), metrics).unwrap()
}

fn config(model: Location, engine: EngineConfig, thought_means: Option<PathBuf>) -> ReasonerConfig {
    let (processor, precision) = (Processor::Cpu, F32);
    ReasonerConfig { model, name: None, processor, precision, engine, thought_means }
}

/// A question as a request.
pub fn asking(question: &Value) -> Request<Body> {
    json_request().body(Body::from(question.to_string())).unwrap()
}

/// A request for an answer that lacks its body.
pub fn json_request() -> Builder {
    Request::post("/v1/reason").header("content-type", "application/json")
}

impl Reply {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }

    /// Asserts that this is an error in the one shape, and returns what is blamed.
    pub fn blames(&self, status: u16, code: &str) -> Option<String> {
        assert_eq!(self.status.as_u16(), status, "{self:?}");
        assert_eq!(self.header("content-type"), Some("application/json"), "{self:?}");
        let body = self.json();
        assert_eq!(body.as_object().unwrap().keys().collect::<Vec<_>>(), ["error"], "{self:?}");
        let error = body["error"].as_object().unwrap();
        for field in ["message", "type", "param", "code"] {
            assert!(error.contains_key(field), "{field}: {self:?}");
        }
        assert_eq!(error["code"], code, "{self:?}");
        assert!(!error["message"].as_str().unwrap().is_empty(), "{self:?}");
        error["param"].as_str().map(str::to_owned)
    }

    pub fn events(&self) -> Vec<Event> {
        assert_eq!(self.status, StatusCode::OK, "{self:?}");
        assert_eq!(self.header("content-type"), Some("text/event-stream"), "{self:?}");
        events(&self.body)
    }
}

/// The events of a stream's text; comments are left out.
pub fn events(text: &str) -> Vec<Event> {
    let field = |block: &str, name: &str| {
        block
            .lines()
            .find_map(|line| line.strip_prefix(name))
            .map(|value| value.trim_start().to_owned())
    };
    text.split("\n\n")
        .filter_map(|block| {
            let (name, data) = (field(block, "event:")?, field(block, "data:")?);
            Some(Event { name, data: serde_json::from_str(&data).unwrap() })
        })
        .collect()
}
