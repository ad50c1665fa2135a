//! The end of an answer and the folder of a base model: what the files beside the weights say, wherever they lie.

use crate::support::data;
use crate::transformers::saved;
use coconut::latent::checkpoint::Checkpoint;
use coconut::latent::checkpoint::Location;
use coconut::latent::convert::Conversion;
use coconut::latent::convert::convert;
use coconut::latent::inspect::Inspection;
use serde_json::Value;
use serde_json::json;
use std::path::Path;
use tempfile::TempDir;

/// A fixture's files, but those that `without` names.
fn copy(fixture: &str, without: &[&str]) -> TempDir {
    let folder = TempDir::new().unwrap();
    for entry in std::fs::read_dir(data(fixture)).unwrap() {
        let entry = entry.unwrap();
        if !without.iter().any(|name| entry.file_name() == *name) {
            std::fs::copy(entry.path(), folder.path().join(entry.file_name())).unwrap();
        }
    }
    folder
}

fn write(folder: &Path, name: &str, json: &Value) {
    std::fs::write(folder.join(name), json.to_string()).unwrap();
}

fn eos(folder: &Path) -> Vec<u32> {
    Checkpoint::open(&Location::folder(folder)).unwrap().recipe.eos
}

fn refusal(location: &Location) -> String {
    Checkpoint::open(location).map(|_| ()).unwrap_err().to_string()
}

/// As transformers 4 and 5 wrote them: the tokenizer's end is 27, `config.json` has 29 to 31, `generation_config.json` 26
/// and 29.
#[test]
fn every_file_that_transformers_saved_counts() {
    let mut models = saved();
    models.retain(|folder| folder.join("tokenizer.json").exists());
    assert!(models.len() >= 3);
    for folder in models {
        assert_eq!(eos(&folder), [27, 29, 30, 31, 26], "{}", folder.display());
    }
}

/// The fixture's config.json says 400; 401 is `<|start-latent|>`.
#[test]
fn each_file_may_state_the_end_in_every_form() {
    let (generation, tokenizer, map) =
        ("generation_config.json", "tokenizer_config.json", "special_tokens_map.json");
    for (name, file, expected) in [
        (generation, json!({ "eos_token_id": 7 }), &[400, 7][..]),
        (generation, json!({ "eos_token_id": [400, 7, 8] }), &[400, 7, 8]),
        (generation, json!({ "eos_token_id": null }), &[400]),
        (generation, json!({ "eos_token_id": -1 }), &[400]),
        (generation, json!({ "eos_token_id": [null, -1, 7] }), &[400, 7]),
        (generation, json!({ "eos_token_id": 1_000_000 }), &[400]),
        (generation, json!({}), &[400]),
        (tokenizer, json!({ "eos_token": "<|start-latent|>" }), &[401, 400]),
        (
            tokenizer,
            json!({ "eos_token": { "content": "<|start-latent|>", "lstrip": false } }),
            &[401, 400],
        ),
        (tokenizer, json!({ "eos_token": "<|endoftext|>" }), &[400]),
        (tokenizer, json!({ "eos_token": "a token that it lacks" }), &[400]),
        (tokenizer, json!({ "eos_token": null, "model_max_length": 1e30 }), &[400]),
        (map, json!({ "eos_token": "<|start-latent|>" }), &[401, 400]),
        (map, json!({ "eos_token": { "content": "<|start-latent|>" } }), &[401, 400]),
    ] {
        let folder = copy("coconut-gpt2-hf", &[]);
        write(folder.path(), name, &file);
        assert_eq!(eos(folder.path()), expected, "{name}: {file}");
    }
}

