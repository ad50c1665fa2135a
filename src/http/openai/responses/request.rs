//! The JSON of `POST /v1/responses`, in its text form, and the question that it comes to.

use crate::http::error::ApiError;
use crate::http::error::Fields;
use crate::http::extract::FromGroups;
use crate::http::extract::parse;
use crate::http::object::object_or_none;
use crate::http::object::objects;
use crate::http::openai::acting::ActingFields;
use crate::http::openai::acting::tool_choice_schema;
use crate::http::openai::calls::Choice;
use crate::http::openai::calls::Speech;
use crate::http::openai::calls::declared;
use crate::http::openai::chat::messages::ContentBody;
use crate::http::openai::chat::request::FormatBody;
use crate::http::openai::chat::request::text_only;
use crate::http::openai::conversing::Asking;
use crate::http::openai::extras::Extras;
use crate::http::openai::responses::items::ItemBody;
use crate::http::openai::responses::items::conversation;
use crate::http::openai::saying::SayingFields;
use crate::http::openai::saying::Wanted;
use crate::http::openai::schema::merged;
use crate::http::whole::whole_or_none;
use crate::reason::question::Asked;
use crate::reason::question::Echo;
use crate::reason::reasoner::Reasoner;
use crate::text::chat::Conversation;
use crate::text::chat::Json;
use crate::text::chat::Message;
use serde::Deserialize;
use serde_json::json;
use std::time::Duration;
use utoipa::PartialSchema;
use utoipa::ToSchema;
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::Schema;

/// What a response is made from.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[schema(as = ResponseFields)]
pub(super) struct Own {
    /// A text of the user, or messages.
    input: InputBody,
    /// What comes before it, as the system's message.
    instructions: Option<String>,
    /// Most answer tokens.
    #[serde(default, deserialize_with = "whole_or_none")]
    #[schema(minimum = 1, maximum = 1_048_576)]
    max_output_tokens: Option<usize>,
    /// `{"format": {"type": "text"}}`; others are refused.
    #[serde(default, deserialize_with = "object_or_none")]
    text: Option<TextBody>,
    /// What may be called: what the answer calls of it comes in the output.
    #[schema(value_type = Option<Vec<Object>>)]
    tools: Option<Vec<Json>>,
    /// `auto`, `none`, `required`, or a function by its name.
    #[schema(schema_with = tool_choice_schema)]
    tool_choice: Option<Json>,
    /// Refused: responses are not kept.
    previous_response_id: Option<String>,
    /// `false`; `true` is refused.
    background: Option<bool>,
}

/// What a response tells again of its request.
#[derive(Clone, Debug)]
pub(super) struct Echoed {
    pub(super) instructions: Option<String>,
    pub(super) tools: Vec<Json>,
    pub(super) tool_choice: Option<Json>,
}

/// A text of the user, or messages.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(untagged, expecting = "expected a text or a list of messages")]
#[schema(as = ResponseInput)]
pub(super) enum InputBody {
    /// A text.
    Text(String),
    /// Messages, calls and what came of them.
    #[serde(deserialize_with = "objects")]
    Items(Vec<ItemBody>),
}

/// How the answer is to be written.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[schema(as = ResponseTextSettings)]
pub(super) struct TextBody {
    #[serde(default, deserialize_with = "object_or_none")]
    format: Option<FormatBody>,
}

/// All groups of fields.
#[derive(Clone, Debug)]
pub(in crate::http) struct ResponsesRequest {
    own: Own,
    pub(super) saying: SayingFields,
    pub(super) extras: Extras,
    acting: ActingFields,
}

impl FromGroups for ResponsesRequest {
    fn from_groups(body: &[u8]) -> Result<Self, ApiError> {
        Ok(Self {
            own: parse(body)?,
            saying: parse(body)?,
            extras: parse(body)?,
            acting: parse(body)?,
        })
    }
}

impl PartialSchema for ResponsesRequest {
    fn schema() -> RefOr<Schema> {
        let groups =
            [Own::schema(), SayingFields::schema(), Extras::schema(), ActingFields::schema()];
        merged(
            "What a response is made from. Unknown fields are ignored.",
            json!({"input": "Tom is a wumpus. Every wumpus is a zumpus. Is Tom a zumpus or a lempus?"}),
            groups,
        )
    }
}

impl ToSchema for ResponsesRequest {
    fn schemas(schemas: &mut Vec<(String, RefOr<Schema>)>) {
        schemas.push((ItemBody::name().into_owned(), ItemBody::schema()));
        schemas.push((InputBody::name().into_owned(), InputBody::schema()));
        schemas.push((ContentBody::name().into_owned(), ContentBody::schema()));
        Own::schemas(schemas);
        SayingFields::schemas(schemas);
        Extras::schemas(schemas);
    }
}

impl ResponsesRequest {
    pub(super) fn echoed(&self) -> Echoed {
        let Own { instructions, tools, tool_choice, .. } = &self.own;
        Echoed {
            instructions: instructions.clone(),
            tools: tools.clone().unwrap_or_default(),
            tool_choice: tool_choice.clone(),
        }
    }

    /// The question, or the first field whose value is not allowed.
    pub(super) fn question(
        self,
        reasoner: &Reasoner,
        at: (Duration, u64),
    ) -> Result<Asking, ApiError> {
        let Self { own, saying, extras, acting } = self;
        let format = own.text.as_ref().and_then(|text| text.format.as_ref());
        text_only("text.format.type", format)?;
        if own.previous_response_id.is_some() {
            let message = "responses are not kept: send the whole conversation in `input`";
            return Err(ApiError::invalid("previous_response_id", message));
        }
        if own.background == Some(true) {
            return Err(ApiError::invalid(
                "background",
                "is not supported: responses are not kept",
            ));
        }
        if saying.choices(&extras) != 1 {
            let message =
                "a response has one answer; /v1/chat/completions and /v1/reason have several";
            let field = if extras.answers().is_some() { "sweep" } else { "n" };
            return Err(ApiError::invalid(field, message));
        }
        let name = "max_output_tokens";
        if own.max_output_tokens == Some(0) {
            return Err(ApiError::invalid(name, "must be at least 1"));
        }
        let max_tokens = (own.max_output_tokens.or_else(|| reasoner.room_in_chats()), name);
        let wanted = Wanted { echo: Echo::No, max_tokens, logprobs: None };
        let message = |role: &str, content| {
            let (role, content) = (role.to_owned(), Some(content));
            Message { role, content, ..Message::default() }
        };
        let said = match own.input {
            InputBody::Text(text) => vec![message("user", text)],
            InputBody::Items(items) => conversation(items)?,
        };
        let instructions = own.instructions.map(|text| message("system", text));
        let messages = instructions.into_iter().chain(said).collect();
        let choice = Choice::of(own.tool_choice.as_ref())?;
        let tools = own.tools.unwrap_or_default();
        let speech = Speech::of(reasoner, declared(&tools)?, &choice)?;
        let is_open = !tools.is_empty() && choice != Choice::None;
        let asked = Asked::Chat(Conversation {
            messages,
            tools: is_open.then(|| Json::list(tools.into_iter().map(Json::as_function))),
            lead: speech.lead().to_owned(),
            ..Conversation::default()
        });
        let question = saying.question(asked, wanted, &extras, at)?;
        let question = speech.heard_in(question)?;
        let (fields, acting) = (Fields { question: "input", max_tokens: name }, acting.wanted());
        Ok(Asking { question, fields, saying, extras, speech, acting })
    }
}
