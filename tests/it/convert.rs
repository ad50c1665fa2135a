//! `convert` from every published layout, and what may not be converted or loaded.

use crate::parity::FIXTURES;
use crate::support::Fixture;
use crate::support::assert_golden;
use crate::support::data;
use coconut::latent::checkpoint::Checkpoint;
use coconut::latent::checkpoint::Location;
use coconut::latent::convert::Conversion;
use coconut::latent::convert::convert;
use coconut::latent::generate::generate;
use coconut::model::load::save::SavedType;
use std::path::Path;
use std::path::PathBuf;
use tempfile::TempDir;

fn to(folder: &TempDir, name: &str) -> PathBuf {
    folder.path().join(name)
}

fn conversion(from: &Path, to: PathBuf) -> Conversion {
    Conversion { from: Location::folder(from), to, dtype: None }
}

/// A copy of a fixture that a test may damage.
fn copy(name: &str) -> TempDir {
    let folder = TempDir::new().unwrap();
    for entry in std::fs::read_dir(data(name)).unwrap() {
        let entry = entry.unwrap();
        std::fs::copy(entry.path(), folder.path().join(entry.file_name())).unwrap();
    }
    folder
}

fn refusal(location: &Location) -> String {
    Checkpoint::open(location).unwrap_err().to_string()
}

#[test]
fn converted_checkpoints_give_the_golden_numbers() {
    let folder = TempDir::new().unwrap();
    for name in FIXTURES {
        let converted = convert(&conversion(&data(name), to(&folder, name))).unwrap();
        let fixture = Fixture::load_from(&to(&folder, name), name);
        for case in &fixture.expected.cases {
            let generated = generate(&fixture.model, &fixture.program(case)).unwrap();
            assert_golden(case, &generated.thoughts, &generated.first_logits, &generated.ids);
            if let Some(text) = &case.text {
                assert_eq!(&fixture.tokenizer.decode(&generated.ids), text);
            }
        }
        // Converting what was converted changes nothing.
        let again = format!("{name}-again");
        let again = convert(&conversion(&to(&folder, name), to(&folder, &again))).unwrap();
        assert_eq!(again.sha256, converted.sha256, "{name}");
    }
    let left: Vec<_> = std::fs::read_dir(folder.path()).unwrap().collect();
    assert_eq!(left.len(), 2 * FIXTURES.len(), "nothing unfinished is left");
}

#[test]
fn the_type_of_converted_weights_can_be_chosen() {
    let folder = TempDir::new().unwrap();
    let dtype = Some(SavedType::BF16);
    let half = Conversion { dtype, ..conversion(&data("codi-gpt2"), to(&folder, "half")) };
    let half = convert(&half).unwrap();
    let whole = convert(&conversion(&data("codi-gpt2"), to(&folder, "whole"))).unwrap();
    assert_eq!((half.dtype, whole.dtype), ("bfloat16", "float32"));
    assert!(half.bytes < whole.bytes * 6 / 10, "{} and {}", half.bytes, whole.bytes);
    let bf16 = data("coconut-llama3rope-hf-bf16");
    assert_eq!(convert(&conversion(&bf16, to(&folder, "same"))).unwrap().dtype, "bfloat16");
}

#[test]
fn nothing_is_overwritten() {
    let folder = TempDir::new().unwrap();
    std::fs::write(folder.path().join("precious"), "").unwrap();
    let error = convert(&conversion(&data("codi-gpt2"), folder.path().to_owned())).unwrap_err();
    assert!(error.to_string().contains("not empty"), "{error}");
}

#[test]
fn raw_checkpoints_take_config_and_tokenizer_from_a_base_folder() {
    for (fixture, weights) in
        [("coconut-gpt2-meta", "checkpoint_5"), ("codi-gpt2", "pytorch_model.bin")]
    {
        let raw = TempDir::new().unwrap();
        let base = TempDir::new().unwrap();
        for name in [weights, "adapter_config.json"] {
            let from = data(fixture).join(name);
            if from.is_file() {
                std::fs::copy(from, raw.path().join(name)).unwrap();
            }
        }
        // As the SIM-CoT repositories have it: there, and empty.
        std::fs::write(raw.path().join("config.json"), "").unwrap();
        for name in ["config.json", "tokenizer.json"] {
            std::fs::copy(data(fixture).join(name), base.path().join(name)).unwrap();
        }
        let alone = refusal(&Location::folder(raw.path()));
        assert!(alone.contains("config.json is empty"), "{alone}");
        assert!(alone.contains("GPT-2 with 3 layers of width 48 and 404 tokens"), "{alone}");
        let base = Some(base.path().to_owned());
        let location = Location { base, ..Location::folder(raw.path().join(weights)) };
        let found = Checkpoint::open(&location).unwrap();
        let own = Checkpoint::open(&Location::folder(data(fixture))).unwrap();
        assert_eq!(found.recipe, own.recipe);
    }
}

