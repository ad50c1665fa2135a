//! `coconut probe`: what it writes is what other ways of asking find, and a run that was ended goes on.

use crate::cli::coconut;
use crate::cli::run;
use crate::support::data;
use candle_core::Device;
use candle_core::Tensor;
use serde_json::Value;
use std::collections::HashMap;
use std::path::Path;
use std::path::PathBuf;
use tempfile::TempDir;

struct Probed {
    tensors: HashMap<String, Tensor>,
    json: Value,
    said: String,
}

impl Probed {
    fn shape(&self, name: &str) -> Vec<usize> {
        self.tensors[name].dims().to_vec()
    }

    fn floats(&self, name: &str) -> Vec<f32> {
        let tensor = self.tensors[name].to_dtype(candle_core::DType::F32).unwrap();
        tensor.flatten_all().unwrap().to_vec1().unwrap()
    }
}

fn probe(model: &Path, questions: &Path, out: &Path, flags: &[&str]) -> Probed {
    let [model, questions, to] = [model, questions, out].map(|path| path.to_str().unwrap());
    let words = ["probe", "--model", model, "--data", questions, "--out", to];
    let output = coconut(&[&words[..], flags].concat()).output().unwrap();
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{error}");
    assert!(!out.with_extension("safetensors.part.jsonl").exists(), "nothing is left over");
    let json = std::fs::read_to_string(out.with_extension("json")).unwrap();
    Probed {
        tensors: candle_core::safetensors::load(out, &Device::Cpu).unwrap(),
        json: serde_json::from_str(&json).unwrap(),
        said: String::from_utf8(output.stdout).unwrap(),
    }
}

fn graphs(folder: &TempDir, count: &str) -> PathBuf {
    let file = folder.path().join("graphs.json");
    let words = ["generate-data", "prosqa", "--nodes", "8..12", "--seed", "5", "--count", count];
    let (output, text) = run(&[&words[..], &["--out", file.to_str().unwrap()]].concat());
    assert!(output.status.success(), "{text}");
    file
}

#[test]
fn thoughts_of_the_default_checkpoint_hold_frontiers_and_answers_hang_on_them() {
    let folder = TempDir::new().unwrap();
    let questions = graphs(&folder, "12");
    let model = Path::new(env!("CARGO_MANIFEST_DIR")).join("models/prosqa");
    let (out, picture) = (folder.path().join("run.safetensors"), folder.path().join("run.svg"));
    let flags = ["--edits", "zero,repeat,skip", "--picture", picture.to_str().unwrap()];
    let found = probe(&model, &questions, &out, &flags);
    assert_eq!(found.shape("thoughts"), [12, 6, 256]);
    assert_eq!(found.shape("thought_means"), [6, 256]);
    assert_eq!(found.shape("correct"), [12, 7]);
    assert_eq!(found.shape("frontier_mass"), [12, 6, 7]);
    assert_eq!(found.shape("edit_correct"), [12, 3, 6]);
    // Where a thought is fed, the last layer is the next thought: this model has no projector.
    assert_eq!(found.shape("lens_ids"), [12, 6, 4, 5]);
    let (entropy, next) = (found.floats("lens_entropy"), found.floats("thought_entropy"));
    for (layers, thoughts) in entropy.chunks_exact(6 * 4).zip(next.chunks_exact(6)) {
        for (layers, next) in layers.chunks_exact(4).zip(&thoughts[1..]) {
            assert!((layers[3] - next).abs() < 1e-2, "{layers:?} {next}");
        }
    }
    let (thoughts, means) = (found.floats("thoughts"), found.floats("thought_means"));
    let first: f32 = thoughts.chunks_exact(6 * 256).map(|question| question[0]).sum::<f32>() / 12.0;
    assert!((first - means[0]).abs() < 1e-5, "{first} {}", means[0]);
    // The second thought holds the nodes that one hop leads to.
    let mass = found.floats("frontier_mass");
    assert!(mass.chunks_exact(6 * 7).all(|question| question[7 + 1] > 0.8), "{mass:?}");
    let right = found.json["summary"]["accuracy"].as_array().unwrap();
    assert!(right[6].as_f64() > right[1].as_f64().map(|right| right + 0.3), "{right:?}");
    let (right, wrong) = (found.floats("right_logprob"), found.floats("wrong_logprob"));
    let last = |all: &[f32]| all.chunks_exact(7).map(|question| question[6]).collect::<Vec<_>>();
    let likelier = last(&right).iter().zip(last(&wrong)).filter(|(a, b)| **a > *b).count();
    assert!(likelier >= 11, "{likelier}");
    let edits = found.floats("edit_correct");
    assert!(edits[6].is_nan(), "there is nothing to repeat before the first");
    assert_eq!(found.json["edits"], serde_json::json!(["zero", "repeat", "skip"]));
    assert!(found.said.contains("12 questions") && found.said.contains("replaced by zero"));
    assert!(std::fs::read_to_string(picture).unwrap().matches("<circle").count() > 40);

    // Its means serve, and are what stands in the place of thoughts.
    let flags = ["--feedback", "mean", "--thought-means", out.to_str().unwrap()];
    let words = ["eval", "--data", questions.to_str().unwrap(), "--model", model.to_str().unwrap()];
    let (output, text) = run(&[&words[..], &flags].concat());
    assert!(output.status.success(), "{text}");
}

#[test]
fn a_run_that_was_ended_comes_to_the_same() {
    let folder = TempDir::new().unwrap();
    let (model, questions) = (data("codi-llama"), folder.path().join("questions.txt"));
    let lines: String =
        (1..7).map(|i| format!("How many is {i} and 2?||<<1=1>> #### {i}\n")).collect();
    std::fs::write(&questions, &lines).unwrap();
    let out = |name: &str| folder.path().join(name).with_extension("safetensors");
    let flags = ["--latent-steps", "3", "--max-tokens", "4", "--edits", "random"];
    let whole = probe(&model, &questions, &out("whole"), &flags);
    assert!(!whole.tensors.contains_key("frontier_mass"), "there are no graphs");
    // The fifth question ends a run; the last line that it left is not whole.
    let broken = lines.replace("is 5 and", &"is 5 and ".repeat(300));
    std::fs::write(&questions, broken).unwrap();
    let (model_word, data_word) = (model.to_str().unwrap(), questions.to_str().unwrap());
    let to = out("ended");
    let words =
        ["probe", "--model", model_word, "--data", data_word, "--out", to.to_str().unwrap()];
    let (output, text) = run(&[&words[..], &flags, &["--concurrency", "1"]].concat());
    assert!(!output.status.success() && text.contains("question 5: "), "{text}");
    let part = folder.path().join("ended.safetensors.part.jsonl");
    let left = std::fs::read_to_string(&part).unwrap();
    assert_eq!(left.lines().count(), 5, "what it is a run of, and four questions");
    std::fs::write(&part, &left[..left.len() - 7]).unwrap();
    std::fs::write(&questions, &lines).unwrap();
    let ended = probe(&model, &questions, &out("ended"), &flags);
    for name in ["thoughts", "correct", "edit_correct", "thought_entropy"] {
        assert_eq!(ended.shape(name), whole.shape(name), "{name}");
        let pairs = ended.floats(name).into_iter().zip(whole.floats(name));
        let off = pairs.map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        assert!(off < 1e-3, "{name}: {off}");
    }
}
