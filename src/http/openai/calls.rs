//! Calls of a client's tools, read out of what is said: in the form that a model's template or recipe has for them, whole or
//! while it is being said. Runs nothing; knows no route.

use crate::http::error::ApiError;
use crate::http::openai::heard::Heard;
use crate::http::openai::heard::ToolCall;
use crate::http::openai::rounds::round;
use crate::latent::recipe::ToolForm;
use crate::reason::question::Question;
use crate::reason::question::Then;
use crate::reason::reasoner::Reasoner;
use crate::text::chat::Json;
use crate::tools::call::Declaration;
use crate::tools::form::CallForm;
use crate::tools::form::reader;
use crate::tools::form::reader::Reader;
use crate::tools::react::ReactForm;
use serde_json::Value;

/// What a client wants called.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) enum Choice {
    /// What the model thinks fit.
    #[default]
    Auto,
    /// Nothing.
    None,
    /// Something.
    Required,
    /// This.
    Named(String),
}

/// How an answer is to be read.
#[derive(Clone, Debug)]
pub(super) enum Speech {
    /// As text.
    Plain,
    /// As text with calls, the beginning of which it was made to say.
    Calls { form: CallForm, lead: String },
    /// As a round of a dialogue, in which these may be called.
    Rounds { form: ReactForm, declared: Vec<Declaration> },
}

impl Choice {
    /// What `tool_choice` says.
    pub(super) fn of(field: Option<&Json>) -> Result<Self, ApiError> {
        let refused = || {
            let message = "must be `auto`, `none`, `required` or a function by its name";
            ApiError::invalid("tool_choice", message)
        };
        let Some(field) = field.filter(|field| !field.is_null()) else { return Ok(Self::Auto) };
        match field.as_str() {
            Some("auto") => Ok(Self::Auto),
            Some("none") => Ok(Self::None),
            Some("required") => Ok(Self::Required),
            Some(_) => Err(refused()),
            None => {
                let function = field.get("function").unwrap_or_else(|| field.clone());
                let name = function.get("name");
                let name = name.as_ref().and_then(Json::as_str).ok_or_else(refused)?;
                Ok(Self::Named(name.to_owned()))
            }
        }
    }
}

/// The tools that a client declares, checked.
pub(super) fn declared(tools: &[Json]) -> Result<Vec<Declaration>, ApiError> {
    let declared = |(at, tool): (usize, &Json)| {
        // `/v1/responses` has the function's fields beside its type.
        let function = tool.get("function").unwrap_or_else(|| tool.clone());
        let text = |field| function.get(field).and_then(|text| text.as_str().map(str::to_owned));
        let Some(name) = text("name").filter(|name| !name.is_empty()) else {
            let message = "a tool is {\"type\": \"function\", \"function\": {\"name\": ...}}";
            return Err(ApiError::invalid(&format!("tools[{at}].function.name"), message));
        };
        let parameters = function.get("parameters").unwrap_or_default();
        let in_order = parameters.get("properties").unwrap_or_default().items();
        let mut parameters = parameters.to_value();
        // A model that writes arguments in a row writes them in the order in which they are declared.
        if let (Value::Object(fields), false) = (&mut parameters, in_order.is_empty()) {
            let names = in_order.iter().filter_map(Json::as_str).map(Value::from);
            fields.entry("required").or_insert_with(|| names.collect());
        }
        let description = text("description").unwrap_or_default();
        Ok(Declaration { name, description, parameters })
    };
    tools.iter().enumerate().map(declared).collect()
}

