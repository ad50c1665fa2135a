//! `coconut serve`: its flags, and the settings of the layers that they come to. What a server does is `http`'s.

use crate::cli::counts::count;
use crate::cli::flags::EngineArgs;
use crate::cli::flags::HubArgs;
use crate::cli::flags::ModelArgs;
use crate::cli::healthcheck::reachable;
use crate::cli::lines::Lines;
use crate::cli::runtime::block_on;
use crate::cli::secret::Secret;
use crate::cli::telemetry::Log;
use crate::cli::telemetry::LogFormat;
use crate::files;
use crate::http;
use crate::http::ApiKeys;
use crate::http::Cors;
use crate::http::MetricsCompat;
use crate::http::Playground;
use crate::http::listen::Limits;
use crate::http::serve;
use crate::http::shutdown::until_second_signal;
use crate::metrics::Metrics;
use crate::reason::reasoner::Reasoner;
use crate::reason::reasoner::ReasonerConfig;
use crate::text::units::parse_bytes;
use crate::text::units::parse_seconds;
use crate::tools::set::ToolSet;
use anyhow::Context as _;
use anyhow::ensure;
use clap::Args;
use clap::ValueEnum;
use clap::builder::FalseyValueParser;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;

/// More open files than systems give to a process.
const MAX_CONNECTIONS: usize = 1 << 20;

/// Each connection may hold one of these in memory.
const MAX_BODY: usize = 1 << 30;

/// Flags of `coconut serve`.
#[derive(Debug, Args)]
pub(super) struct ServeArgs {
    #[command(flatten, next_help_heading = "Model")]
    model: ModelArgs,
    /// Name of the model in answers and in /v1/models. [default: its published id, or the folder's name]
    #[arg(long, env = "COCONUT_MODEL_NAME", value_name = "NAME")]
    model_name: Option<String>,
    /// File with the mean thoughts of a data set, which questions may then ask for (`coconut probe` writes it).
    #[arg(hide_short_help = true, long, env = "COCONUT_THOUGHT_MEANS", value_name = "FILE")]
    thought_means: Option<PathBuf>,
    #[command(flatten, next_help_heading = "Hub")]
    hub: HubArgs,
    #[command(flatten, next_help_heading = "Engine")]
    engine: EngineArgs,
    #[command(flatten, next_help_heading = "Tools")]
    tools: ToolArgs,
    #[command(flatten, next_help_heading = "Network")]
    network: NetworkArgs,
    #[command(flatten, next_help_heading = "Access")]
    access: AccessArgs,
    #[command(flatten, next_help_heading = "Logs")]
    logs: LogArgs,
}

#[derive(Debug, Args)]
struct NetworkArgs {
    /// Address to listen on; 0.0.0.0:8080 for all interfaces.
    #[arg(long, env = "COCONUT_LISTEN", value_name = "IP:PORT", default_value = "127.0.0.1:8080")]
    listen: SocketAddr,
    /// Most open connections; further clients wait to be accepted.
    #[arg(hide_short_help = true, long, env = "COCONUT_MAX_CONNECTIONS", value_name = "N", default_value = "1024", value_parser = count(1..=MAX_CONNECTIONS))]
    max_connections: usize,
    /// Longest time for a request's head to arrive; idle connections are closed after it too.
    #[arg(hide_short_help = true, long, env = "COCONUT_HEADER_READ_TIMEOUT", value_name = "SECONDS", default_value = "10", value_parser = parse_seconds)]
    header_read_timeout: Duration,
    /// Longest time for a complete answer, and for a client to take nothing of it; a request may ask for less of the first in its x-request-timeout header.
    #[arg(hide_short_help = true, long, env = "COCONUT_REQUEST_TIMEOUT", value_name = "SECONDS", default_value = "60", value_parser = parse_seconds)]
    request_timeout: Duration,
    /// Largest request body, such as 64KiB; larger ones are refused with 413.
    #[arg(hide_short_help = true, long, env = "COCONUT_MAX_BODY", value_name = "BYTES", default_value = "1MiB", value_parser = parse_body)]
    max_body: usize,
    /// Silence in a stream after which a comment is sent, so that proxies keep the connection.
    #[arg(hide_short_help = true, long, env = "COCONUT_PING_INTERVAL", value_name = "SECONDS", default_value = "15", value_parser = parse_seconds)]
    ping_interval: Duration,
    /// Time after SIGTERM, SIGINT or SIGHUP in which questions are still answered while /health/ready says no and every answer
    /// asks its client to connect elsewhere. As long as load balancers take to notice.
    #[arg(hide_short_help = true, long, env = "COCONUT_DRAIN_DELAY", value_name = "SECONDS", default_value = "2", value_parser = parse_seconds)]
    drain_delay: Duration,
    /// Time for accepted requests to finish after that; then they are ended. A second signal, a second or more after the
    /// first, ends the process at once.
    /// An orchestrator's own limit must be 10 s longer than both (Kubernetes: terminationGracePeriodSeconds).
    #[arg(hide_short_help = true, long, env = "COCONUT_GRACE_PERIOD", value_name = "SECONDS", default_value = "30", value_parser = parse_seconds)]
    grace_period: Duration,
}