#[test]
fn a_file_that_cannot_be_read_is_named_and_an_empty_one_is_none() {
    for name in ["generation_config.json", "tokenizer_config.json", "special_tokens_map.json"] {
        let folder = copy("coconut-gpt2-hf", &[]);
        let path = folder.path().join(name);
        std::fs::write(&path, " \n").unwrap();
        assert_eq!(eos(folder.path()), [400], "{name}");
        for malformed in ["{", "[1]", "null", r#"{"eos_token_id": "</s>", "eos_token": 5}"#] {
            std::fs::write(&path, malformed).unwrap();
            let said = refusal(&Location::folder(folder.path()));
            assert!(said.contains(name), "{malformed}: {said}");
        }
        assert!(refusal(&Location::folder(folder.path())).contains("`eos_token"));
    }
}

#[test]
fn where_no_file_states_an_end_the_usual_tokens_are_looked_for() {
    let folder = copy("coconut-gpt2-hf", &[]);
    let path = folder.path().join("config.json");
    let mut config: Value = serde_json::from_str(&std::fs::read_to_string(&path).unwrap()).unwrap();
    config["eos_token_id"] = json!(-1);
    write(folder.path(), "config.json", &config);
    assert_eq!(eos(folder.path()), [400]);
    let path = folder.path().join("tokenizer.json");
    let tokenizer = std::fs::read_to_string(&path).unwrap().replace("<|endoftext|>", "<|other|>");
    std::fs::write(&path, tokenizer).unwrap();
    let said = refusal(&Location::folder(folder.path()));
    assert!(
        said.contains("generation_config.json") && said.contains("tokenizer_config.json"),
        "{said}"
    );
}

/// Their recipes say themselves how answers end.
#[test]
fn families_with_an_end_of_their_own_keep_it() {
    let folder = copy("superposition-gpt2", &[]);
    let own = eos(folder.path());
    write(folder.path(), "generation_config.json", &json!({ "eos_token_id": [1, 2] }));
    write(folder.path(), "tokenizer_config.json", &json!({ "eos_token": "1" }));
    assert_eq!(eos(folder.path()), own);
}

#[test]
fn converting_carries_the_ends_on() {
    let folder = copy("coconut-gpt2-hf", &[]);
    write(
        folder.path(),
        "generation_config.json",
        &json!({ "eos_token_id": [400, 7], "top_p": 0.9 }),
    );
    write(folder.path(), "tokenizer_config.json", &json!({ "eos_token": "<|start-latent|>" }));
    let to = TempDir::new().unwrap();
    let from = Location::folder(folder.path());
    convert(&Conversion { from, to: to.path().to_owned(), dtype: None }).unwrap();
    let read = |name: &str| -> Value {
        serde_json::from_str(&std::fs::read_to_string(to.path().join(name)).unwrap()).unwrap()
    };
    let all = json!([401, 400, 7]);
    assert_eq!(read("generation_config.json"), json!({ "eos_token_id": all, "top_p": 0.9 }));
    assert_eq!(read("config.json")["eos_token_id"], all);
    assert_eq!(read("coconut.json")["eos"], all);
    // And without our manifest.
    std::fs::remove_file(to.path().join("coconut.json")).unwrap();
    assert_eq!(eos(to.path()), [401, 400, 7]);
}

/// A base folder may have any of the files; what the checkpoint has itself goes before.
#[test]
fn what_a_checkpoint_lacks_comes_from_its_base_file_by_file() {
    let names = ["config.json", "tokenizer.json"];
    let whole = eos(&data("coconut-gpt2-meta"));
    for lacking in [&names[..1], &names[1..], &names[..], &[]] {
        let (raw, base) = (copy("coconut-gpt2-meta", lacking), TempDir::new().unwrap());
        for name in lacking {
            std::fs::copy(data("coconut-gpt2-meta").join(name), base.path().join(name)).unwrap();
        }
        let location =
            Location { base: Some(base.path().to_owned()), ..Location::folder(raw.path()) };
        assert_eq!(Checkpoint::open(&location).unwrap().recipe.eos, whole);
        write(base.path(), "generation_config.json", &json!({ "eos_token_id": 7 }));
        assert_eq!(Checkpoint::open(&location).unwrap().recipe.eos, [400, 7]);
        write(raw.path(), "generation_config.json", &json!({ "eos_token_id": 8 }));
        assert_eq!(Checkpoint::open(&location).unwrap().recipe.eos, [400, 8]);
    }
    let absent = Some(data("no such folder"));
    let said = refusal(&Location { base: absent, ..Location::folder(data("codi-gpt2")) });
    assert!(said.contains("no such folder"), "{said}");
}

