//! The fields about language mode that requests have in common: how tokens are chosen, and what ends an answer. Knows no route.

use crate::http::error::ApiError;
use crate::latent::script::Sampling;
use crate::reason::question::MAX_TEMPERATURE;
use serde::Deserialize;
use utoipa::openapi::ArrayBuilder;
use utoipa::openapi::ObjectBuilder;
use utoipa::openapi::OneOfBuilder;
use utoipa::openapi::Type;
use utoipa::openapi::schema::Schema;
use utoipa::openapi::schema::SchemaType;

const MAX_STOP_STRINGS: usize = 16;
const MAX_STOP_CHARACTERS: usize = 256;

/// One string or several.
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged, expecting = "expected a string or a list of strings")]
pub(in crate::http) enum Stop {
    One(String),
    Many(Vec<String>),
}

/// How tokens are chosen, or the first field whose value is not allowed.
pub(in crate::http) fn sampling(
    temperature: Option<f64>,
    top_p: Option<f64>,
    top_k: Option<usize>,
    seed: u64,
) -> Result<Sampling, ApiError> {
    let temperature = temperature.unwrap_or(0.0);
    if !(0.0..=MAX_TEMPERATURE).contains(&temperature) {
        let message = format!("must be from 0 to {MAX_TEMPERATURE}");
        return Err(ApiError::invalid("temperature", message));
    }
    if top_p.is_some_and(|top_p| !(top_p > 0.0 && top_p <= 1.0)) {
        return Err(ApiError::invalid("top_p", "must be above 0 and at most 1"));
    }
    if top_k == Some(0) {
        return Err(ApiError::invalid("top_k", "must be at least 1"));
    }
    Ok(Sampling { temperature, top_p, top_k, seed })
}

/// A string, several, or `null`; with the bounds that [`Stop::checked`] holds.
pub(in crate::http) fn stop_schema() -> Schema {
    let string = |kind: SchemaType| {
        ObjectBuilder::new()
            .schema_type(kind)
            .min_length(Some(1))
            .max_length(Some(MAX_STOP_CHARACTERS))
    };
    let one = string(SchemaType::from_iter([Type::String, Type::Null]));
    let many =
        ArrayBuilder::new().items(string(Type::String.into())).max_items(Some(MAX_STOP_STRINGS));
    let description = "A string, or up to 16 of them, that end the answer and are not part of it.";
    OneOfBuilder::new().item(one).item(many).description(Some(description)).into()
}

impl Stop {
    pub(in crate::http) fn checked(self) -> Result<Vec<String>, ApiError> {
        let strings = match self {
            Self::One(string) => vec![string],
            Self::Many(strings) => strings,
        };
        if strings.len() > MAX_STOP_STRINGS {
            return Err(ApiError::invalid("stop", format!("at most {MAX_STOP_STRINGS} strings")));
        }
        let fits = |string: &String| (1..=MAX_STOP_CHARACTERS).contains(&string.chars().count());
        if !strings.iter().all(fits) {
            let message = format!("each string must have 1 to {MAX_STOP_CHARACTERS} characters");
            return Err(ApiError::invalid("stop", message));
        }
        Ok(strings)
    }
}
