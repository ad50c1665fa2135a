//! A call of a tool, what it may look like, and what came of it. Plain data; knows no tool.

use serde_json::Map;
use serde_json::Value;

/// A tool, and what it is given.
#[derive(Clone, Debug, PartialEq)]
pub struct Call {
    /// As the model said it.
    pub name: String,
    /// What it is given.
    pub argument: Argument,
}

/// What a tool is given, in the form in which the model said it.
#[derive(Clone, Debug, PartialEq)]
pub enum Argument {
    /// What stands between the brackets of `name[...]`.
    Text(String),
    /// An object, as chat models write it.
    Object(Map<String, Value>),
}

/// A tool as clients and templates of chat models know it.
#[derive(Clone, Debug, PartialEq)]
pub struct Declaration {
    /// What a call names.
    pub name: String,
    /// What it does, for the model.
    pub description: String,
    /// A JSON Schema of an object.
    pub parameters: Value,
}

/// What a tool answered, or why it did not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Observation {
    /// For the model.
    pub text: String,
    /// Whether the tool failed, or there is none such. To the model that is an observation like another.
    pub is_error: bool,
}

impl Argument {
    /// The texts that a tool wants, by the names of its parameters. Between brackets they are parted by commas.
    ///
    /// # Errors
    /// If one is missing, or is no text; if there are more between the brackets.
    pub fn texts<const COUNT: usize>(
        &self,
        names: [&str; COUNT],
    ) -> Result<[String; COUNT], String> {
        let found: Vec<String> = match self {
            Self::Text(text) if COUNT == 1 => vec![text.trim().to_owned()],
            Self::Text(text) => text.split(',').map(|part| part.trim().to_owned()).collect(),
            Self::Object(fields) => {
                names.iter().map(|name| field(fields, name)).collect::<Result<_, _>>()?
            }
        };
        if found.iter().any(String::is_empty) {
            return Err(format!("it takes {}, none of them empty", names.join(", ")));
        }
        let count = found.len();
        found.try_into().map_err(|_| format!("it takes {}, not {count} texts", names.join(", ")))
    }

    /// The object that a JSON Schema describes. What stands between brackets is its only field, of the kind that the schema
    /// says, or the object itself as JSON.
    ///
    /// # Errors
    /// If it is none.
    pub fn object(&self, schema: &Value) -> Result<Map<String, Value>, String> {
        let text = match self {
            Self::Object(fields) => return Ok(fields.clone()),
            Self::Text(text) => text.trim(),
        };
        if let Ok(Value::Object(fields)) = serde_json::from_str(text) {
            return Ok(fields);
        }
        let fields = schema.get("properties").and_then(Value::as_object);
        let names: Vec<&String> = fields.map(|fields| fields.keys().collect()).unwrap_or_default();
        let required: Vec<&str> = schema
            .get("required")
            .and_then(Value::as_array)
            .map(|names| names.iter().filter_map(Value::as_str).collect())
            .unwrap_or_default();
        let name = match (required.as_slice(), names.as_slice()) {
            _ if text.is_empty() && required.is_empty() => return Ok(Map::new()),
            ([name], _) => (*name).to_owned(),
            ([], [name]) => (*name).clone(),
            _ => {
                let names: Vec<&str> = names.iter().map(|name| name.as_str()).collect();
                return Err(format!("it takes a JSON object of {}", names.join(", ")));
            }
        };
        let kind = fields.and_then(|fields| fields.get(&name)?.get("type")?.as_str());
        let value = match kind {
            None | Some("string") => Value::from(text),
            Some(kind) => serde_json::from_str(text)
                .map_err(|_| format!("`{name}` is of the type {kind}, not {text:?}"))?,
        };
        Ok(Map::from_iter([(name, value)]))
    }
}

/// Models write numbers without quotes where a text is wanted.
fn field(fields: &Map<String, Value>, name: &str) -> Result<String, String> {
    match fields.get(name) {
        Some(Value::String(text)) => Ok(text.trim().to_owned()),
        Some(Value::Number(number)) => Ok(number.to_string()),
        Some(_) => Err(format!("`{name}` is not text")),
        None => Err(format!("`{name}` is missing")),
    }
}

