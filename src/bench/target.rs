//! What the routes of servers take and say. The only place in the load generator that knows their JSON; a further kind
//! of server is a further variant.

use crate::bench::plan::Ask;
use crate::bench::sse::Event;
use crate::files::text;
use serde::Deserialize;
use serde::Serialize;

/// A kind of route.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Target {
    /// `POST /v1/reason`
    Reason,
}

/// A complete answer, as far as it is counted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Answered {
    pub(crate) prompt_tokens: u64,
    pub(crate) thoughts: u64,
    pub(crate) tokens: u64,
    pub(crate) answer: String,
    pub(crate) text: String,
    /// What makes it worth less, such as words that the model does not know.
    pub(crate) warning: Option<String>,
}

/// What an event of a stream says.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Said {
    /// An answer token.
    Token,
    /// Something else that the stream goes on after.
    More,
    /// The end.
    Done(Answered),
    /// The end, without an answer: the error's code.
    Failed(String),
}

/// A body that the route should not send.
#[derive(Debug, thiserror::Error)]
#[error("not what this route answers: {0}")]
pub(crate) struct Unexpected(serde_json::Error);

#[derive(Serialize)]
struct ReasonBody<'a> {
    question: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    latent_steps: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_tokens: Option<usize>,
    // Only where it is meant: a server that does not know the field is asked without it.
    #[serde(skip_serializing_if = "is_false")]
    ignore_eos: bool,
    stream: bool,
}

#[derive(Deserialize)]
struct ReasonAnswer {
    answer: String,
    text: String,
    usage: ReasonUsage,
    #[serde(default)]
    warnings: Vec<ReasonWarning>,
}

#[derive(Deserialize)]
struct ReasonWarning {
    message: String,
}

#[derive(Deserialize)]
struct ReasonUsage {
    prompt_tokens: u64,
    latent_steps: u64,
    completion_tokens: u64,
}

#[derive(Deserialize)]
struct ErrorAnswer {
    error: ErrorCode,
}

#[derive(Deserialize)]
struct ErrorCode {
    code: String,
}

impl Target {
    /// Below the server's address.
    pub(crate) fn path(self) -> &'static str {
        match self {
            Self::Reason => "/v1/reason",
        }
    }

    /// The body of a request.
    pub(crate) fn body(self, ask: &Ask, question: &str) -> Vec<u8> {
        let Self::Reason = self;
        let body = ReasonBody {
            question,
            latent_steps: ask.latent_steps,
            max_tokens: ask.max_tokens,
            ignore_eos: ask.ignore_eos,
            stream: ask.stream,
        };
        serde_json::to_vec(&body).expect("keys are strings and values are plain")
    }

    /// The body of a whole answer.
    pub(crate) fn answer(self, body: &[u8]) -> Result<Answered, Unexpected> {
        let Self::Reason = self;
        let answer = serde_json::from_slice::<ReasonAnswer>(text::unmarked(body));
        Ok(answer.map_err(Unexpected)?.into())
    }

    /// An event of a stream.
    pub(crate) fn event(self, event: &Event) -> Result<Said, Unexpected> {
        let Self::Reason = self;
        let said = match event.name.as_str() {
            "token" => Ok(Said::Token),
            "done" => serde_json::from_str::<ReasonAnswer>(&event.data)
                .map(|answer| Said::Done(answer.into())),
            "error" => serde_json::from_str::<ErrorAnswer>(&event.data)
                .map(|answer| Said::Failed(answer.error.code)),
            _ => Ok(Said::More),
        };
        said.map_err(Unexpected)
    }
}

impl From<ReasonAnswer> for Answered {
    fn from(answer: ReasonAnswer) -> Self {
        Self {
            prompt_tokens: answer.usage.prompt_tokens,
            thoughts: answer.usage.latent_steps,
            tokens: answer.usage.completion_tokens,
            answer: answer.answer,
            text: answer.text,
            warning: answer.warnings.into_iter().next().map(|warning| warning.message),
        }
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes references")]
fn is_false(value: &bool) -> bool {
    !value
}
