//! Conversations as text, by the template that a checkpoint brings: Jinja as Hugging Face renders it. Templates come from
//! strangers: they see the conversation and nothing else, and what they may compute is bounded. Knows no model, and not which
//! messages a route takes.

use crate::text::jinja;
use minijinja::Environment;
use minijinja::ErrorKind;
use minijinja::Value;
use minijinja::syntax::SyntaxConfig;
use minijinja::value::Serde;
use regex::Regex;
use serde::Deserialize;
use serde::Serialize;
use std::collections::BTreeMap;
use std::fmt;

/// Instructions of a template's machine: a long conversation takes a few ten thousand.
const FUEL: u64 = 10_000_000;

/// Its only name.
const NAME: &str = "chat_template";

/// Any JSON, its fields in the order in which they came: some templates show them.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(transparent)]
pub struct Json(Value);

/// One message, as templates know it.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Message {
    /// `system`, `user`, `assistant`, `tool`, or what else the template knows.
    pub role: String,
    /// What it says.
    pub content: Option<String>,
    /// Other fields, as they came.
    #[serde(flatten)]
    pub more: BTreeMap<String, Json>,
}

/// A conversation that is to be gone on with.
#[derive(Clone, Debug, Default)]
pub struct Conversation {
    /// In order.
    pub messages: Vec<Message>,
    /// What can be called, as the client declares it.
    pub tools: Option<Json>,
    /// What the assistant is made to begin with.
    pub lead: String,
    /// What else the template is told.
    pub settings: BTreeMap<String, Json>,
}

/// A checkpoint's template.
#[derive(Clone, Debug)]
pub struct ChatTemplate {
    environment: Environment<'static>,
    source: String,
    /// `bos_token` and the like, by name.
    tokens: BTreeMap<String, String>,
}

impl Json {
    /// What a text of JSON says; `None` where it is none.
    pub fn parse(text: &str) -> Option<Self> {
        serde_json::from_str(text).ok()
    }

    /// A list of these.
    pub fn list(all: impl IntoIterator<Item = Self>) -> Self {
        Self(all.into_iter().map(|json| json.0).collect())
    }

    /// A call with its arguments as templates read them: as an object, not as the text of one.
    pub fn with_arguments(self) -> Self {
        let arguments = self.get("function").and_then(|function| function.get("arguments"));
        let parsed = arguments.as_ref().and_then(Self::as_str).and_then(Self::parse);
        match (parsed, self.get("function")) {
            (Some(parsed), Some(function)) => {
                self.with("function", &function.with("arguments", &parsed))
            }
            _ => self,
        }
    }

    /// The same object with another value in a field.
    fn with(&self, field: &str, value: &Self) -> Self {
        let names = self.0.try_iter().into_iter().flatten();
        let fields = names.map(|name| match name.as_str() == Some(field) {
            true => (name, value.0.clone()),
            false => {
                let kept = self.0.get_item(&name).unwrap_or_default();
                (name, kept)
            }
        });
        Self(Value::from_pairs(fields))
    }

    /// A tool as `/v1/responses` declares it, the function's fields beside its type, as templates know tools.
    pub fn as_function(self) -> Self {
        if self.get("function").is_some() {
            return self;
        }
        let kind = (Value::from("type"), Value::from("function"));
        Self(Value::from_pairs([kind, (Value::from("function"), self.0)]))
    }

    /// Whether it is `null`.
    pub fn is_null(&self) -> bool {
        self.0.is_none()
    }

    /// A field of an object.
    pub fn get(&self, field: &str) -> Option<Self> {
        self.0.get_attr(field).ok().filter(|value| !value.is_undefined()).map(Self)
    }

    /// As serde's.
    pub fn to_value(&self) -> serde_json::Value {
        serde_json::to_value(&self.0).unwrap_or_default()
    }

    /// A list's values.
    pub fn items(&self) -> Vec<Self> {
        self.0.try_iter().into_iter().flatten().map(Self).collect()
    }

    /// The text that it is.
    pub fn as_str(&self) -> Option<&str> {
        self.0.as_str()
    }
}

impl fmt::Display for Json {
    /// A text as it is, all else as JSON.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl From<&str> for Json {
    fn from(text: &str) -> Self {
        Self(Value::from(text))
    }
}

impl ChatTemplate {
    /// Reads a template. `tokens` are the special ones that it may name.
    ///
    /// # Errors
    /// Where it is no template.
    pub fn parse(source: &str, tokens: BTreeMap<String, String>) -> Result<Self, String> {
        let mut environment = Environment::new();
        let whitespace = SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).build();
        environment.set_syntax(whitespace.map_err(|error| told(&error))?);
        environment.set_fuel(Some(FUEL));
        jinja::add(&mut environment);
        environment.add_function("raise_exception", raise_exception);
        environment.add_function("strftime_now", strftime_now);
        environment
            .add_template_owned(NAME, without_generation(source))
            .map_err(|error| told(&error))?;
        Ok(Self { environment, source: source.to_owned(), tokens })
    }

    /// As the checkpoint has it.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// The conversation as text, up to where the assistant speaks.
    ///
    /// # Errors
    /// What the template objects to.
    pub fn render(&self, conversation: &Conversation) -> Result<String, String> {
        let mut context = BTreeMap::new();
        for (name, token) in &self.tokens {
            context.insert(name.as_str(), Value::from(token));
        }
        context.insert("add_generation_prompt", Value::from(true));
        // What is not given is none there, and defined.
        let none = || Value::from(());
        let tools = conversation.tools.clone().map_or_else(none, |tools| tools.0);
        context.insert("tools", tools);
        context.insert("documents", none());
        for (name, value) in &conversation.settings {
            context.insert(name, value.0.clone());
        }
        context.insert("messages", Value::from(Serde(&conversation.messages)));
        let template = self.environment.get_template(NAME).map_err(|error| told(&error))?;
        template.render(context).map_err(|error| told(&error))
    }
}

