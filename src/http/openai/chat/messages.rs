//! Messages as OpenAI's clients write them, and as templates read them: parts of text become one text, arguments of calls
//! become objects. Other kinds of content are refused by name.

use crate::http::error::ApiError;
use crate::http::object::objects;
use crate::text::chat::Json;
use crate::text::chat::Message;
use serde::Deserialize;
use std::collections::BTreeMap;
use utoipa::ToSchema;

/// The most messages of a conversation.
const MAX_MESSAGES: usize = 4096;

/// A message.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[schema(as = ChatMessage)]
pub(in crate::http) struct MessageBody {
    /// `system`, `developer`, `user`, `assistant` or `tool`.
    role: String,
    /// A text, or parts of type `text`; absent where an assistant only calls.
    #[serde(default)]
    content: Option<ContentBody>,
    /// Who speaks.
    #[serde(default)]
    name: Option<String>,
    /// What an assistant called.
    #[serde(default)]
    #[schema(value_type = Option<Vec<Object>>)]
    tool_calls: Option<Vec<Json>>,
    /// Of a tool: which call it answers.
    #[serde(default)]
    tool_call_id: Option<String>,
}

/// A text, whole or in parts.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(untagged, expecting = "expected a text or a list of parts")]
#[schema(as = ChatContent)]
pub(in crate::http) enum ContentBody {
    /// Whole.
    Text(String),
    /// In parts, which are put together line by line.
    #[serde(deserialize_with = "objects")]
    Parts(Vec<PartBody>),
}

/// A part of a message.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[schema(as = ChatContentPart)]
pub(in crate::http) struct PartBody {
    /// `text`; on `/v1/responses` also `input_text` and `output_text`.
    #[serde(rename = "type")]
    kind: String,
    /// What it says.
    #[serde(default)]
    text: Option<String>,
}

/// The messages of field `field`, checked.
pub(in crate::http) fn messages(
    field: &str,
    bodies: Vec<MessageBody>,
) -> Result<Vec<Message>, ApiError> {
    match bodies.len() {
        0 => Err(ApiError::invalid(field, "must not be empty")),
        1..=MAX_MESSAGES => {
            let bodies = bodies.into_iter().enumerate();
            bodies.map(|(at, body)| body.checked(&format!("{field}[{at}]"))).collect()
        }
        _ => Err(ApiError::invalid(field, format!("at most {MAX_MESSAGES} messages"))),
    }
}

impl MessageBody {
    /// One that says this.
    pub(in crate::http) fn new(role: String, content: Option<ContentBody>) -> Self {
        Self { role, content, name: None, tool_calls: None, tool_call_id: None }
    }

    fn checked(self, place: &str) -> Result<Message, ApiError> {
        if self.role.trim().is_empty() {
            return Err(ApiError::invalid(&format!("{place}.role"), "must not be empty"));
        }
        let content =
            self.content.map(|content| content.checked(&format!("{place}.content"))).transpose()?;
        if content.is_none() && self.tool_calls.is_none() {
            return Err(ApiError::invalid(&format!("{place}.content"), "this field is required"));
        }
        let mut more = BTreeMap::new();
        for (name, text) in [("name", self.name), ("tool_call_id", self.tool_call_id)] {
            more.extend(text.map(|text| (name.to_owned(), Json::from(text.as_str()))));
        }
        let calls = self.tool_calls.filter(|calls| !calls.is_empty());
        let calls = calls.map(|calls| Json::list(calls.into_iter().map(Json::with_arguments)));
        more.extend(calls.map(|calls| ("tool_calls".to_owned(), calls)));
        Ok(Message { role: self.role, content, more })
    }
}

impl ContentBody {
    /// The text of what stands in this field.
    pub(in crate::http) fn checked(self, field: &str) -> Result<String, ApiError> {
        let parts = match self {
            Self::Text(text) => return Ok(text),
            Self::Parts(parts) => parts,
        };
        let text = |(at, part): (usize, PartBody)| match (part.kind.as_str(), part.text) {
            ("text" | "input_text" | "output_text", Some(text)) => Ok(text),
            ("text" | "input_text" | "output_text", None) => {
                let text = format!("{field}[{at}].text");
                Err(ApiError::invalid(&text, "this field is required"))
            }
            (kind, _) => {
                let message = format!("`{kind}` is not supported: this model reads text");
                Err(ApiError::invalid(&format!("{field}[{at}].type"), message))
            }
        };
        let texts: Result<Vec<String>, ApiError> =
            parts.into_iter().enumerate().map(text).collect();
        Ok(texts?.join("\n"))
    }
}
