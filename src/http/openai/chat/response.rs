//! The JSON of chat completions, whole and in chunks. Does not know how they travel.

use crate::http::asking::parts::finish_reason;
use crate::http::asking::stream::Show;
use crate::http::asking::view::View;
use crate::http::error::ApiError;
use crate::http::openai::extension::ChoiceExtension;
use crate::http::openai::extension::Extension;
use crate::http::openai::extension::Progress;
use crate::http::openai::saying::StreamOptions;
use crate::http::openai::sse;
use crate::http::openai::usage::UsageCounts;
use crate::reason::reasoner::Reasoner;
use crate::reason::types::Answer;
use crate::reason::types::Choice;
use crate::reason::types::Part;
use crate::reason::types::TokenText;
use axum::response::sse::Event;
use serde::Serialize;
use std::collections::BTreeSet;
use utoipa::ToSchema;

/// What an assistant says.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ChatResponse)]
pub(in crate::http) struct ChatBody {
    /// Begins with `chatcmpl-`.
    id: String,
    /// `chat.completion`.
    object: &'static str,
    /// In seconds since 1970.
    created: u64,
    model: String,
    choices: Vec<ChatChoice>,
    usage: UsageCounts,
    coconut: Extension,
}

/// One of several answers.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ChatChoice {
    index: usize,
    message: ReplyBody,
    #[schema(required)]
    logprobs: Option<ChatLogprobs>,
    /// `stop` or `length`.
    finish_reason: &'static str,
    coconut: ChoiceExtension,
}

/// An assistant's message.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ReplyBody {
    /// `assistant`.
    role: &'static str,
    content: String,
    /// Always `null`.
    #[schema(required)]
    refusal: Option<String>,
}

/// The log-probabilities of an answer, or of what a chunk adds to it.
#[derive(Debug, Default, Serialize, ToSchema)]
pub(super) struct ChatLogprobs {
    content: Vec<TokenLogprob>,
    /// Always `null`.
    #[schema(required)]
    refusal: Option<Vec<TokenLogprob>>,
}

/// A token and what else could have come.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct TokenLogprob {
    token: String,
    /// Natural logarithm of its probability at temperature 1.
    #[schema(required)]
    logprob: Option<f32>,
    /// Its text in UTF-8.
    bytes: Vec<u8>,
    top_logprobs: Vec<TopLogprob>,
}

/// A token that could have come.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct TopLogprob {
    token: String,
    /// Natural logarithm of its probability at temperature 1.
    logprob: f32,
    /// Its text in UTF-8.
    bytes: Vec<u8>,
}

/// What is new of an answer.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::http) struct ChatChunk {
    /// Begins with `chatcmpl-`.
    id: String,
    /// `chat.completion.chunk`.
    object: &'static str,
    /// In seconds since 1970.
    created: u64,
    model: String,
    choices: Vec<ChunkChoice>,
    #[serde(skip_serializing_if = "Option::is_none")]
    usage: Option<UsageCounts>,
    /// In the last chunk, with `include_usage`.
    #[serde(skip_serializing_if = "Option::is_none")]
    coconut: Option<Extension>,
    /// How far it is, with thoughts or what is inside in `include`.
    #[serde(skip_serializing_if = "Option::is_none")]
    progress: Option<Progress>,
}

/// What is new of one of several answers.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ChunkChoice {
    index: usize,
    delta: Delta,
    #[schema(required)]
    logprobs: Option<ChatLogprobs>,
    /// `null` while it goes on.
    #[schema(required)]
    finish_reason: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    coconut: Option<ChoiceExtension>,
}

/// What is new of a message.
#[derive(Debug, Default, Serialize, ToSchema)]
pub(super) struct Delta {
    /// With the first text.
    #[serde(skip_serializing_if = "Option::is_none")]
    role: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    content: Option<String>,
}

const ASSISTANT: &str = "assistant";

/// All that the answers of one request have in common, and what of a stream was shown.
pub(super) struct Chat {
    pub(super) view: View,
    pub(super) shows_logprobs: bool,
    pub(super) options: StreamOptions,
    pub(super) so_far: UsageCounts,
    pub(super) shown: Shown,
}

/// What of a stream was shown.
#[derive(Debug, Default)]
pub(super) struct Shown {
    /// Choices that began.
    begun: BTreeSet<usize>,
    last: Option<(UsageCounts, Extension)>,
}

impl TokenLogprob {
    fn of(token: &TokenText, reasoner: &Reasoner) -> Self {
        let top = token.top.iter().map(|top| {
            let text = token.named(top.id).unwrap_or_else(|| reasoner.token_text(top.id));
            TopLogprob { bytes: text.clone().into_bytes(), token: text, logprob: top.logprob }
        });
        Self {
            token: token.text.clone(),
            logprob: token.logprob,
            bytes: token.text.clone().into_bytes(),
            top_logprobs: top.collect(),
        }
    }
}