#[test]
fn what_was_found_is_said_in_one_line() {
    let says = |name: &str| Checkpoint::open(&Location::folder(data(name))).unwrap().description();
    let line = says("codi-gpt2");
    for part in [
        "codi (by its `codi.*` names)",
        "gpt2",
        "12 LoRA pairs merged",
        "projector 48 wide inside",
        "1 tensor",
    ] {
        assert!(line.contains(part), "{part}: {line}");
    }
    let line = says("simcot-gpt2-meta");
    for part in ["sim-cot-coconut", "10 latent steps", "19 tensors not needed"] {
        assert!(line.contains(part), "{part}: {line}");
    }
}

#[test]
fn a_recipe_can_be_given() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("recipe.json");
    let recipe = r#"{"family": "mine", "latent_steps": {"default": 2, "max": 3}, "eos": [400], "start": [401], "end": [402]}"#;
    std::fs::write(&path, recipe).unwrap();
    let location = |recipe: &Path| Location {
        recipe: Some(recipe.to_owned()),
        ..Location::folder(data("coconut-gpt2-meta"))
    };
    let checkpoint = Checkpoint::open(&location(&path)).unwrap();
    assert_eq!(
        (checkpoint.recipe.family.as_str(), checkpoint.recipe.latent_steps.max),
        ("mine", 3)
    );
    std::fs::write(&path, recipe.replace("402", "404")).unwrap();
    let error = refusal(&location(&path));
    assert!(error.contains("id 404 (\"<404>\"), outside the vocabulary of 404"), "{error}");
}

#[test]
fn a_published_id_says_how_often_to_think() {
    let id = Some("simon-pltk/codi-gpt2-prontoqa-latent".to_owned());
    let location = Location { id, ..Location::folder(data("codi-gpt2")) };
    assert_eq!(Checkpoint::open(&location).unwrap().recipe.latent_steps.default, 5);
}

#[test]
fn ambiguous_and_impossible_checkpoints_are_refused_with_what_is_missing() {
    // Three rows more than the tokenizer has, and nothing says whose.
    let folder = copy("coconut-gpt2-hf");
    let config = folder.path().join("config.json");
    let without = std::fs::read_to_string(&config).unwrap().replace("latent_start_id", "unknown");
    std::fs::write(&config, without).unwrap();
    let base = data("coconut-gpt2-meta").join("tokenizer.json");
    std::fs::copy(base, folder.path().join("tokenizer.json")).unwrap();
    let error = refusal(&Location::folder(folder.path()));
    assert!(error.contains("Coconut's or CODI's") && error.contains("--recipe"), "{error}");

    let folder = copy("coconut-gpt2-meta");
    std::fs::copy(folder.path().join("checkpoint_5"), folder.path().join("checkpoint_6")).unwrap();
    let error = refusal(&Location::folder(folder.path()));
    assert!(error.contains("checkpoint_5, checkpoint_6") && error.contains("choice"), "{error}");
    let one = Checkpoint::open(&Location::folder(folder.path().join("checkpoint_6"))).unwrap();
    assert_eq!(one.recipe.latent_steps.default, 6);

    let empty = TempDir::new().unwrap();
    let error = refusal(&Location::folder(empty.path()));
    assert!(error.contains("model.safetensors"), "{error}");

    let folder = copy("coconut-gpt2-meta");
    let config = folder.path().join("config.json");
    let other =
        std::fs::read_to_string(&config).unwrap().replace("\"n_layer\": 3", "\"n_layer\": 4");
    std::fs::write(&config, other).unwrap();
    let error = refusal(&Location::folder(folder.path()));
    assert!(error.contains("is 4, the weights have 3 layers"), "{error}");
}
