//! The items of `/v1/responses`' input: messages, calls that an earlier response had, and what came of them. As messages of a
//! conversation.

use crate::http::error::ApiError;
use crate::http::openai::chat::messages::ContentBody;
use crate::http::openai::chat::messages::MessageBody;
use crate::http::openai::chat::messages::messages;
use crate::text::chat::Json;
use crate::text::chat::Message;
use serde::Deserialize;
use std::collections::BTreeMap;
use utoipa::ToSchema;

/// An item of the input.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[schema(as = ResponseInputItem)]
pub(super) struct ItemBody {
    /// `message`, `function_call` or `function_call_output`; a message where absent.
    #[serde(rename = "type", default)]
    kind: Option<String>,
    /// Of a message: `system`, `developer`, `user` or `assistant`.
    #[serde(default)]
    role: Option<String>,
    /// Of a message: a text, or parts of type `input_text` and `output_text`.
    #[serde(default)]
    content: Option<ContentBody>,
    /// Of a call, and of what came of it.
    #[serde(default)]
    call_id: Option<String>,
    /// Of a call: the function.
    #[serde(default)]
    name: Option<String>,
    /// Of a call: the text of a JSON object.
    #[serde(default)]
    arguments: Option<String>,
    /// What came of a call.
    #[serde(default)]
    output: Option<ContentBody>,
}

/// The conversation that items come to.
pub(super) fn conversation(items: Vec<ItemBody>) -> Result<Vec<Message>, ApiError> {
    if items.is_empty() {
        return Err(ApiError::invalid("input", "must not be empty"));
    }
    let mut all: Vec<Message> = Vec::new();
    for (at, item) in items.into_iter().enumerate() {
        let place = format!("input[{at}]");
        match item.kind.as_deref() {
            None | Some("message") => all.push(item.message(&place)?),
            Some("function_call") => {
                let call = item.call(&place)?;
                match all.last_mut().filter(|last| last.role == "assistant") {
                    Some(last) => add_call(last, call),
                    None => all.push(assistant(call)),
                }
            }
            Some("function_call_output") => all.push(item.output(&place)?),
            // What a model thought before, and was not told as text, is not fed again.
            Some("reasoning") => {}
            Some(kind) => {
                let message =
                    format!("`{kind}` is not supported: this model reads text and calls functions");
                return Err(ApiError::invalid(&format!("{place}.type"), message));
            }
        }
    }
    Ok(all)
}

fn add_call(message: &mut Message, call: Json) {
    let calls = message.more.get("tool_calls").map(Json::items).unwrap_or_default();
    let calls = Json::list(calls.into_iter().chain([call]));
    message.more.insert("tool_calls".to_owned(), calls);
}

fn assistant(call: Json) -> Message {
    let more = BTreeMap::from([("tool_calls".to_owned(), Json::list([call]))]);
    Message { role: "assistant".to_owned(), content: None, more }
}

impl ItemBody {
    fn message(self, place: &str) -> Result<Message, ApiError> {
        let Some(role) = self.role else {
            return Err(ApiError::invalid(&format!("{place}.role"), "this field is required"));
        };
        let body = MessageBody::new(role, self.content);
        let mut read =
            messages("input", vec![body]).map_err(|error| error.moved("input[0]", place))?;
        read.pop().ok_or(ApiError::Internal)
    }

    fn call(self, place: &str) -> Result<Json, ApiError> {
        let missing =
            |field| ApiError::invalid(&format!("{place}.{field}"), "this field is required");
        let name = self.name.ok_or_else(|| missing("name"))?;
        let id = self.call_id.ok_or_else(|| missing("call_id"))?;
        let arguments = self.arguments.ok_or_else(|| missing("arguments"))?;
        let call = serde_json::json!({
            "id": id, "type": "function", "function": {"name": name, "arguments": arguments},
        });
        Ok(Json::parse(&call.to_string()).unwrap_or_default().with_arguments())
    }

    fn output(self, place: &str) -> Result<Message, ApiError> {
        let missing =
            |field| ApiError::invalid(&format!("{place}.{field}"), "this field is required");
        let id = self.call_id.ok_or_else(|| missing("call_id"))?;
        let output =
            self.output.ok_or_else(|| missing("output"))?.checked(&format!("{place}.output"))?;
        let more = BTreeMap::from([("tool_call_id".to_owned(), Json::from(id.as_str()))]);
        Ok(Message { role: "tool".to_owned(), content: Some(output), more })
    }
}
