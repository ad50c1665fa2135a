//! The JSON of `POST /v1/completions`, and the questions that it comes to.

use crate::http::error::ApiError;
use crate::http::extract::FromGroups;
use crate::http::extract::parse;
use crate::http::openai::extras::Extras;
use crate::http::openai::saying::SayingFields;
use crate::http::openai::saying::Wanted;
use crate::http::openai::schema::merged;
use crate::http::whole::list;
use crate::http::whole::lists;
use crate::http::whole::whole_or_none;
use crate::reason::question::Asked;
use crate::reason::question::Echo;
use crate::reason::question::Question;
use serde::Deserialize;
use serde_json::json;
use std::time::Duration;
use utoipa::PartialSchema;
use utoipa::ToSchema;
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::Schema;

/// The most prompts of one request.
const MAX_PROMPTS: usize = 1024;
/// The most alternatives to a token.
const MAX_LOGPROBS: usize = 20;

/// A text to go on with.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[schema(as = CompletionFields)]
pub(super) struct Own {
    /// What is fed, as it stands: a text, token ids, or several of either. Thoughts follow it, or stand where it says
    /// `<|start-latent|>`.
    pub(super) prompt: PromptBody,
    /// Most answer tokens; where absent what the model's recipe says, 64 if nothing. 0 is possible with `echo`.
    #[serde(default, deserialize_with = "whole_or_none")]
    #[schema(minimum = 0, maximum = 1_048_576, example = 64)]
    max_tokens: Option<usize>,
    /// Begin with the prompt. Where a model thinks, `<|start-latent|>` in the prompt has to say where.
    #[schema(default = false)]
    echo: Option<bool>,
    /// The log-probability of each token, and so many most likely ones in its place; of the prompt's, too, with `echo`.
    #[serde(default, deserialize_with = "whole_or_none")]
    #[schema(minimum = 0, maximum = 20)]
    logprobs: Option<usize>,
    /// Refused where it says something: these models go on, they do not fill in.
    suffix: Option<String>,
}

/// What is to be gone on with.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(untagged, expecting = "expected a text, token ids, or a list of either")]
#[schema(as = PromptBody)]
pub(super) enum PromptBody {
    /// A text.
    Text(String),
    /// Texts.
    Texts(Vec<String>),
    /// Token ids.
    #[serde(deserialize_with = "list")]
    Ids(Vec<u32>),
    /// Token ids of several.
    #[serde(deserialize_with = "lists")]
    ManyIds(Vec<Vec<u32>>),
}

/// All groups of fields.
#[derive(Clone, Debug)]
pub(in crate::http) struct CompletionRequest {
    pub(super) own: Own,
    pub(super) saying: SayingFields,
    pub(super) extras: Extras,
}

impl FromGroups for CompletionRequest {
    fn from_groups(body: &[u8]) -> Result<Self, ApiError> {
        Ok(Self { own: parse(body)?, saying: parse(body)?, extras: parse(body)? })
    }
}

impl PartialSchema for CompletionRequest {
    fn schema() -> RefOr<Schema> {
        let groups = [Own::schema(), SayingFields::schema(), Extras::schema()];
        merged(
            "A text to go on with. Unknown fields are ignored.",
            json!({"prompt": "Tom is a wumpus. Every wumpus is a zumpus. Is Tom a zumpus or a lempus?\n"}),
            groups,
        )
    }
}

impl ToSchema for CompletionRequest {
    fn schemas(schemas: &mut Vec<(String, RefOr<Schema>)>) {
        schemas.push((PromptBody::name().into_owned(), PromptBody::schema()));
        Own::schemas(schemas);
        SayingFields::schemas(schemas);
        Extras::schemas(schemas);
    }
}

impl CompletionRequest {
    /// The questions, or the first field whose value is not allowed.
    pub(super) fn questions(
        &self,
        (timeout, random): (Duration, u64),
    ) -> Result<Vec<Question>, ApiError> {
        if self.own.suffix.as_ref().is_some_and(|suffix| !suffix.is_empty()) {
            let message = "is not supported: these models go on, they do not fill in";
            return Err(ApiError::invalid("suffix", message));
        }
        if self.own.logprobs.is_some_and(|count| count > MAX_LOGPROBS) {
            return Err(ApiError::invalid("logprobs", format!("must be from 0 to {MAX_LOGPROBS}")));
        }
        if self.own.max_tokens == Some(0) && !self.echoes() {
            return Err(ApiError::invalid("max_tokens", "must be at least 1 without `echo`"));
        }
        let echo = match (self.echoes(), self.own.logprobs) {
            (false, _) => Echo::No,
            (true, None) => Echo::Shown,
            (true, Some(_)) => Echo::Scored,
        };
        let (max_tokens, logprobs) = (self.own.max_tokens, self.own.logprobs);
        let wanted = Wanted { echo, max_tokens: (max_tokens, "max_tokens"), logprobs };
        let prompts = self.own.prompt.clone().prompts()?;
        let question = |asked| self.saying.question(asked, wanted, &self.extras, (timeout, random));
        prompts.into_iter().map(question).collect()
    }

    pub(super) fn echoes(&self) -> bool {
        self.own.echo.unwrap_or(false)
    }

    pub(super) fn shows_logprobs(&self) -> bool {
        self.own.logprobs.is_some()
    }
}

impl PromptBody {
    fn prompts(self) -> Result<Vec<Asked>, ApiError> {
        let prompts: Vec<Asked> = match self {
            Self::Text(text) => vec![Asked::Text(text)],
            Self::Ids(ids) => vec![Asked::Ids(ids)],
            Self::Texts(texts) => texts.into_iter().map(Asked::Text).collect(),
            Self::ManyIds(many) => many.into_iter().map(Asked::Ids).collect(),
        };
        let is_empty = |asked: &Asked| match asked {
            Asked::Text(text) => text.is_empty(),
            Asked::Ids(ids) => ids.is_empty(),
            Asked::Question(_) | Asked::Chat(_) | Asked::Inputs(_) => false,
        };
        match prompts.len() {
            0 => Err(ApiError::invalid("prompt", "must not be empty")),
            1..=MAX_PROMPTS if prompts.iter().any(is_empty) => {
                Err(ApiError::invalid("prompt", "must not be empty"))
            }
            1..=MAX_PROMPTS => Ok(prompts),
            _ => Err(ApiError::invalid("prompt", format!("at most {MAX_PROMPTS} prompts"))),
        }
    }
}
