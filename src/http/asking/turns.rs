//! The JSON of what is done on the way to an answer: actions, and what came of them. Knows no route.

use crate::http::asking::parts::milliseconds;
use crate::reason::types::Action;
use crate::reason::types::Turn;
use crate::tools::call::Argument;
use crate::tools::call::Observation;
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;
use utoipa::openapi::ObjectBuilder;
use utoipa::openapi::Type;
use utoipa::openapi::schema::Schema;
use utoipa::openapi::schema::SchemaType;

/// What a model wants to be done.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::http) struct ActionBody {
    /// Counted from 1.
    round: usize,
    /// Why, where the model says so.
    #[serde(skip_serializing_if = "String::is_empty")]
    #[schema(required = false)]
    thought: String,
    /// The tool's name; `null` where what was said is no call.
    #[schema(required)]
    name: Option<String>,
    /// What it is given: a text, or an object.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(schema_with = argument_schema)]
    argument: Option<Value>,
    /// The call as the model wrote it.
    said: String,
}

fn argument_schema() -> Schema {
    let kinds = SchemaType::from_iter([Type::String, Type::Object, Type::Null]);
    let argument = ObjectBuilder::new().schema_type(kinds);
    argument.description(Some("What it is given: a text, or an object.")).into()
}

/// What came of an action.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::http) struct ObservationBody {
    /// Counted from 1.
    round: usize,
    /// What the model is told.
    text: String,
    /// Whether the tool failed, or there is none such.
    is_error: bool,
}

/// A round on the way to an answer.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::http) struct TurnBody {
    #[serde(flatten)]
    action: ActionBody,
    /// What the model was told; absent in the last round.
    #[serde(skip_serializing_if = "Option::is_none")]
    observation: Option<String>,
    /// Whether the tool failed, or there is none such.
    is_error: bool,
    /// How long the tool took.
    tool_ms: f64,
}

impl From<Action> for ActionBody {
    fn from(action: Action) -> Self {
        let Action { round, thought, call, said } = action;
        let (name, argument) = match call {
            Some(call) => (Some(call.name), Some(call.argument)),
            None => (None, None),
        };
        let argument = argument.map(|argument| match argument {
            Argument::Text(text) => Value::from(text),
            Argument::Object(fields) => Value::from(fields),
        });
        Self { round, thought, name, argument, said }
    }
}

impl ObservationBody {
    pub(in crate::http) fn of(round: usize, observation: Observation) -> Self {
        let Observation { text, is_error } = observation;
        Self { round, text, is_error }
    }
}

impl From<Turn> for TurnBody {
    fn from(turn: Turn) -> Self {
        Self {
            action: turn.action.into(),
            is_error: turn.observation.as_ref().is_some_and(|observation| observation.is_error),
            observation: turn.observation.map(|observation| observation.text),
            tool_ms: milliseconds(turn.took),
        }
    }
}
