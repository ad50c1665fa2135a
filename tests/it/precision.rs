//! What fewer bits do to thoughts, logits and answers: bounds on random fixtures, and counts of right answers of a
//! checkpoint that was really trained, where `../shared` is there.

use crate::parity::collect;
use crate::parity::fixtures;
use crate::parity::request;
use crate::support::Fixture;
use crate::support::UNOPTIMISED;
use crate::support::data;
use coconut::engine::Engine;
use coconut::engine::config::EngineConfig;
use coconut::latent::checkpoint::Checkpoint;
use coconut::latent::checkpoint::Location;
use coconut::metrics::Metrics;
use coconut::model::device::Processor;
use coconut::model::serving::Served;
use coconut::reason::question::Question;
use coconut::reason::reasoner::Precision;
use coconut::reason::reasoner::Reasoner;
use coconut::reason::reasoner::ReasonerConfig;
use coconut_kernels::attend::layer::KvType;
use coconut_kernels::packed::Format;
use futures::future::join_all;
use serde::Deserialize;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(300);

/// Weights, KV memory, and the largest relative error (length of the difference by length of the truth) of a first
/// thought. Later ones are not bounded here: with random weights, each multiplies the error of the one before by up to
/// five, whatever it came from. A trained model contracts it, which is what its answers show.
const BOUNDS: &[(Format, KvType, f64)] = &[
    (Format::F32, KvType::Bf16, 0.02),
    (Format::Bf16, KvType::F32, 0.06),
    (Format::Bf16, KvType::Bf16, 0.06),
    (Format::Int8, KvType::Bf16, 0.15),
];

/// Right answers of 300 that the trained checkpoint must keep: 299 in PyTorch.
const RIGHT: &[(Format, KvType, usize)] = &[
    (Format::F32, KvType::F32, 299),
    (Format::F32, KvType::Bf16, 297),
    (Format::Bf16, KvType::Bf16, 297),
    (Format::Int8, KvType::Bf16, 295),
];

#[test]
fn fewer_bits_stay_close_to_the_golden_numbers() {
    for &(format, kv_type, bound) in BOUNDS {
        let mut worst = (0.0f64, "none");
        for name in fixtures() {
            worst = max(worst, (fixture_error(name, format, kv_type), name));
        }
        tell(&format!("{format:?} weights, {kv_type:?} KV: off by {:.4} in {}", worst.0, worst.1));
        assert!(worst.0 < bound, "{format:?} {kv_type:?}: {worst:?} is above {bound}");
    }
}

fn max<'a>(a: (f64, &'a str), b: (f64, &'a str)) -> (f64, &'a str) {
    if b.0 > a.0 || b.0.is_nan() { b } else { a }
}

/// The largest relative error of a first thought over all cases of a fixture.
fn fixture_error(name: &str, format: Format, kv_type: KvType) -> f64 {
    let checkpoint = Checkpoint::open(&Location::folder(data(name))).unwrap();
    first_thought_error(name, checkpoint.host_model(format).unwrap(), kv_type)
}

/// The same for a model that was made from it.
pub(crate) fn first_thought_error(name: &str, model: impl Into<Served>, kv_type: KvType) -> f64 {
    let fixture = Fixture::load(name);
    let config = EngineConfig { kv_type, ..EngineConfig::default() };
    let engine = Engine::start(model, config, Arc::new(Metrics::new())).unwrap();
    let mut worst = 0.0f64;
    for case in &fixture.expected.cases {
        let collected = collect(engine.submit(request(fixture.program(case))).unwrap());
        if let ([ours, ..], [golden, ..]) = (&collected.thoughts[..], &case.latents[..]) {
            worst = worst.max(relative_error(ours, golden));
        }
    }
    worst
}

fn relative_error(ours: &[f32], golden: &[f32]) -> f64 {
    let length =
        |x: &mut dyn Iterator<Item = f32>| x.map(|x| f64::from(x).powi(2)).sum::<f64>().sqrt();
    let difference = length(&mut ours.iter().zip(golden).map(|(a, b)| a - b));
    difference / length(&mut golden.iter().copied())
}

#[derive(Deserialize)]
struct Asked {
    question: String,
    answer: String,
}

#[test]
fn a_trained_checkpoint_keeps_its_answers() {
    let shared = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared");
    let model = shared.join("checkpoints/prosqa-small-llama");
    let Ok(text) = std::fs::read_to_string(shared.join("data/prosqa_small.json")) else {
        return tell("no ../shared: the trained checkpoint was not asked");
    };
    let asked: Vec<Asked> = serde_json::from_str(&text).unwrap();
    for &(weights, kv, least) in RIGHT.iter().step_by(if UNOPTIMISED { 3 } else { 1 }) {
        let config = ReasonerConfig {
            model: Location::folder(&model),
            name: None,
            processor: Processor::Cpu,
            precision: Precision { weights: Some(weights), kv: Some(kv) },
            engine: EngineConfig { max_queued: asked.len(), ..EngineConfig::default() },
            thought_means: None,
        };
        let reasoner = Reasoner::load(&config, Arc::new(Metrics::new())).unwrap();
        let right = right_answers(&reasoner, &asked);
        tell(&format!("{weights:?} weights, {kv:?} KV: {right} of {} right", asked.len()));
        assert!(right >= least, "{weights:?} {kv:?}: {right} right answers, {least} expected");
    }
}

/// All questions at once; how many answers are the expected ones.
fn right_answers(reasoner: &Reasoner, asked: &[Asked]) -> usize {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let questions = asked.iter().map(|asked| Question::new(&asked.question, PATIENCE));
    let questions: Vec<_> = questions.collect();
    let answers = runtime.block_on(join_all(questions.iter().map(|it| reasoner.answer(it))));
    let right = answers.into_iter().zip(asked).filter(|(answer, asked)| {
        answer.as_ref().unwrap().choices[0].answer.trim() == asked.answer.trim()
    });
    right.count()
}

#[expect(clippy::print_stderr, reason = "what was measured, or why nothing was")]
pub(crate) fn tell(what: &str) {
    eprintln!("{what}");
}
