//! Loads a running server with questions and says how it bore them: `coconut bench`. A client like any other: it knows
//! the wire as the OpenAPI document describes it, and nothing of what is behind it.

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
