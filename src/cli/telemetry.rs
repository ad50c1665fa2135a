//! Where log lines go and what they look like. Does not write any but the last.

use crate::cli::failure::Told;
use crate::cli::failure::as_json;
use crate::cli::failure::in_words;
use crate::cli::lines::Lines;
use anyhow::Context as _;
use clap::ValueEnum;
use std::io::IsTerminal as _;
use std::panic::PanicHookInfo;
use std::time::Duration;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::MakeWriter;

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

/// Time at the end of the process for lines that are not written yet.
const LAST_LINES: Duration = Duration::from_secs(1);

/// Sends log lines that pass `filter` to standard error. To be called once.
pub(crate) fn init(format: LogFormat, filter: &str) -> anyhow::Result<()> {
    subscribe(format, filter, std::io::stderr)
}

fn subscribe<W>(format: LogFormat, filter: &str, writer: W) -> anyhow::Result<()>
where
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    let mut filter = EnvFilter::builder()
        .parse(filter)
        .with_context(|| format!("--log-level: the filter `{filter}` is not valid, as `warn` or `info,coconut::engine=debug` are"))?;
    for module in SECRET {
        filter = filter.add_directive(module.parse().expect("a constant that is valid"));
    }
    // A line that cannot be written would be told where it could not be written, by a panic.
    let lines = tracing_subscriber::fmt().log_internal_errors(false);
    let lines = lines.with_env_filter(filter).with_writer(writer);
    let started = match format {
        LogFormat::Text => lines.with_ansi(std::io::stderr().is_terminal()).try_init(),
        LogFormat::Json => lines.json().flatten_event(true).try_init(),
    };
    started.map_err(|error| anyhow::anyhow!(error)).context("cannot start logging")
}

/// The log of a server: nobody waits for whoever reads it. What is not written when it is dropped has a moment more.
#[derive(Debug)]
pub(crate) struct Log {
    lines: Lines,
    format: LogFormat,
}

impl Log {
    /// A log without lines.
    pub(crate) fn open(format: LogFormat) -> anyhow::Result<Self> {
        let tell = |lines| tracing::warn!(lines, "log lines were lost: they could not be written");
        let lines =
            Lines::start(std::io::stderr(), tell).context("cannot start a thread for logs")?;
        Ok(Self { lines, format })
    }

    /// Sends lines that pass `filter` there, and what panics say. To be called once.
    pub(crate) fn start(&self, filter: &str) -> anyhow::Result<()> {
        let lines = self.lines.clone();
        subscribe(self.format, filter, move || lines.clone())?;
        // The usual hook writes itself, and would wait.
        std::panic::set_hook(Box::new(tell_panic));
        Ok(())
    }

    /// Where its lines wait.
    pub(crate) fn lines(&self) -> &Lines {
        &self.lines
    }

    /// Says why the process ends, in the form that lines have and whatever the filter is. What it gives back has no more to
    /// say.
    pub(crate) fn told(&self, error: &anyhow::Error) -> anyhow::Error {
        let said = match self.format {
            LogFormat::Text => in_words(error),
            LogFormat::Json => as_json(error),
        };
        self.lines.push(said.as_bytes());
        Told.into()
    }
}

impl Drop for Log {
    fn drop(&mut self) {
        self.lines.finish(LAST_LINES);
    }
}

fn tell_panic(panic: &PanicHookInfo<'_>) {
    let thread = std::thread::current();
    let backtrace = std::backtrace::Backtrace::capture();
    let is_captured = backtrace.status() == std::backtrace::BacktraceStatus::Captured;
    tracing::error!(
        thread = thread.name(),
        place = panic.location().map(tracing::field::display),
        backtrace = is_captured.then(|| tracing::field::display(&backtrace)),
        "panicked: {}",
        panic.payload_as_str().unwrap_or("without a message"),
    );
}
