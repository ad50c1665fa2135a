//! The JSON of responses, whole and as OpenAI's named events. Does not know how they travel.

use crate::engine::request::Finish;
use crate::http::asking::stream::Show;
use crate::http::asking::view::View;
use crate::http::error::ApiError;
use crate::http::openai::acting::tool_choice_schema;
use crate::http::openai::calls::Hearing;
use crate::http::openai::calls::Speech;
use crate::http::openai::extension::Extension;
use crate::http::openai::extension::Progress;
use crate::http::openai::heard::Heard;
use crate::http::openai::heard::ToolCall;
use crate::http::openai::responses::request::Echoed;
use crate::reason::types::Answer;
use crate::reason::types::Part;
use crate::reason::types::Usage;
use crate::text::chat::Json;
use axum::response::sse::Event;
use serde::Serialize;
use serde_json::Value;
use serde_json::json;
use utoipa::ToSchema;

/// A response.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = Response)]
pub(in crate::http) struct ResponseBody {
    /// Begins with `resp_`.
    id: String,
    /// `response`.
    object: &'static str,
    /// In seconds since 1970.
    created_at: u64,
    /// `in_progress`, `completed`, `incomplete` or `failed`.
    status: &'static str,
    model: String,
    /// A message, calls, or both.
    output: Vec<OutputItem>,
    /// Why it is `incomplete`.
    #[schema(required, value_type = Option<Object>)]
    incomplete_details: Option<Value>,
    #[schema(required, value_type = Option<Object>)]
    error: Option<Value>,
    #[schema(required)]
    usage: Option<ResponseUsage>,
    #[schema(required)]
    instructions: Option<String>,
    /// Always `null`.
    #[schema(required, value_type = Option<Object>)]
    metadata: Option<Value>,
    parallel_tool_calls: bool,
    temperature: f64,
    /// As asked for; `auto` where nothing was said.
    #[schema(schema_with = tool_choice_schema)]
    tool_choice: Json,
    /// As they came.
    #[schema(value_type = Vec<Object>)]
    tools: Vec<Json>,
    top_p: f64,
    /// Thoughts and what else was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Extension>)]
    coconut: Option<Value>,
}

/// Something that came of the input.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[serde(tag = "type", rename_all = "snake_case")]
#[schema(as = ResponseOutputItem)]
pub(super) enum OutputItem {
    /// What an assistant says.
    Message {
        id: String,
        /// `in_progress`, `completed` or `incomplete`.
        status: &'static str,
        /// `assistant`.
        role: &'static str,
        content: Vec<OutputText>,
    },
    /// What is to be called.
    FunctionCall {
        id: String,
        /// Names it in the item that answers it.
        call_id: String,
        name: String,
        /// The text of a JSON object.
        arguments: String,
        /// `in_progress` or `completed`.
        status: &'static str,
    },
}

/// A message's text.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = ResponseText)]
pub(super) struct OutputText {
    /// `output_text`.
    #[serde(rename = "type")]
    kind: &'static str,
    text: String,
    /// None.
    #[schema(value_type = Vec<Object>)]
    annotations: Vec<Value>,
}

/// Counts of tokens.
#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
pub(super) struct ResponseUsage {
    input_tokens: usize,
    input_tokens_details: InputDetails,
    /// Latent steps included.
    output_tokens: usize,
    output_tokens_details: OutputDetails,
    total_tokens: usize,
}

/// Of the input.
#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
#[schema(as = ResponseInputDetails)]
pub(super) struct InputDetails {
    /// Positions that were read from memory.
    cached_tokens: usize,
}

/// Of the output.
#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
#[schema(as = ResponseOutputDetails)]
pub(super) struct OutputDetails {
    /// Latent steps.
    reasoning_tokens: usize,
}

/// All that a response tells, and what of it was sent.
pub(super) struct Speaking {
    pub(super) view: View,
    pub(super) speech: Speech,
    pub(super) echoed: Echoed,
    pub(super) temperature: f64,
    pub(super) top_p: f64,
    pub(super) sent: Sent,
}

/// What of a stream was sent.
#[derive(Debug, Default)]
pub(super) struct Sent {
    /// Number of the next event.
    next: usize,
    hearing: Option<Hearing>,
    text: String,
    /// Where the message stands in the output, and where each call.
    message: Option<usize>,
    calls: Vec<usize>,
}

