//! The parts of a request by themselves: attention over pages, a norm, tokenizing, and a whole request over the router
//! with a tiny model, which is nearly all scheduling, HTTP and JSON.
//!
//! `cargo bench --bench parts`, or with a filter such as `attention/`.

use axum::Router;
use axum::body::Body;
use axum::body::to_bytes;
use axum::http::Request;
use candle_core::Device;
use candle_core::Tensor;
use coconut::engine::config::EngineConfig;
use coconut::http;
use coconut::http::AppState;
use coconut::latent::checkpoint::Location;
use coconut::metrics::Metrics;
use coconut::model::attention::Attention;
use coconut::model::attention::geometry::pages_for;
use coconut::model::attention::paged::KvMemory;
use coconut::model::attention::paged::Paged;
use coconut::model::attention::rows::PagedRows;
use coconut::model::attention::rows::Place;
use coconut::model::config::Config;
use coconut::model::device::Processor;
use coconut::reason::reasoner::Precision;
use coconut::reason::reasoner::Reasoner;
use coconut::reason::reasoner::ReasonerConfig;
use coconut::text::Tokenizer;
use coconut_kernels::attend::layer::KvType;
use coconut_kernels::norm::Norm;
use criterion::Criterion;
use criterion::Throughput;
use serde_json::json;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::runtime::Runtime;
use tower::ServiceExt as _;

const HEADS: usize = 12;
const HEAD_SIZE: usize = 64;
const WIDTH: usize = HEADS * HEAD_SIZE;
const QUESTION: &str = "Every lempus is a yerpus. Bob is a lempus. Every yerpus is a hilpus. Is Bob a hilpus or sterpus?";

fn main() {
    let mut criterion = Criterion::default()
        .sample_size(20)
        .warm_up_time(Duration::from_millis(300))
        .measurement_time(Duration::from_secs(1))
        .configure_from_args();
    attention(&mut criterion);
    norm(&mut criterion);
    tokenizing(&mut criterion);
    wire(&mut criterion);
    criterion.final_summary();
}

/// One layer of GPT-2 small: sequences that each add one row after `before` positions, and a prompt by itself.
fn attention(criterion: &mut Criterion) {
    let config = Config::from_json(&json!({
        "model_type": "gpt2", "vocab_size": 10, "n_positions": 1024, "n_embd": WIDTH, "n_layer": 1, "n_head": HEADS,
    }))
    .expect("a GPT-2");
    for (sequences, before, rows) in [(1, 128, 1), (16, 128, 1), (16, 512, 1), (1, 0, 256)] {
        let pages = pages_for(before + rows);
        let memory = KvMemory::host(&config, sequences * pages, KvType::F32);
        let mut memory = memory.expect("KV memory");
        let first_page = |sequence: usize| (sequence * pages) as u32;
        let tables = (0..sequences)
            .map(|sequence| (first_page(sequence)..first_page(sequence + 1)).collect())
            .collect();
        let places = (0..sequences)
            .flat_map(|table| {
                (before..before + rows).map(move |position| Place { table, position })
            })
            .collect();
        let rows_of = PagedRows { tables, places };
        let x = random(&[sequences * rows, HEADS, HEAD_SIZE]);
        criterion.bench_function(
            &format!("attention/{sequences}x{rows} rows after {before}"),
            |b| {
                b.iter(|| {
                    let mut paged = Paged::new(&mut memory, &rows_of).expect("rows that fit");
                    paged.attend(0, &x, &x, &x).expect("rows that fit")
                });
            },
        );
    }
}

fn norm(criterion: &mut Criterion) {
    let numbers = |count: usize| -> Vec<f32> { random(&[count]).to_vec1().expect("a vector") };
    let (weight, bias) = (numbers(WIDTH), numbers(WIDTH));
    let norm = Norm::Layer { weight: &weight, bias: &bias, eps: 1e-5 };
    for rows in [1, 16, 256] {
        let x = numbers(rows * WIDTH);
        let mut out = vec![0.0; x.len()];
        criterion.bench_function(&format!("norm/{rows}x{WIDTH}"), |bencher| {
            bencher.iter(|| norm.apply(&x, &mut out));
        });
    }
}

fn tokenizing(criterion: &mut Criterion) {
    let tokenizer = Tokenizer::load(&fixture().join("tokenizer.json")).expect("a tokenizer");
    let ids = tokenizer.encode(QUESTION, true).expect("a question");
    let mut group = criterion.benchmark_group("text");
    group.throughput(Throughput::Elements(ids.len() as u64));
    group.bench_function("encode", |bencher| {
        bencher.iter(|| tokenizer.encode(QUESTION, true).expect("a question"));
    });
    group.bench_function("decode piece by piece", |bencher| {
        bencher.iter(|| {
            let mut decoder = tokenizer.decoder();
            ids.iter().map(|&id| decoder.push(tokenizer.token(id)).len()).sum::<usize>()
        });
    });
}

/// The difference of the two is what a hundred events cost.
fn wire(criterion: &mut Criterion) {
    let runtime = Runtime::new().expect("a runtime");
    let router = router();
    for stream in [false, true] {
        let question =
            json!({"question": QUESTION, "max_tokens": 100, "ignore_eos": true, "stream": stream})
                .to_string();
        let name = if stream { "wire/events" } else { "wire/whole" };
        criterion.bench_function(name, |bencher| {
            bencher.iter(|| runtime.block_on(ask(router.clone(), question.clone())));
        });
    }
}

fn router() -> Router {
    let metrics = Arc::new(Metrics::new());
    let config = ReasonerConfig {
        model: Location::folder(fixture()),
        name: None,
        processor: Processor::Cpu,
        precision: Precision::default(),
        engine: EngineConfig::default(),
        thought_means: None,
    };
    let reasoner = Reasoner::load(&config, Arc::clone(&metrics)).expect("the fixture");
    let state = AppState::new(http::Config::default(), metrics);
    state.serve(Arc::new(reasoner));
    http::router(&state)
}

/// Bytes of the answer.
async fn ask(router: Router, question: String) -> usize {
    let request = Request::post("/v1/reason")
        .header("content-type", "application/json")
        .body(Body::from(question))
        .expect("a request");
    let response = router.oneshot(request).await.expect("an answer, always");
    assert!(response.status().is_success(), "{response:?}");
    to_bytes(response.into_body(), usize::MAX).await.expect("a whole body").len()
}

fn random(shape: &[usize]) -> Tensor {
    Tensor::randn(0.0f32, 1.0, shape, &Device::Cpu).expect("a tensor")
}

fn fixture() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/coconut-gpt2-hf")
}
