//! Files as tools leave them: which of several weights count, what is called by its name instead of being parsed, what is
//! refused before weights are read, and numbers that would be lost.

use crate::support::data;
use candle_core::DType;
use candle_core::Device;
use coconut::data::fields::Wanted;
use coconut::data::read::Examples;
use coconut::latent::checkpoint::Checkpoint;
use coconut::latent::checkpoint::Location;
use coconut::latent::convert::Conversion;
use coconut::latent::convert::convert;
use coconut::model::load::save::SavedType;
use coconut::model::load::tensors::Tensors;
use coconut::text::Tokenizer;
use coconut::train::settings::Settings;
use coconut::train::start::MoreLayers;
use coconut::train::start::Start;
use coconut_kernels::packed::Format;
use safetensors::Dtype;
use safetensors::SafeTensors;
use safetensors::tensor::TensorView;
use std::collections::BTreeMap;
use std::path::Path;
use tempfile::TempDir;

const POINTER: &str = "version https://git-lfs.github.com/spec/v1\noid sha256:0f\nsize 498000000\n";
const INDEX: &str = "model.safetensors.index.json";

/// Type, shape and bytes by name.
type Stored = BTreeMap<String, (Dtype, Vec<usize>, Vec<u8>)>;

fn copy(name: &str) -> TempDir {
    let folder = TempDir::new().unwrap();
    for entry in std::fs::read_dir(data(name)).unwrap() {
        let entry = entry.unwrap();
        std::fs::copy(entry.path(), folder.path().join(entry.file_name())).unwrap();
    }
    folder
}

/// `coconut-gpt2-hf` with other tensors.
fn edited(edit: impl FnOnce(&mut Stored)) -> TempDir {
    let folder = copy("coconut-gpt2-hf");
    let path = folder.path().join("model.safetensors");
    let file = std::fs::read(&path).unwrap();
    let tensors = SafeTensors::deserialize(&file).unwrap();
    let stored = tensors
        .tensors()
        .into_iter()
        .map(|(name, view)| (name, (view.dtype(), view.shape().to_vec(), view.data().to_vec())));
    let mut stored: Stored = stored.collect();
    edit(&mut stored);
    let views = stored.iter().map(|(name, (dtype, shape, bytes))| {
        (name, TensorView::new(*dtype, shape.clone(), bytes).unwrap())
    });
    safetensors::serialize_to_file(views, None, &path).unwrap();
    folder
}

/// The same with one number changed.
fn with_number(name: &str, value: f32) -> TempDir {
    edited(|stored| stored.get_mut(name).unwrap().2[40..44].copy_from_slice(&value.to_le_bytes()))
}

fn open(folder: &Path) -> Result<Checkpoint, String> {
    Checkpoint::open(&Location::folder(folder)).map_err(|error| error.to_string())
}

#[track_caller]
fn refused(folder: &Path, words: &[&str]) {
    let error = open(folder).unwrap_err();
    assert!(words.iter().all(|word| error.contains(word)), "{words:?}: {error}");
}

/// SHA-256 of the converted weights.
fn converted(folder: &Path, dtype: Option<SavedType>) -> Result<String, String> {
    let out = TempDir::new().unwrap();
    let conversion =
        Conversion { from: Location::folder(folder), to: out.path().join("out"), dtype };
    let converted = convert(&conversion);
    let left = std::fs::read_dir(out.path()).unwrap().count();
    assert_eq!(left, usize::from(converted.is_ok()), "an error leaves nothing behind");
    converted.map(|converted| converted.sha256).map_err(|error| error.to_string())
}

#[test]
fn a_leftover_index_does_not_beat_whole_weights() {
    for (fixture, index) in [
        ("coconut-gpt2-hf", INDEX),
        ("coconut-gpt2-hf", "pytorch_model.bin.index.json"),
        ("codi-gpt2", INDEX),
        ("codi-gpt2", "pytorch_model.bin.index.json"),
        ("coconut-gpt2-meta", INDEX),
    ] {
        let folder = copy(fixture);
        let map = r#"{"weight_map": {"a": "model-00001-of-00002.safetensors"}}"#;
        std::fs::write(folder.path().join(index), map).unwrap();
        let weights = open(folder.path()).unwrap().found.files.weights;
        assert_eq!(weights.len(), 1, "{fixture} with {index}");
        assert!(weights[0].is_file(), "{fixture} with {index}");
    }
}

