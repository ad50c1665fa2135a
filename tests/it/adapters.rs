//! What PEFT leaves behind: adapters by themselves with their base model, and state dicts of live models. The numbers
//! are those of PEFT's own models (`tests/data/peft`).

use crate::parity::all_at_once;
use crate::parity::crowded;
use crate::parity::one_at_a_time;
use crate::parity::start;
use crate::support::Fixture;
use crate::support::assert_golden;
use crate::support::data;
use coconut::engine::config::EngineConfig;
use coconut::hub::config::Access;
use coconut::hub::config::Config;
use coconut::hub::config::Token;
use coconut::hub::config::Waits;
use coconut::latent::checkpoint::Checkpoint;
use coconut::latent::checkpoint::Location;
use coconut::latent::convert::Conversion;
use coconut::latent::convert::convert;
use coconut::latent::generate::generate;
use coconut::latent::inspect::Inspection;
use coconut::latent::locate::Sought;
use coconut::latent::recipe::MANIFEST;
use safetensors::SafeTensors;
use safetensors::tensor::TensorView;
use serde_json::Value;
use serde_json::json;
use std::path::Path;
use std::path::PathBuf;
use tempfile::TempDir;

/// Adapters by themselves.
const ALONE: [&str; 16] = [
    "gpt2-all-linear",
    "gpt2-bias",
    "gpt2-embedding",
    "gpt2-head",
    "gpt2-modules-to-save",
    "gpt2-resized-copies",
    "gpt2-saved-embeddings",
    "gpt2-tied-copies",
    "gpt2-tied-pairs",
    "gpt2-tokens",
    "llama-patterns",
    "llama-resized",
    "llama-resized-copies",
    "llama-rslora",
    "llama-saved-embeddings",
    "llama-tokens",
];

/// Whole state dicts.
const LIVE: [&str; 6] = [
    "codi-no-norm",
    "codi-no-projector",
    "live-coconut-llama",
    "live-gpt2",
    "live-tied-pairs-gpt2",
    "live-tokens-gpt2",
];

fn folder(name: &str) -> PathBuf {
    data("peft").join(name)
}

fn location(name: &str) -> Location {
    let base = name.split('-').next().filter(|_| ALONE.contains(&name));
    let base = base.map(|kind| folder(&format!("base-{kind}")));
    Location { base, ..Location::folder(folder(name)) }
}

fn all() -> impl Iterator<Item = &'static str> {
    ALONE.into_iter().chain(LIVE)
}

fn assert_oracle(location: &Location, name: &str) {
    let fixture = Fixture::open(location, &format!("peft/{name}"));
    for case in &fixture.expected.cases {
        let generated = generate(&fixture.model, &fixture.program(case)).unwrap();
        assert_golden(case, &generated.thoughts, &generated.first_logits, &generated.ids);
    }
}

#[test]
fn adapters_give_the_numbers_of_pefts_own_models() {
    for name in all() {
        assert_oracle(&location(name), name);
    }
}

#[test]
fn the_engine_gives_the_numbers_of_pefts_own_models_alone_and_in_one_batch() {
    for name in all() {
        let fixture = || Fixture::open(&location(name), &format!("peft/{name}"));
        one_at_a_time(&fixture(), &start(fixture(), EngineConfig::default()));
        all_at_once(&fixture(), &start(fixture(), crowded(7)));
    }
}

#[test]
fn converted_adapters_are_whole_models_with_the_same_numbers() {
    let to = TempDir::new().unwrap();
    for name in all() {
        let to = to.path().join(name);
        convert(&Conversion { from: location(name), to: to.clone(), dtype: None }).unwrap();
        assert_oracle(&Location::folder(&to), name);
    }
}

/// No fixture is left out of these tests.
#[test]
fn every_fixture_is_tested() {
    let folders = std::fs::read_dir(folder("")).unwrap().map(|entry| entry.unwrap());
    let names = folders.filter(|entry| entry.path().join("expected.json").is_file());
    let names: Vec<String> =
        names.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
    for name in &names {
        assert!(name.starts_with("base-") || all().any(|known| known == name), "{name}");
    }
    assert_eq!(names.len(), all().count() + 2);
}