#[derive(Debug, Args)]
struct AccessArgs {
    /// Keys that clients must send as `authorization: Bearer KEY`, separated by commas. Prefer the variable or the
    /// file: other users of the machine can see flags. Without keys everybody may ask.
    #[arg(
        hide_short_help = true,
        long,
        env = "COCONUT_API_KEYS",
        value_name = "KEYS",
        value_delimiter = ',',
        hide_env_values = true
    )]
    api_keys: Option<Vec<Secret>>,
    /// File with one key a line; blank lines and lines that start with # are skipped.
    #[arg(long, env = "COCONUT_API_KEYS_FILE", value_name = "FILE")]
    api_keys_file: Option<PathBuf>,
    /// Ask for a key on /metrics and /load too; health checks are always open.
    #[arg(hide_short_help = true, long, env = "COCONUT_PROTECT_METRICS", value_parser = FalseyValueParser::new())]
    protect_metrics: bool,
    /// Tell metrics under the names of another server, too: `vllm`, as inference gateways and dashboards read them.
    #[arg(
        hide_short_help = true,
        long,
        env = "COCONUT_METRICS_COMPAT",
        value_enum,
        value_name = "SERVER"
    )]
    metrics_compat: Option<Compat>,
    /// Origins of web pages that may read answers, separated by commas: `https://example.org`, or `*` for all.
    #[arg(long, env = "COCONUT_CORS_ORIGINS", value_name = "ORIGINS", value_delimiter = ',')]
    cors_origins: Vec<String>,
    /// Serve the API only: no page at / on which questions can be asked and thoughts be seen.
    #[arg(long, env = "COCONUT_NO_UI", value_parser = FalseyValueParser::new())]
    no_ui: bool,
}

#[derive(Debug, Args)]
struct ToolArgs {
    /// Tools that models may call whose recipe says how: calculator, graph, lookup=FOLDER, http=HOST[:PORT] and, where the
    /// program was built for it, mcp=COMMAND or mcp=URL; separated by commas. None without this. A request can have fewer.
    #[arg(long, env = "COCONUT_TOOLS", value_name = "TOOLS", value_delimiter = ',')]
    tools: Vec<String>,
    /// Longest time for one call of a tool; the model is told that it was cut.
    #[arg(hide_short_help = true, long, env = "COCONUT_TOOL_TIMEOUT", value_name = "SECONDS", default_value = "10", value_parser = parse_seconds)]
    tool_timeout: Duration,
}

/// A server whose metrics others know.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Compat {
    /// vLLM.
    Vllm,
}

#[derive(Debug, Args)]
struct LogArgs {
    /// What log lines look like.
    #[arg(
        hide_short_help = true,
        long,
        env = "COCONUT_LOG_FORMAT",
        value_enum,
        default_value = "text"
    )]
    log_format: LogFormat,
    /// Least level of log lines, also by module: `warn`, or `info,coconut::engine=debug`.
    #[arg(long, env = "COCONUT_LOG_LEVEL", value_name = "FILTER", default_value = "info")]
    log_level: String,
}

impl ServeArgs {
    /// Serves until a signal says to stop.
    pub(super) fn run(self) -> anyhow::Result<()> {
        let log = Log::open(self.logs.log_format)?;
        let started = log.start(&self.logs.log_level);
        started.and_then(|()| self.serve(log.lines().clone())).map_err(|error| log.told(&error))
    }

    fn serve(self, lines: Lines) -> anyhow::Result<()> {
        let listen = self.network.listen;
        let (config, has_page) = (self.serve_config()?, !self.access.no_ui);
        self.engine.compute.start_threads();
        let (name, engine) = (self.model_name, self.engine.config());
        let thought_means = self.thought_means;
        let (processor, precision) = (self.engine.compute.device, self.engine.compute.precision());
        let (model, hub, tools) = (self.model, self.hub, self.tools.tools);
        block_on(async {
            let mut config = config;
            config.http.tools = ToolSet::open(tools).await?;
            let listener = TcpListener::bind(listen)
                .await
                .with_context(|| format!("cannot listen on {listen}"))?;
            let address = listener.local_addr().context("the listener has no address")?;
            until_second_signal(|shutdown| async move {
                // Only now that signals are listened to: whatever ends this takes its files away again.
                let (sought, built_in) = model.sought(&hub)?;
                let built_in = built_in.map(Arc::new);
                let laid_out = built_in.as_ref().map(Arc::downgrade);
                let load = move |metrics: Arc<Metrics>| {
                    lines.count_in(&metrics);
                    let model = sought.locate().context("cannot find the model")?;
                    let config =
                        ReasonerConfig { model, name, processor, precision, engine, thought_means };
                    let reasoner = Reasoner::load(&config, metrics);
                    if let Some(built_in) = laid_out.and_then(|laid_out| laid_out.upgrade()) {
                        built_in.remove();
                    }
                    let reasoner = reasoner.context("cannot load the model")?;
                    look_at(address, has_page);
                    Ok(reasoner)
                };
                serve::run(listener, config, load, shutdown).await
            })
            .await
        })?
    }

