//! Checkpoints as trainers leave them: names as real wrappers make them, state dicts in real envelopes, embeddings with
//! more rows than are used (`tests/data/wrapped`). The numbers are those of the one small model in all of them.

use crate::support::Fixture;
use crate::support::assert_golden;
use crate::support::data;
use candle_core::Device;
use coconut::latent::checkpoint::Checkpoint;
use coconut::latent::checkpoint::Location;
use coconut::latent::convert::Conversion;
use coconut::latent::convert::convert;
use coconut::latent::generate::generate;
use safetensors::Dtype;
use safetensors::SafeTensors;
use safetensors::tensor::TensorView;
use std::collections::BTreeMap;
use std::path::Path;
use tempfile::TempDir;

const MODEL: &str = "peft/base-gpt2";
const EMBEDDING: &str = "transformer.wte.weight";

/// The model's tensors under other names: `names` gives pairs of its own name and another.
fn written(names: impl IntoIterator<Item = (String, String)>, extra_rows: usize) -> TempDir {
    let folder = with_companions("tokenizer.json");
    let file = std::fs::read(data(MODEL).join("model.safetensors")).unwrap();
    let tensors = SafeTensors::deserialize(&file).unwrap();
    let embedding = tensors.tensor(EMBEDDING).unwrap();
    let (rows, width) = (embedding.shape()[0] + extra_rows, embedding.shape()[1]);
    let grown = [embedding.data(), &vec![0; extra_rows * width * 4]].concat();
    let views: Vec<_> = names
        .into_iter()
        .map(|(own, other)| match own.as_str() {
            EMBEDDING | "lm_head.weight" | "embedding.weight" => {
                (other, TensorView::new(Dtype::F32, vec![rows, width], &grown).unwrap())
            }
            own => (other, tensors.tensor(own).unwrap()),
        })
        .collect();
    safetensors::serialize_to_file(views, None, &folder.path().join("model.safetensors")).unwrap();
    folder
}

/// A folder with the model's config.json and a tokenizer.
fn with_companions(tokenizer: &str) -> TempDir {
    let folder = TempDir::new().unwrap();
    for (from, to) in [("config.json", "config.json"), (tokenizer, "tokenizer.json")] {
        std::fs::copy(data(MODEL).join(from), folder.path().join(to)).unwrap();
    }
    folder
}

fn names() -> BTreeMap<String, Vec<String>> {
    let text = std::fs::read_to_string(data("wrapped").join("names.json")).unwrap();
    serde_json::from_str(&text).unwrap()
}

/// The names of the paper's class, which are the first of names.json, without its own prefix.
fn own(plain: &str) -> String {
    plain.strip_prefix("base_causallm.").unwrap_or(plain).to_owned()
}

fn plain() -> Vec<String> {
    names()["plain"].clone()
}

fn assert_numbers(folder: &Path) {
    let fixture = Fixture::open(&Location::folder(folder), MODEL);
    assert_eq!(fixture.recipe.family, "coconut");
    for case in &fixture.expected.cases {
        let generated = generate(&fixture.model, &fixture.program(case)).unwrap();
        let logits = &generated.first_logits[..case.first_logits.len()];
        assert_golden(case, &generated.thoughts, logits, &generated.ids);
    }
}

fn refusal(folder: &Path) -> String {
    Checkpoint::open(&Location::folder(folder)).unwrap_err().to_string()
}

#[test]
fn names_are_read_as_real_wrappers_make_them() {
    let plain = plain();
    for (wrapper, wrapped) in names() {
        let renamed = plain.iter().map(|name| own(name)).zip(wrapped);
        if wrapper == "flat" {
            let flat = written(renamed, 0);
            assert!(refusal(flat.path()).contains("FULL_STATE_DICT"));
            continue;
        }
        assert_numbers(written(renamed, 0).path());
    }
}

#[test]
fn names_are_read_in_any_module_of_a_trainer() {
    for outer in
        ["model.", "net.", "model.module.", "_forward_module.model._orig_mod.", "base_model.model."]
    {
        for inner in ["", "base_model.model.", "module."] {
            let rename = |name: &String| match name.strip_prefix("base_causallm.") {
                Some(rest) => format!("{outer}base_causallm.{inner}{rest}"),
                None => format!("{outer}{name}"),
            };
            let plain = plain();
            let renamed = plain.iter().map(|name| (own(name), rename(name)));
            assert_numbers(written(renamed, 0).path());
        }
        // The language model by itself.
        let plain = plain();
        let bare = plain.iter().filter_map(|name| name.strip_prefix("base_causallm."));
        let renamed = bare.map(|name| (name.to_owned(), format!("{outer}{name}")));
        assert_numbers(written(renamed, 0).path());
    }
}

