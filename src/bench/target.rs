//! What the routes of servers take and say. The only place in the load generator that knows their JSON; a further kind
//! of server is a further variant.

use crate::bench::plan::Ask;
use crate::bench::plan::Route;
use crate::files::text;
use crate::web::sse::Event;
use serde::Deserialize;
use serde::Serialize;

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
    /// What the answer is; its counts are still to come.
    Answer(String),
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
struct Body<'a> {
    #[serde(flatten)]
    asked: Asked<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    latent_steps: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_tokens: Option<usize>,
    // Only where it is meant: a server that does not know the field is asked without it.
    #[serde(skip_serializing_if = "is_false")]
    ignore_eos: bool,
    stream: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    stream_options: Option<StreamOptions>,
}

#[derive(Serialize)]
#[serde(rename_all = "snake_case")]
enum Asked<'a> {
    Question(&'a str),
    Prompt(String),
    Messages([Message<'a>; 1]),
}

#[derive(Serialize)]
struct Message<'a> {
    role: &'static str,
    content: &'a str,
}

#[derive(Serialize)]
struct StreamOptions {
    include_usage: bool,
}

#[derive(Deserialize)]
struct OpenAiAnswer {
    #[serde(default)]
    choices: Vec<OpenAiChoice>,
    usage: Option<OpenAiUsage>,
    error: Option<ErrorCode>,
}

#[derive(Deserialize)]
struct OpenAiChoice {
    #[serde(default)]
    text: String,
    message: Option<OpenAiMessage>,
    coconut: Option<OpenAiEnd>,
}

#[derive(Deserialize)]
struct OpenAiMessage {
    content: String,
}

#[derive(Deserialize)]
struct OpenAiEnd {
    answer: String,
}

#[derive(Deserialize)]
struct OpenAiUsage {
    prompt_tokens: u64,
    completion_tokens: u64,
    completion_tokens_details: OpenAiDetails,
}

#[derive(Deserialize)]
struct OpenAiDetails {
    reasoning_tokens: u64,
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

impl Route {
    /// Below the server's address.
    pub(crate) fn path(self) -> &'static str {
        match self {
            Self::Reason => "/v1/reason",
            Self::Completions => "/v1/completions",
            Self::Chat => "/v1/chat/completions",
        }
    }

    /// The body of a request.
    pub(crate) fn body(self, ask: &Ask, question: &str) -> Vec<u8> {
        let asked = match self {
            Self::Reason => Asked::Question(question),
            Self::Completions => Asked::Prompt(format!("{question}\n")),
            Self::Chat => Asked::Messages([Message { role: "user", content: question }]),
        };
        let is_counted = ask.stream && self != Self::Reason;
        let body = Body {
            asked,
            latent_steps: ask.latent_steps,
            max_tokens: ask.max_tokens,
            ignore_eos: ask.ignore_eos,
            stream: ask.stream,
            stream_options: is_counted.then_some(StreamOptions { include_usage: true }),
        };
        serde_json::to_vec(&body).expect("keys are strings and values are plain")
    }

    /// The body of a whole answer.
    pub(crate) fn answer(self, body: &[u8]) -> Result<Answered, Unexpected> {
        let body = text::unmarked(body);
        match self {
            Self::Reason => serde_json::from_slice::<ReasonAnswer>(body).map(Answered::from),
            Self::Completions | Self::Chat => {
                serde_json::from_slice::<OpenAiAnswer>(body).map(Answered::from)
            }
        }
        .map_err(Unexpected)
    }

    /// An event of a stream.
    pub(crate) fn event(self, event: &Event) -> Result<Said, Unexpected> {
        let said = match self {
            Self::Reason => named(event),
            Self::Completions | Self::Chat => unnamed(event),
        };
        said.map_err(Unexpected)
    }
}

fn named(event: &Event) -> serde_json::Result<Said> {
    match event.name.as_str() {
        "token" => Ok(Said::Token),
        "done" => serde_json::from_str::<ReasonAnswer>(&event.data)
            .map(|answer| Said::Done(answer.into())),
        "error" => serde_json::from_str::<ErrorAnswer>(&event.data)
            .map(|answer| Said::Failed(answer.error.code)),
        _ => Ok(Said::More),
    }
}

fn unnamed(event: &Event) -> serde_json::Result<Said> {
    if event.data == "[DONE]" {
        return Ok(Said::More);
    }
    let chunk: OpenAiAnswer = serde_json::from_str(&event.data)?;
    Ok(match (chunk.error.as_ref(), chunk.choices.first(), &chunk.usage) {
        (Some(error), ..) => Said::Failed(error.code.clone()),
        (None, Some(OpenAiChoice { coconut: Some(ended), .. }), _) => {
            Said::Answer(ended.answer.clone())
        }
        (None, Some(_), _) => Said::Token,
        (None, None, Some(_)) => Said::Done(chunk.into()),
        (None, None, None) => Said::More,
    })
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

impl From<OpenAiAnswer> for Answered {
    fn from(answer: OpenAiAnswer) -> Self {
        let choice = answer.choices.into_iter().next();
        let (answered, text) = choice.map_or_else(Default::default, |choice| {
            let said = choice.message.map_or(choice.text, |message| message.content);
            (choice.coconut.map(|end| end.answer).unwrap_or_default(), said)
        });
        let usage = answer.usage.as_ref();
        let thoughts = usage.map_or(0, |usage| usage.completion_tokens_details.reasoning_tokens);
        Self {
            prompt_tokens: usage.map_or(0, |usage| usage.prompt_tokens),
            thoughts,
            tokens: usage.map_or(0, |usage| usage.completion_tokens.saturating_sub(thoughts)),
            answer: answered,
            text,
            warning: None,
        }
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes references")]
fn is_false(value: &bool) -> bool {
    !value
}
