//! Forward passes of a model as it is served, beside what they cost: prefill of 256 rows, 16 and 1 sequences of one row
//! each, with and without the head.
//!
//! `cargo bench --bench forward -- FOLDER` prints the minimum of some passes in milliseconds, for each type of weights.
//! Without a folder it takes GPT-2 small's sizes with weights of zero, which run at the same speed. A second argument, such
//! as `bf16:`, or `bf16: prefill`, picks lines.

use candle_core::Device;
use candle_core::Tensor;
use coconut::model::attention::geometry::pages_for;
use coconut::model::attention::paged::KvMemory;
use coconut::model::attention::rows::PagedRows;
use coconut::model::attention::rows::Place;
use coconut::model::config::Config;
use coconut::model::error::Result;
use coconut::model::host::HostModel;
use coconut::model::load::Found;
use coconut::model::parameters::Parameters;
use coconut::model::parameters::Stored;
use coconut::model::pass::Output;
use coconut::model::pass::Pass;
use coconut::model::pass::Wanted;
use coconut::model::serving::Served;
use coconut_kernels::attend::layer::KvType;
use coconut_kernels::packed::Format;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use std::time::Instant;

/// What is measured: sequences, rows of each, positions before these, and whether the head is applied.
const PASSES: &[(&str, usize, usize, usize, bool)] = &[
    ("latent step, 1 sequence", 1, 1, 64, false),
    ("token step, 1 sequence", 1, 1, 64, true),
    ("latent step, 16 sequences", 16, 1, 64, false),
    ("token step, 16 sequences", 16, 1, 64, true),
    ("latent step, 16 sequences at 370", 16, 1, 370, false),
    ("prefill of 58 rows", 1, 58, 0, false),
    ("prefill of 256 rows", 1, 256, 0, false),
];
const REPEATS: usize = 100;

fn main() {
    let arguments: Vec<String> =
        std::env::args().skip(1).filter(|arg| !arg.starts_with("--")).collect();
    let folder = arguments.first().filter(|folder| !folder.is_empty());
    let picked = |line: &str| arguments.get(1).is_none_or(|wanted| line.contains(wanted));
    for (name, format, kv) in [
        ("f32", Format::F32, KvType::F32),
        ("bf16", Format::Bf16, KvType::Bf16),
        ("int8", Format::Int8, KvType::Bf16),
    ] {
        if !PASSES.iter().any(|(what, ..)| picked(&format!("{name}: {what}"))) {
            continue;
        }
        let start = Instant::now();
        let model = load(folder.map(String::as_str), format);
        report(&format!("{name}: loading"), start.elapsed());
        let mut model = Served::from(model);
        let mut memory = model.kv_memory(1024, kv).expect("KV memory");
        for &(what, sequences, rows, before, head) in PASSES {
            let line = format!("{name}: {what}");
            if !picked(&line) {
                continue;
            }
            let least = measure(&mut model, &mut memory, (sequences, rows, before, head));
            report(&line, least);
        }
    }
}

fn load(folder: Option<&str>, format: Format) -> HostModel {
    match folder {
        Some(folder) => {
            let found = Found::open(Path::new(folder), None).expect("a checkpoint");
            found.host_model(format).expect("its weights")
        }
        None => {
            let json = serde_json::json!({
                "model_type": "gpt2", "vocab_size": 50_260, "n_positions": 1024, "n_embd": 768, "n_layer": 12,
                "n_head": 12, "activation_function": "gelu_new",
            });
            let config = Config::from_json(&json).expect("GPT-2 small");
            HostModel::new(config, &mut Zeros, format).expect("weights of zero")
        }
    }
}

struct Zeros;

impl Parameters for Zeros {
    fn take(&mut self, _name: &str, shape: &[usize], _stored: Stored) -> Result<Tensor> {
        Ok(Tensor::zeros(shape, candle_core::DType::F32, &Device::Cpu)?)
    }
}

fn measure(
    model: &mut Served,
    memory: &mut KvMemory,
    (sequences, rows, before, head): (usize, usize, usize, bool),
) -> Duration {
    let pages = pages_for(before + rows) as u32;
    let tables: Vec<Arc<[u32]>> =
        (0..sequences as u32).map(|i| (i * pages..(i + 1) * pages).collect()).collect();
    let places: Vec<Place> = (0..sequences)
        .flat_map(|table| (before..before + rows).map(move |position| Place { table, position }))
        .collect();
    let ids: Vec<u32> = (0..places.len() as u32).map(|i| i % 50).collect();
    let last: Vec<u32> = (1..=sequences).map(|i| (i * rows) as u32 - 1).collect();
    let wanted = match head {
        true => Wanted { tokens: &last, ..Wanted::default() },
        false => Wanted { thoughts: &last, ..Wanted::default() },
    };
    let rows = PagedRows { tables, places };
    let pass = Pass { ids: &ids, thoughts: &[], rows: &rows, wanted };
    let mut out = Output::default();
    let times = (0..REPEATS).map(|_| {
        let start = Instant::now();
        model.pass(&pass, memory, &mut out).expect("a pass");
        start.elapsed()
    });
    times.min().unwrap_or_default()
}

#[expect(clippy::print_stdout, reason = "the result")]
fn report(what: &str, took: Duration) {
    println!("{what:<44} {:>9.3} ms", took.as_secs_f64() * 1e3);
}