impl Speech {
    /// How the answers of a model are to be read, where these may be called and `choice` is asked for.
    pub(super) fn of(
        reasoner: &Reasoner,
        declared: Vec<Declaration>,
        choice: &Choice,
    ) -> Result<Self, ApiError> {
        if declared.is_empty() || *choice == Choice::None {
            return match choice {
                Choice::Auto | Choice::None => Ok(Self::Plain),
                Choice::Required | Choice::Named(_) => {
                    Err(ApiError::invalid("tool_choice", "there are no `tools`"))
                }
            };
        }
        if let Choice::Named(name) = choice
            && !declared.iter().any(|known| known.name == *name)
        {
            return Err(ApiError::invalid("tool_choice", format!("`{name}` is not in `tools`")));
        }
        let form = match reasoner.tool_form() {
            Some(ToolForm::React(form)) => {
                return match choice {
                    Choice::Named(_) => {
                        let message = "this model chooses what it calls";
                        Err(ApiError::invalid("tool_choice", message))
                    }
                    _ => Ok(Self::Rounds { form: form.clone(), declared }),
                };
            }
            Some(ToolForm::Hermes) => Some(CallForm::Hermes),
            Some(ToolForm::Llama) => Some(CallForm::Llama),
            None => reasoner.chat_template().and_then(CallForm::of_template),
        };
        match (form, choice) {
            (Some(form), _) => Ok(Self::Calls { form, lead: form.lead(choice.name()) }),
            // Its template may show tools in a form of its own; what it says is told as it is.
            (None, Choice::Auto | Choice::None) => Ok(Self::Plain),
            (None, Choice::Required | Choice::Named(_)) => {
                let message = "this model has no form of calls that is known here";
                Err(ApiError::invalid("tool_choice", message))
            }
        }
    }

    /// What the model is made to begin with.
    pub(super) fn lead(&self) -> &str {
        match self {
            Self::Calls { lead, .. } => lead,
            Self::Plain | Self::Rounds { .. } => "",
        }
    }

    /// Where it is interrupted.
    fn interrupts(&self) -> Option<Vec<String>> {
        match self {
            Self::Rounds { form, .. } => Some(form.interrupts(form.opens_with())),
            Self::Plain | Self::Calls { .. } => None,
        }
    }

    /// The question, interrupted where it has to be.
    ///
    /// # Errors
    /// Where the client would have it interrupted elsewhere.
    pub(super) fn heard_in(&self, mut question: Question) -> Result<Question, ApiError> {
        if let (Some(stop), Then::Say(saying)) = (self.interrupts(), &mut question.then) {
            if !saying.stop.is_empty() {
                let message = "this model is interrupted where its calls end, and nowhere else";
                return Err(ApiError::invalid("stop", message));
            }
            (saying.stop, saying.shows_stop) = (stop, true);
        }
        Ok(question)
    }

    /// A choice of which nothing was heard.
    pub(super) fn hearing(&self, id: String) -> Hearing {
        let state = match self {
            Self::Plain => State::Plain,
            Self::Calls { form, lead } => {
                let mut reader = Reader::new(*form);
                let begun = reader.push(lead);
                State::Calls(reader, begun)
            }
            Self::Rounds { form, declared } => {
                State::Rounds(form.clone(), declared.clone(), String::new())
            }
        };
        Hearing { state, calls: Vec::new(), id }
    }

    /// All of an answer: its content and its calls.
    pub(super) fn whole(&self, text: &str, id: String) -> (String, Vec<ToolCall>) {
        let mut hearing = self.hearing(id);
        let mut heard = hearing.push(text);
        heard.extend(hearing.finish());
        let contents = heard.into_iter().filter_map(|heard| match heard {
            Heard::Content(text) => Some(text),
            Heard::Begun { .. } | Heard::Arguments { .. } => None,
        });
        (contents.collect(), hearing.calls())
    }
}

impl Choice {
    fn name(&self) -> Option<Option<&str>> {
        match self {
            Self::Auto | Self::None => None,
            Self::Required => Some(None),
            Self::Named(name) => Some(Some(name)),
        }
    }
}

/// A choice being heard.
#[derive(Debug)]
pub(super) struct Hearing {
    state: State,
    /// Name and arguments, as far as they are known.
    calls: Vec<(String, String)>,
    /// What calls' names begin with.
    id: String,
}

#[derive(Debug)]
enum State {
    Plain,
    /// With what the lead came to, which is told with the first piece.
    Calls(Reader, Vec<reader::Said>),
    /// A round is read once it is whole.
    Rounds(ReactForm, Vec<Declaration>, String),
}

impl Hearing {
    /// What a piece of the text makes certain.
    pub(super) fn push(&mut self, piece: &str) -> Vec<Heard> {
        match &mut self.state {
            State::Plain if piece.is_empty() => Vec::new(),
            State::Plain => vec![Heard::Content(piece.to_owned())],
            State::Calls(reader, begun) => {
                let mut said = std::mem::take(begun);
                said.extend(reader.push(piece));
                self.take(said)
            }
            State::Rounds(_, _, text) => {
                text.push_str(piece);
                Vec::new()
            }
        }
    }

