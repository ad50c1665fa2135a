//! JSON values as data sets use them: fields by name or path, texts that may be numbers. Does not know which fields matter.

use serde_json::Value;

/// The first field of these names that is there, with its name. Null is absent; upper and lower case are alike.
pub(super) fn find<'a>(row: &'a Value, names: &[&str]) -> Option<(&'a str, &'a Value)> {
    let fields = row.as_object()?;
    let there = |name: &&str| {
        let mut fields = fields.iter().filter(|(_, value)| !value.is_null());
        fields.find(|(field, _)| field.eq_ignore_ascii_case(name))
    };
    names.iter().find_map(there).map(|(field, value)| (field.as_str(), value))
}

/// The field of a name, or at the end of a path of names and indices.
pub(super) fn at<'a>(row: &'a Value, path: &str) -> Option<&'a Value> {
    let whole = row.get(path);
    let within = || {
        path.split('.').try_fold(row, |value, part| match value {
            Value::Array(items) => items.get(part.parse::<usize>().ok()?),
            other => other.get(part),
        })
    };
    whole.or_else(within).filter(|value| !value.is_null())
}

/// A text, a number as it is written by hand, `True` or `False`, or a list of one of them.
pub(super) fn scalar(value: &Value) -> Result<String, &'static str> {
    match value {
        Value::String(text) => Ok(text.trim().to_owned()),
        // 18.0 in JSON is the number 18.
        Value::Number(number) => match number.as_f64().filter(|_| number.is_f64()) {
            Some(number) => Ok(number.to_string()),
            None => Ok(number.to_string()),
        },
        Value::Bool(true) => Ok("True".to_owned()),
        Value::Bool(false) => Ok("False".to_owned()),
        Value::Array(items) => match items.as_slice() {
            [one] if !one.is_array() => scalar(one),
            _ => Err("is a list, not one text or number"),
        },
        Value::Object(_) => Err("is an object, not a text or a number"),
        Value::Null => Err("is null"),
    }
}
