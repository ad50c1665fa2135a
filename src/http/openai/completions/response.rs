//! The JSON of completions, whole and in chunks. Does not know how they travel.

use crate::http::asking::parts::finish_reason;
use crate::http::asking::stream::Show;
use crate::http::asking::stream::unnamed_schema;
use crate::http::asking::view::View;
use crate::http::error::ApiError;
use crate::http::openai::completions::logprobs::LogprobsBody;
use crate::http::openai::extension::ChoiceExtension;
use crate::http::openai::extension::Extension;
use crate::http::openai::extension::Progress;
use crate::http::openai::saying::StreamOptions;
use crate::http::openai::sse;
use crate::http::openai::usage::UsageCounts;
use crate::reason::question::Asked;
use crate::reason::types::Answer;
use crate::reason::types::Choice;
use crate::reason::types::Part;
use crate::reason::types::PromptToken;
use crate::reason::types::TokenText;
use axum::response::sse::Event;
use serde::Serialize;
use std::collections::BTreeMap;
use std::collections::BTreeSet;
use utoipa::PartialSchema;
use utoipa::ToSchema;
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::Schema;

/// Texts that go on with the prompts; in a stream, what is new of them.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = CompletionResponse)]
pub(in crate::http) struct CompletionBody {
    /// Begins with `cmpl-`.
    id: String,
    /// `text_completion`.
    object: &'static str,
    /// In seconds since 1970.
    created: u64,
    model: String,
    /// Of each prompt `n`, in order.
    choices: Vec<CompletionChoice>,
    #[serde(skip_serializing_if = "Option::is_none")]
    usage: Option<UsageCounts>,
    /// One for each prompt; in a stream, in the last chunk.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(required = false)]
    coconut: Vec<Extension>,
    /// In a stream: how far a prompt is, with thoughts or what is inside in `include`.
    #[serde(skip_serializing_if = "Option::is_none")]
    progress: Option<PromptProgress>,
}

/// How far a prompt is.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct PromptProgress {
    /// Which prompt.
    prompt: usize,
    #[serde(flatten)]
    progress: Progress,
}

/// A text, or what is new of it.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct CompletionChoice {
    index: usize,
    text: String,
    #[schema(required)]
    logprobs: Option<LogprobsBody>,
    /// `stop` or `length`; `null` while it goes on.
    #[schema(required)]
    finish_reason: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    coconut: Option<ChoiceExtension>,
}

/// All that completions of one request have in common, and what of a stream was shown.
pub(super) struct Completions {
    pub(super) view: View,
    /// What is shown again, by prompt.
    pub(super) echoed: Option<Vec<Asked>>,
    pub(super) shows_logprobs: bool,
    /// Choices of each prompt.
    pub(super) choices: usize,
    pub(super) options: StreamOptions,
    pub(super) so_far: UsageCounts,
    pub(super) shown: Shown,
}

/// What of a stream was shown.
#[derive(Debug, Default)]
pub(super) struct Shown {
    /// Choices whose prompt was.
    prompts: BTreeSet<usize>,
    scores: BTreeMap<usize, Vec<PromptToken>>,
    /// Characters of each choice.
    offsets: BTreeMap<usize, usize>,
    usage: UsageCounts,
    extensions: Vec<(usize, Extension)>,
}

impl Completions {
    /// All of it.
    pub(super) fn whole(&self, answers: Vec<Answer>) -> CompletionBody {
        let mut body = self.body();
        let mut usage = UsageCounts::default();
        for (prompt, mut answer) in answers.into_iter().enumerate() {
            usage.add(&answer.usage);
            body.coconut.push(Extension::of(&mut answer, &self.view));
            let mut choices = std::mem::take(&mut answer.choices);
            if choices.is_empty() {
                body.choices.extend(self.prompt_alone(prompt, &answer));
            }
            let shown = choices.iter_mut().enumerate();
            let shown = shown.map(|(rank, choice)| self.choice((prompt, rank), choice, &answer));
            body.choices.extend(shown);
        }
        body.choices.sort_by_key(|choice| choice.index);
        body.usage = Some(usage);
        body
    }

