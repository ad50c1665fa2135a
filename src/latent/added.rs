//! Tokens that lie beside a `tokenizer.json` which lacks them: transformers kept those that were added later in files of
//! their own, and adds them when it loads. Changes no tokenizer.

use crate::model::error::Result;
use crate::model::load::Found;
use crate::model::load::beside;
use crate::model::load::beside::Beside;
use crate::text::Tokenizer;
use serde_json::Map;
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::Path;
use tokenizers::AddedToken;

/// Where newer versions keep them, by id, under `added_tokens_decoder`.
const CONFIG: &str = "tokenizer_config.json";
/// Where older ones do, by text: read where the newer place has none, as transformers does.
const OLDER: &str = "added_tokens.json";

/// Those that the tokenizer lacks, of the checkpoint's folder and of the one that its tokenizer is from.
///
/// # Errors
/// A file that is there and cannot be read.
pub(super) fn lacking(
    found: &Found,
    tokenizer_json: &Path,
    tokenizer: &Tokenizer,
) -> Result<BTreeMap<u32, AddedToken>> {
    let folders = [Some(found.files.folder.as_path()), tokenizer_json.parent()];
    let of = |name: &str| {
        let mut places = folders.iter().flatten().map(|folder| folder.join(name));
        places.find(|path| path.is_file()).map_or(Ok(Map::new()), |path| fields(&path))
    };
    let config = of(CONFIG)?;
    let said = match config.get("added_tokens_decoder") {
        Some(Value::Object(tokens)) => by_id(tokens),
        _ => by_text(&of(OLDER)?, &config),
    };
    // What the tokenizer has, it has as its own file says.
    let own =
        |token: &AddedToken| tokenizer.id(&token.content).is_some_and(|id| tokenizer.is_added(id));
    Ok(said.into_iter().filter(|(_, token)| !own(token)).collect())
}

/// Tells of those that could not be added: whose id another token has, or which do not follow the tokenizer's last. Under
/// other ids they would be other tokens than in training.
pub(super) fn tell(left: &BTreeMap<u32, AddedToken>) {
    if !left.is_empty() {
        let names = left.iter().map(|(id, token)| format!("{id} {:?}", token.content));
        tracing::warn!(
            tokens = names.collect::<Vec<_>>().join(", "),
            "tokenizer.json lacks tokens that are said beside it, whose ids do not follow its last one: they are left out"
        );
    }
}

fn fields(path: &Path) -> Result<Map<String, Value>> {
    match beside::read(path)? {
        Beside::Object(Value::Object(fields)) => Ok(fields),
        _ => Ok(Map::new()),
    }
}

/// `{"300": {"content": "<|im_end|>", "special": true, ...}}`
fn by_id(tokens: &Map<String, Value>) -> BTreeMap<u32, AddedToken> {
    let token = |(id, fields): (&String, &Value)| {
        let is = |field: &str| fields.get(field).and_then(Value::as_bool);
        let special = is("special").unwrap_or(false);
        let content = fields.get("content")?.as_str()?;
        let token = AddedToken::from(content, special)
            .normalized(is("normalized").unwrap_or(!special))
            .lstrip(is("lstrip").unwrap_or(false))
            .rstrip(is("rstrip").unwrap_or(false))
            .single_word(is("single_word").unwrap_or(false));
        Some((id.parse().ok()?, token))
    };
    tokens.iter().filter_map(token).collect()
}

/// `{"<|im_end|>": 300}`; special are those that the config names as such.
fn by_text(tokens: &Map<String, Value>, config: &Map<String, Value>) -> BTreeMap<u32, AddedToken> {
    let text = |token: &Value| token.get("content").unwrap_or(token).as_str().map(str::to_owned);
    let named = config.iter().filter(|(name, _)| name.ends_with("_token"));
    let listed = ["additional_special_tokens", "extra_special_tokens"].iter();
    let listed = listed.filter_map(|name| config.get(*name)?.as_array()).flatten();
    let special: Vec<String> =
        named.map(|(_, token)| token).chain(listed).filter_map(text).collect();
    let token = |(content, id): (&String, &Value)| {
        let id = id.as_u64().and_then(|id| u32::try_from(id).ok())?;
        Some((id, AddedToken::from(content.as_str(), special.contains(content))))
    };
    tokens.iter().filter_map(token).collect()
}
