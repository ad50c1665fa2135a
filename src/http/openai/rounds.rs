//! A round of ReAct as a message: a thought and a call, or the answer. Knows no route.

use crate::http::openai::heard::Heard;
use crate::tools::call::Declaration;
use crate::tools::react::Said;
use serde_json::Map;
use serde_json::Value;

/// A round as a message: a thought and a call, or the answer.
pub(super) fn round(said: Said, declared: &[Declaration], text: &str) -> Vec<Heard> {
    let content = |text: &str| (!text.is_empty()).then(|| Heard::Content(text.to_owned()));
    match said {
        Said::Finish { answer, .. } => content(&answer).into_iter().collect(),
        Said::Call { thought, action, argument } => {
            let known = declared.iter().find(|known| known.name == action);
            let piece = arguments(known, &argument);
            let call =
                [Heard::Begun { index: 0, name: action }, Heard::Arguments { index: 0, piece }];
            content(&thought).into_iter().chain(call).collect()
        }
        Said::Invalid { .. } | Said::Missing { .. } | Said::Open => {
            content(text.trim()).into_iter().collect()
        }
    }
}

/// What is between brackets, as the object that a tool declares: its parameters in order, parted by commas where there are
/// several.
fn arguments(known: Option<&Declaration>, text: &str) -> String {
    let schema = known.map_or(&Value::Null, |known| &known.parameters);
    let required = schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str);
    let mut names: Vec<&str> = required.collect();
    if let (true, Some(fields)) = (names.is_empty(), schema["properties"].as_object()) {
        names = fields.keys().map(String::as_str).collect();
    }
    let parts: Vec<&str> = match names.len() {
        0 | 1 => vec![text.trim()],
        count => text.splitn(count, ',').map(str::trim).collect(),
    };
    let names = if names.is_empty() { vec!["argument"] } else { names };
    let fields = names.into_iter().zip(parts);
    let fields: Map<String, Value> =
        fields.map(|(name, part)| (name.to_owned(), Value::from(part))).collect();
    Value::from(fields).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn brackets_come_to_the_object_that_was_declared() {
        let declare = |parameters: Value| Declaration {
            name: "path".to_owned(),
            description: String::new(),
            parameters,
        };
        let two = declare(serde_json::json!({"required": ["to", "from"]}));
        assert_eq!(arguments(Some(&two), "a, b"), r#"{"from":"b","to":"a"}"#);
        let one = declare(serde_json::json!({"properties": {"q": {"type": "string"}}}));
        assert_eq!(arguments(Some(&one), "a, b"), r#"{"q":"a, b"}"#);
        assert_eq!(arguments(None, " a "), r#"{"argument":"a"}"#);
    }
}
