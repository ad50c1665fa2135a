//! A model as GPUs serve it, a chain of candle operations over KV memory made of tensors, against the golden numbers.
//!
//! It runs on the device that `COCONUT_DEVICE` names, as `coconut serve` does; without it on the CPU, where the same chain
//! is forced, so that all but candle's kernels for GPUs is tested everywhere.

use crate::insides::looks_inside;
use crate::parity::FIXTURES;
use crate::parity::all_at_once;
use crate::parity::crowded;
use crate::parity::fixtures;
use crate::parity::one_at_a_time;
use crate::precision::first_thought_error;
use crate::precision::tell;
use crate::scripts::follows_scripts;
use crate::support::Fixture;
use crate::support::assert_golden;
use crate::support::data;
use candle_core::DType;
use candle_core::Device;
use coconut::engine::Engine;
use coconut::engine::config::EngineConfig;
use coconut::latent::checkpoint::Checkpoint;
use coconut::latent::checkpoint::Location;
use coconut::latent::generate::generate;
use coconut::metrics::Metrics;
use coconut::model::Model;
use coconut::model::device::Processor;
use coconut_kernels::attend::layer::KvType;
use coconut_kernels::packed::Format;
use std::sync::Arc;

/// The largest relative error of a first thought with weights and hidden states in bf16.
const BF16_BOUND: f64 = 0.06;

#[expect(clippy::disallowed_methods, reason = "the device that a person wants tested")]
fn device() -> Device {
    let named = std::env::var("COCONUT_DEVICE").unwrap_or_else(|_| "cpu".to_owned());
    let processor: Processor = named.parse().expect("COCONUT_DEVICE");
    tell(&format!("on {processor}"));
    processor.open().unwrap()
}

fn model(name: &str, device: &Device, dtype: DType) -> Model {
    let checkpoint = Checkpoint::open(&Location::folder(data(name))).unwrap();
    checkpoint.tensors(device, dtype).unwrap()
}

fn start(name: &str, device: &Device, config: EngineConfig) -> Engine {
    let model = model(name, device, DType::F32);
    Engine::start(model, config, Arc::new(Metrics::new())).unwrap()
}

#[test]
fn the_oracle_on_a_device_gives_the_golden_numbers() {
    let device = device();
    for name in FIXTURES {
        let (fixture, model) = (Fixture::load(name), model(name, &device, DType::F32));
        for case in &fixture.expected.cases {
            let generated = generate(&model, &fixture.program(case)).unwrap();
            assert_golden(case, &generated.thoughts, &generated.first_logits, &generated.ids);
        }
    }
}

#[test]
fn the_engine_on_a_device_gives_the_golden_numbers_one_request_at_a_time() {
    let device = device();
    for name in fixtures() {
        let fixture = Fixture::load(name);
        one_at_a_time(&fixture, &start(name, &device, EngineConfig::default()));
    }
}

#[test]
fn the_engine_on_a_device_gives_the_golden_numbers_with_everything_in_one_batch() {
    let device = device();
    for name in fixtures() {
        let fixture = Fixture::load(name);
        for rows_per_step in [1, 7, 1024] {
            all_at_once(&fixture, &start(name, &device, crowded(rows_per_step)));
        }
    }
}

/// Branches copy pages that are tensors.
#[test]
fn the_engine_on_a_device_follows_scripts_like_the_oracle() {
    let device = device();
    for name in ["coconut-gpt2-hf", "codi-llama"] {
        follows_scripts(&Fixture::load(name), &[start(name, &device, crowded(64))]);
    }
}

#[test]
fn what_is_inside_on_a_device_is_what_one_whole_pass_computes() {
    let device = device();
    for name in ["coconut-gpt2-hf", "coconut-qwen3-hf"] {
        let engines = [7, 64].map(|rows| start(name, &device, crowded(rows)));
        looks_inside(&Fixture::load(name), &engines);
    }
}

#[test]
fn bf16_on_a_device_stays_close_to_the_golden_numbers() {
    let device = device();
    for (dtype, kv_type) in [(DType::F32, KvType::Bf16), (DType::BF16, KvType::Bf16)] {
        for name in fixtures() {
            let error = first_thought_error(name, model(name, &device, dtype), kv_type);
            tell(&format!("{dtype:?} weights, {kv_type:?} KV: off by {error:.4} in {name}"));
            assert!(error < BF16_BOUND, "{name} with {dtype:?} weights is off by {error}");
        }
    }
}

#[test]
fn weights_that_a_gpu_does_not_take_are_refused_by_name() {
    let checkpoint = Checkpoint::open(&Location::folder(data(FIXTURES[0]))).unwrap();
    let refused = checkpoint.served(Processor::Cuda(1), Format::Int8).unwrap_err().to_string();
    assert!(refused.contains("--dtype") && refused.contains("cuda:1"), "{refused}");
}
