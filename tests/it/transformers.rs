//! What transformers itself writes: models that its versions saved, with the numbers that they compute, and the fields of
//! published config.json.

use crate::support::TOLERANCE;
use crate::support::data;
use crate::support::distance;
use candle_core::Device;
use coconut::latent::generate::generate;
use coconut::latent::program::Program;
use coconut::latent::script::StopRule;
use coconut::model::config::Config;
use coconut::model::load::load_model;
use serde_json::Value;
use serde_json::json;
use std::path::Path;
use std::path::PathBuf;
use tempfile::TempDir;

/// What `tests/data/transformers/make.py` wrote beside a model.
#[derive(serde::Deserialize)]
struct Expected {
    published: Value,
    cases: Vec<Case>,
}

#[derive(serde::Deserialize)]
struct Case {
    ids: Vec<u32>,
    logits: Vec<f32>,
}

/// All folders that a transformers saved.
pub(crate) fn saved() -> Vec<PathBuf> {
    let folders = |of: &Path| -> Vec<PathBuf> {
        let entries = std::fs::read_dir(of).unwrap().map(|entry| entry.unwrap().path());
        entries.filter(|path| path.is_dir()).collect()
    };
    folders(&data("transformers")).iter().flat_map(|version| folders(version)).collect()
}

fn assert_computes(folder: &Path, cases: &[Case]) {
    let model = load_model(folder, &Device::Cpu).unwrap();
    for case in cases {
        let program = Program {
            prompt: case.ids.clone(),
            latent_steps: 0,
            forced: Vec::new(),
            max_tokens: 1,
            stop: StopRule::NEVER,
            masked: Vec::new(),
        };
        let distance = distance(&generate(&model, &program).unwrap().first_logits, &case.logits);
        assert!(distance < TOLERANCE, "{}: off by {distance}", folder.display());
    }
}

#[test]
fn what_transformers_saved_computes_what_transformers_computed() {
    let folders = saved();
    assert!(folders.len() >= 20, "{} models", folders.len());
    for folder in folders {
        let text = std::fs::read_to_string(folder.join("expected.json")).unwrap();
        let Expected { published, cases } = serde_json::from_str(&text).unwrap();
        assert_computes(&folder, &cases);
        // The same weights under the config that they were made by.
        let raw = TempDir::new().unwrap();
        let to = |name: &str| raw.path().join(name);
        std::fs::copy(folder.join("model.safetensors"), to("model.safetensors")).unwrap();
        std::fs::write(to("config.json"), published.to_string()).unwrap();
        assert_computes(raw.path(), &cases);
    }
}

/// The fields of published files, with sizes as they are: nothing is allocated for them.
#[test]
fn published_configs_are_read() {
    let text = std::fs::read_to_string(data("transformers").join("published.json")).unwrap();
    let published: Vec<Value> = serde_json::from_str(&text).unwrap();
    assert!(published.len() >= 15);
    for model in published {
        let config = Config::from_json(&model["config"]).unwrap();
        let sizes = json!({
            "architecture": config.architecture.name(), "heads": config.heads, "kv_heads": config.kv_heads,
            "head_size": config.head_size, "inner": config.inner, "positions": config.max_positions, "tied": config.tied,
            "theta": config.rope.as_ref().map(|rope| rope.theta), "eos": config.eos_ids,
            "parameters": config.parameter_count(),
        });
        assert_eq!(sizes, model["expected"], "{}", model["id"]);
    }
}