/// Zeros without a byte on disk: names and sizes are all that is looked at.
fn zeros(path: &Path, rows: usize, layers: usize) {
    let (width, inner) = (768, 3072);
    let mut tensors = vec![("wte.weight".to_owned(), vec![rows, width])];
    tensors.push(("wpe.weight".to_owned(), vec![1024, width]));
    for layer in 0..layers {
        for (name, shape) in [
            ("ln_1.weight", vec![width]),
            ("ln_1.bias", vec![width]),
            ("attn.c_attn.weight", vec![width, 3 * width]),
            ("attn.c_attn.bias", vec![3 * width]),
            ("attn.c_proj.weight", vec![width, width]),
            ("attn.c_proj.bias", vec![width]),
            ("ln_2.weight", vec![width]),
            ("ln_2.bias", vec![width]),
            ("mlp.c_fc.weight", vec![width, inner]),
            ("mlp.c_fc.bias", vec![inner]),
            ("mlp.c_proj.weight", vec![inner, width]),
            ("mlp.c_proj.bias", vec![width]),
        ] {
            tensors.push((format!("h.{layer}.{name}"), shape));
        }
    }
    for name in ["ln_f.weight", "ln_f.bias"] {
        tensors.push((name.to_owned(), vec![width]));
    }
    let mut header = serde_json::Map::new();
    let mut end = 0;
    for (name, shape) in tensors {
        let start = end;
        end += 2 * shape.iter().product::<usize>();
        let tensor = json!({ "dtype": "F16", "shape": shape, "data_offsets": [start, end] });
        header.insert(format!("base_causallm.transformer.{name}"), tensor);
    }
    let header = json!(header).to_string();
    let mut file = (header.len() as u64).to_le_bytes().to_vec();
    file.extend(header.as_bytes());
    let length = (file.len() + end) as u64;
    std::fs::write(path, file).unwrap();
    std::fs::File::options().write(true).open(path).unwrap().set_len(length).unwrap();
}

/// Sizes that are known need no config.json, with or without a base folder.
#[test]
fn known_sizes_are_known_with_a_base_too() {
    let tokenizer = data("superposition-gpt2").join("tokenizer.json");
    let (raw, base) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    zeros(&raw.path().join("model.safetensors"), 40, 2);
    let location =
        |base: &Path| Location { base: Some(base.to_owned()), ..Location::folder(raw.path()) };
    let alone = Checkpoint::open(&Location::folder(raw.path())).unwrap();
    let said = |checkpoint: &Checkpoint| Inspection(checkpoint).to_string();
    assert!(said(&alone).contains("sizes of the tensors"), "{}", said(&alone));
    std::fs::write(base.path().join("config.json"), "").unwrap();
    for step in ["nothing", "a tokenizer"] {
        let based = Checkpoint::open(&location(base.path())).unwrap();
        assert_eq!(said(&based), said(&alone), "the base has {step}");
        std::fs::copy(&tokenizer, base.path().join("tokenizer.json")).unwrap();
    }
    // Sizes that are not known: the refusal speaks of the folder that was named to help.
    zeros(&raw.path().join("model.safetensors"), 41, 2);
    let error = refusal(&location(base.path()));
    assert!(error.contains(&base.path().display().to_string()), "{error}");
    let shared = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data/gpt2-tokenizer");
    if shared.is_dir() {
        zeros(&raw.path().join("model.safetensors"), 50260, 12);
        let found = Checkpoint::open(&location(&shared)).unwrap();
        assert_eq!(
            (found.recipe.family.as_str(), &found.recipe.eos[..]),
            ("coconut", &[50256][..])
        );
        assert_eq!(found.found.config.heads, 12);
    }
}
