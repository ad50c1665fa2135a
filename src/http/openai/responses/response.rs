//! The JSON of responses, whole and as OpenAI's named events. Does not know how they travel.

use crate::engine::request::Finish;
use crate::http::asking::stream::Show;
use crate::http::asking::view::View;
use crate::http::error::ApiError;
use crate::http::openai::extension::Extension;
use crate::http::openai::extension::Progress;
use crate::reason::types::Answer;
use crate::reason::types::Part;
use crate::reason::types::Usage;
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
    /// One message.
    output: Vec<OutputMessage>,
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
    /// `auto`.
    tool_choice: &'static str,
    /// None.
    #[schema(value_type = Vec<Object>)]
    tools: Vec<Value>,
    top_p: f64,
    /// Thoughts and what else was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Extension>)]
    coconut: Option<Value>,
}

/// What an assistant says.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = ResponseMessage)]
pub(super) struct OutputMessage {
    /// `message`.
    #[serde(rename = "type")]
    kind: &'static str,
    id: String,
    /// `in_progress`, `completed` or `incomplete`.
    status: &'static str,
    /// `assistant`.
    role: &'static str,
    content: Vec<OutputText>,
}

/// Its text.
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
    pub(super) temperature: f64,
    pub(super) top_p: f64,
    /// Number of the next event.
    pub(super) next: usize,
    pub(super) text: String,
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
        let text = choice.map(|choice| choice.text.clone()).unwrap_or_default();
        let cut = choice.is_some_and(|choice| choice.finish == Finish::Length);
        let status = if cut { "incomplete" } else { "completed" };
        ResponseBody {
            status,
            output: vec![self.message(status, Some(text))],
            incomplete_details: cut.then(|| json!({"reason": "max_output_tokens"})),
            usage: Some(answer.usage.into()),
            coconut,
            ..self.begun()
        }
    }

    fn begun(&self) -> ResponseBody {
        ResponseBody {
            id: format!("resp_{}", self.view.id.simple()),
            object: "response",
            created_at: self.view.created,
            status: "in_progress",
            model: self.view.reasoner.card().name.clone(),
            output: Vec::new(),
            incomplete_details: None,
            error: None,
            usage: None,
            instructions: None,
            metadata: None,
            parallel_tool_calls: true,
            temperature: self.temperature,
            tool_choice: "auto",
            tools: Vec::new(),
            top_p: self.top_p,
            coconut: None,
        }
    }

    fn item_id(&self) -> String {
        format!("msg_{}", self.view.id.simple())
    }

    fn message(&self, status: &'static str, text: Option<String>) -> OutputMessage {
        OutputMessage {
            kind: "message",
            id: self.item_id(),
            status,
            role: "assistant",
            content: text.map(output_text).into_iter().collect(),
        }
    }

    /// An event of this type, with the next number.
    fn event(&mut self, kind: &'static str, mut data: Value) -> Event {
        data["type"] = json!(kind);
        data["sequence_number"] = json!(self.next);
        self.next += 1;
        let event = Event::default().event(kind).json_data(data);
        event.expect("keys are strings, and floats that are not finite become null")
    }

    /// An event about the message.
    fn of_message(&mut self, kind: &'static str, mut data: Value) -> Event {
        data["output_index"] = json!(0);
        self.event(kind, data)
    }

    /// An event about its text.
    fn of_text(&mut self, kind: &'static str, mut data: Value) -> Event {
        data["item_id"] = json!(self.item_id());
        data["content_index"] = json!(0);
        self.of_message(kind, data)
    }

    /// The events before all others, once.
    fn opening(&mut self) -> Vec<Event> {
        if self.next > 0 {
            return Vec::new();
        }
        let (response, item) = (json!(self.begun()), json!(self.message("in_progress", None)));
        vec![
            self.event("response.created", json!({"response": response})),
            self.event("response.in_progress", json!({"response": response})),
            self.of_message("response.output_item.added", json!({"item": item})),
            self.of_text(
                "response.content_part.added",
                json!({"part": output_text(String::new())}),
            ),
        ]
    }

    fn closing(&mut self, answer: Answer) -> Vec<Event> {
        let text = std::mem::take(&mut self.text);
        let response = self.one(answer);
        let item = json!(self.message(response.status, Some(text.clone())));
        let kind = match response.status {
            "completed" => "response.completed",
            _ => "response.incomplete",
        };
        vec![
            self.of_text("response.output_text.done", json!({"text": text, "logprobs": []})),
            self.of_text("response.content_part.done", json!({"part": output_text(text)})),
            self.of_message("response.output_item.done", json!({"item": item})),
            self.event(kind, json!({"response": response})),
        ]
    }
}

fn output_text(text: String) -> OutputText {
    OutputText { kind: "output_text", text, annotations: Vec::new() }
}

impl Show for Speaking {
    fn part(&mut self, _question: usize, part: Part) -> Vec<Event> {
        let mut events = self.opening();
        match part {
            Part::Token { token, .. } if !token.text.is_empty() => {
                self.text.push_str(&token.text);
                let delta = json!({"delta": token.text, "logprobs": []});
                events.push(self.of_text("response.output_text.delta", delta));
            }
            Part::Done(answer) => events.extend(self.closing(*answer)),
            part => {
                let progress = Progress::of(part, &self.view);
                let shown = progress.map(|progress| json!({"progress": progress}));
                events
                    .extend(shown.map(|shown| self.of_message("response.coconut.progress", shown)));
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
