//! Layouts without a fixture of their own, made from those that have one: what is recognised, and what it is taken for.

use crate::support::Fixture;
use crate::support::assert_golden;
use crate::support::data;
use coconut::latent::checkpoint::Checkpoint;
use coconut::latent::checkpoint::Location;
use coconut::latent::convert::Conversion;
use coconut::latent::convert::convert;
use coconut::latent::generate::generate;
use coconut::latent::published::PUBLISHED;
use coconut::latent::recipe::Recipe;
use safetensors::SafeTensors;
use safetensors::tensor::TensorView;
use std::path::Path;
use tempfile::TempDir;

/// `coconut-gpt2-hf` with a changed config.json, the base model's tokenizer, and tensors named by `rename`, those left
/// out for which it gives nothing. `rows` of the embedding are kept.
fn variant(rows: usize, rename: impl Fn(&str) -> Option<String>) -> TempDir {
    let folder = TempDir::new().unwrap();
    let from = data("coconut-gpt2-hf");
    let config = std::fs::read_to_string(from.join("config.json")).unwrap();
    let config = config.replace("\"latent_", "\"unknown_");
    std::fs::write(folder.path().join("config.json"), config).unwrap();
    let tokenizer = data("coconut-gpt2-meta").join("tokenizer.json");
    std::fs::copy(tokenizer, folder.path().join("tokenizer.json")).unwrap();
    let file = std::fs::read(from.join("model.safetensors")).unwrap();
    let tensors = SafeTensors::deserialize(&file).unwrap();
    let kept = tensors.tensors().into_iter().filter_map(|(name, view)| {
        let mut shape = view.shape().to_vec();
        let mut data = view.data();
        if name == "transformer.wte.weight" {
            data = &data[..data.len() / shape[0] * rows];
            shape[0] = rows;
        }
        Some((rename(&name)?, TensorView::new(view.dtype(), shape, data).unwrap()))
    });
    let kept: Vec<_> = kept.collect();
    safetensors::serialize_to_file(kept, None, &folder.path().join("model.safetensors")).unwrap();
    folder
}

fn recipe(folder: &Path) -> Recipe {
    let checkpoint = Checkpoint::open(&Location::folder(folder)).unwrap();
    checkpoint.model(&candle_core::Device::Cpu).unwrap();
    checkpoint.recipe
}

fn refusal(folder: &Path) -> String {
    let opened = Checkpoint::open(&Location::folder(folder));
    match opened {
        Err(error) => error.to_string(),
        Ok(checkpoint) => checkpoint.model(&candle_core::Device::Cpu).unwrap_err().to_string(),
    }
}

#[test]
fn a_language_model_thinks_in_words() {
    let recipe = recipe(variant(401, |name| Some(name.to_owned())).path());
    assert_eq!((recipe.family.as_str(), recipe.latent_steps.max), ("cot", 0));
    assert!(recipe.start.is_empty() && recipe.end.is_empty());
    assert_eq!(recipe.render("2 + 2?"), "2 + 2?\n");
}

#[test]
fn icot_ends_with_the_second_end_of_sequence() {
    let recipe = recipe(variant(401, |name| Some(format!("base_model.{name}"))).path());
    assert_eq!((recipe.family.as_str(), recipe.eos_count), ("icot", 2));
    assert_eq!(recipe.render("2 + 2?"), " 2 + 2? <|endoftext|>");
}

#[test]
fn traces_of_compilation_and_data_parallel_training_are_ignored() {
    let noisy = variant(404, |name| Some(format!("module._orig_mod.base_causallm.{name}")));
    let recipe = recipe(noisy.path());
    assert_eq!(
        (recipe.family.as_str(), &recipe.start[..], &recipe.end[..]),
        ("coconut", &[401][..], &[402][..])
    );
}

#[test]
fn bare_models_get_their_stem_back() {
    let bare = variant(401, |name| name.strip_prefix("transformer.").map(str::to_owned));
    assert_eq!(recipe(bare.path()).family, "cot");
}

#[test]
fn missing_and_unknown_tensors_are_named() {
    let without = variant(401, |name| (!name.contains("h.1.mlp.c_fc")).then(|| name.to_owned()));
    let error = refusal(without.path());
    assert!(
        error.contains("missing") && error.contains("transformer.h.1.mlp.c_fc.weight"),
        "{error}"
    );
    let with =
        variant(401, |name| Some(name.replace("transformer.ln_f.bias", "transformer.ln_g.bias")));
    assert!(refusal(with.path()).contains("transformer.ln_f.bias"));
}

#[test]
fn known_families_that_are_not_computed_are_named() {
    for (prefix, family) in [("latent_policy.fc.0.", "CoLaR"), ("recurrent_filter.", "adaLR")] {
        let other = variant(401, |name| Some(name.replace("transformer.ln_f.", prefix)));
        let error = refusal(other.path());
        assert!(error.contains(family), "{error}");
    }
}

#[test]
fn copies_that_differ_are_refused() {
    // The positions in the place of the embedding's copy: another tensor, and of another shape.
    let differing = variant(404, |name| {
        Some(match name {
            "transformer.ln_f.bias" => "embedding.weight".to_owned(),
            name => format!("base_causallm.{name}"),
        })
    });
    let error = refusal(differing.path());
    assert!(error.contains("must be copies"), "{error}");
}