#[test]
fn missing_shards_are_named_with_what_wants_them() {
    let folder = copy("coconut-gpt2-hf");
    let shards = ["model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"];
    let from = folder.path().join("model.safetensors");
    std::fs::rename(from, folder.path().join(shards[0])).unwrap();
    refused(folder.path(), &["1 of 2 shards are not there", shards[1]]);
    let map = serde_json::json!({ "weight_map": { "a": shards[0], "b": shards[1] } });
    std::fs::write(folder.path().join(INDEX), map.to_string()).unwrap();
    refused(folder.path(), &[INDEX, "1 of 2 shards are not there", shards[1], "download"]);
    std::fs::write(folder.path().join(shards[1]), "").unwrap();
    refused(folder.path(), &[shards[1], "is empty"]);
    let map = serde_json::json!({ "weight_map": { "a": shards[0] } });
    std::fs::write(folder.path().join(INDEX), map.to_string()).unwrap();
    open(folder.path()).unwrap();
    open(&folder.path().join(INDEX)).unwrap();
}

#[test]
fn what_is_not_there_is_said_once() {
    let folder = TempDir::new().unwrap();
    let recipe = Some(folder.path().join("recipe.json"));
    let here = data("coconut-gpt2-hf");
    for location in [
        Location::folder(folder.path().join("model")),
        Location { recipe, ..Location::folder(&here) },
    ] {
        let error = anyhow::Error::from(Checkpoint::open(&location).unwrap_err());
        let said = format!("{:#}", error.context("cannot inspect"));
        assert_eq!(said.matches("No such file").count(), 1, "{said}");
    }
    let settings = Settings::read(&folder.path().join("run.toml")).unwrap_err();
    let said = format!("{:#}", anyhow::Error::from(settings));
    assert_eq!(said.matches("No such file").count(), 1, "{said}");
}

#[test]
fn what_stands_in_the_place_of_a_checkpoints_file_is_called_by_its_name() {
    let page = "\n<!DOCTYPE html>\n<html><body>Sign in</body></html>";
    for (contents, words) in [
        (POINTER.as_bytes(), "git-lfs pointer and not the file itself: run `git lfs pull`"),
        (page.as_bytes(), "a web page"),
        (b"Entry not found", "a server's message"),
        (b"\x1f\x8b\x08\x08", "compressed by gzip: decompress it"),
        (b"", "is empty"),
    ] {
        for (fixture, name) in [
            ("coconut-gpt2-hf", "model.safetensors"),
            ("codi-gpt2", "pytorch_model.bin"),
            ("coconut-gpt2-meta", "checkpoint_5"),
            ("coconut-gpt2-hf", "tokenizer.json"),
            ("coconut-gpt2-hf", "coconut.json"),
            ("coconut-llama-meta", "config.json"),
        ] {
            let folder = copy(fixture);
            std::fs::write(folder.path().join(name), contents).unwrap();
            refused(folder.path(), &[name, words]);
        }
    }
}

#[test]
fn what_stands_in_the_place_of_questions_and_settings_is_called_by_its_name() {
    let folder = TempDir::new().unwrap();
    for (contents, words) in
        [(POINTER.as_bytes(), "git lfs pull"), (b"PAR1\x15", "Parquet"), (b"<html>", "web page")]
    {
        for name in ["train.txt", "train.json", "run.toml"] {
            let path = folder.path().join(name);
            std::fs::write(&path, contents).unwrap();
            let error = match name {
                "run.toml" => Settings::read(&path).unwrap_err().to_string(),
                _ => Examples::open(&path, &Wanted::default()).err().unwrap().to_string(),
            };
            assert!(error.contains(words) && error.contains(name), "{error}");
        }
    }
}

#[test]
fn weights_are_told_apart_by_their_bytes() {
    for (fixture, name, other) in [
        ("codi-gpt2", "pytorch_model.bin", "model.safetensors"),
        ("codi-gpt2", "pytorch_model.bin", "checkpoint_7"),
        ("coconut-gpt2-hf", "model.safetensors", "pytorch_model.bin"),
        ("coconut-gpt2-hf", "model.safetensors", "state_dict.bin"),
    ] {
        let folder = copy(fixture);
        std::fs::rename(folder.path().join(name), folder.path().join(other)).unwrap();
        let same = converted(&data(fixture), None).unwrap();
        assert_eq!(converted(folder.path(), None).unwrap(), same, "{name} as {other}");
    }
}