#[test]
fn several_models_in_one_file_are_a_choice() {
    let plain = plain();
    let both = ["student.", "teacher."].into_iter().flat_map(|outer| {
        let bare = plain.iter().filter_map(|name| name.strip_prefix("base_causallm."));
        bare.map(move |name| (name.to_owned(), format!("{outer}{name}")))
    });
    let error = refusal(written(both, 0).path());
    assert!(error.contains("`student.`, `teacher.`") && error.contains("choice"), "{error}");
}

/// Writers of safetensors keep one name of tensors that share their memory, and not always the same.
#[test]
fn one_name_of_the_tied_tensors_is_enough() {
    let tied = [
        "base_causallm.transformer.wte.weight",
        "base_causallm.lm_head.weight",
        "embedding.weight",
    ];
    for kept in tied {
        let plain = plain();
        let names = plain.iter().filter(|name| !tied.contains(&name.as_str()) || *name == kept);
        assert_numbers(written(names.map(|name| (own(name), name.clone())), 0).path());
    }
}

#[test]
fn state_dicts_are_found_in_real_envelopes() {
    for envelope in ["lightning", "model_state_dict", "deepspeed"] {
        let folder = with_companions("tokenizer.json");
        let file = data("wrapped").join(envelope).join("checkpoint_1");
        std::fs::copy(file, folder.path().join("checkpoint_1")).unwrap();
        assert_numbers(folder.path());
    }
}

/// `pad_to_multiple_of`, and rows that a script added for no use.
#[test]
fn rows_beyond_three_are_allowed() {
    for extra in [1, 2, 8, 65] {
        let plain = plain();
        let names = || plain.iter().map(|name| (own(name), name.clone()));
        // With markers in the tokenizer, and without.
        let with = written(names(), extra);
        assert_numbers(with.path());
        let without = "../codi-no-norm/tokenizer.json";
        std::fs::copy(data(MODEL).join(without), with.path().join("tokenizer.json")).unwrap();
        assert_numbers(with.path());
        let converted = with.path().join("converted");
        convert(&Conversion {
            from: Location::folder(with.path()),
            to: converted.clone(),
            dtype: None,
        })
        .unwrap();
        assert_numbers(&converted);
    }
    // Names as Hugging Face writes them do not say whose the added rows are.
    let names = plain()
        .into_iter()
        .filter_map(|name| name.strip_prefix("base_causallm.").map(str::to_owned));
    let bare = written(names.map(|name| (name.clone(), name)), 5);
    let tokenizer = data("peft/codi-no-norm/tokenizer.json");
    std::fs::copy(tokenizer, bare.path().join("tokenizer.json")).unwrap();
    let error = refusal(bare.path());
    assert!(error.contains("Coconut's or CODI's"), "{error}");
}

/// Only CODI's own names, or a word in config.json, say that there is to be no norm.
#[test]
fn a_norm_that_got_lost_is_missed() {
    let folder = TempDir::new().unwrap();
    let (whole, bare) = (folder.path().join("whole"), folder.path().join("bare"));
    for (name, to) in [("codi-llama", &whole), ("peft/codi-no-norm", &bare)] {
        convert(&Conversion { from: Location::folder(data(name)), to: to.clone(), dtype: None })
            .unwrap();
    }
    let load = |folder: &Path| {
        let checkpoint = Checkpoint::open(&Location::folder(folder)).unwrap();
        checkpoint.model(&Device::Cpu).map(drop)
    };
    load(&bare).unwrap();
    let file = std::fs::read(whole.join("model.safetensors")).unwrap();
    let tensors = SafeTensors::deserialize(&file).unwrap().tensors();
    let kept = tensors.into_iter().filter(|(name, _)| !name.starts_with("projector.4."));
    safetensors::serialize_to_file(
        kept.collect::<Vec<_>>(),
        None,
        &whole.join("model.safetensors"),
    )
    .unwrap();
    assert!(load(&whole).unwrap_err().to_string().contains("projector.4.weight"));
}
