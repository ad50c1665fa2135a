//! The JSON of chat completions, whole and in chunks. Does not know how they travel.

use crate::engine::request::Finish;
use crate::http::asking::parts::finish_reason;
use crate::http::asking::stream::Show;
use crate::http::asking::stream::unnamed_schema;
use crate::http::asking::view::View;
use crate::http::error::ApiError;
use crate::http::openai::calls::Hearing;
use crate::http::openai::calls::Speech;
use crate::http::openai::chat::delta::Delta;
use crate::http::openai::chat::delta::delta;
use crate::http::openai::extension::ChoiceExtension;
use crate::http::openai::extension::Extension;
use crate::http::openai::extension::Progress;
use crate::http::openai::heard::Heard;
use crate::http::openai::heard::ToolCall;
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
use std::collections::BTreeMap;
use std::collections::BTreeSet;
use utoipa::PartialSchema;
use utoipa::ToSchema;
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::Schema;

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
    /// `stop`, `length` or `tool_calls`.
    finish_reason: &'static str,
    coconut: ChoiceExtension,
}

/// An assistant's message.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ReplyBody {
    /// `assistant`.
    role: &'static str,
    /// `null` where it only calls.
    #[schema(required)]
    content: Option<String>,
    /// What it calls.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(required = false)]
    tool_calls: Vec<ToolCall>,
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

const ASSISTANT: &str = "assistant";

/// All that the answers of one request have in common, and what of a stream was shown.
pub(super) struct Chat {
    pub(super) view: View,
    pub(super) speech: Speech,
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
    hearings: BTreeMap<usize, Hearing>,
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
        let index = self.view.place(rank);
        let (content, tool_calls) = self.speech.whole(&choice.text, self.call_id(index));
        let finish = finish(choice.finish, !tool_calls.is_empty());
        let content = (!content.is_empty() || tool_calls.is_empty()).then_some(content);
        ChatChoice {
            index,
            message: ReplyBody { role: ASSISTANT, content, tool_calls, refusal: None },
            logprobs: self.shows_logprobs.then_some(logprobs),
            finish_reason: finish,
            coconut,
        }
    }

    fn call_id(&self, index: usize) -> String {
        format!("{}_{index}", self.view.id.simple())
    }

    /// A choice as it is heard.
    fn hearing(&mut self, index: usize) -> &mut Hearing {
        let id = self.call_id(index);
        let speech = &self.speech;
        self.shown.hearings.entry(index).or_insert_with(|| speech.hearing(id))
    }

    /// What is new of a choice, each as a delta.
    fn deltas(&mut self, index: usize, heard: Vec<Heard>) -> Vec<Delta> {
        let mut deltas = Vec::with_capacity(heard.len());
        for heard in heard {
            let role = self.shown.begun.insert(index).then_some(ASSISTANT);
            let hearing = self.hearing(index);
            deltas.push(delta(role, heard, |index| hearing.call_id(index)));
        }
        deltas
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

    fn said(&mut self, rank: usize, token: &TokenText) -> Vec<Event> {
        let index = self.view.place(rank);
        let logprobs = self.shows_logprobs.then(|| ChatLogprobs {
            content: vec![TokenLogprob::of(token, &self.view.reasoner)],
            refusal: None,
        });
        let heard = self.hearing(index).push(&token.text);
        let mut deltas = self.deltas(index, heard);
        if deltas.is_empty() && logprobs.is_some() {
            deltas.push(Delta::default());
        }
        let mut logprobs = logprobs;
        let chunk = |delta| {
            let logprobs = logprobs.take();
            let choice = ChunkChoice { index, delta, logprobs, finish_reason: None, coconut: None };
            sse::data(&self.chunk(vec![choice]))
        };
        deltas.into_iter().map(chunk).collect()
    }

    fn done(&mut self, mut answer: Answer) -> Vec<Event> {
        let mut usage = UsageCounts::default();
        usage.add(&answer.usage);
        let extension = Extension::of(&mut answer, &self.view);
        self.shown.last = Some((usage, extension));
        let mut ended = Vec::with_capacity(answer.choices.len());
        for (rank, choice) in answer.choices.iter_mut().enumerate() {
            let index = self.view.place(rank);
            let heard = self.hearing(index).finish();
            for delta in self.deltas(index, heard) {
                let (finish_reason, coconut) = (None, None);
                let choice = ChunkChoice { index, delta, logprobs: None, finish_reason, coconut };
                ended.push(sse::data(&self.chunk(vec![choice])));
            }
            let role = self.shown.begun.insert(index).then_some(ASSISTANT);
            let delta = Delta { role, content: role.map(|_| String::new()), ..Delta::default() };
            let coconut = Some(ChoiceExtension::of(choice, &self.view));
            let has_calls = self.hearing(index).has_calls();
            let finish_reason = Some(finish(choice.finish, has_calls));
            let choice = ChunkChoice { index, delta, logprobs: None, finish_reason, coconut };
            ended.push(sse::data(&self.chunk(vec![choice])));
        }
        ended
    }
}

/// Why an answer ended: to have something done, or by itself.
fn finish(finish: Finish, has_calls: bool) -> &'static str {
    let is_cut = finish == Finish::Length;
    if has_calls && !is_cut { "tool_calls" } else { finish_reason(finish) }
}

impl Show for Chat {
    fn part(&mut self, _question: usize, part: Part) -> Vec<Event> {
        match part {
            Part::Token { choice, token } => {
                self.so_far.count_token();
                self.said(choice, &token)
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

/// What an event's `data` holds, for the document.
#[derive(Debug)]
pub(in crate::http) struct ChatEvent;

impl PartialSchema for ChatEvent {
    fn schema() -> RefOr<Schema> {
        unnamed_schema("ChatChunk")
    }
}

impl ToSchema for ChatEvent {}