#[test]
fn files_of_torch_and_numpy_are_read_or_called_by_their_names() {
    let open = |name: &str| Tensors::open(&[data("files").join(name)]);
    let refused = |name: &str| open(name).unwrap_err().to_string();
    assert!(refused("legacy.bin").contains("before version 1.6: load it with torch and save it"));
    assert!(refused("array.npz").contains("zip archive"));
    for name in ["types.bin", "types.safetensors"] {
        let tensors = open(name).unwrap();
        for (tensor, dtype) in [
            ("float64", DType::F64),
            ("float32", DType::F32),
            ("float16", DType::F16),
            ("bfloat16", DType::BF16),
            ("int64", DType::I64),
            ("int32", DType::I32),
            ("int16", DType::I16),
        ] {
            let info = tensors.info(tensor).unwrap();
            assert_eq!((info.dtype, info.shape), (Some(dtype), &[2, 3][..]), "{tensor} of {name}");
        }
    }
}

#[test]
fn truncated_files_are_called_that() {
    for (fixture, name) in
        [("coconut-gpt2-hf", "model.safetensors"), ("coconut-gpt2-meta", "checkpoint_5")]
    {
        let folder = copy(fixture);
        let path = folder.path().join(name);
        let file = std::fs::read(&path).unwrap();
        for length in [100, file.len() / 2, file.len() - 1] {
            std::fs::write(&path, &file[..length]).unwrap();
            refused(folder.path(), &[name, "truncated"]);
        }
    }
    let folder = copy("coconut-gpt2-hf");
    let path = folder.path().join("model.safetensors");
    let file = std::fs::read(&path).unwrap();
    std::fs::write(&path, [&file[..], b"??"].concat()).unwrap();
    refused(folder.path(), &["2 bytes that belong to no tensor"]);
}

/// `inspect` opens and reads no weights; `serve` and `convert` open and then read.
#[test]
fn names_shapes_and_types_are_checked_without_reading_weights() {
    let bias = "transformer.ln_f.bias";
    let missing = edited(|stored| drop(stored.remove(bias)));
    refused(missing.path(), &["missing", bias]);
    let left = edited(|stored| {
        let head = stored[bias].clone();
        stored.insert("v_head.summary.bias".to_owned(), head);
    });
    refused(left.path(), &["not part of this architecture", "v_head.summary.bias"]);
    let shape = edited(|stored| {
        let (_, shape, bytes) = stored.get_mut(bias).unwrap();
        bytes.truncate(4 * (shape[0] - 1));
        shape[0] -= 1;
    });
    refused(shape.path(), &[bias, "shape [47]"]);
    let quantised = edited(|stored| {
        let (dtype, shape, bytes) = stored.get_mut(bias).unwrap();
        *dtype = Dtype::I8;
        bytes.truncate(shape[0]);
    });
    refused(quantised.path(), &[bias, "quantised"]);
}

#[test]
fn weights_in_wider_types_are_read() {
    let narrow = |bytes: &[u8]| -> Vec<f32> {
        bytes.as_chunks().0.iter().map(|x| f32::from_le_bytes(*x)).collect()
    };
    let wide = edited(|stored| {
        for (name, (dtype, _, bytes)) in stored {
            let numbers = narrow(bytes);
            if name == "transformer.ln_f.weight" && numbers.iter().all(|x| x.fract() == 0.0) {
                *dtype = Dtype::I64;
                *bytes = numbers.iter().flat_map(|x| (*x as i64).to_le_bytes()).collect();
            } else {
                *dtype = Dtype::F64;
                *bytes = numbers.iter().flat_map(|x| f64::from(*x).to_le_bytes()).collect();
            }
        }
    });
    let same = converted(&data("coconut-gpt2-hf"), None).unwrap();
    assert_eq!(converted(wide.path(), None).unwrap(), same);
    for format in [Format::F32, Format::Bf16, Format::Int8] {
        open(wide.path()).unwrap().host_model(format).unwrap();
    }
}

