//! The packed form of a model against the chain of tensors: the same thoughts and logits, for random sizes of every
//! architecture, in every pass that an engine may run.

use crate::support::distance;
use candle_core::Device;
use candle_core::Tensor;
use coconut::model::Model;
use coconut::model::attention::geometry::pages_for;
use coconut::model::attention::paged::KvMemory;
use coconut::model::attention::rows::PagedRows;
use coconut::model::attention::rows::Place;
use coconut::model::config::Config;
use coconut::model::config::Projector;
use coconut::model::error::Result;
use coconut::model::host::HostModel;
use coconut::model::look::Look;
use coconut::model::parameters::Parameters;
use coconut::model::parameters::Stored;
use coconut::model::pass::Output;
use coconut::model::pass::Pass;
use coconut::model::pass::Wanted;
use coconut::model::serving::Served;
use coconut_kernels::attend::layer::KvType;
use coconut_kernels::packed::Format;
use proptest::prelude::*;
use rand::Rng as _;
use rand::SeedableRng as _;
use rand::rngs::StdRng;
use serde_json::Value;
use serde_json::json;
use std::sync::Arc;

const VOCABULARY: usize = 53;
const POSITIONS: usize = 96;

/// Random weights, the same for the same seed and name.
struct Random(u64);

impl Parameters for Random {
    /// Numbers follow the order on disk, as the embedding is asked for both ways.
    fn take(&mut self, name: &str, shape: &[usize], stored: Stored) -> Result<Tensor> {
        let seed = name.bytes().fold(self.0, |seed, byte| seed.wrapping_mul(31) + u64::from(byte));
        let mut random = StdRng::seed_from_u64(seed);
        let count = shape.iter().product();
        let (middle, spread) = match name.contains("norm") || name.contains("ln_") {
            true => (1.0f32, 0.2f32),
            // Not by one side alone: the embedding is asked for both ways.
            false => (0.0, (6.0 / shape.iter().sum::<usize>() as f32).sqrt()),
        };
        let numbers: Vec<f32> =
            (0..count).map(|_| middle + spread * random.random_range(-1.0..1.0)).collect();
        match (stored, shape) {
            (Stored::Transposed, &[inputs, outputs]) => {
                let on_disk = Tensor::from_vec(numbers, (outputs, inputs), &Device::Cpu)?;
                Ok(on_disk.t()?.contiguous()?)
            }
            _ => Ok(Tensor::from_vec(numbers, shape, &Device::Cpu)?),
        }
    }
}

#[derive(Clone, Debug)]
struct Case {
    config: Value,
    projector: Option<Projector>,
    /// (rows of a first pass, ids of a second)
    sequences: Vec<(usize, usize)>,
    seed: u64,
}

fn cases() -> impl Strategy<Value = Case> {
    // A norm over a few numbers is badly conditioned: two that happen to be close make a thousandfold of a rounding.
    let heads = (1..3usize, 1..4usize, 1..9usize)
        .prop_filter("at least sixteen wide", |(kv_heads, group, half)| {
            kv_heads * group * 2 * half >= 16
        });
    let kind = prop_oneof![Just("gpt2"), Just("llama"), Just("qwen2"), Just("qwen3")];
    let sequences = prop::collection::vec((1..30usize, 1..6usize), 1..4);
    let projector = (1..40usize, any::<bool>()).prop_map(|(inner, norm)| Projector { inner, norm });
    let other = (prop::option::of(projector), any::<bool>(), 1..3usize);
    (kind, heads, 1..70usize, sequences, (other, any::<u64>())).prop_map(
        |(kind, (kv_heads, group, half), inner, sequences, ((projector, tied, layers), seed))| {
            let (heads, size) = (kv_heads * group, 2 * half);
            let config = match kind {
                "gpt2" => json!({
                    "model_type": kind, "vocab_size": VOCABULARY, "n_positions": POSITIONS, "n_embd": heads * size,
                    "n_layer": layers, "n_head": heads, "n_inner": inner, "activation_function": "gelu_new",
                }),
                _ => json!({
                    "model_type": kind, "vocab_size": VOCABULARY, "max_position_embeddings": POSITIONS,
                    "hidden_size": heads * size + if kind == "qwen3" { 3 } else { 0 }, "intermediate_size": inner,
                    "num_hidden_layers": layers, "num_attention_heads": heads, "num_key_value_heads": kv_heads,
                    "head_dim": size, "tie_word_embeddings": tied, "hidden_act": "silu",
                }),
            };
            Case { config, projector, sequences, seed }
        },
    )
}

const PAGES: usize = 40;

/// A prefill of all sequences, then a pass in which each but the first feeds its thought and ids behind it.
fn run(model: impl Into<Served>, case: &Case, kv: KvType) -> [Output; 2] {
    let model = model.into();
    let memory = model.kv_memory(PAGES, kv).unwrap();
    run_over(memory, model, case, Eyes::Shut)
}

/// Whether rows are looked into.
#[derive(Clone, Copy, PartialEq)]
enum Eyes {
    Open,
    Shut,
}

/// Looks into every second row of a pass, at everything, in an order of its own.
fn looks<'a>(rows: usize, layers: &'a [usize], heads: &'a [usize], eyes: Eyes) -> Vec<Look<'a>> {
    let rows = (0..rows as u32).rev().step_by(2).filter(|_| eyes == Eyes::Open);
    rows.map(|row| Look { row, layers, states: true, heads }).collect()
}