/// A copy of a fixture with some files changed; `None` takes a file away.
fn changed(name: &str, changes: &[(&str, Option<Value>)]) -> TempDir {
    let copy = TempDir::new().unwrap();
    for entry in std::fs::read_dir(folder(name)).unwrap() {
        let entry = entry.unwrap();
        std::fs::copy(entry.path(), copy.path().join(entry.file_name())).unwrap();
    }
    for (file, change) in changes {
        let path = copy.path().join(file);
        let Some(Value::Object(fields)) = change else {
            std::fs::remove_file(path).unwrap();
            continue;
        };
        let text = std::fs::read_to_string(&path).unwrap_or_else(|_| "{}".to_owned());
        let mut value: Value = serde_json::from_str(&text).unwrap();
        for (field, new) in fields {
            value[field] = new.clone();
        }
        std::fs::write(path, value.to_string()).unwrap();
    }
    copy
}

/// As `inspect` and `serve` refuse it, which is before weights are read.
fn refusal(location: &Location) -> String {
    match Checkpoint::open(location) {
        Ok(checkpoint) => panic!("not refused: {}", checkpoint.description()),
        Err(error) => error.to_string(),
    }
}

const CONFIG: &str = "adapter_config.json";

#[test]
fn what_an_adapter_lacks_is_said() {
    let alone = refusal(&Location::folder(folder("gpt2-all-linear")));
    assert!(alone.contains("base model's weights") && alone.contains("--base"), "{alone}");

    let without = changed("live-gpt2", &[(CONFIG, None)]);
    let error = refusal(&Location::folder(without.path()));
    assert!(error.contains("says its alpha") && error.contains(CONFIG), "{error}");

    let without = changed("live-tokens-gpt2", &[(CONFIG, None)]);
    let mut error = refusal(&Location::folder(without.path()));
    error.retain(|character| character != '\n');
    assert!(error.contains("trained alone") && error.contains("adapter_config.json"), "{error}");
    assert!(error.contains("`trainable_token_indices`"), "{error}");

    let without = changed("gpt2-all-linear", &[(CONFIG, None)]);
    let base = Some(folder("base-gpt2"));
    let error = refusal(&Location { base, ..Location::folder(without.path()) });
    assert!(error.contains("missing: adapter_config.json"), "{error}");

    let base = Some(folder("live-gpt2"));
    let error = refusal(&Location { base, ..Location::folder(folder("gpt2-all-linear")) });
    assert!(error.contains("an adapter in the base model too"), "{error}");
}

#[test]
fn what_disagrees_with_an_adapters_config_is_refused() {
    let recipe = json!({
        "family": "mine", "latent_steps": {"default": 2, "max": 3}, "eos": [59], "start": [60], "end": [61],
    });
    let with = |alpha: Value| {
        let mut recipe = recipe.clone();
        recipe["lora_alpha"] = alpha;
        changed("live-gpt2", &[("coconut.json", Some(recipe))])
    };
    Checkpoint::open(&Location::folder(with(json!(12)).path())).unwrap();
    let error = refusal(&Location::folder(with(json!(4)).path()));
    assert!(error.contains("`lora_alpha` is 12, the recipe's is 4"), "{error}");

    let other = changed("live-gpt2", &[(CONFIG, Some(json!({"r": 16})))]);
    let error = refusal(&Location::folder(other.path()));
    assert!(error.contains("says rank 16") && error.contains("has rank 2"), "{error}");

    let rows = json!({"trainable_token_indices": {"wte": [1, 2, 63]}});
    let beyond = changed("live-tokens-gpt2", &[(CONFIG, Some(rows))]);
    let error = refusal(&Location::folder(beyond.path()));
    assert!(error.contains("trainable_token_indices") && error.contains("row 63"), "{error}");
}

