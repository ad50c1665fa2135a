//! Where log lines go and what they look like. Does not write any.

use anyhow::Context as _;
use clap::ValueEnum;
use std::io::IsTerminal as _;
use tracing_subscriber::EnvFilter;

/// What log lines look like.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line, for collectors.
    Json,
}

/// What is never logged, whatever the filter says: these write requests down byte by byte, tokens included.
const SECRET: [&str; 1] = ["ureq_proto::util=off"];

/// Sends log lines that pass `filter` to standard error. To be called once.
pub(crate) fn init(format: LogFormat, filter: &str) -> anyhow::Result<()> {
    let mut filter = EnvFilter::builder()
        .parse(filter)
        .with_context(|| format!("--log-level: the filter `{filter}` is not valid, as `warn` or `info,coconut::engine=debug` are"))?;
    for module in SECRET {
        filter = filter.add_directive(module.parse().expect("a constant that is valid"));
    }
    let lines = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    let started = match format {
        LogFormat::Text => lines.with_ansi(std::io::stderr().is_terminal()).try_init(),
        LogFormat::Json => lines.json().flatten_event(true).try_init(),
    };
    started.map_err(|error| anyhow::anyhow!(error)).context("cannot start logging")
}