fn run_over(mut memory: KvMemory, mut model: Served, case: &Case, eyes: Eyes) -> [Output; 2] {
    let mut random = StdRng::seed_from_u64(case.seed);
    let layers: Vec<usize> = (0..=model.config().layers).rev().collect();
    let heads: Vec<usize> = (0..model.config().heads).rev().collect();
    let mut next_page = 0u32;
    let tables: Vec<Arc<[u32]>> = case
        .sequences
        .iter()
        .map(|(first, second)| {
            let pages = pages_for(first + second + 1) as u32;
            next_page += pages;
            (next_page - pages..next_page).rev().collect()
        })
        .collect();
    let mut ids = |count: usize| -> Vec<u32> {
        (0..count).map(|_| random.random_range(0..VOCABULARY as u32)).collect()
    };
    let mut first = PagedRows { tables: tables.clone(), places: Vec::new() };
    let mut last_rows = Vec::new();
    for (table, (rows, _)) in case.sequences.iter().enumerate() {
        first.places.extend((0..*rows).map(|position| Place { table, position }));
        last_rows.push(first.places.len() as u32 - 1);
    }
    let mut outputs = [Output::default(), Output::default()];
    let seen = looks(first.places.len(), &layers, &heads, eyes);
    let wanted = Wanted { thoughts: &last_rows, tokens: &[0], shown: &[0], looks: &seen };
    let rows = ids(first.places.len());
    let pass = Pass { ids: &rows, thoughts: &[], rows: &first, wanted };
    model.pass(&pass, &mut memory, &mut outputs[0]).unwrap();

    let mut second = PagedRows { tables, places: Vec::new() };
    let mut tokens = Vec::new();
    for (table, (before, count)) in case.sequences.iter().enumerate() {
        second.places.extend((1..=*count).map(|i| Place { table, position: before + i }));
        tokens.push(second.places.len() as u32 - 1);
    }
    let rows = ids(second.places.len());
    let fed = second.places.len() as u32..;
    let places = case.sequences.iter().enumerate();
    second.places.extend(places.map(|(table, (before, _))| Place { table, position: *before }));
    let again: Vec<u32> = fed.take(1).collect();
    let seen = looks(second.places.len(), &layers, &heads, eyes);
    let wanted = Wanted { thoughts: &again, tokens: &tokens, shown: &[], looks: &seen };
    let pass = Pass { ids: &rows, thoughts: &outputs[0].thoughts.clone(), rows: &second, wanted };
    model.pass(&pass, &mut memory, &mut outputs[1]).unwrap();
    outputs
}

fn config(case: &Case) -> Config {
    let mut config = Config::from_json(&case.config).unwrap();
    config.projector = case.projector;
    config
}

fn chain(case: &Case) -> Model {
    Model::new(config(case), &mut Random(case.seed), &Device::Cpu).unwrap()
}

fn host(case: &Case, format: Format) -> HostModel {
    HostModel::new(config(case), &mut Random(case.seed), format).unwrap()
}

/// The largest difference of thoughts and logits over both passes.
fn difference(ours: &[Output; 2], truth: &[Output; 2]) -> f32 {
    let each = ours.iter().zip(truth).map(|(ours, truth)| {
        distance(&ours.thoughts, &truth.thoughts).max(distance(&ours.logits, &truth.logits))
    });
    each.fold(0.0, f32::max)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn packed_in_f32_it_is_the_same_model(case in cases()) {
        let truth = run(chain(&case), &case, KvType::F32);
        let ours = run(host(&case, Format::F32), &case, KvType::F32);
        let difference = difference(&ours, &truth);
        prop_assert!(difference < 1e-4, "off by {difference}");
    }

    /// Packed, and as a chain over either memory.
    #[test]
    fn who_looks_sees_the_same_and_changes_nothing(case in cases()) {
        let config = config(&case);
        let host = |eyes| {
            let memory = KvMemory::host(&config, PAGES, KvType::F32).unwrap();
            run_over(memory, host(&case, Format::F32).into(), &case, eyes)
        };
        let over = |memory: KvMemory, eyes| run_over(memory, chain(&case).into(), &case, eyes);
        let on_host = |eyes| over(KvMemory::host(&config, PAGES, KvType::F32).unwrap(), eyes);
        let device = |eyes| {
            over(KvMemory::device(&config, PAGES, KvType::F32, &Device::Cpu).unwrap(), eyes)
        };
        let all = [host(Eyes::Open), on_host(Eyes::Open), device(Eyes::Open)];
        for (shut, open) in [host(Eyes::Shut), on_host(Eyes::Shut), device(Eyes::Shut)].iter().zip(&all) {
            for (shut, open) in shut.iter().zip(open) {
                prop_assert_eq!(&shut.thoughts, &open.thoughts);
                prop_assert_eq!(&shut.logits, &open.logits);
                prop_assert!(shut.seen.is_empty() && !open.seen.is_empty());
            }
        }
        for (ours, truth) in all[1..].iter().flatten().zip(all[0].iter().cycle()) {
            prop_assert_eq!(ours.seen.len(), truth.seen.len());
            for (ours, truth) in ours.seen.iter().zip(&truth.seen) {
                let off = distance(&ours.states, &truth.states);
                let off = off.max(distance(&ours.attention, &truth.attention));
                prop_assert!(off < 1e-4, "off by {off}");
            }
        }
    }

    /// Norms make hidden states of about unit size; two blocks of rounding to 8 bits stay well inside.
    #[test]
    fn packed_in_fewer_bits_it_is_about_the_same_model(case in cases()) {
        let truth = run(chain(&case), &case, KvType::F32);
        for (format, bound) in [(Format::Bf16, 0.2), (Format::Int8, 0.5)] {
            let ours = run(host(&case, format), &case, KvType::Bf16);
            let difference = difference(&ours, &truth);
            prop_assert!(difference < bound, "{format:?} off by {difference}");
        }
    }
}
