//! A number of latent steps as it stands in JSON. Knows no bounds.

use crate::http::whole::whole;
use serde::Deserialize;
use serde::Deserializer;
use serde::de::Error as _;
use serde_json::Value;
use utoipa::openapi::ObjectBuilder;
use utoipa::openapi::Type;
use utoipa::openapi::schema::Schema;
use utoipa::openapi::schema::SchemaType;

/// How many latent steps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::http) enum Steps {
    /// So many.
    Exactly(usize),
    /// Until thoughts settle.
    Auto,
}

impl<'de> Deserialize<'de> for Steps {
    fn deserialize<D: Deserializer<'de>>(json: D) -> Result<Self, D::Error> {
        match Value::deserialize(json)? {
            Value::String(word) if word == "auto" => Ok(Self::Auto),
            Value::Number(number) => whole(&number).map(Self::Exactly).map_err(D::Error::custom),
            other => Err(D::Error::custom(format!("{other} is no whole number, and not \"auto\""))),
        }
    }
}

/// A number, `"auto"` or `null`.
pub(in crate::http) fn schema() -> Schema {
    let kinds = [Type::Integer, Type::String, Type::Null];
    ObjectBuilder::new()
        .schema_type(SchemaType::from_iter(kinds))
        .minimum(Some(0))
        .maximum(Some(1_048_576))
        .pattern(Some("^auto$"))
        .description(Some(
            "How many thoughts to compute before answering; the model's default where absent. 0 answers at once. \
             `\"auto\"`: until a thought differs from the one before by at most `tolerance` of its length.",
        ))
        .into()
}
