//! One step of the engine in each phase, from the engine's own clock: scheduling, forward pass, sampling, events. On a
//! model of the size of the fixtures and on one of the size of GPT-2 small, with random weights made in memory.
//!
//! `cargo bench --bench steps`, or with a filter such as `gpt2-small/latent`.

use candle_core::Device;
use candle_core::Tensor;
use coconut::engine::Engine;
use coconut::engine::Ticket;
use coconut::engine::config::EngineConfig;
use coconut::engine::config::PrefixCache;
use coconut::engine::request::Event;
use coconut::engine::request::EventKind;
use coconut::engine::request::Report;
use coconut::engine::request::Request;
use coconut::latent::program::Program;
use coconut::latent::script::Sampling;
use coconut::latent::script::StopRule;
use coconut::metrics::Metrics;
use coconut::model::config::Config;
use coconut::model::error::Result;
use coconut::model::host::HostModel;
use coconut::model::parameters::Parameters;
use coconut::model::parameters::Stored;
use coconut_kernels::packed::Format;
use criterion::Criterion;
use futures::executor::block_on;
use serde_json::json;
use std::sync::Arc;
use std::time::Duration;
use std::time::Instant;

/// (name, vocabulary, positions, width, layers, heads)
const MODELS: [(&str, usize, usize, usize, usize, usize); 2] =
    [("fixture", 404, 256, 48, 3, 4), ("gpt2-small", 50_260, 1024, 768, 12, 12)];
const PROMPT_TOKENS: usize = 128;
/// Steps of the latent and of the answer phase in one request, each.
const STEPS: usize = 16;
const TOGETHER: [usize; 3] = [1, 4, 16];

#[derive(Clone, Copy)]
enum Phase {
    /// A step that reads a whole prompt.
    Prefill,
    /// A step that computes a thought of each request.
    Latent,
    /// A step that chooses a token for each request.
    Answer,
}

/// Small random weights, so that hidden states stay finite.
struct Random;

impl Parameters for Random {
    fn take(&mut self, _name: &str, shape: &[usize], _stored: Stored) -> Result<Tensor> {
        Ok(Tensor::randn(0.0f32, 0.02, shape, &Device::Cpu)?)
    }
}

fn main() {
    let mut criterion = Criterion::default()
        .sample_size(10)
        .warm_up_time(Duration::from_millis(300))
        .measurement_time(Duration::from_secs(2))
        .configure_from_args();
    for (name, vocabulary, positions, width, layers, heads) in MODELS {
        let config = Config::from_json(&json!({
            "model_type": "gpt2", "vocab_size": vocabulary, "n_positions": positions, "n_embd": width,
            "n_layer": layers, "n_head": heads,
        }))
        .expect("a GPT-2");
        let model =
            HostModel::new(config, &mut Random, Format::F32).expect("a model of random weights");
        let metrics = Arc::new(Metrics::new());
        // Rounds ask the same again and again, and each is to compute it.
        let settings = EngineConfig { prefix_cache: PrefixCache::Off, ..EngineConfig::default() };
        let engine = Engine::start(model, settings, metrics).expect("an engine");
        bench(
            &mut criterion,
            &format!("{name}/prefill/{PROMPT_TOKENS}"),
            &engine,
            (Phase::Prefill, 1),
        );
        for together in TOGETHER {
            bench(
                &mut criterion,
                &format!("{name}/latent/{together}"),
                &engine,
                (Phase::Latent, together),
            );
            bench(
                &mut criterion,
                &format!("{name}/answer/{together}"),
                &engine,
                (Phase::Answer, together),
            );
        }
    }
    criterion.final_summary();
}

fn bench(criterion: &mut Criterion, name: &str, engine: &Engine, of: (Phase, usize)) {
    criterion.bench_function(name, |bencher| {
        bencher.iter_custom(|count| {
            let mut steps = Vec::new();
            while steps.len() < count as usize {
                steps.extend(round(engine, of));
            }
            steps.into_iter().take(count as usize).sum()
        });
    });
}

/// So many requests at once; how long the steps of the phase took, as the last of them saw it.
fn round(engine: &Engine, (phase, together): (Phase, usize)) -> Vec<Duration> {
    let mut tickets: Vec<Ticket> =
        (0..together).map(|_| engine.submit(request()).expect("a queue with room")).collect();
    let mut events: Vec<Event> = Vec::new();
    for ticket in &mut tickets {
        events = std::iter::from_fn(|| block_on(ticket.next())).collect();
    }
    let belongs = |event: &&Event| match phase {
        Phase::Prefill => matches!(event.kind, EventKind::Admitted(_) | EventKind::Prefilled),
        Phase::Latent => matches!(event.kind, EventKind::Thought(_)),
        Phase::Answer => matches!(event.kind, EventKind::Token(_)),
    };
    let times: Vec<Instant> = events.iter().filter(belongs).map(|event| event.at).collect();
    assert!(times.len() >= 2, "the requests fail: {events:?}");
    times.windows(2).map(|pair| pair[1] - pair[0]).collect()
}

fn request() -> Request {
    let program = Program {
        prompt: (0..PROMPT_TOKENS as u32).map(|position| position % 400).collect(),
        latent_steps: STEPS,
        forced: vec![402],
        max_tokens: STEPS,
        stop: StopRule::NEVER,
        masked: Vec::new(),
    };
    let deadline = Instant::now() + Duration::from_secs(600);
    let script = program.script(Sampling::GREEDY);
    Request { script, report: Report::default(), deadline }
}
