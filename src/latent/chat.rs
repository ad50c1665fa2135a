//! What lies beside a tokenizer about conversations: its template, and the special tokens that the template may name. Files
//! that transformers writes, in each of the places where its versions put them. Does not render anything.

use crate::files;
use crate::model::error::Error;
use crate::model::error::Result;
use crate::model::load::Found;
use crate::model::load::beside;
use crate::model::load::beside::Beside;
use crate::text::chat::ChatTemplate;
use serde_json::Map;
use serde_json::Value;
use std::collections::BTreeMap;

/// The template by itself, as newer versions write it.
const TEMPLATE: &str = "chat_template.jinja";
/// JSON that may hold it, under `chat_template`.
const HOLDERS: [&str; 2] = ["tokenizer_config.json", "chat_template.json"];
/// A template longer than this is none, in bytes.
const MAX_BYTES: usize = 1 << 20;

/// What a checkpoint says about conversations.
#[derive(Clone, Debug, Default)]
pub struct Chat {
    /// Its template; why it cannot be used where it has one that cannot.
    pub template: Option<std::result::Result<ChatTemplate, String>>,
    /// `tokenizer_config.json`, as it lies there; empty where it does not.
    tokenizer_config: Map<String, Value>,
}

impl Chat {
    /// Looks beside the tokenizer. What cannot be used keeps nobody from asking questions.
    ///
    /// # Errors
    /// A file that is there and cannot be read.
    pub fn find(found: &Found) -> Result<Self> {
        let tokenizer_config = object(found, HOLDERS[0])?;
        let tokens = tokens(&tokenizer_config, &object(found, "special_tokens_map.json")?);
        let alone = match found.file(TEMPLATE) {
            Some(path) => Some(files::read(&path).map_err(Error::io(&path))?),
            None => None,
        };
        let held = || in_json(&tokenizer_config);
        let source = match alone.or_else(held) {
            Some(source) => Some(source),
            None => in_json(&object(found, HOLDERS[1])?),
        };
        let template = source.map(|source| match source.len() > MAX_BYTES {
            true => Err(format!("the chat template has more than {MAX_BYTES} bytes")),
            false => ChatTemplate::parse(&source, tokens),
        });
        Ok(Self { template, tokenizer_config })
    }
}

impl Chat {
    /// `tokenizer_config.json` with its tokens as text, the template wherever it lies, and this end of a sequence where the file
    /// states none.
    pub fn tokenizer_info(&self, eos: Option<String>) -> String {
        let mut info = self.tokenizer_config.clone();
        for (_, token) in info.iter_mut().filter(|(name, _)| name.ends_with("_token")) {
            if let Some(text) = token.get("content").cloned() {
                *token = text;
            }
        }
        if info.get("eos_token").is_none_or(Value::is_null) {
            info.extend(eos.map(|eos| ("eos_token".to_owned(), Value::from(eos))));
        }
        if let Some(Ok(template)) = &self.template {
            info.insert("chat_template".to_owned(), Value::from(template.source()));
        }
        Value::from(info).to_string()
    }
}

fn object(found: &Found, name: &str) -> Result<Map<String, Value>> {
    let read = found.file(name).map(|path| beside::read(&path)).transpose()?;
    Ok(match read {
        Some(Beside::Object(Value::Object(fields))) => fields,
        _ => Map::new(),
    })
}

/// One template, or the default of several by name.
fn in_json(fields: &Map<String, Value>) -> Option<String> {
    let named = |templates: &Vec<Value>| {
        let default = templates.iter().find(|template| template["name"] == "default");
        default.and_then(|template| template["template"].as_str()).map(str::to_owned)
    };
    match fields.get("chat_template")? {
        Value::String(source) => Some(source.clone()),
        Value::Array(templates) => named(templates),
        Value::Object(templates) => templates.get("default")?.as_str().map(str::to_owned),
        _ => None,
    }
}

/// The fields `bos_token` and the like: a text, or an object with that and how it is matched.
fn tokens(config: &Map<String, Value>, map: &Map<String, Value>) -> BTreeMap<String, String> {
    let fields = map.iter().chain(config).filter(|(name, _)| name.ends_with("_token"));
    let text = |token: &Value| token.get("content").unwrap_or(token).as_str().map(str::to_owned);
    fields.filter_map(|(name, token)| Some((name.clone(), text(token)?))).collect()
}
