//! Tokens that lie beside a tokenizer which lacks them are added, as transformers does, where they get the ids that they
//! had in training; others are left out.

use crate::support::data;
use coconut::latent::checkpoint::Checkpoint;
use coconut::latent::checkpoint::Location;
use coconut::text::Tokenizer;
use serde_json::Value;
use serde_json::json;
use tempfile::TempDir;

const CONFIG: &str = "tokenizer_config.json";
const OLDER: &str = "added_tokens.json";

/// A model with three rows more than its tokenizer, and with these files beside it.
fn beside(files: &[(&str, Value)]) -> Tokenizer {
    let folder = TempDir::new().unwrap();
    for (from, name) in [
        ("peft/base-llama", "config.json"),
        ("peft/base-llama", "model.safetensors"),
        ("peft/codi-no-norm", "tokenizer.json"),
    ] {
        std::fs::copy(data(from).join(name), folder.path().join(name)).unwrap();
    }
    let recipe = json!({"family": "mine", "latent_steps": {"default": 0, "max": 0}, "eos": [59]});
    let recipe = [("coconut.json", recipe)];
    for (name, value) in files.iter().chain(&recipe) {
        std::fs::write(folder.path().join(name), value.to_string()).unwrap();
    }
    Checkpoint::open(&Location::folder(folder.path())).unwrap().tokenizer
}

fn ids(tokenizer: &Tokenizer, names: [&str; 3]) -> [Option<u32>; 3] {
    names.map(|name| tokenizer.id(name))
}

#[test]
fn tokens_of_either_file_follow_the_tokenizers_last() {
    let names = ["<a>", "<b>", "<c>"];
    assert_eq!(ids(&beside(&[]), names), [None; 3]);
    let decoder = json!({"added_tokens_decoder": {
        "61": {"content": "<b>", "special": true}, "60": {"content": "<a>", "special": false},
        "62": {"content": "<c>"},
    }});
    let newer = beside(&[(CONFIG, decoder)]);
    let special = json!({"pad_token": "<b>"});
    let older = beside(&[(CONFIG, special), (OLDER, json!({"<b>": 61, "<c>": 62, "<a>": 60}))]);
    for tokenizer in [newer, older] {
        assert_eq!(ids(&tokenizer, names), [Some(60), Some(61), Some(62)]);
        assert_eq!(tokenizer.encode("w3<a> <b>w4", false).unwrap(), [3, 60, 61, 4]);
        let shown = [60, 61].map(|id| tokenizer.token(id));
        assert_eq!(shown, [Some("<a>".to_owned()), None], "<b> is special");
    }
}

#[test]
fn a_token_gets_its_own_id_or_none() {
    // Behind a gap, on a word's place, under a name that the tokenizer has elsewhere.
    let odd = json!({"<a>": 60, "<b>": 62, "<c>": 3, "w5": 61});
    let tokenizer = beside(&[(OLDER, odd)]);
    assert_eq!(ids(&tokenizer, ["<a>", "<b>", "<c>"]), [Some(60), None, None]);
    assert_eq!(tokenizer.id("w5"), Some(5));
    // A word of the vocabulary becomes a marker in its place.
    let tokenizer = beside(&[(OLDER, json!({"w5": 5}))]);
    assert_eq!(tokenizer.encode("w3w5", false).unwrap(), [3, 5]);
    // The older file counts where the newer has none only.
    let both =
        beside(&[(CONFIG, json!({"added_tokens_decoder": {}})), (OLDER, json!({"<a>": 60}))]);
    assert_eq!(both.id("<a>"), None);
}
