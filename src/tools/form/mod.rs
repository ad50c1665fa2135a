//! How chat models write calls: objects between tags, as Hermes and Qwen do, or behind a mark or bare, as Llama 3 does.
//! ReAct's text is elsewhere. Knows no tool, and not how a template writes results back.

mod object;
pub mod reader;
#[cfg(test)]
mod tests;

use serde::Deserialize;
use serde::Serialize;
use serde_json::Map;
use serde_json::Value;

/// A form of calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum CallForm {
    /// `<tool_call>{"name": ..., "arguments": {...}}</tool_call>`; several may follow each other.
    Hermes,
    /// `{"name": ..., "parameters": {...}}` instead of an answer, or anywhere behind `<|python_tag|>`; several are parted by
    /// semicolons.
    Llama,
}

impl CallForm {
    /// The form that a chat template asks a model for, if it is one of these.
    pub fn of_template(template: &str) -> Option<Self> {
        // Qwen's coders write parameters as tags between tags that have the same name.
        if template.contains("<tool_call>") && !template.contains("<function=") {
            return Some(Self::Hermes);
        }
        let names_result = template.contains("ipython") || template.contains("<|python_tag|>");
        (names_result && template.contains("parameters")).then_some(Self::Llama)
    }

    /// What a model is made to begin with, so that it calls: nothing, or something, or the tool of this name.
    pub fn lead(self, called: Option<Option<&str>>) -> String {
        let Some(name) = called else { return String::new() };
        let (tag, arguments) = match self {
            Self::Hermes => ("<tool_call>\n", "arguments"),
            Self::Llama => ("", "parameters"),
        };
        match name {
            None => format!("{tag}{{\"name\": \""),
            Some(name) => {
                format!("{tag}{{\"name\": {}, \"{arguments}\": ", Value::from(name))
            }
        }
    }

    /// What a call begins with, where it is not bare.
    fn opening(self) -> &'static str {
        match self {
            Self::Hermes => "<tool_call>",
            Self::Llama => "<|python_tag|>",
        }
    }

    /// What ends it, if anything does but the object itself.
    fn closing(self) -> Option<&'static str> {
        match self {
            Self::Hermes => Some("</tool_call>"),
            Self::Llama => None,
        }
    }

    /// A call as the model should say it.
    pub fn write(self, name: &str, arguments: &Map<String, Value>) -> String {
        let name = Value::from(name);
        let arguments = Value::from(arguments.clone());
        match self {
            Self::Hermes => {
                format!(
                    "<tool_call>\n{{\"name\": {name}, \"arguments\": {arguments}}}\n</tool_call>"
                )
            }
            Self::Llama => format!("{{\"name\": {name}, \"parameters\": {arguments}}}"),
        }
    }
}
