//! A JSON object of a call, character by character: where it ends, what its name is, and how much of what the tool is given
//! has been said. Knows JSON's brackets and quotes, and no text around an object; whether it is valid, only the end shows.

use crate::tools::call::Argument;
use crate::tools::call::Call;
use serde::de::IgnoredAny;
use serde_json::Map;
use serde_json::Value;

/// What a call's argument is called: `arguments` by most models, `parameters` by Llama.
const ARGUMENTS: [&str; 2] = ["arguments", "parameters"];

/// What else models write into the object of a call.
const OTHERS: [&str; 3] = ["name", "type", "id"];

/// An object that is being said.
#[derive(Clone, Debug, Default)]
pub(super) struct Object {
    text: String,
    depth: usize,
    quote: Quote,
    field: Field,
    name: Option<String>,
    /// Where what the tool is given begins, and where it ends once it does. The first one counts, as the first name does.
    arguments: Option<(usize, Option<usize>)>,
    has_other_fields: bool,
}

/// Where one is in a string.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Quote {
    #[default]
    Outside,
    Inside {
        begin: usize,
    },
    Escaped {
        begin: usize,
    },
}

/// Where one is in a field of the outermost object.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
enum Field {
    /// Before the colon, with the key once it is said.
    #[default]
    Begun,
    Key(String),
    /// Behind the colon.
    Colon(String),
    /// In the value.
    Value {
        key: String,
        begin: usize,
    },
}

/// What a character made of an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Progress {
    /// It goes on.
    Open,
    /// This was its last character.
    Closed,
    /// No object has this character there.
    Broken,
}

impl Object {
    /// Takes the next character, of which the first is `{`.
    pub(super) fn push(&mut self, c: char) -> Progress {
        let at = self.text.len();
        self.text.push(c);
        match self.quote {
            Quote::Escaped { begin } => self.quote = Quote::Inside { begin },
            Quote::Inside { begin } => match c {
                '\\' => self.quote = Quote::Escaped { begin },
                '"' => self.end_string(begin),
                _ => {}
            },
            Quote::Outside => return self.push_outside(c, at),
        }
        Progress::Open
    }

    fn push_outside(&mut self, c: char, at: usize) -> Progress {
        if self.depth == 1 {
            self.begin_value(c, at);
        }
        match c {
            '"' => self.quote = Quote::Inside { begin: at },
            '{' | '[' => self.depth += 1,
            '}' | ']' => {
                self.depth -= 1;
                match self.depth {
                    0 => {
                        self.end_value(at);
                        return Progress::Closed;
                    }
                    // The value of a field may be an object; nothing behind it belongs to it.
                    1 => self.end_value(at + 1),
                    _ => {}
                }
            }
            ':' if self.depth == 1 => match std::mem::take(&mut self.field) {
                Field::Key(key) => self.field = Field::Colon(key),
                _ => return Progress::Broken,
            },
            ',' if self.depth == 1 => {
                self.end_value(at);
                self.field = Field::Begun;
            }
            c if c.is_ascii_alphanumeric() || matches!(c, ',' | ':' | '+' | '-' | '.') => {}
            c if c.is_ascii_whitespace() => {}
            _ => return Progress::Broken,
        }
        Progress::Open
    }

    /// The first character of a value, which is no space.
    fn begin_value(&mut self, c: char, at: usize) {
        if c.is_ascii_whitespace() || !matches!(self.field, Field::Colon(_)) {
            return;
        }
        if let Field::Colon(key) = std::mem::take(&mut self.field) {
            if ARGUMENTS.contains(&key.as_str()) && self.arguments.is_none() {
                self.arguments = Some((at, None));
            }
            self.field = Field::Value { key, begin: at };
        }
    }

    /// A string ends with the character that was just taken.
    fn end_string(&mut self, begin: usize) {
        self.quote = Quote::Outside;
        if self.depth == 1 && self.field == Field::Begun {
            let key: String = serde_json::from_str(&self.text[begin..]).unwrap_or_default();
            let is_known = ARGUMENTS.contains(&key.as_str()) || OTHERS.contains(&key.as_str());
            self.has_other_fields |= !is_known;
            self.field = Field::Key(key);
        }
    }

    /// The value of a field ends before `end`, if it did not end before.
    fn end_value(&mut self, end: usize) {
        let Field::Value { key, begin } = &self.field else { return };
        let value = self.text[*begin..end].trim_end();
        if key == "name" && self.name.is_none() {
            self.name = serde_json::from_str(value).ok();
        }
        if let Some((_, open @ None)) = &mut self.arguments
            && ARGUMENTS.contains(&key.as_str())
        {
            *open = Some(end);
        }
    }

    /// The whole text so far.
    pub(super) fn text(&self) -> &str {
        &self.text
    }

    /// Once both are known: the name, and the text of what the tool is given as far as it is said. It grows only.
    pub(super) fn so_far(&self) -> Option<(&str, &str)> {
        let name = self.name.as_deref().filter(|name| !name.is_empty())?;
        Some((name, self.given()?)).filter(|(_, given)| given.starts_with('{'))
    }

    /// Whether it says what a tool is given: an answer may be an object with a name, too.
    pub(super) fn is_call(&self) -> bool {
        self.name.is_some() && self.arguments.is_some()
    }

    /// Whether a field was begun that no call has.
    pub(super) fn has_other_fields(&self) -> bool {
        self.has_other_fields
    }

    fn given(&self) -> Option<&str> {
        let (begin, end) = self.arguments?;
        Some(&self.text[begin..end.unwrap_or(self.text.len())])
    }

    /// The call that a closed object is, and the text of what the tool is given.
    pub(super) fn call(&self) -> Result<(Call, String), String> {
        let no_json = |error| format!("it is not JSON: {error}");
        let _: IgnoredAny = serde_json::from_str(&self.text).map_err(no_json)?;
        let name = self.name.clone().filter(|name| !name.is_empty()).ok_or("it has no \"name\"")?;
        let given = self.given().unwrap_or("null");
        let (fields, text) = match serde_json::from_str(given).map_err(no_json)? {
            Value::Null => (Map::new(), "{}".to_owned()),
            Value::Object(fields) => (fields, given.trim_end().to_owned()),
            // Some models write the object as a string that holds its JSON.
            Value::String(text) => match serde_json::from_str(&text) {
                Ok(Value::Object(fields)) => (fields, text),
                _ => return Err("its arguments are no object".to_owned()),
            },
            _ => return Err("its arguments are no object".to_owned()),
        };
        Ok((Call { name, argument: Argument::Object(fields) }, text))
    }
}