impl Sent {
    fn items(&self) -> usize {
        self.calls.len() + usize::from(self.message.is_some())
    }
}

impl From<Usage> for ResponseUsage {
    fn from(usage: Usage) -> Self {
        Self {
            input_tokens: usage.prompt_tokens,
            input_tokens_details: InputDetails { cached_tokens: usage.cached_prompt() },
            output_tokens: usage.completion_tokens + usage.latent_steps,
            output_tokens_details: OutputDetails { reasoning_tokens: usage.latent_steps },
            total_tokens: usage.total_tokens(),
        }
    }
}

impl Speaking {
    /// All of it.
    pub(super) fn whole(&self, answers: Vec<Answer>) -> Option<ResponseBody> {
        answers.into_iter().next().map(|answer| self.one(answer))
    }

    fn one(&self, mut answer: Answer) -> ResponseBody {
        let coconut = serde_json::to_value(Extension::of(&mut answer, &self.view)).ok();
        let choice = answer.choices.first();
        let text = choice.map(|choice| choice.text.as_str()).unwrap_or_default();
        let (content, calls) = self.speech.whole(text, self.name());
        let cut = choice.is_some_and(|choice| choice.finish == Finish::Length) && calls.is_empty();
        let status = if cut { "incomplete" } else { "completed" };
        let message = (!content.is_empty() || calls.is_empty()).then_some(content);
        let message = message.map(|content| self.message(status, Some(content)));
        let calls = calls.into_iter().map(|call| function_call("completed", call));
        ResponseBody {
            status,
            output: message.into_iter().chain(calls).collect(),
            incomplete_details: cut.then(|| json!({"reason": "max_output_tokens"})),
            usage: Some(answer.usage.into()),
            coconut,
            ..self.begun()
        }
    }

    fn begun(&self) -> ResponseBody {
        ResponseBody {
            id: format!("resp_{}", self.name()),
            object: "response",
            created_at: self.view.created,
            status: "in_progress",
            model: self.view.reasoner.card().name.clone(),
            output: Vec::new(),
            incomplete_details: None,
            error: None,
            usage: None,
            instructions: self.echoed.instructions.clone(),
            metadata: None,
            parallel_tool_calls: true,
            temperature: self.temperature,
            tool_choice: self.echoed.tool_choice.clone().unwrap_or_else(|| "auto".into()),
            tools: self.echoed.tools.clone(),
            top_p: self.top_p,
            coconut: None,
        }
    }

    fn name(&self) -> String {
        self.view.id.simple().to_string()
    }

    fn message_id(&self) -> String {
        format!("msg_{}", self.name())
    }

    fn message(&self, status: &'static str, text: Option<String>) -> OutputItem {
        OutputItem::Message {
            id: self.message_id(),
            status,
            role: "assistant",
            content: text.map(output_text).into_iter().collect(),
        }
    }

    /// An event of this type, with the next number.
    fn event(&mut self, kind: &'static str, mut data: Value) -> Event {
        data["type"] = json!(kind);
        data["sequence_number"] = json!(self.sent.next);
        self.sent.next += 1;
        let event = Event::default().event(kind).json_data(data);
        event.expect("keys are strings, and floats that are not finite become null")
    }

    /// An event about an item of the output.
    fn of_item(&mut self, kind: &'static str, at: usize, mut data: Value) -> Event {
        data["output_index"] = json!(at);
        self.event(kind, data)
    }

    /// An event about the message's text.
    fn of_text(&mut self, kind: &'static str, at: usize, mut data: Value) -> Event {
        data["item_id"] = json!(self.message_id());
        data["content_index"] = json!(0);
        self.of_item(kind, at, data)
    }

    /// The events before all others, once.
    fn opening(&mut self) -> Vec<Event> {
        if self.sent.next > 0 {
            return Vec::new();
        }
        self.sent.hearing = Some(self.speech.hearing(self.name()));
        let response = json!(self.begun());
        vec![
            self.event("response.created", json!({"response": response})),
            self.event("response.in_progress", json!({"response": response})),
        ]
    }

    fn heard(&mut self, heard: Vec<Heard>) -> Vec<Event> {
        let mut events = Vec::new();
        for heard in heard {
            match heard {
                Heard::Content(text) => events.extend(self.said(&text)),
                Heard::Begun { index, .. } => events.extend(self.began(index)),
                Heard::Arguments { index, piece } => {
                    let at = self.sent.calls.get(index).copied().unwrap_or_default();
                    let id = self.call_item_id(index);
                    let data = json!({"item_id": id, "delta": piece});
                    events.push(self.of_item("response.function_call_arguments.delta", at, data));
                }
            }
        }
        events
    }