/// Coconut trained with LoRA is saved without its adapter's config: somebody has to say alpha.
#[test]
fn alpha_may_be_said_by_the_manifest_alone() {
    for name in ["live-gpt2", "live-coconut-llama", "live-tied-pairs-gpt2"] {
        let recipe = Checkpoint::open(&location(name)).unwrap().recipe;
        let with = |alpha: Value| {
            let mut recipe = json!(recipe);
            recipe["lora_alpha"] = alpha;
            changed(name, &[(CONFIG, None), (MANIFEST, Some(recipe))])
        };
        assert_oracle(&Location::folder(with(json!(12)).path()), name);
        let error = refusal(&Location::folder(with(Value::Null).path()));
        assert!(error.contains("nothing says its alpha"), "{name}: {error}");
        // What the refusal says helps, word for word.
        assert!(error.contains(r#"{"lora_alpha": "#) && error.contains(CONFIG), "{error}");
        let least = changed(name, &[(CONFIG, None)]);
        std::fs::write(least.path().join(CONFIG), r#"{"lora_alpha": 12}"#).unwrap();
        assert_oracle(&Location::folder(least.path()), name);
    }
}

#[test]
fn variants_that_are_not_computed_are_refused_by_name() {
    for (fields, word) in [
        (json!({"use_dora": true}), "use_dora"),
        (json!({"peft_type": "IA3"}), "IA3"),
        (json!({"init_lora_weights": "pissa"}), "pissa"),
    ] {
        let other = changed("gpt2-all-linear", &[(CONFIG, Some(fields))]);
        let error =
            refusal(&Location { model: other.path().to_owned(), ..location("gpt2-all-linear") });
        assert!(error.contains(word), "{word}: {error}");
    }
    // Its config says what it is where its names say nothing.
    let other = renamed("gpt2-all-linear", |name| match name.strip_suffix("lora_A.weight") {
        Some(module) => vec![format!("{module}ia3_l")],
        None => Vec::new(),
    });
    std::fs::write(other.path().join(CONFIG), r#"{"peft_type": "IA3"}"#).unwrap();
    for base in [None, location("gpt2-all-linear").base] {
        let error = refusal(&Location { base, ..Location::folder(other.path()) });
        assert!(error.contains("`peft_type` is `IA3`; LORA is supported"), "{error}");
    }
    // In a whole state dict the weights that an initialisation has changed are there.
    let fields = json!({"init_lora_weights": "pissa"});
    let whole = changed("live-gpt2", &[(CONFIG, Some(fields))]);
    assert_oracle(&Location::folder(whole.path()), "live-gpt2");
}

/// The tensors of an adapter under other names.
fn renamed(name: &str, rename: impl Fn(&str) -> Vec<String>) -> TempDir {
    let copy = changed(name, &[]);
    let path = copy.path().join("adapter_model.safetensors");
    let file = std::fs::read(&path).unwrap();
    let tensors = SafeTensors::deserialize(&file).unwrap();
    let all: Vec<(String, TensorView<'_>)> = tensors
        .tensors()
        .into_iter()
        .flat_map(|(name, view)| rename(&name).into_iter().map(move |name| (name, view.clone())))
        .collect();
    safetensors::serialize_to_file(all, None, &path).unwrap();
    copy
}

/// With saved embedding layers a file has a trained module twice, and what it was before.
#[test]
fn a_trained_module_that_is_there_twice_is_the_same_twice() {
    let name = "llama-resized-copies";
    let exchanged = renamed(name, |name| {
        vec![match name {
            _ if name.contains("modules_to_save") => {
                name.replace("modules_to_save", "original_module")
            }
            _ => name.replace("original_module", "modules_to_save"),
        }]
    });
    let error = refusal(&Location { model: exchanged.path().to_owned(), ..location(name) });
    assert!(error.contains("must be copies of each other and differ"), "{error}");
    let without = renamed(name, |name| match name.contains("modules_to_save") {
        true => Vec::new(),
        false => vec![name.to_owned()],
    });
    assert_oracle(&Location { model: without.path().to_owned(), ..location(name) }, name);
}

#[test]
fn names_of_adapters_are_read_in_every_form() {
    let name = "gpt2-all-linear";
    let forms: [fn(&str) -> String; 4] = [
        |name| name.replace(".weight", ".student.weight"),
        |name| format!("module._orig_mod.{name}"),
        |name| name.replace("base_model.model.", "model.llm.base_model.model."),
        // Around a bare GPT2Model.
        |name| name.replace(".transformer.", "."),
    ];
    for form in forms {
        let copy = renamed(name, |name| vec![form(name)]);
        assert_oracle(&Location { model: copy.path().to_owned(), ..location(name) }, name);
    }
    let two = renamed(name, |name| {
        ["one", "two"]
            .map(|adapter| name.replace(".weight", &format!(".{adapter}.weight")))
            .to_vec()
    });
    let error = refusal(&Location { model: two.path().to_owned(), ..location(name) });
    assert!(error.contains("several LoRA adapters (one, two)"), "{error}");
    let dora = renamed(name, |name| {
        let magnitude = name.replace("lora_A.weight", "lora_magnitude_vector");
        [Some(name.to_owned()), (magnitude != name).then_some(magnitude)]
            .into_iter()
            .flatten()
            .collect()
    });
    let error = refusal(&Location { model: dora.path().to_owned(), ..location(name) });
    assert!(error.contains("DoRA"), "{error}");
}

#[test]
fn an_adapter_beside_a_whole_model_is_a_choice() {
    let both = changed("base-gpt2", &[]);
    for file in [CONFIG, "adapter_model.safetensors"] {
        std::fs::copy(folder("gpt2-all-linear").join(file), both.path().join(file)).unwrap();
    }
    let error = refusal(&Location::folder(both.path()));
    assert!(error.contains("a choice: name one of the files"), "{error}");
    let adapter = both.path().join("adapter_model.safetensors");
    let base = Some(both.path().to_owned());
    assert_oracle(&Location { base, ..Location::folder(adapter) }, "gpt2-all-linear");
    assert_oracle(&Location::folder(both.path().join("model.safetensors")), "base-gpt2");
}

fn sought(model: &Path) -> Sought {
    let model = model.to_str().unwrap().to_owned();
    let hub = Config {
        endpoint: "http://127.0.0.1:1".to_owned(),
        cache: PathBuf::from("none"),
        token: Token::Absent,
        access: Access::Offline,
        waits: Waits::default(),
    };
    Sought { model, base: None, recipe: None, hub }
}

#[test]
fn an_adapter_names_its_base_model() {
    let base = folder("base-gpt2");
    let named = json!({"base_model_name_or_path": base.to_str().unwrap()});
    let adapter = changed("gpt2-all-linear", &[(CONFIG, Some(named))]);
    let located = sought(adapter.path()).locate().unwrap();
    assert_eq!(located.base.as_deref(), Some(base.as_path()));
    assert_oracle(&located, "gpt2-all-linear");
    let told = Sought { base: Some("else where".to_owned()), ..sought(adapter.path()) };
    assert_eq!(told.locate().unwrap().base.as_deref(), Some(Path::new("else where")));
    // A whole state dict needs no other weights, whatever its adapter_config.json names.
    assert_eq!(sought(&folder("live-gpt2")).locate().unwrap().base, None);
}

#[test]
fn an_adapter_is_shown() {
    let open = |name: &str| Checkpoint::open(&location(name)).unwrap();
    let checkpoint = open("gpt2-tokens");
    let shown = Inspection(&checkpoint).to_string();
    for part in ["adapter_model.safetensors", "base-gpt2", "2 pairs", "3 of transformer.wte.weight"]
    {
        assert!(shown.contains(part), "{part}: {shown}");
    }
    let checkpoint = open("gpt2-modules-to-save");
    assert!(Inspection(&checkpoint).to_string().contains("head its own"));
    let checkpoint = open("codi-no-norm");
    let shown = Inspection(&checkpoint).to_string();
    assert!(shown.contains("24 wide inside, without norm"), "{shown}");
}
