//! All metrics of the process as one typed struct with a private registry. Knows names, help texts and buckets; does
//! not know who records what or when, and not HTTP.
//!
//! The doc comment of a field is the help text that Prometheus shows; a field `f` is exported as `coconut_f`.
//!
//! ```
//! use coconut::metrics::Metrics;
//!
//! let metrics = Metrics::new();
//! metrics.latent_steps_total.inc_by(6);
//! metrics.finished_total.with_label_values(&["stop"]).inc();
//!
//! let text = metrics.encode();
//! assert!(text.contains("coconut_latent_steps_total 6\n"));
//! assert!(text.contains("coconut_finished_total{reason=\"stop\"} 1\n"));
//! ```

pub mod vllm;

use prometheus::Gauge;
use prometheus::Histogram;
use prometheus::HistogramOpts;
use prometheus::HistogramVec;
use prometheus::IntCounter;
use prometheus::IntCounterVec;
use prometheus::IntGauge;
use prometheus::IntGaugeVec;
use prometheus::Opts;
use prometheus::Registry;
use prometheus::TextEncoder;
use prometheus::core::Collector;

/// Five buckets a decade (the preferred numbers R5) from 100 microseconds to a minute: latent steps of small models
/// take a few milliseconds, a full answer of a large one seconds.
const SECONDS: &[f64] = &[
    0.0001, 0.00016, 0.00025, 0.0004, 0.00063, 0.001, 0.0016, 0.0025, 0.004, 0.0063, 0.01, 0.016,
    0.025, 0.04, 0.063, 0.1, 0.16, 0.25, 0.4, 0.63, 1.0, 1.6, 2.5, 4.0, 6.3, 10.0, 16.0, 25.0,
    40.0, 63.0,
];

/// Rows in a step.
const ROWS: &[f64] =
    &[0.0, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0, 1024.0, 2048.0, 4096.0];

/// Lengths of hidden states: about 10 to 500 after a final norm; a model that drifts shows above.
const NORMS: &[f64] = &[
    0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 16.0, 25.0, 40.0, 63.0, 100.0, 160.0, 250.0, 400.0, 630.0,
    1000.0, 2500.0, 10_000.0,
];

