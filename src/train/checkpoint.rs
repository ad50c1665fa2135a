//! A checkpoint as `coconut serve` and Hugging Face transformers read it: config.json, model.safetensors, tokenizer.json
//! and coconut.json. Written under a temporary name and renamed when complete. Knows no optimiser.

use crate::latent::recipe::MANIFEST;
use crate::latent::recipe::Recipe;
use crate::model::load::save::SavedType;
use crate::model::load::save::declare;
use crate::train::error::Error;
use crate::train::error::Result;
use crate::train::start::Start;
use serde_json::Value;
use serde_json::json;
use std::fs;
use std::path::Path;

/// Writes the weights as they are, to a folder that is replaced if it is there.
///
/// # Errors
/// If a file cannot be written.
pub fn write(folder: &Path, start: &Start, recipe: &Recipe) -> Result<()> {
    let name = folder.file_name().unwrap_or_default().to_string_lossy();
    let beside = |what: &str| folder.with_file_name(format!(".{name}.{what}"));
    let (unfinished, old) = (beside("unfinished"), beside("old"));
    for leftover in [&unfinished, &old] {
        let _ = fs::remove_dir_all(leftover);
    }
    fs::create_dir_all(&unfinished).map_err(Error::io(&unfinished))?;
    start.variables.save(&unfinished.join("model.safetensors"))?;
    write_json(&unfinished.join("config.json"), &config(start))?;
    write_json(&unfinished.join(MANIFEST), &json!(recipe))?;
    let path = unfinished.join("tokenizer.json");
    fs::write(&path, start.tokenizer.to_json()?).map_err(Error::io(&path))?;
    let eos = start.tokenizer.name(start.special.eos);
    let tokenizer_config = json!({
        "tokenizer_class": "PreTrainedTokenizerFast", "eos_token": eos, "clean_up_tokenization_spaces": false,
    });
    write_json(&unfinished.join("tokenizer_config.json"), &tokenizer_config)?;
    let _ = fs::rename(folder, &old);
    fs::rename(&unfinished, folder).map_err(Error::io(folder))?;
    let _ = fs::remove_dir_all(&old);
    Ok(())
}

fn config(start: &Start) -> Value {
    let mut config = start.config_json.clone();
    declare(&mut config, start.model.config().architecture, SavedType::F32);
    // A tied head is not in the file, whatever the default of the architecture is.
    config["tie_word_embeddings"] = json!(start.model.config().tied);
    config
}

fn write_json(path: &Path, value: &Value) -> Result<()> {
    fs::write(path, format!("{value:#}\n")).map_err(Error::io(path))
}
