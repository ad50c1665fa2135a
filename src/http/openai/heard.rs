//! What is heard of an answer with calls: pieces as they come, calls once they are whole. Does not know in which form a model
//! says them.

use serde::Serialize;
use utoipa::ToSchema;

/// More of an answer.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Heard {
    Content(String),
    /// A call began.
    Begun {
        index: usize,
        name: String,
    },
    /// More of the JSON text of its arguments.
    Arguments {
        index: usize,
        piece: String,
    },
}

/// A call, complete.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub(super) struct ToolCall {
    /// Names it in the message that answers it.
    id: String,
    /// `function`.
    #[serde(rename = "type")]
    kind: &'static str,
    function: FunctionCall,
}

impl ToolCall {
    pub(super) fn new(id: String, name: String, arguments: String) -> Self {
        Self { id, kind: "function", function: FunctionCall { name, arguments } }
    }

    /// Its id, name and arguments.
    pub(super) fn parts(self) -> (String, String, String) {
        (self.id, self.function.name, self.function.arguments)
    }

    /// As it stood when it began.
    pub(super) fn begun(mut self) -> Self {
        self.function.arguments.clear();
        self
    }
}

/// What is called, with what.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub(super) struct FunctionCall {
    name: String,
    /// The text of a JSON object.
    arguments: String,
}
