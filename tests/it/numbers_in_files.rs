//! Numbers at the edges of what numbers can be, in the files that say how a model is made, asked and trained: refused by
//! their names, or good for an answer.

use crate::numbers::EXTREMES;
use crate::support::UNOPTIMISED;
use crate::support::data;
use crate::wire::MODEL;
use crate::wire::Wire;
use coconut::latent::checkpoint::Checkpoint;
use coconut::latent::checkpoint::Location;
use coconut::latent::recipe::Recipe;
use coconut::model::config::Config;
use coconut::train::settings::Settings;
use serde_json::Value;
use serde_json::json;
use std::collections::BTreeSet;
use std::path::Path;

const MARK: &str = "a number that is not there yet";

/// The places of all numbers, as JSON pointers.
fn numbers(value: &Value, at: &str) -> Vec<String> {
    match value {
        Value::Number(_) => vec![at.to_owned()],
        Value::Array(items) => {
            let all = items.iter().enumerate();
            all.flat_map(|(index, item)| numbers(item, &format!("{at}/{index}"))).collect()
        }
        Value::Object(fields) => {
            fields.iter().flat_map(|(name, item)| numbers(item, &format!("{at}/{name}"))).collect()
        }
        _ => Vec::new(),
    }
}

/// The name of the field at a place, whichever item of a list it is.
fn name(at: &str) -> &str {
    at.split('/').rfind(|part| part.parse::<usize>().is_err()).unwrap()
}

/// The value with another at this place.
fn changed(value: &Value, at: &str, number: &str) -> Value {
    let mut value = value.clone();
    *value.pointer_mut(at).unwrap() = json!(MARK);
    let text = value.to_string().replace(&json!(MARK).to_string(), number);
    serde_json::from_str(&text).unwrap_or(Value::Null)
}

/// A file of its own: some file systems wait for the disk where one that was written just now is written again.
fn anew(text: &str) -> tempfile::NamedTempFile {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(&file, text).unwrap();
    file
}

#[tokio::test]
async fn a_manifest_with_any_number_is_refused_by_name_or_answers() {
    let recipe = json!({"family": "coconut", "start": [401], "end": [402], "eos": [0], "eos_count": 1,
        "masked": [400], "max_tokens": 2, "lora_alpha": 1.5, "latent_steps": {"default": 2, "max": 6}});
    let config = Checkpoint::open(&Location::folder(data(MODEL))).unwrap().found.config;
    let mut answered = 0;
    for at in numbers(&recipe, "") {
        for number in EXTREMES {
            let manifest = changed(&recipe, &at, number);
            if manifest.is_null() {
                continue;
            }
            let file = anew(&manifest.to_string());
            let checked = Recipe::read(file.path())
                .map_err(|error| error.to_string())
                .and_then(|recipe| recipe.check(&config, |id| id.to_string()));
            match checked {
                Err(said) => assert!(said.contains(name(&at)), "{at} {number}: {said}"),
                Ok(()) => {
                    let reply = Wire::reading_as(&manifest)
                        .ask(json!({"question": "Is Bob a lempus?"}))
                        .await;
                    assert!(
                        [200, 422].contains(&reply.status.as_u16()),
                        "{at} {number}: {reply:?}"
                    );
                    answered += 1;
                }
            }
        }
    }
    assert!(answered > 10, "{answered}");
}

#[test]
fn a_config_with_any_number_is_counted_or_refused() {
    for model in ["coconut-gpt2-hf", "coconut-llama-meta", "coconut-qwen3-hf"] {
        let text = std::fs::read_to_string(data(model).join("config.json")).unwrap();
        let config: Value = serde_json::from_str(&text).unwrap();
        for at in numbers(&config, "") {
            for number in EXTREMES {
                let Ok(config) = Config::from_json(&changed(&config, &at, number)) else {
                    continue;
                };
                assert!(config.parameter_count() > 0 && config.kv_floats_per_position() > 0);
            }
        }
    }
    // The largest of all sizes at once, which a file that is read may have.
    let most = 1 << 20;
    let config = json!({"model_type": "gpt2", "vocab_size": most, "n_positions": most, "n_embd": most,
        "n_layer": most, "n_head": most, "n_inner": most});
    let config = Config::from_json(&config).unwrap();
    assert_eq!(
        config.parameter_count() as u128,
        (1 << 20) * (6 << 40) + (1 << 20) * (10 << 20) + (2 << 40) + (2 << 20)
    );
}

#[test]
fn a_run_with_any_number_is_read_or_refused_by_name() {
    let recipes = Path::new(env!("CARGO_MANIFEST_DIR")).join("models/recipes");
    let mut refused = 0;
    let of_table = recipes.join("table");
    let files = [recipes, of_table].into_iter().flat_map(|folder| folder.read_dir().unwrap());
    // Unoptimised each field once, whichever item of a list it is in, and in whichever recipe.
    let mut tried = BTreeSet::new();
    for path in files.map(|entry| entry.unwrap().path()).filter(|path| path.is_file()) {
        let text = std::fs::read_to_string(&path).unwrap();
        let settings: toml::Table = toml::from_str(&text).unwrap();
        let settings = serde_json::to_value(&settings).unwrap();
        let field = |at: &str| {
            let parts = at.split('/').filter(|part| part.parse::<usize>().is_err());
            parts.collect::<Vec<_>>().join(".")
        };
        for at in
            numbers(&settings, "").into_iter().filter(|at| tried.insert(field(at)) || !UNOPTIMISED)
        {
            for number in EXTREMES.iter().chain(&["nan", "inf", "-inf"]) {
                let mut settings = settings.clone();
                *settings.pointer_mut(&at).unwrap() = json!(MARK);
                let text = toml::to_string(&settings).unwrap();
                let file = anew(&text.replace(&format!("{MARK:?}"), number));
                if let Err(error) = Settings::read(file.path()) {
                    let said = error.to_string();
                    assert!(said.contains(name(&at)), "{at} = {number}: {said}");
                    refused += 1;
                }
            }
        }
    }
    let most_of = if UNOPTIMISED { 300 } else { 1000 };
    assert!(tried.len() >= 40 && refused > most_of, "{refused} of {tried:?}");
}