    /// Once nothing follows: what was held back.
    pub(super) fn finish(&mut self) -> Vec<Heard> {
        match &mut self.state {
            State::Plain => Vec::new(),
            State::Calls(reader, begun) => {
                let mut said = std::mem::take(begun);
                said.extend(reader.finish());
                self.take(said)
            }
            State::Rounds(form, declared, text) => {
                let read = form.read(form.opens_with(), text, true);
                let heard = round(read, declared, text);
                self.note(heard)
            }
        }
    }

    /// What was called.
    pub(super) fn calls(&self) -> Vec<ToolCall> {
        let calls = self.calls.iter().enumerate();
        let call = |(index, (name, arguments)): (usize, &(String, String))| {
            ToolCall::new(self.call_id(index), name.clone(), arguments.clone())
        };
        calls.map(call).collect()
    }

    pub(super) fn has_calls(&self) -> bool {
        !self.calls.is_empty()
    }

    pub(super) fn call_id(&self, index: usize) -> String {
        format!("call_{}_{index}", self.id)
    }

    fn take(&mut self, said: Vec<reader::Said>) -> Vec<Heard> {
        let heard = said.into_iter().filter_map(|said| match said {
            reader::Said::Content(text) => Some(Heard::Content(text)),
            reader::Said::Begun { index, name } => Some(Heard::Begun { index, name }),
            reader::Said::Arguments { index, piece } => Some(Heard::Arguments { index, piece }),
            reader::Said::Called { .. } => None,
            // Whoever wrote the client sees what the model said; of a call that began, its arguments are that.
            reader::Said::Malformed { index: None, text, .. } => Some(Heard::Content(text)),
            reader::Said::Malformed { index: Some(_), .. } => None,
        });
        let heard = heard.collect();
        self.note(heard)
    }

    fn note(&mut self, heard: Vec<Heard>) -> Vec<Heard> {
        for heard in &heard {
            match heard {
                Heard::Content(_) => {}
                Heard::Begun { name, .. } => self.calls.push((name.clone(), String::new())),
                Heard::Arguments { index, piece } => {
                    if let Some((_, arguments)) = self.calls.get_mut(*index) {
                        arguments.push_str(piece);
                    }
                }
            }
        }
        heard
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hermes(called: Option<Option<&str>>) -> Speech {
        let form = CallForm::Hermes;
        Speech::Calls { form, lead: form.lead(called) }
    }

    fn call(index: usize, name: &str, arguments: &str) -> ToolCall {
        ToolCall::new(format!("call_x_{index}"), name.to_owned(), arguments.to_owned())
    }

    #[test]
    fn calls_are_told_apart_from_content_however_they_come() {
        let text = "Sure.<tool_call>\n{\"name\": \"sum\", \"arguments\": {\"a\": [1, 2]}}\n</tool_call>\n<tool_call>\n{\"name\": \"day\", \"arguments\": {}}\n</tool_call>";
        let calls = vec![call(0, "sum", "{\"a\": [1, 2]}"), call(1, "day", "{}")];
        let speech = hermes(None);
        assert_eq!(speech.whole(text, "x".to_owned()), ("Sure.".to_owned(), calls.clone()));
        let mut hearing = speech.hearing("x".to_owned());
        let mut heard: Vec<Heard> =
            text.chars().flat_map(|c| hearing.push(&c.to_string())).collect();
        heard.extend(hearing.finish());
        assert_eq!(hearing.calls(), calls);
        let begun = heard.iter().filter(|heard| matches!(heard, Heard::Begun { .. }));
        assert_eq!(begun.count(), 2);
    }

    #[test]
    fn a_call_that_the_model_was_made_to_begin_counts_from_its_beginning() {
        let named = hermes(Some(Some("sum")));
        let (content, calls) = named.whole("{\"a\": 1}}\n</tool_call>", "x".to_owned());
        assert_eq!((content.as_str(), calls), ("", vec![call(0, "sum", "{\"a\": 1}")]));
        let some = hermes(Some(None));
        let (_, calls) = some.whole("day\", \"arguments\": {}}\n</tool_call>", "x".to_owned());
        assert_eq!(calls, [call(0, "day", "{}")]);
    }
}
