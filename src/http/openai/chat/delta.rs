//! What a chunk of a chat adds to a message: text, or a call. Does not know how chunks travel.

use crate::http::openai::heard::Heard;
use serde::Serialize;
use utoipa::ToSchema;

/// What is new of a message.
#[derive(Debug, Default, Serialize, ToSchema)]
pub(super) struct Delta {
    /// With the first text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) role: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) content: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(required = false)]
    pub(super) tool_calls: Vec<ToolCallDelta>,
}

/// What is new of a call.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ToolCallDelta {
    index: usize,
    /// With the first of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<String>,
    /// `function`, with the first of it.
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    kind: Option<&'static str>,
    function: FunctionDelta,
}

/// What is new of what is called.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct FunctionDelta {
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    /// More of the text of a JSON object.
    arguments: String,
}

/// What was heard, as a delta; calls have names by their numbers.
pub(super) fn delta(
    role: Option<&'static str>,
    heard: Heard,
    call_id: impl Fn(usize) -> String,
) -> Delta {
    let call = |index, id, name: Option<String>, arguments| ToolCallDelta {
        index,
        kind: name.as_ref().map(|_| "function"),
        id,
        function: FunctionDelta { name, arguments },
    };
    let (content, call) = match heard {
        Heard::Content(text) => (Some(text), None),
        Heard::Begun { index, name } => {
            (None, Some(call(index, Some(call_id(index)), Some(name), String::new())))
        }
        Heard::Arguments { index, piece } => (None, Some(call(index, None, None, piece))),
    };
    Delta { role, content, tool_calls: call.into_iter().collect() }
}