    fn said(&mut self, text: &str) -> Vec<Event> {
        let mut events = Vec::new();
        let at = self.sent.message.unwrap_or_else(|| self.sent.items());
        if self.sent.message.is_none() {
            self.sent.message = Some(at);
            let item = json!(self.message("in_progress", None));
            events.push(self.of_item("response.output_item.added", at, json!({"item": item})));
            let part = json!({"part": output_text(String::new())});
            events.push(self.of_text("response.content_part.added", at, part));
        }
        self.sent.text.push_str(text);
        let delta = json!({"delta": text, "logprobs": []});
        events.push(self.of_text("response.output_text.delta", at, delta));
        events
    }

    fn began(&mut self, index: usize) -> Option<Event> {
        let call = self.sent.hearing.as_ref()?.calls().into_iter().nth(index)?.begun();
        let at = self.sent.items();
        self.sent.calls.push(at);
        let item = json!(function_call("in_progress", call));
        Some(self.of_item("response.output_item.added", at, json!({"item": item})))
    }

    fn call_item_id(&self, index: usize) -> String {
        let id = self.sent.hearing.as_ref().map(|hearing| hearing.call_id(index));
        format!("fc_{}", id.unwrap_or_default())
    }

    fn closing(&mut self, answer: Answer) -> Vec<Event> {
        let rest = self.sent.hearing.as_mut().map(Hearing::finish).unwrap_or_default();
        let mut events = self.heard(rest);
        if self.sent.items() == 0 {
            events.extend(self.said(""));
        }
        let response = self.one(answer);
        if let Some(at) = self.sent.message {
            let text = std::mem::take(&mut self.sent.text);
            let item = json!(self.message(response.status, Some(text.clone())));
            let done = json!({"text": text, "logprobs": []});
            events.push(self.of_text("response.output_text.done", at, done));
            let part = json!({"part": output_text(text)});
            events.push(self.of_text("response.content_part.done", at, part));
            events.push(self.of_item("response.output_item.done", at, json!({"item": item})));
        }
        let calls = self.sent.hearing.as_ref().map(Hearing::calls).unwrap_or_default();
        for (index, call) in calls.into_iter().enumerate() {
            let at = self.sent.calls.get(index).copied().unwrap_or_default();
            let item = function_call("completed", call.clone());
            let (_, name, arguments) = call.parts();
            let id = self.call_item_id(index);
            let done = json!({"item_id": id, "name": name, "arguments": arguments});
            events.push(self.of_item("response.function_call_arguments.done", at, done));
            events.push(self.of_item("response.output_item.done", at, json!({"item": item})));
        }
        let kind = match response.status {
            "completed" => "response.completed",
            _ => "response.incomplete",
        };
        events.push(self.event(kind, json!({"response": response})));
        events
    }
}

fn function_call(status: &'static str, call: ToolCall) -> OutputItem {
    let (call_id, name, arguments) = call.parts();
    OutputItem::FunctionCall { id: format!("fc_{call_id}"), call_id, name, arguments, status }
}

fn output_text(text: String) -> OutputText {
    OutputText { kind: "output_text", text, annotations: Vec::new() }
}

impl Show for Speaking {
    fn part(&mut self, _question: usize, part: Part) -> Vec<Event> {
        let mut events = self.opening();
        match part {
            Part::Token { token, .. } => {
                let heard = self.sent.hearing.as_mut().map(|hearing| hearing.push(&token.text));
                let heard = self.heard(heard.unwrap_or_default());
                events.extend(heard);
            }
            Part::Done(answer) => events.extend(self.closing(*answer)),
            part => {
                let progress = Progress::of(part, &self.view);
                let shown = progress.map(|progress| json!({"progress": progress}));
                let shown = shown.map(|shown| self.event("response.coconut.progress", shown));
                events.extend(shown);
            }
        }
        events
    }

    fn failed(error: ApiError) -> Vec<Event> {
        let mut data = json!(error.body());
        let mut data = data["error"].take();
        data["type"] = json!("error");
        let event = Event::default().event("error").json_data(data);
        vec![event.expect("keys are strings, and floats that are not finite become null")]
    }
}