/// What went wrong, in one line, with its place in the template.
fn told(error: &minijinja::Error) -> String {
    let said = error.detail().map_or_else(|| error.kind().to_string(), str::to_owned);
    match (error.kind(), error.line()) {
        // The template speaks to whoever wrote the messages.
        (ErrorKind::InvalidOperation, _) if said.starts_with(RAISED) => {
            said.replacen(RAISED, "", 1)
        }
        (_, Some(line)) => format!("the chat template fails in its line {line}: {said}"),
        (_, None) => format!("the chat template fails: {said}"),
    }
}

const RAISED: &str = "the template says: ";

fn raise_exception(message: &str) -> Result<String, minijinja::Error> {
    Err(minijinja::Error::new(ErrorKind::InvalidOperation, format!("{RAISED}{message}")))
}

/// The time, in UTC, as C writes it.
fn strftime_now(format: &str) -> Result<String, minijinja::Error> {
    let now = jiff::Timestamp::now().to_zoned_datetime(jiff::tz::TimeZone::UTC);
    let written = jiff::fmt::strtime::format(format, &now);
    written.map_err(|error| minijinja::Error::new(ErrorKind::InvalidOperation, error.to_string()))
}

/// Without the marks for what is learnt in training: they show nothing.
fn without_generation(source: &str) -> String {
    let mark = Regex::new(r"\{%(-?)\s*(?:end)?generation\s*(-?)%\}").expect("is an expression");
    mark.replace_all(source, "{%$1 if true %}{% endif $2%}").into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(role: &str, content: &str) -> Message {
        Message { role: role.to_owned(), content: Some(content.to_owned()), ..Message::default() }
    }

    fn rendered(source: &str, messages: Vec<Message>) -> Result<String, String> {
        let tokens = BTreeMap::from([("bos_token".to_owned(), "<s>".to_owned())]);
        let template = ChatTemplate::parse(source, tokens)?;
        template.render(&Conversation { messages, ..Conversation::default() })
    }

    #[test]
    fn blocks_leave_no_lines_behind() {
        let source = "{{ bos_token }}{% for message in messages %}\n    {% if message['role'] == 'user' %}\n[{{ message.content.strip() }}]\n    {% endif %}\n{% endfor %}";
        assert_eq!(rendered(source, vec![message("user", " hi ")]).unwrap(), "<s>[hi]\n");
    }

    #[test]
    fn a_template_may_object() {
        let source = "{{ raise_exception('only users speak') }}";
        assert_eq!(rendered(source, Vec::new()).unwrap_err(), "only users speak");
    }

    #[test]
    fn what_is_not_given_is_none() {
        let source = "{% if tools is not none %}T{% endif %}{{ documents is none }}";
        assert_eq!(rendered(source, Vec::new()).unwrap(), "True");
        let template = ChatTemplate::parse("{{ tools }}{{ documents[0] }}", BTreeMap::new());
        let given = Conversation {
            tools: Json::parse("[1]"),
            settings: BTreeMap::from([("documents".to_owned(), Json::list(["d".into()]))]),
            ..Conversation::default()
        };
        assert_eq!(template.unwrap().render(&given).unwrap(), "[1]d");
    }

    /// The fields of what clients declare come in their order.
    #[test]
    fn json_keeps_its_order() {
        let conversation = Conversation {
            tools: Json::parse(r#"[{"z": 1, "a": {"é": [1, "<b>"]}}]"#),
            ..Conversation::default()
        };
        let template = ChatTemplate::parse("{{ tools | tojson }}", BTreeMap::new()).unwrap();
        assert_eq!(
            template.render(&conversation).unwrap(),
            r#"[{"z": 1, "a": {"é": [1, "<b>"]}}]"#
        );
    }

    #[test]
    fn a_call_keeps_its_name_and_its_arguments_become_an_object() {
        let call = r#"{"id": "a", "type": "function", "function": {"name": "f", "arguments": "{\"x\": [1]}"}}"#;
        let read = Json::parse(call).unwrap().with_arguments().to_value();
        let function = serde_json::json!({"name": "f", "arguments": {"x": [1]}});
        assert_eq!(read, serde_json::json!({"id": "a", "type": "function", "function": function}));
        let bare = Json::parse(r#"{"type": "function", "name": "f"}"#).unwrap().as_function();
        assert_eq!(bare.to_value()["function"]["name"], "f");
        assert_eq!(bare.to_value()["type"], "function");
    }

    #[test]
    fn what_never_ends_is_ended() {
        let source =
            "{% for i in range(100000) %}{% for j in range(100000) %}x{% endfor %}{% endfor %}";
        let failure = rendered(source, Vec::new()).unwrap_err();
        assert!(failure.contains("fuel"), "{failure}");
    }

    #[test]
    fn marks_for_training_show_nothing() {
        let source = "a{% generation %}b{%- endgeneration -%} c";
        assert_eq!(rendered(source, Vec::new()).unwrap(), "abc");
    }

    #[test]
    fn the_day_can_be_told() {
        let day = rendered("{{ strftime_now('%Y-%m-%d') }}", Vec::new()).unwrap();
        assert_eq!(day.len(), 10, "{day}");
    }
}
