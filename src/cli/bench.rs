//! The flags of `coconut bench`, and what is done with the results: printed, and written where asked.

use crate::bench::picture;
use crate::bench::plan::Arrivals;
use crate::bench::plan::Ask;
use crate::bench::plan::End;
use crate::bench::plan::MAX_CLIENTS;
use crate::bench::plan::OPEN_LOOP_IN_FLIGHT;
use crate::bench::plan::Plan;
use crate::bench::plan::RATES;
use crate::bench::plan::Refused;
use crate::bench::plan::Route;
use crate::bench::plan::Server;
use crate::bench::report::Report;
use crate::bench::run;
use crate::bench::sweep::Axis;
use crate::bench::sweep::Point;
use crate::bench::sweep::Sweep;
use crate::cli::address::parse_key;
use crate::cli::address::parse_url;
use crate::cli::counts::count;
use crate::cli::questions::QuestionArgs;
use crate::reason::question::MAX_COUNT;
use crate::text::units::parse_seconds;
use anyhow::Context as _;
use anyhow::ensure;
use clap::Args;
use clap::ValueEnum;
use hyper::Uri;
use hyper::header::HeaderValue;
use serde::Serialize;
use std::io::Write as _;
use std::path::Path;
use std::path::PathBuf;
use std::time::Duration;

/// Most requests of a run: a year of them, at thirty a second.
const MAX_REQUESTS: usize = 1_000_000_000;

/// What of it is an error, the report has said.
const NONE: &str = "no request was answered; the errors are above, and the server's log says more \
                    (`connect`: nobody listens at --url)";

/// Flags of `coconut bench`.
#[derive(Debug, Args)]
pub(super) struct BenchArgs {
    #[command(flatten, next_help_heading = "Server")]
    server: ServerArgs,
    #[command(flatten, next_help_heading = "Load")]
    load: LoadArgs,
    #[command(flatten, next_help_heading = "Requests")]
    ask: AskArgs,
    #[command(flatten, next_help_heading = "Results")]
    results: ResultArgs,
}

#[derive(Debug, Args)]
struct ServerArgs {
    /// The server's address.
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:8080", value_parser = parse_url)]
    url: Uri,
    /// Key to send as `authorization: Bearer KEY`. Prefer the variable: other users of the machine can see flags.
    #[arg(long, env = "COCONUT_API_KEY", value_name = "KEY", hide_env_values = true, value_parser = parse_key)]
    api_key: Option<HeaderValue>,
    /// Longest time for one request.
    #[arg(hide_short_help = true, long, value_name = "SECONDS", default_value = "60", value_parser = parse_seconds)]
    timeout: Duration,
    /// Come back after a refusal when the server says to; without this a refusal is an error.
    #[arg(hide_short_help = true, long)]
    respect_retry_after: bool,
}

#[derive(Debug, Args)]
struct LoadArgs {
    /// They are asked in their order, again and again.
    #[command(flatten)]
    questions: QuestionArgs,
    /// Clients, each of which asks as soon as it has its answer; with --rate, most requests in flight.
    /// [default: 1; with --rate 1024]
    #[arg(long, value_name = "N", value_parser = count(1..=MAX_CLIENTS))]
    concurrency: Option<usize>,
    /// Begin so many requests a second on average, at random times, whether or not answers have come. Latency then
    /// counts from the time at which a request should have begun.
    #[arg(long, value_name = "R", value_parser = parse_rate)]
    rate: Option<f64>,
    /// Makes the random times of --rate repeatable.
    #[arg(hide_short_help = true, long, value_name = "N", default_value = "0")]
    seed: u64,
    /// Requests to make. [default: one a question, unless there is --duration]
    #[arg(long, value_name = "N", value_parser = count(0..=MAX_REQUESTS))]
    requests: Option<usize>,
    /// Time after which no more requests begin.
    #[arg(long, value_name = "SECONDS", value_parser = parse_seconds)]
    duration: Option<Duration>,
    /// Requests before those that count.
    #[arg(hide_short_help = true, long, value_name = "N", default_value = "0", value_parser = count(0..=MAX_REQUESTS))]
    warmup: usize,
    /// Do all this once for each value of one setting: `clients=1,2,4`, `rate=5,10`, `latent-steps=0,3,6` or
    /// `words=16,64,256` (questions of so many words, made of those of the data).
    #[arg(long, value_name = "SETTING=N,...")]
    sweep: Option<Sweep>,
}

/// A route that answers questions.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum RouteName {
    /// /v1/reason
    Reason,
    /// /v1/completions, with the question and a newline as the prompt
    Completions,
    /// /v1/chat/completions, with the question as the only message
    Chat,
}

#[derive(Debug, Args)]
struct AskArgs {
    /// Which route to ask; all answer the same questions.
    #[arg(long, value_enum, value_name = "ROUTE", default_value = "reason")]
    route: RouteName,
    /// Thoughts per question. [default: the model's]
    #[arg(long, value_name = "N", value_parser = count(0..=MAX_COUNT))]
    latent_steps: Option<usize>,
    /// Most answer tokens. [default: the model's]
    #[arg(long, value_name = "N", value_parser = count(1..=MAX_COUNT))]
    max_tokens: Option<usize>,
    /// Exactly so many answer tokens, so that all answers cost the same.
    #[arg(hide_short_help = true, long)]
    ignore_eos: bool,
    /// Read answers as events, and measure the time to the first token.
    #[arg(long)]
    stream: bool,
}

