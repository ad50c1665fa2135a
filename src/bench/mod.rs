//! Loads a running server with questions and says how it bore them: `coconut bench`. A client like any other: it knows
//! the wire as the OpenAPI document describes it, and nothing of what is behind it.
//!
//! ```
//! # use coconut::data::example::Example;
//! # use coconut::engine::config::EngineConfig;
//! # use coconut::http::AppState;
//! # use coconut::http::Config;
//! # use coconut::http::router;
//! # use coconut::latent::checkpoint::Location;
//! # use coconut::metrics::Metrics;
//! # use coconut::model::device::Processor;
//! # use coconut::reason::reasoner::Precision;
//! # use coconut::reason::reasoner::Reasoner;
//! # use coconut::reason::reasoner::ReasonerConfig;
//! # use std::sync::Arc;
//! # use std::time::Duration;
//! use coconut::bench::plan::Arrivals;
//! use coconut::bench::plan::Ask;
//! use coconut::bench::plan::End;
//! use coconut::bench::plan::Plan;
//! use coconut::bench::plan::Refused;
//! use coconut::bench::plan::Server;
//! use coconut::bench::run;
//!
//! # #[tokio::main]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let metrics = Arc::new(Metrics::new());
//! # let config = ReasonerConfig {
//! #     model: Location::folder("models/prosqa"),
//! #     name: None,
//! #     processor: Processor::Cpu,
//! #     precision: Precision::default(),
//! #     engine: EngineConfig::default(),
//! #     thought_means: None,
//! # };
//! # let reasoner = Reasoner::load(&config, Arc::clone(&metrics))?;
//! # let question = "Every rempus is a jelpus. Sam is a chorpus. Every chorpus is a yimpus. \
//! #                 Is Sam a yimpus or jelpus?".to_owned();
//! # let state = AppState::new(Config::default(), metrics);
//! # state.serve(Arc::new(reasoner));
//! # let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
//! # let address = listener.local_addr()?;
//! # tokio::spawn(async move { axum::serve(listener, router(&state)).await });
//! let plan = Plan {
//!     server: Server {
//!         base: format!("http://{address}").parse()?,
//!         authorization: None,
//!         timeout: Duration::from_secs(60),
//!         refused: Refused::Counts,
//!     },
//!     ask: Ask { latent_steps: Some(2), stream: true, ..Ask::default() },
//!     questions: vec![Example { question, ..Example::default() }],
//!     arrivals: Arrivals::Closed { clients: 2 },
//!     end: End { requests: Some(4), duration: None },
//!     warmup: 0,
//! };
//! let report = run(&plan).await;
//! assert_eq!((report.answered, report.errors.len()), (4, 0));
//! assert!(report.first_token_ms.is_some());
//! # Ok(())
//! # }
//! ```

mod arrivals;
mod client;
pub mod picture;
pub mod plan;
mod progress;
mod record;
pub mod report;
pub mod sweep;
mod target;

use crate::bench::arrivals::arrivals;
use crate::bench::client::Client;
use crate::bench::plan::Arrivals;
use crate::bench::plan::End;
use crate::bench::plan::Plan;
use crate::bench::progress::Progress;
use crate::bench::record::Recorder;
use crate::bench::report::Report;
use futures::StreamExt as _;
use std::pin::pin;

/// Runs a plan to its end: every request that was begun is waited for, at most as long as its time limit.
pub async fn run(plan: &Plan) -> Report {
    let client = Client::new(plan);
    warm_up(plan, &client).await;
    let mut recorder = Recorder::default();
    // A stream that is asked for its next request when one of so many ends: without a rate, that is so many clients.
    let mut samples = pin!(
        arrivals(plan.arrivals, plan.end)
            .map(|arrival| client.ask(arrival, plan.question(arrival.number)))
            .buffer_unordered(plan.arrivals.most_in_flight())
    );
    let progress = Progress::start(plan.end);
    while let Some(sample) = samples.next().await {
        progress.count();
        recorder.take(sample);
    }
    drop(progress);
    recorder.report(plan)
}

/// Opens connections and fills caches; what comes of it does not count.
async fn warm_up(plan: &Plan, client: &Client) {
    let clients = plan.arrivals.most_in_flight().min(plan.warmup).max(1);
    let end = End { requests: Some(plan.warmup), duration: None };
    arrivals(Arrivals::Closed { clients }, end)
        .map(|arrival| client.ask(arrival, plan.question(arrival.number)))
        .buffer_unordered(clients)
        .for_each(async |_sample| {})
        .await;
}