    fn serve_config(&self) -> anyhow::Result<serve::Config> {
        let network = &self.network;
        ensure!(!network.request_timeout.is_zero(), "--request-timeout must be above 0");
        ensure!(!network.header_read_timeout.is_zero(), "--header-read-timeout must be above 0");
        ensure!(!network.ping_interval.is_zero(), "--ping-interval must be above 0");
        let api_keys = self.access.api_keys()?;
        ensure!(
            !(self.access.protect_metrics && api_keys.is_empty()),
            "--protect-metrics needs keys: add --api-keys-file or COCONUT_API_KEYS"
        );
        Ok(serve::Config {
            http: http::Config {
                api_keys,
                protect_metrics: self.access.protect_metrics,
                tools: ToolSet::default(),
                tool_timeout: self.tools.tool_timeout,
                metrics_compat: self.access.metrics_compat.map(|compat| match compat {
                    Compat::Vllm => MetricsCompat::Vllm,
                }),
                cors: Cors::of(&self.access.cors_origins).context("--cors-origins")?,
                playground: if self.access.no_ui { Playground::Absent } else { Playground::Served },
                max_body_bytes: network.max_body,
                request_timeout: network.request_timeout,
                ping_interval: network.ping_interval,
            },
            limits: Limits {
                max_connections: network.max_connections,
                header_read_timeout: network.header_read_timeout,
                write_timeout: network.request_timeout,
            },
            drain_delay: network.drain_delay,
            grace_period: network.grace_period,
        })
    }
}

/// Says where people find what is served, in the last moment before it is.
fn look_at(address: SocketAddr, has_page: bool) {
    let address = reachable(address);
    match has_page {
        true => tracing::info!(
            "ask and see thoughts at http://{address}/, its API at http://{address}/docs"
        ),
        false => tracing::info!("the API is described at http://{address}/docs"),
    }
}

impl AccessArgs {
    /// Keys that were meant to be there and are not would leave the server open: that is refused.
    fn api_keys(&self) -> anyhow::Result<ApiKeys> {
        let mut keys: Vec<String> =
            self.api_keys.iter().flatten().map(|key| key.text().trim().to_owned()).collect();
        if let Some(path) = &self.api_keys_file {
            let text =
                files::read(path).with_context(|| format!("cannot read {}", path.display()))?;
            keys.extend(
                text.lines()
                    .map(str::trim)
                    .filter(|line| !line.starts_with('#'))
                    .map(str::to_owned),
            );
        }
        let keys = ApiKeys::new(keys);
        let meant = self.api_keys.is_some() || self.api_keys_file.is_some();
        ensure!(
            !(meant && keys.is_empty()),
            "--api-keys or --api-keys-file is given but holds no key"
        );
        Ok(keys)
    }
}

fn parse_body(text: &str) -> anyhow::Result<usize> {
    let bytes = parse_bytes(text)?;
    ensure!(bytes <= MAX_BODY, "must be at most 1GiB");
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct Flags {
        #[command(flatten)]
        serve: ServeArgs,
    }

    fn serve(flags: &[&str]) -> ServeArgs {
        let words = ["serve", "--model", "m"].iter().chain(flags);
        Flags::try_parse_from(words).unwrap().serve
    }

    #[test]
    fn the_defaults_are_those_of_the_layers() {
        let (ours, theirs) = (serve(&[]).serve_config().unwrap().http, http::Config::default());
        assert_eq!(format!("{ours:?}"), format!("{theirs:?}"));
    }

    #[test]
    fn protection_without_keys_is_refused() {
        let refused = |flags: &[&str]| serve(flags).serve_config().unwrap_err().to_string();
        assert!(refused(&["--protect-metrics"]).contains("--api-keys-file"));
        assert!(refused(&["--api-keys", ""]).contains("no key"));
        assert!(serve(&["--protect-metrics", "--api-keys", "a,b"]).serve_config().is_ok());
    }

    #[test]
    fn times_that_cannot_work_are_refused() {
        for flag in ["--request-timeout", "--header-read-timeout", "--ping-interval"] {
            assert!(serve(&[flag, "0"]).serve_config().is_err(), "{flag}");
        }
        for flag in ["--grace-period", "--drain-delay"] {
            assert!(serve(&[flag, "0"]).serve_config().is_ok(), "{flag}");
        }
    }
}