/// Declares the struct and how each field is made: `name: Type["label", ...] = BUCKETS`.
macro_rules! metrics {
    (
        $(#[$meta:meta])*
        pub struct $name:ident {
            $( #[doc = $help:literal] pub $field:ident: $kind:ident $([$($label:literal),+])? $(= $buckets:ident)?, )*
        }
    ) => {
        $(#[$meta])*
        pub struct $name {
            registry: Registry,
            $( #[doc = $help] pub $field: $kind, )*
        }

        impl $name {
            fn registered() -> prometheus::Result<Self> {
                let registry = Registry::new_custom(Some("coconut".to_owned()), None)?;
                $(
                    let declared = Declared {
                        name: stringify!($field),
                        help: $help.trim(),
                        labels: &[$($($label),+)?],
                        buckets: [$($buckets)?].first().copied().unwrap_or(SECONDS),
                    };
                    let $field = $kind::make(&declared)?;
                    registry.register(Box::new($field.clone()))?;
                )*
                Ok(Self { registry, $($field),* })
            }
        }
    };
}

metrics! {
    /// Every metric of one process.
    #[derive(Debug)]
    pub struct Metrics {
        /// Requests that wait for KV memory or a place among the running.
        pub queue_depth: IntGauge,
        /// Sequences that take part in engine steps.
        pub running: IntGauge,
        /// KV positions of the running sequences that hold computed keys and values.
        pub kv_positions_used: IntGauge,
        /// KV positions reserved for the running sequences; what they share counts once.
        pub kv_positions_reserved: IntGauge,
        /// KV positions that no sequence holds, kept for requests that begin alike; given up when others need them.
        pub kv_positions_cached: IntGauge,
        /// KV positions in all.
        pub kv_positions_capacity: IntGauge,
        /// Reserved KV positions as a fraction of the capacity, 0 to 1.
        pub kv_reserved_fraction: Gauge,

        /// Time from submission to admission.
        pub queue_seconds: Histogram,
        /// Time from admission to the end of the prompt's prefill.
        pub prefill_seconds: Histogram,
        /// Time from the end of prefill to the first answer token: all latent steps and the forced end marker.
        pub latent_seconds: Histogram,
        /// Time of one latent step of one sequence.
        pub latent_step_seconds: Histogram,
        /// Time from submission to the first answer token.
        pub time_to_first_token_seconds: Histogram,
        /// Time between two answer tokens of one sequence.
        pub inter_token_seconds: Histogram,
        /// Time from submission to the request's end in the engine, however it ended.
        pub request_seconds: Histogram,
        /// Time of one engine step, all its rows together.
        pub step_seconds: Histogram,
        /// Euclidean length of the thoughts.
        pub thought_norm: Histogram = NORMS,
        /// Rows per engine step, by `kind`: `prefill`, `latent`, `forced`, `answer`.
        pub step_rows: HistogramVec["kind"] = ROWS,

        /// Prompt positions prefilled, with what is known of the thoughts after them.
        pub prompt_tokens_total: IntCounter,
        /// Latent steps computed.
        pub latent_steps_total: IntCounter,
        /// Positions of prompts and thoughts that admitted requests asked for.
        pub prefix_cache_queries_total: IntCounter,
        /// Positions of these whose keys and values an earlier request had computed.
        pub prefix_cache_hits_total: IntCounter,
        /// Thoughts that admitted requests asked for.
        pub thought_cache_queries_total: IntCounter,
        /// Thoughts of these that an earlier request had computed.
        pub thought_cache_hits_total: IntCounter,
        /// Answer tokens chosen.
        pub completion_tokens_total: IntCounter,
        /// Requests ended because a hidden state was not finite.
        pub nonfinite_total: IntCounter,
        /// Times that the engine started anew after a failed step; the requests of that step ended with an error.
        pub engine_restarts_total: IntCounter,
        /// Requests whose client went away before the end.
        pub cancelled_total: IntCounter,
        /// Accepted requests that ended, by `reason`: `stop`, `length`, `done` (nothing was to be said), `deadline`, `nonfinite`, `step`, `engine`, `stopped`, `dropped` (another question of its HTTP request failed), `cancelled`.
        pub finished_total: IntCounterVec["reason"],
        /// Requests not accepted, by `reason`: `queue_full` (clients that were told to come back), `too_long`, `stopping`, `dead`, `invalid`, `loading`.
        pub rejected_total: IntCounterVec["reason"],

        /// Dialogues with tools under way.
        pub dialogues: IntGauge,
        /// Calls of tools that run.
        pub tools_running: IntGauge,
        /// Calls of tools, by `tool` (`unknown` where there is none such) and `outcome`: `found`, `error`.
        pub tool_calls_total: IntCounterVec["tool", "outcome"],
        /// Time of a call, by tool.
        pub tool_seconds: HistogramVec["tool"],

        /// HTTP requests by route, method and status.
        pub http_requests_total: IntCounterVec["route", "method", "status"],
        /// Time from an HTTP request's head to the end of its response's body, by route.
        pub http_request_seconds: HistogramVec["route"],
        /// HTTP requests being answered.
        pub http_in_flight: IntGauge,
        /// Open connections, those that nobody uses included.
        pub http_connections: IntGauge,
        /// Log lines that were lost, since they could not be written or nobody read them in time.
        pub log_lines_lost_total: IntCounter,
        /// Always 1; what is running is in the labels.
        pub build_info: IntGaugeVec["version", "os", "arch"],
    }
}

impl Metrics {
    /// All metrics at zero. Series whose label values are known from the start exist from the start, so that a first
    /// increment is seen as one.
    pub fn new() -> Self {
        let metrics =
            Self::registered().expect("names are valid and distinct: a test makes them all");
        for kind in ["prefill", "latent", "forced", "answer"] {
            metrics.step_rows.with_label_values(&[kind]);
        }
        let ends = [
            "stop",
            "length",
            "done",
            "deadline",
            "nonfinite",
            "step",
            "engine",
            "stopped",
            "dropped",
            "cancelled",
        ];
        for reason in ends {
            metrics.finished_total.with_label_values(&[reason]);
        }
        for reason in ["queue_full", "too_long", "stopping", "dead", "invalid", "loading"] {
            metrics.rejected_total.with_label_values(&[reason]);
        }
        metrics.tool_calls_total.with_label_values(&["unknown", "error"]);
        metrics.tool_seconds.with_label_values(&["unknown"]);
        let build = [env!("CARGO_PKG_VERSION"), std::env::consts::OS, std::env::consts::ARCH];
        metrics.build_info.with_label_values(&build).set(1);
        metrics
    }

    /// Everything in the Prometheus text format.
    pub fn encode(&self) -> String {
        self.encode_with(None)
    }

    /// The same, and what vLLM has of it under its names, if it is told what about.
    pub fn encode_with(&self, vllm: Option<vllm::About<'_>>) -> String {
        let mut families = self.registry.gather();
        let theirs = vllm.map(|about| vllm::families(self, &families, about));
        families.extend(theirs.into_iter().flatten());
        let mut text = String::new();
        TextEncoder::new().encode_utf8(&families, &mut text).expect("a string takes every write");
        text
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

/// What the struct above says about one field.
struct Declared {
    name: &'static str,
    help: &'static str,
    labels: &'static [&'static str],
    buckets: &'static [f64],
}

impl Declared {
    fn opts(&self) -> Opts {
        Opts::new(self.name, self.help)
    }

    fn histogram_opts(&self) -> HistogramOpts {
        HistogramOpts::from(self.opts()).buckets(self.buckets.to_vec())
    }
}

/// One kind of metric, made from its declaration.
trait Make: Collector + Sized {
    fn make(declared: &Declared) -> prometheus::Result<Self>;
}

/// Implements [`Make`] by an expression.
macro_rules! make {
    ($($kind:ty: |$declared:ident| $make:expr;)*) => {
        $(impl Make for $kind {
            fn make($declared: &Declared) -> prometheus::Result<Self> {
                $make
            }
        })*
    };
}

make! {
    IntGauge: |declared| Self::with_opts(declared.opts());
    Gauge: |declared| Self::with_opts(declared.opts());
    IntCounter: |declared| Self::with_opts(declared.opts());
    Histogram: |declared| Self::with_opts(declared.histogram_opts());
    IntGaugeVec: |declared| Self::new(declared.opts(), declared.labels);
    IntCounterVec: |declared| Self::new(declared.opts(), declared.labels);
    HistogramVec: |declared| Self::new(declared.histogram_opts(), declared.labels);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_metric_is_exported_once_under_the_prefix() {
        let text = Metrics::new().encode();
        let mut names: Vec<&str> =
            text.lines().filter_map(|line| line.strip_prefix("# TYPE ")).collect();
        let count = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), count);
        assert!(names.iter().all(|name| name.starts_with("coconut_")), "{names:?}");
        assert!(text.contains("# HELP coconut_queue_depth Requests that wait"), "{text}");
        assert!(text.contains("coconut_build_info{"), "{text}");
    }

    #[test]
    fn counters_end_in_total_and_times_in_seconds() {
        let text = Metrics::new().encode();
        for (name, kind) in
            text.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split_once(' '))
        {
            assert_eq!(name.ends_with("_total"), kind == "counter", "{name} is a {kind}");
            let timed = kind == "histogram" && !name.ends_with("_norm") && !name.ends_with("_rows");
            assert_eq!(name.ends_with("_seconds"), timed, "{name} is a {kind}");
        }
    }

    #[test]
    fn a_latent_step_of_three_milliseconds_is_not_lost_in_one_bucket() {
        let metrics = Metrics::new();
        metrics.latent_step_seconds.observe(0.003);
        let text = metrics.encode();
        assert!(text.contains("coconut_latent_step_seconds_bucket{le=\"0.0025\"} 0"), "{text}");
        assert!(text.contains("coconut_latent_step_seconds_bucket{le=\"0.004\"} 1"), "{text}");
    }
}
