//! Which ids end an answer, by the files beside the weights. Each of four may say it, and published checkpoints have them
//! say different things: Llama 3 Instruct names more ends in `generation_config.json` than in `config.json`, and methods
//! train with the tokenizer's. So all count, as in transformers' `generate` and in the training codes together. What a
//! family says about its end itself is not known here.

use crate::model::config::json::eos_ids;
use crate::model::error::Error;
use crate::model::error::Result;
use crate::model::load::Found;
use crate::model::load::beside;
use crate::model::load::beside::Beside;
use crate::text::Tokenizer;
use serde_json::Value;
use std::collections::BTreeSet;
use std::path::Path;
use std::path::PathBuf;

/// Files that may name a token, by its text.
const OF_TOKENIZER: [&str; 2] = ["tokenizer_config.json", "special_tokens_map.json"];
/// The file that may name ids, beside config.json.
const OF_GENERATION: &str = "generation_config.json";
/// How the published base models write the end of a sequence: what is looked for in a tokenizer where no file says it.
const USUAL: [&str; 5] = ["<|endoftext|>", "</s>", "<|end_of_text|>", "<|eot_id|>", "<|im_end|>"];

/// The ids, that of the tokenizer's own end first; each once, and none that the model has no row for.
///
/// # Errors
/// A file that is there and says it in no readable way.
pub fn stated(found: &Found, tokenizer: &Tokenizer) -> Result<Vec<u32>> {
    let mut ids = Vec::new();
    for name in OF_TOKENIZER {
        if let Some((path, file)) = object(found, name)? {
            ids.extend(eos_token(&path, &file)?.and_then(|token| tokenizer.id(token)));
        }
    }
    ids.extend(&found.config.eos_ids);
    if let Some((path, file)) = object(found, OF_GENERATION)? {
        ids.extend(eos_ids(&file).map_err(|error| in_file(&path, error))?);
    }
    if ids.is_empty() {
        ids.extend(USUAL.iter().filter_map(|text| tokenizer.id(text)));
    }
    let mut seen = BTreeSet::new();
    ids.retain(|&id| (id as usize) < found.config.vocab_size && seen.insert(id));
    Ok(ids)
}

fn object(found: &Found, name: &str) -> Result<Option<(PathBuf, Value)>> {
    let Some(path) = found.file(name) else { return Ok(None) };
    match beside::read(&path)? {
        Beside::Object(file) => Ok(Some((path, file))),
        Beside::Absent | Beside::Empty => Ok(None),
    }
}

/// A token is written as its text, or as an object with that and how it is matched.
fn eos_token<'a>(path: &Path, file: &'a Value) -> Result<Option<&'a str>> {
    let token = &file["eos_token"];
    match token.get("content").unwrap_or(token) {
        Value::Null => Ok(None),
        Value::String(text) => Ok(Some(text)),
        _ => {
            let reason = "`eos_token` is neither a string nor an object with `content`".to_owned();
            Err(beside::malformed(path, reason))
        }
    }
}

/// A refusal of a field, with the file that it stands in.
fn in_file(path: &Path, error: Error) -> Error {
    match error {
        Error::Config { field, reason } => beside::malformed(path, format!("`{field}` {reason}")),
        other => other,
    }
}
