//! The fields about the server's tools that conversations take, and how clients choose among their own. Runs nothing.

use crate::http::asking::acting::WantedTools;
use crate::http::whole::whole_or_none;
use serde::Deserialize;
use utoipa::ToSchema;
use utoipa::openapi::ObjectBuilder;
use utoipa::openapi::OneOfBuilder;
use utoipa::openapi::Type;
use utoipa::openapi::schema::Schema;
use utoipa::openapi::schema::SchemaType;

/// What a conversation says about the server's tools. Every field may be absent.
#[derive(Clone, Debug, Default, Deserialize, ToSchema)]
pub(super) struct ActingFields {
    /// Of a model that calls the server's tools: what these know of the question, and the model does not.
    facts: Option<String>,
    /// Of a model that calls the server's tools: most rounds; never more than its recipe allows.
    #[serde(default, deserialize_with = "whole_or_none")]
    #[schema(minimum = 1, maximum = 1_048_576, example = 7)]
    max_rounds: Option<usize>,
}

impl ActingFields {
    pub(super) fn wanted(self) -> WantedTools {
        WantedTools { tools: None, facts: self.facts, max_rounds: self.max_rounds }
    }
}

/// A word, a function by its name, or `null`.
pub(super) fn tool_choice_schema() -> Schema {
    let word = ObjectBuilder::new().schema_type(SchemaType::from_iter([Type::String, Type::Null]));
    let word =
        word.enum_values(Some(["auto", "none", "required"].map(Some).into_iter().chain([None])));
    let function = ObjectBuilder::new().schema_type(Type::Object);
    let description = "`auto`, `none`, `required`, or a function by its name.";
    OneOfBuilder::new().item(word).item(function).description(Some(description)).into()
}