#[test]
fn shards_are_read_with_and_without_an_index() {
    let [first, second] = [true, false].map(|first| {
        variant(404, |name| {
            (name.contains(".h.") == first).then(|| format!("base_causallm.{name}"))
        })
    });
    let names = ["model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"];
    std::fs::rename(first.path().join("model.safetensors"), first.path().join(names[0])).unwrap();
    assert!(refusal(first.path()).contains("1 of 2 shards"));
    std::fs::copy(second.path().join("model.safetensors"), first.path().join(names[1])).unwrap();
    assert_eq!(recipe(first.path()).family, "coconut");
    let index = first.path().join("model.safetensors.index.json");
    let map = serde_json::json!({ "weight_map": { "a": names[0], "b": names[1] } });
    std::fs::write(&index, map.to_string()).unwrap();
    assert_eq!(recipe(first.path()).family, "coconut");
    let map = serde_json::json!({ "weight_map": { "a": "../elsewhere.safetensors" } });
    std::fs::write(&index, map.to_string()).unwrap();
    assert!(refusal(first.path()).contains("not in the checkpoint's folder"));
}

/// The clean folders of `latent-tts-codi`: merged, `projector.*`, ids in config.json, no manifest.
#[test]
fn a_projector_and_ids_in_the_config_make_codi() {
    let folder = TempDir::new().unwrap();
    let to = folder.path().join("clean");
    let from = Location::folder(data("codi-gpt2"));
    convert(&Conversion { from, to: to.clone(), dtype: None }).unwrap();
    std::fs::remove_file(to.join("coconut.json")).unwrap();
    assert_eq!(recipe(&to), recipe(&data("codi-gpt2")));
}

/// `codi-llama` without the file that says its alpha, its pairs filled up with zeros to another rank: what they make of a
/// weight is the same.
fn filled_up(rank: usize) -> TempDir {
    let folder = TempDir::new().unwrap();
    let from = data("codi-llama");
    for name in ["config.json", "tokenizer.json"] {
        std::fs::copy(from.join(name), folder.path().join(name)).unwrap();
    }
    let file = std::fs::read(from.join("model.safetensors")).unwrap();
    let tensors = SafeTensors::deserialize(&file).unwrap();
    let all = tensors.tensors().into_iter().map(|(name, view)| {
        let (mut shape, mut data) = (view.shape().to_vec(), view.data().to_vec());
        if name.contains("lora_A") {
            data.resize(data.len() / shape[0] * rank, 0);
            shape[0] = rank;
        } else if name.contains("lora_B") {
            let row = data.len() / shape[0];
            let zeros = vec![0; row / shape[1] * (rank - shape[1])];
            data = data.chunks(row).flat_map(|row| [row, &zeros].concat()).collect();
            shape[1] = rank;
        }
        (name, view.dtype(), shape, data)
    });
    let all: Vec<_> = all.collect();
    let views = all.iter().map(|(name, dtype, shape, data)| {
        (name.clone(), TensorView::new(*dtype, shape.clone(), data).unwrap())
    });
    let to = folder.path().join("model.safetensors");
    safetensors::serialize_to_file(views.collect::<Vec<_>>(), None, &to).unwrap();
    folder
}

/// Alpha is published with no checkpoint of CODI; all of them have one rank and one alpha.
#[test]
fn pairs_of_the_published_rank_alone_count_as_published() {
    let published = filled_up(128);
    let fixture = Fixture::open(&Location::folder(published.path()), "codi-llama");
    for case in &fixture.expected.cases {
        let generated = generate(&fixture.model, &fixture.program(case)).unwrap();
        assert_golden(case, &generated.thoughts, &generated.first_logits, &generated.ids);
    }
    for rank in [8, 64] {
        let error = refusal(filled_up(rank).path());
        assert!(error.contains("nothing says its alpha"), "{error}");
    }
}

#[test]
fn the_scale_of_lora_can_be_given() {
    let folder = TempDir::new().unwrap();
    let model = filled_up(8);
    let path = folder.path().join("recipe.json");
    let digest = |alpha: f64| {
        let recipe = Recipe { lora_alpha: Some(alpha), ..recipe(&data("codi-llama")) };
        std::fs::write(&path, serde_json::to_string(&recipe).unwrap()).unwrap();
        let to = folder.path().join(format!("alpha-{alpha}"));
        let from = Location { recipe: Some(path.clone()), ..Location::folder(model.path()) };
        convert(&Conversion { from, to, dtype: None }).unwrap().sha256
    };
    let (from, to) = (Location::folder(data("codi-llama")), folder.path().join("whole"));
    let whole = convert(&Conversion { from, to, dtype: None }).unwrap().sha256;
    assert_eq!(digest(2.0), whole, "as its adapter_config.json says");
    assert_ne!(digest(8.0), whole);
}

/// The code and the documentation share one table.
#[test]
fn the_published_checkpoints_are_in_the_documentation() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("models/README.md");
    let text = std::fs::read_to_string(path).unwrap();
    let shown: Vec<&str> =
        text.split("## Published checkpoints known by id").nth(1).unwrap().lines().collect();
    let shown = shown.iter().filter(|line| line.starts_with("| `"));
    let rows = PUBLISHED.iter().map(|published| {
        let accuracy = published.accuracy.map_or_else(
            || "-".to_owned(),
            |accuracy| {
                let percent = f64::from(accuracy.basis_points) / 100.0;
                format!("{percent:.2} % on {} ({})", accuracy.data, accuracy.source)
            },
        );
        let base = published.base.map_or_else(|| "-".to_owned(), |base| format!("`{base}`"));
        let (id, family, steps) = (published.id, published.family, published.latent_steps);
        format!("| `{id}` | {family} | {steps} | {base} | {accuracy} |")
    });
    let rows: Vec<String> = rows.collect();
    let table = rows.join("\n");
    assert!(shown.eq(&rows), "models/README.md must have these rows, and no others:\n{table}");
}