#[derive(Debug, Args)]
struct ResultArgs {
    /// File for the results as JSON.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// File for a picture of them as SVG.
    #[arg(long, value_name = "FILE")]
    picture: Option<PathBuf>,
    /// File for the answers as JSON lines.
    #[arg(hide_short_help = true, long, value_name = "FILE", conflicts_with = "sweep")]
    answers: Option<PathBuf>,
}

/// The results of a sweep as JSON.
#[derive(Serialize)]
struct Swept<'a> {
    setting: Axis,
    points: &'a [Point],
}

impl BenchArgs {
    /// Loads the server, prints and writes the results. It is an error if nothing was answered.
    pub(super) async fn run(self) -> anyhow::Result<()> {
        let plan = self.plan()?;
        match &self.load.sweep {
            None => self.results.show(&run(&plan).await),
            Some(sweep) => self.results.show_sweep(&plan, sweep).await,
        }
    }

    fn plan(&self) -> anyhow::Result<Plan> {
        let questions = self.load.questions.read(None).context("--data")?.examples();
        let load = &self.load;
        let requests = match (load.requests, load.duration) {
            (None, None) => Some(questions.len()),
            (requests, _) => requests,
        };
        ensure!(!self.server.timeout.is_zero(), "--timeout must be above 0");
        Ok(Plan {
            server: Server {
                base: self.server.url.clone(),
                authorization: self.server.api_key.clone(),
                timeout: self.server.timeout,
                refused: match self.server.respect_retry_after {
                    true => Refused::Returns,
                    false => Refused::Counts,
                },
            },
            ask: Ask {
                route: match self.ask.route {
                    RouteName::Reason => Route::Reason,
                    RouteName::Completions => Route::Completions,
                    RouteName::Chat => Route::Chat,
                },
                latent_steps: self.ask.latent_steps,
                max_tokens: self.ask.max_tokens,
                ignore_eos: self.ask.ignore_eos,
                stream: self.ask.stream,
            },
            questions,
            arrivals: load.arrivals(),
            end: End { requests, duration: load.duration },
            warmup: load.warmup,
        })
    }
}

impl LoadArgs {
    fn arrivals(&self) -> Arrivals {
        match self.rate {
            None => Arrivals::Closed { clients: self.concurrency.unwrap_or(1) },
            Some(rate) => Arrivals::Open {
                rate,
                seed: self.seed,
                most_in_flight: self.concurrency.unwrap_or(OPEN_LOOP_IN_FLIGHT),
            },
        }
    }
}

impl ResultArgs {
    fn show(&self, report: &Report) -> anyhow::Result<()> {
        write!(std::io::stdout(), "{report}")?;
        if let Some(path) = &self.json {
            write_json(path, report)?;
        }
        if let Some(path) = &self.picture {
            picture::latency(path, report)?;
        }
        if let Some(path) = &self.answers {
            let lines: Vec<String> =
                report.answers.iter().map(serde_json::to_string).collect::<Result<_, _>>()?;
            write_text(path, &lines.join("\n"))?;
        }
        ensure!(report.answered > 0, "{NONE}");
        Ok(())
    }

    async fn show_sweep(&self, plan: &Plan, sweep: &Sweep) -> anyhow::Result<()> {
        let mut points = Vec::with_capacity(sweep.values.len());
        for &value in &sweep.values {
            let report = run(&plan.at(sweep.axis, value)).await;
            writeln!(std::io::stdout(), "{} {value}\n{report}", sweep.axis.name())?;
            points.push(Point { value, report });
        }
        if let Some(path) = &self.json {
            write_json(path, &Swept { setting: sweep.axis, points: &points })?;
        }
        if let Some(path) = &self.picture {
            picture::sweep(path, sweep.axis, &points)?;
        }
        ensure!(points.iter().any(|point| point.report.answered > 0), "{NONE}");
        Ok(())
    }
}

fn write_json(path: &Path, value: &impl Serialize) -> anyhow::Result<()> {
    write_text(path, &serde_json::to_string_pretty(value)?)
}

fn write_text(path: &Path, text: &str) -> anyhow::Result<()> {
    std::fs::write(path, format!("{text}\n"))
        .with_context(|| format!("cannot write {}", path.display()))
}

fn parse_rate(text: &str) -> anyhow::Result<f64> {
    let rate: f64 = text.parse().context("not a number of requests a second")?;
    ensure!(RATES.contains(&rate), "must be from {} to {}", RATES.start(), RATES.end());
    Ok(rate)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_rates_that_requests_can_have_are_taken() {
        assert!(parse_rate("0.5").is_ok());
        for wrong in ["0", "-1", "1e-320", "1e308", "inf", "NaN", "x"] {
            assert!(parse_rate(wrong).is_err(), "{wrong}");
        }
    }
}
