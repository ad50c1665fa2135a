//! The same numbers under the names of vLLM, which inference gateways and dashboards read. Knows which of ours says what theirs
//! say; counts nothing itself.

use crate::metrics::Metrics;
use prometheus::proto::Gauge;
use prometheus::proto::LabelPair;
use prometheus::proto::Metric;
use prometheus::proto::MetricFamily;
use prometheus::proto::MetricType;

/// Ours, theirs.
const NAMES: [(&str, &str); 15] = [
    ("coconut_running", "vllm:num_requests_running"),
    ("coconut_queue_depth", "vllm:num_requests_waiting"),
    ("coconut_kv_reserved_fraction", "vllm:kv_cache_usage_perc"),
    ("coconut_kv_reserved_fraction", "vllm:gpu_cache_usage_perc"),
    ("coconut_time_to_first_token_seconds", "vllm:time_to_first_token_seconds"),
    ("coconut_inter_token_seconds", "vllm:inter_token_latency_seconds"),
    ("coconut_inter_token_seconds", "vllm:time_per_output_token_seconds"),
    ("coconut_request_seconds", "vllm:e2e_request_latency_seconds"),
    ("coconut_queue_seconds", "vllm:request_queue_time_seconds"),
    ("coconut_prefill_seconds", "vllm:request_prefill_time_seconds"),
    ("coconut_prompt_tokens_total", "vllm:prompt_tokens_total"),
    ("coconut_completion_tokens_total", "vllm:generation_tokens_total"),
    ("coconut_prefix_cache_queries_total", "vllm:prefix_cache_queries_total"),
    ("coconut_prefix_cache_hits_total", "vllm:prefix_cache_hits_total"),
    ("coconut_finished_total", "vllm:request_success_total"),
];

/// What of our reasons theirs know, and how they call them.
const REASONS: [(&str, &str); 3] = [("stop", "stop"), ("length", "length"), ("cancelled", "abort")];

/// What the numbers are about.
#[derive(Clone, Copy, Debug)]
pub struct About<'a> {
    /// The label `model_name`.
    pub model: &'a str,
    /// Positions of a page.
    pub page_positions: usize,
}

/// The families under their names.
pub(super) fn families(
    metrics: &Metrics,
    ours: &[MetricFamily],
    about: About<'_>,
) -> Vec<MetricFamily> {
    let named = NAMES.iter().filter_map(|&(name, theirs)| {
        let family = ours.iter().find(|family| family.name() == name)?;
        Some(renamed(family, theirs, about.model))
    });
    named.chain([cache_config(metrics, about)]).collect()
}

fn renamed(family: &MetricFamily, name: &str, model: &str) -> MetricFamily {
    let mut family = family.clone();
    family.set_name(name.to_owned());
    let known = family.take_metric().into_iter().filter_map(|mut metric| {
        let labels = metric.take_label().into_iter().map(relabelled).collect::<Option<Vec<_>>>()?;
        metric.set_label(labels.into_iter().chain([label("model_name", model)]).collect());
        Some(metric)
    });
    let known = known.collect();
    family.set_metric(known);
    family
}

/// Their label for ours; `None` where they have no such series.
fn relabelled(ours: LabelPair) -> Option<LabelPair> {
    match ours.name() {
        "reason" => {
            let (_, theirs) = REASONS.iter().find(|(name, _)| *name == ours.value())?;
            Some(label("finished_reason", theirs))
        }
        _ => Some(ours),
    }
}

fn cache_config(metrics: &Metrics, about: About<'_>) -> MetricFamily {
    let pages = metrics.kv_positions_capacity.get().cast_unsigned() as usize / about.page_positions;
    let mut gauge = Gauge::default();
    gauge.set_value(1.0);
    let mut metric = Metric::from_gauge(gauge);
    metric.set_label(vec![
        label("block_size", &about.page_positions.to_string()),
        label("model_name", about.model),
        label("num_gpu_blocks", &pages.to_string()),
    ]);
    let mut family = MetricFamily::default();
    family.set_name("vllm:cache_config_info".to_owned());
    family.set_help("Always 1; pages of KV memory are in the labels.".to_owned());
    family.set_field_type(MetricType::GAUGE);
    family.set_metric(vec![metric]);
    family
}

fn label(name: &str, value: &str) -> LabelPair {
    let mut label = LabelPair::default();
    label.set_name(name.to_owned());
    label.set_value(value.to_owned());
    label
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_of_theirs_are_there_with_the_models_name() {
        let metrics = Metrics::new();
        metrics.queue_depth.set(3);
        metrics.kv_positions_capacity.set(160);
        metrics.finished_total.with_label_values(&["cancelled"]).inc();
        let text = metrics.encode_with(Some(About { model: "owner/it", page_positions: 16 }));
        for (_, theirs) in NAMES {
            assert!(text.contains(&format!("\n# TYPE {theirs} ")), "{theirs}");
        }
        for line in [
            r#"vllm:num_requests_waiting{model_name="owner/it"} 3"#,
            r#"vllm:request_success_total{finished_reason="abort",model_name="owner/it"} 1"#,
            r#"vllm:cache_config_info{block_size="16",model_name="owner/it",num_gpu_blocks="10"} 1"#,
        ] {
            assert!(text.lines().any(|found| found == line), "{line}\n{text}");
        }
        assert!(!text.contains(r#"finished_reason="deadline""#));
    }
}
