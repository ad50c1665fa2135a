//! The JSON of `POST /v1/chat/completions`, and the question that it comes to.

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
use crate::http::openai::chat::messages::MessageBody;
use crate::http::openai::chat::messages::messages;
use crate::http::openai::conversing::Asking;
use crate::http::openai::extras::Extras;
use crate::http::openai::saying::SayingFields;
use crate::http::openai::saying::Wanted;
use crate::http::openai::schema::merged;
use crate::http::whole::whole_or_none;
use crate::reason::question::Asked;
use crate::reason::question::Echo;
use crate::reason::reasoner::Reasoner;
use crate::text::chat::Conversation;
use crate::text::chat::Json;
use serde::Deserialize;
use serde_json::json;
use std::collections::BTreeMap;
use std::time::Duration;
use utoipa::PartialSchema;
use utoipa::ToSchema;
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::Schema;

/// The most alternatives to a token.
const MAX_TOP_LOGPROBS: usize = 20;

/// A conversation to go on with.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[schema(as = ChatFields)]
pub(super) struct Own {
    /// What was said so far. It goes through the checkpoint's chat template; where it has none, or thinks, the last user
    /// message is the question.
    #[schema(min_items = 1)]
    #[serde(deserialize_with = "objects")]
    messages: Vec<MessageBody>,
    /// Most answer tokens; `max_completion_tokens` says the same.
    #[serde(default, deserialize_with = "whole_or_none")]
    #[schema(minimum = 1, maximum = 1_048_576)]
    max_tokens: Option<usize>,
    /// Most answer tokens. Where absent what the model's recipe says; with a chat template as many as there is room for.
    #[serde(default, deserialize_with = "whole_or_none")]
    #[schema(minimum = 1, maximum = 1_048_576)]
    max_completion_tokens: Option<usize>,
    /// The log-probability of each token.
    #[schema(default = false)]
    logprobs: Option<bool>,
    /// So many most likely tokens in each place, with `logprobs`.
    #[serde(default, deserialize_with = "whole_or_none")]
    #[schema(minimum = 0, maximum = 20)]
    top_logprobs: Option<usize>,
    /// `{"type": "text"}`; others are refused.
    #[serde(default, deserialize_with = "object_or_none")]
    response_format: Option<FormatBody>,
    /// What may be called: what the answer calls of it comes in `tool_calls`.
    #[schema(value_type = Option<Vec<Object>>)]
    tools: Option<Vec<Json>>,
    /// `auto`, `none`, `required`, or a function by its name.
    #[schema(schema_with = tool_choice_schema)]
    tool_choice: Option<Json>,
    /// What else the chat template is told.
    #[schema(value_type = Option<Object>)]
    chat_template_kwargs: Option<BTreeMap<String, Json>>,
}

/// How an answer is to be written.
#[derive(Clone, Debug, Deserialize, ToSchema)]
pub(in crate::http) struct FormatBody {
    #[serde(rename = "type")]
    pub(in crate::http) kind: String,
}

/// All groups of fields.
#[derive(Clone, Debug)]
pub(in crate::http) struct ChatRequest {
    own: Own,
    pub(super) saying: SayingFields,
    pub(super) extras: Extras,
    acting: ActingFields,
}

impl FromGroups for ChatRequest {
    fn from_groups(body: &[u8]) -> Result<Self, ApiError> {
        Ok(Self {
            own: parse(body)?,
            saying: parse(body)?,
            extras: parse(body)?,
            acting: parse(body)?,
        })
    }
}

impl PartialSchema for ChatRequest {
    fn schema() -> RefOr<Schema> {
        let groups =
            [Own::schema(), SayingFields::schema(), Extras::schema(), ActingFields::schema()];
        merged(
            "A conversation to go on with. Unknown fields are ignored.",
            json!({"messages": [{"role": "user", "content": "Tom is a wumpus. Every wumpus is a zumpus. Is Tom a zumpus or a lempus?"}]}),
            groups,
        )
    }
}

impl ToSchema for ChatRequest {
    fn schemas(schemas: &mut Vec<(String, RefOr<Schema>)>) {
        schemas.push((MessageBody::name().into_owned(), MessageBody::schema()));
        schemas.push((ContentBody::name().into_owned(), ContentBody::schema()));
        Own::schemas(schemas);
        SayingFields::schemas(schemas);
        Extras::schemas(schemas);
    }
}

impl ChatRequest {
    /// The question, or the first field whose value is not allowed.
    pub(super) fn question(
        self,
        reasoner: &Reasoner,
        at: (Duration, u64),
    ) -> Result<Asking, ApiError> {
        let Self { own, saying, extras, acting } = self;
        text_only("response_format.type", own.response_format.as_ref())?;
        let choice = Choice::of(own.tool_choice.as_ref())?;
        let tools = own.tools.clone().unwrap_or_default();
        let speech = Speech::of(reasoner, declared(&tools)?, &choice)?;
        let logprobs = own.logprobs()?;
        let (max_tokens, name) = match (own.max_completion_tokens, own.max_tokens) {
            (Some(count), _) => (Some(count), "max_completion_tokens"),
            (None, count) => (count.or(reasoner.room_in_chats()), "max_tokens"),
        };
        if max_tokens == Some(0) {
            return Err(ApiError::invalid(name, "must be at least 1"));
        }
        let wanted = Wanted { echo: Echo::No, max_tokens: (max_tokens, name), logprobs };
        let is_open = !tools.is_empty() && choice != Choice::None;
        let asked = Asked::Chat(Conversation {
            messages: messages("messages", own.messages)?,
            tools: is_open.then(|| Json::list(tools)),
            lead: speech.lead().to_owned(),
            settings: own.chat_template_kwargs.unwrap_or_default(),
        });
        let question = saying.question(asked, wanted, &extras, at)?;
        let question = speech.heard_in(question)?;
        let (fields, acting) = (Fields { question: "messages", max_tokens: name }, acting.wanted());
        Ok(Asking { question, fields, saying, extras, speech, acting })
    }

    pub(super) fn shows_logprobs(&self) -> bool {
        self.own.logprobs.unwrap_or(false)
    }
}

impl Own {
    fn logprobs(&self) -> Result<Option<usize>, ApiError> {
        let shown = self.logprobs.unwrap_or(false);
        match self.top_logprobs {
            Some(count) if count > MAX_TOP_LOGPROBS => {
                let message = format!("must be from 0 to {MAX_TOP_LOGPROBS}");
                Err(ApiError::invalid("top_logprobs", message))
            }
            Some(1..) if !shown => Err(ApiError::invalid("top_logprobs", "belongs to `logprobs`")),
            top => Ok(shown.then_some(top.unwrap_or(0))),
        }
    }
}

/// Refuses what is to be written as anything but text.
pub(in crate::http) fn text_only(field: &str, format: Option<&FormatBody>) -> Result<(), ApiError> {
    match format {
        Some(format) if format.kind != "text" => {
            Err(ApiError::invalid(field, "only `text` is supported"))
        }
        _ => Ok(()),
    }
}