    fn body(&self) -> CompletionBody {
        CompletionBody {
            id: format!("cmpl-{}", self.view.id),
            object: "text_completion",
            created: self.view.created,
            model: self.view.reasoner.card().name.clone(),
            choices: Vec::new(),
            usage: None,
            coconut: Vec::new(),
            progress: None,
        }
    }

    fn index(&self, prompt: usize, rank: usize) -> usize {
        prompt * self.choices + self.view.place(rank)
    }

    /// Where nothing is to be said: the prompt, and what the model makes of it.
    fn prompt_alone(
        &self,
        prompt: usize,
        answer: &Answer,
    ) -> impl Iterator<Item = CompletionChoice> {
        (0..self.choices).map(move |rank| {
            let (text, logprobs) = self.echo(prompt, &answer.prompt, &mut 0);
            let (index, finish_reason) = (self.index(prompt, rank), Some("length"));
            CompletionChoice { index, text, logprobs, finish_reason, coconut: None }
        })
    }

    /// Behind a prompt that is shown with its scores, what ends the answer has its own: who adds up the scores of what the
    /// prompt ends with leaves out the last entry.
    fn add_ending(&self, choice: &Choice, offset: &mut usize, logprobs: &mut Option<LogprobsBody>) {
        let is_shown = self.shows_logprobs && self.echoed.is_some();
        if let Some(token) = choice.ending.as_ref().filter(|_| is_shown) {
            let logprobs = logprobs.get_or_insert_default();
            logprobs.ending(token, offset, &self.view.reasoner);
        }
    }

    fn choice(
        &self,
        (prompt, rank): (usize, usize),
        choice: &mut Choice,
        answer: &Answer,
    ) -> CompletionChoice {
        let mut offset = 0;
        let (mut text, mut logprobs) = self.echo(prompt, &answer.prompt, &mut offset);
        text.push_str(&choice.text);
        if let Some(logprobs) = &mut logprobs {
            for token in &choice.tokens {
                logprobs.token(token, &mut offset, &self.view.reasoner);
            }
        }
        self.add_ending(choice, &mut offset, &mut logprobs);
        CompletionChoice {
            index: self.index(prompt, rank),
            text,
            logprobs,
            finish_reason: Some(finish_reason(choice.finish)),
            coconut: Some(ChoiceExtension::of(choice, &self.view)),
        }
    }

    /// The prompt as it is shown again, which may be not at all.
    fn echo(
        &self,
        prompt: usize,
        scores: &[PromptToken],
        offset: &mut usize,
    ) -> (String, Option<LogprobsBody>) {
        let reasoner = &self.view.reasoner;
        let mut logprobs = self.shows_logprobs.then(LogprobsBody::default);
        let Some(asked) = self.echoed.as_ref().and_then(|echoed| echoed.get(prompt)) else {
            return (String::new(), logprobs);
        };
        if let Some(logprobs) = logprobs.as_mut().filter(|_| !scores.is_empty()) {
            let ids: Vec<u32> = scores.iter().map(|token| token.id).collect();
            logprobs.prompt(scores, reasoner.pieces(&ids), offset, reasoner);
        }
        let text = match asked {
            Asked::Text(text) => text.clone(),
            Asked::Ids(ids) => reasoner.pieces(ids).concat(),
            Asked::Question(_) | Asked::Chat(_) | Asked::Inputs(_) => String::new(),
        };
        (text, logprobs)
    }

    fn chunk(&self, choice: CompletionChoice) -> Event {
        let mut body = self.body();
        body.choices = vec![choice];
        self.event(body)
    }

    fn event(&self, mut body: CompletionBody) -> Event {
        if self.options.continuous_usage_stats.unwrap_or(false) && body.usage.is_none() {
            body.usage = Some(self.so_far);
        }
        sse::data(&body)
    }