impl Declaration {
    /// A tool that takes texts, each with what it means.
    pub fn of_texts(name: &str, description: &str, parameters: &[(&str, &str)]) -> Self {
        let properties: Map<String, Value> = parameters
            .iter()
            .map(|(name, meaning)| {
                let schema = serde_json::json!({"type": "string", "description": meaning});
                ((*name).to_owned(), schema)
            })
            .collect();
        let required: Vec<&str> = parameters.iter().map(|(name, _)| *name).collect();
        let schema = serde_json::json!({
            "type": "object", "properties": properties, "required": required,
        });
        Self { name: name.to_owned(), description: description.to_owned(), parameters: schema }
    }

    /// As an entry of the list `tools` in OpenAI's requests, which templates of chat models take too.
    pub fn to_json(&self) -> Value {
        serde_json::json!({
            "type": "function",
            "function": {
                "name": self.name,
                "description": self.description,
                "parameters": self.parameters,
            },
        })
    }
}

impl Observation {
    /// What a tool found.
    pub fn found(text: impl Into<String>) -> Self {
        Self { text: text.into(), is_error: false }
    }

    /// Why it found nothing.
    pub fn failed(text: impl Into<String>) -> Self {
        Self { text: text.into(), is_error: true }
    }

    /// What is said about a call that no tool takes.
    pub fn invalid(reason: &str) -> Self {
        Self::failed(format!("Invalid action: {reason}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn object(value: Value) -> Argument {
        let Value::Object(fields) = value else { panic!("{value}") };
        Argument::Object(fields)
    }

    #[test]
    fn texts_come_from_brackets_and_from_objects() {
        let both = |argument: Argument| argument.texts(["from", "to"]);
        let pair = Ok(["Alex".to_owned(), "zumpus".to_owned()]);
        assert_eq!(both(Argument::Text(" Alex,zumpus ".to_owned())), pair);
        assert_eq!(both(object(json!({"to": "zumpus", "from": "Alex", "why": 1}))), pair);
        for refused in [
            Argument::Text("Alex".to_owned()),
            Argument::Text("Alex, ".to_owned()),
            Argument::Text("a, b, c".to_owned()),
            object(json!({"from": "Alex"})),
            object(json!({"from": "Alex", "to": ["zumpus"]})),
        ] {
            assert!(both(refused.clone()).is_err(), "{refused:?}");
        }
        let one = |argument: Argument| argument.texts(["expression"]);
        assert_eq!(one(Argument::Text("1,000 + 1".to_owned())), Ok(["1,000 + 1".to_owned()]));
        assert_eq!(one(object(json!({"expression": 48}))), Ok(["48".to_owned()]));
        assert!(one(Argument::Text(" ".to_owned())).is_err());
    }

    #[test]
    fn brackets_hold_the_only_field_of_an_object_or_all_of_it() {
        let read = |text: &str, schema: Value| {
            Argument::Text(text.to_owned()).object(&schema).map(Value::Object)
        };
        let schema = |required: &[&str]| {
            json!({
                "properties": {"city": {"type": "string"}, "days": {"type": "integer"}},
                "required": required,
            })
        };
        assert_eq!(read(" Tarn ", schema(&["city"])), Ok(json!({"city": "Tarn"})));
        assert_eq!(read("3", schema(&["days"])), Ok(json!({"days": 3})));
        assert!(read("three", schema(&["days"])).unwrap_err().contains("integer"));
        let both = json!({"city": "Tarn", "days": 3});
        assert_eq!(read(&both.to_string(), schema(&["city", "days"])), Ok(both));
        assert!(read("Tarn, 3", schema(&["city", "days"])).unwrap_err().contains("city, days"));
        assert_eq!(read("", json!({})), Ok(json!({})));
        assert_eq!(read("x", json!({"properties": {"a": {}}})), Ok(json!({"a": "x"})));
    }

    #[test]
    fn a_declaration_is_what_clients_send() {
        let declared = Declaration::of_texts("f", "Does it.", &[("x", "What.")]).to_json();
        assert_eq!(declared["type"], "function");
        assert_eq!(declared["function"]["name"], "f");
        assert_eq!(declared["function"]["parameters"]["required"], json!(["x"]));
        assert_eq!(declared["function"]["parameters"]["properties"]["x"]["type"], "string");
    }
}