#[test]
fn markers_and_words_that_the_embedding_lacks_are_refused() {
    // The tokenizer knows the markers; the weights are from before they were added.
    let base = edited(|stored| {
        let (_, shape, bytes) = stored.get_mut("transformer.wte.weight").unwrap();
        bytes.truncate(bytes.len() / shape[0] * 401);
        shape[0] = 401;
    });
    let config = base.path().join("config.json");
    let text = std::fs::read_to_string(&config).unwrap().replace("\"latent_", "\"unknown_");
    std::fs::write(&config, text).unwrap();
    refused(base.path(), &["`start` names id 401 (\"<|start-latent|>\")", "vocabulary of 401"]);
    let manifest = r#"{"family": "mine", "latent_steps": {"default": 2, "max": 3}, "eos": [400], "end": [402]}"#;
    let written = base.path().join("coconut.json");
    std::fs::write(&written, manifest).unwrap();
    refused(base.path(), &["coconut.json", "`end` names id 402 (\"<|end-latent|>\")"]);
    // Without a use for them, they are no reason to refuse.
    std::fs::write(&written, manifest.replace("402", "")).unwrap();
    open(base.path()).unwrap();
    // Another model's tokenizer.
    let small = edited(|stored| {
        let (_, shape, bytes) = stored.get_mut("transformer.wte.weight").unwrap();
        bytes.truncate(bytes.len() / shape[0] * 380);
        shape[0] = 380;
    });
    let manifest = manifest.replace("400", "3").replace("402", "");
    std::fs::write(small.path().join("coconut.json"), manifest).unwrap();
    std::fs::copy(&config, small.path().join("config.json")).unwrap();
    refused(small.path(), &["token id", "380 rows", "not the one of these weights"]);
}

#[test]
fn narrowing_makes_no_infinities() {
    let (matrix, vector) = ("transformer.h.1.mlp.c_fc.weight", "transformer.h.0.ln_1.bias");
    for name in [matrix, vector] {
        let large = with_number(name, 1e5);
        let error = converted(large.path(), Some(SavedType::F16)).unwrap_err();
        assert!(
            error.contains(name) && error.contains("1e5") && error.contains("float16"),
            "{error}"
        );
        converted(large.path(), Some(SavedType::BF16)).unwrap();
        let larger = with_number(name, f32::MAX);
        let error = converted(larger.path(), Some(SavedType::BF16)).unwrap_err();
        assert!(error.contains(name) && error.contains("bfloat16"), "{error}");
        converted(larger.path(), None).unwrap();
        let checkpoint = open(larger.path()).unwrap();
        let error = checkpoint.tensors(&Device::Cpu, DType::BF16).unwrap_err().to_string();
        assert!(error.contains(name) && error.contains("bf16"), "{error}");
        checkpoint.host_model(Format::F32).unwrap();
        // Vectors stay in f32, whatever matrices are packed in.
        let packed = checkpoint.host_model(Format::Bf16).map_err(|error| error.to_string());
        assert_eq!(packed.is_err_and(|error| error.contains(name)), name == matrix);
    }
    let wide = edited(|stored| {
        let (dtype, _, bytes) = stored.get_mut(vector).unwrap();
        *dtype = Dtype::F64;
        *bytes = vec![-1e39_f64; bytes.len() / 4].into_iter().flat_map(f64::to_le_bytes).collect();
    });
    let error = converted(wide.path(), None).unwrap_err();
    assert!(error.contains(vector) && error.contains("-1e39") && error.contains("f32"), "{error}");
}

#[test]
fn weights_that_are_no_numbers_are_named_before_anybody_asks() {
    for name in
        ["transformer.wte.weight", "transformer.h.2.attn.c_attn.weight", "transformer.ln_f.bias"]
    {
        for value in [f32::NAN, f32::NEG_INFINITY] {
            let folder = with_number(name, value);
            let says =
                |error: String| assert!(error.contains(name) && error.contains("holds"), "{error}");
            for dtype in [SavedType::F32, SavedType::BF16, SavedType::F16] {
                says(converted(folder.path(), Some(dtype)).unwrap_err());
            }
            let checkpoint = open(folder.path()).unwrap();
            for format in [Format::F32, Format::Bf16, Format::Int8] {
                says(checkpoint.host_model(format).unwrap_err().to_string());
            }
            says(checkpoint.model(&Device::Cpu).unwrap_err().to_string());
        }
    }
}

#[test]
fn training_never_saves_what_is_no_number() {
    let folder = data("coconut-gpt2-hf");
    let tokenizer = Tokenizer::load(&folder.join("tokenizer.json")).unwrap();
    let start = Start::checkpoint(
        &folder,
        Some(tokenizer),
        "<|endoftext|>",
        MoreLayers::default(),
        &Device::Cpu,
    )
    .unwrap();
    let out = TempDir::new().unwrap();
    let path = out.path().join("model.safetensors");
    start.variables.save(&path).unwrap();
    let norm = start.variables.get("transformer.ln_f.weight").unwrap();
    norm.var.set(&(norm.var.as_tensor() * f64::NAN).unwrap()).unwrap();
    let error = start.variables.save(&out.path().join("other")).unwrap_err().to_string();
    assert!(error.contains("transformer.ln_f.weight") && error.contains("NaN"), "{error}");
    assert!(!out.path().join("other").exists());
}