impl Chat {
    /// All of it.
    pub(super) fn whole(&self, answers: Vec<Answer>) -> Option<ChatBody> {
        answers.into_iter().next().map(|answer| self.one(answer))
    }

    fn one(&self, mut answer: Answer) -> ChatBody {
        let mut usage = UsageCounts::default();
        usage.add(&answer.usage);
        let coconut = Extension::of(&mut answer, &self.view);
        let choices = answer.choices.into_iter().enumerate();
        let mut choices: Vec<_> = choices.map(|(rank, choice)| self.choice(rank, choice)).collect();
        choices.sort_by_key(|choice| choice.index);
        ChatBody {
            id: self.id(),
            object: "chat.completion",
            created: self.view.created,
            model: self.view.reasoner.card().name.clone(),
            choices,
            usage,
            coconut,
        }
    }

    fn id(&self) -> String {
        format!("chatcmpl-{}", self.view.id)
    }

    fn choice(&self, rank: usize, mut choice: Choice) -> ChatChoice {
        let coconut = ChoiceExtension::of(&mut choice, &self.view);
        let logprobs = choice.tokens.iter();
        let logprobs = logprobs.map(|token| TokenLogprob::of(token, &self.view.reasoner));
        let logprobs = ChatLogprobs { content: logprobs.collect(), refusal: None };
        ChatChoice {
            index: self.view.place(rank),
            message: ReplyBody { role: ASSISTANT, content: choice.text, refusal: None },
            logprobs: self.shows_logprobs.then_some(logprobs),
            finish_reason: finish_reason(choice.finish),
            coconut,
        }
    }

    fn chunk(&self, choices: Vec<ChunkChoice>) -> ChatChunk {
        let usage = self.options.continuous_usage_stats.unwrap_or(false).then_some(self.so_far);
        ChatChunk {
            id: self.id(),
            object: "chat.completion.chunk",
            created: self.view.created,
            model: self.view.reasoner.card().name.clone(),
            choices,
            usage,
            coconut: None,
            progress: None,
        }
    }

    fn said(&mut self, rank: usize, token: &TokenText) -> Option<Event> {
        let index = self.view.place(rank);
        let logprobs = self.shows_logprobs.then(|| ChatLogprobs {
            content: vec![TokenLogprob::of(token, &self.view.reasoner)],
            refusal: None,
        });
        if token.text.is_empty() && logprobs.is_none() {
            return None;
        }
        let role = self.shown.begun.insert(index).then_some(ASSISTANT);
        let delta = Delta { role, content: Some(token.text.clone()) };
        let choice = ChunkChoice { index, delta, logprobs, finish_reason: None, coconut: None };
        Some(sse::data(&self.chunk(vec![choice])))
    }

    fn done(&mut self, mut answer: Answer) -> Vec<Event> {
        let mut usage = UsageCounts::default();
        usage.add(&answer.usage);
        let extension = Extension::of(&mut answer, &self.view);
        self.shown.last = Some((usage, extension));
        let mut ended = Vec::with_capacity(answer.choices.len());
        for (rank, choice) in answer.choices.iter_mut().enumerate() {
            let index = self.view.place(rank);
            let role = self.shown.begun.insert(index).then_some(ASSISTANT);
            let delta = Delta { role, content: role.map(|_| String::new()) };
            let coconut = Some(ChoiceExtension::of(choice, &self.view));
            let finish_reason = Some(finish_reason(choice.finish));
            let choice = ChunkChoice { index, delta, logprobs: None, finish_reason, coconut };
            ended.push(sse::data(&self.chunk(vec![choice])));
        }
        ended
    }
}

impl Show for Chat {
    fn part(&mut self, _question: usize, part: Part) -> Vec<Event> {
        match part {
            Part::Token { choice, token } => {
                self.so_far.count_token();
                self.said(choice, &token).into_iter().collect()
            }
            Part::Done(answer) => self.done(*answer),
            part => {
                if let Part::Thought { .. } = part {
                    self.so_far.count_thought();
                }
                let progress = Progress::of(part, &self.view);
                let shown = progress.map(|progress| {
                    sse::data(&ChatChunk { progress: Some(progress), ..self.chunk(Vec::new()) })
                });
                shown.into_iter().collect()
            }
        }
    }

    fn end(&mut self) -> Vec<Event> {
        let mut events = Vec::new();
        if let (Some(true), Some((usage, extension))) =
            (self.options.include_usage, self.shown.last.take())
        {
            let (usage, coconut) = (Some(usage), Some(extension));
            events.push(sse::data(&ChatChunk { usage, coconut, ..self.chunk(Vec::new()) }));
        }
        events.push(sse::done());
        events
    }

    fn failed(error: ApiError) -> Vec<Event> {
        sse::failed(&error)
    }
}