    /// What is new of a choice with a token, behind its prompt where that was not shown yet.
    fn said(&mut self, prompt: usize, rank: usize, token: &TokenText) -> Option<Event> {
        let index = self.index(prompt, rank);
        let mut offset = self.shown.offsets.get(&index).copied().unwrap_or(0);
        let is_new = self.shown.prompts.insert(index);
        let scores = self.shown.scores.get(&prompt).map_or(&[][..], Vec::as_slice);
        let (mut text, mut logprobs) = match is_new {
            true => self.echo(prompt, scores, &mut offset),
            false => (String::new(), self.shows_logprobs.then(LogprobsBody::default)),
        };
        text.push_str(&token.text);
        if let Some(logprobs) = &mut logprobs {
            logprobs.token(token, &mut offset, &self.view.reasoner);
        }
        self.shown.offsets.insert(index, offset);
        let is_empty = text.is_empty() && logprobs.is_none();
        let choice = CompletionChoice { index, text, logprobs, finish_reason: None, coconut: None };
        (!is_empty).then(|| self.chunk(choice))
    }

    fn done(&mut self, prompt: usize, mut answer: Answer) -> Vec<Event> {
        self.shown.usage.add(&answer.usage);
        let extension = Extension::of(&mut answer, &self.view);
        self.shown.extensions.push((prompt, extension));
        let mut choices = std::mem::take(&mut answer.choices);
        if choices.is_empty() {
            return self.prompt_alone(prompt, &answer).map(|choice| self.chunk(choice)).collect();
        }
        let mut ended = Vec::with_capacity(choices.len());
        for (rank, choice) in choices.iter_mut().enumerate() {
            let index = self.index(prompt, rank);
            let mut offset = self.shown.offsets.get(&index).copied().unwrap_or(0);
            let (text, mut logprobs) = match self.shown.prompts.insert(index) {
                true => self.echo(prompt, &answer.prompt, &mut offset),
                false => (String::new(), None),
            };
            self.add_ending(choice, &mut offset, &mut logprobs);
            let finish_reason = Some(finish_reason(choice.finish));
            let coconut = Some(ChoiceExtension::of(choice, &self.view));
            let choice = CompletionChoice { index, text, logprobs, finish_reason, coconut };
            ended.push(self.chunk(choice));
        }
        ended
    }
}

impl Show for Completions {
    fn asked(&mut self, prompt_tokens: usize) {
        self.so_far.ask(prompt_tokens);
    }

    fn part(&mut self, prompt: usize, part: Part) -> Vec<Event> {
        match part {
            Part::Token { choice, token } => {
                self.so_far.count_token();
                self.said(prompt, choice, &token).into_iter().collect()
            }
            Part::Prompt(scores) => {
                self.shown.scores.insert(prompt, scores);
                Vec::new()
            }
            Part::Done(answer) => self.done(prompt, *answer),
            part => {
                if let Part::Thought { .. } = part {
                    self.so_far.count_thought();
                }
                let progress = Progress::of(part, &self.view);
                let progress = progress.map(|progress| PromptProgress { prompt, progress });
                let shown = progress.map(|progress| {
                    self.event(CompletionBody { progress: Some(progress), ..self.body() })
                });
                shown.into_iter().collect()
            }
        }
    }

    fn end(&mut self) -> Vec<Event> {
        let mut events = Vec::new();
        if self.options.include_usage.unwrap_or(false) {
            let mut extensions = std::mem::take(&mut self.shown.extensions);
            extensions.sort_by_key(|(prompt, _)| *prompt);
            let coconut = extensions.into_iter().map(|(_, extension)| extension).collect();
            let usage = Some(self.shown.usage);
            events.push(sse::data(&CompletionBody { usage, coconut, ..self.body() }));
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
pub(in crate::http) struct CompletionEvent;

impl PartialSchema for CompletionEvent {
    fn schema() -> RefOr<Schema> {
        unnamed_schema("CompletionResponse")
    }
}

impl ToSchema for CompletionEvent {}
