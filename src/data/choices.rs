//! Questions with a choice of answers: their letters and texts, in the forms that published sets have. Knows values, no
//! files.

use crate::data::values::find;
use crate::data::values::scalar;
use serde_json::Value;
use std::fmt;

/// The answers to choose from, each with its letter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Choices(Vec<(String, String)>);

impl Choices {
    /// Those of a row: objects with `label` and `text`, within the question or beside it (CommonsenseQA, ARC), the same as
    /// two lists (the form of the hub), or texts alone (MMLU, AQuA).
    pub(super) fn of(row: &Value) -> Option<Self> {
        let within = row.get("question").and_then(|question| question.get("choices"));
        let choices =
            within.or_else(|| find(row, &["choices", "options"]).map(|(_, value)| value))?;
        let texts = |value: &Value| -> Option<Vec<String>> {
            value.as_array()?.iter().map(|item| scalar(item).ok()).collect()
        };
        let pairs: Vec<(String, String)> = match choices {
            Value::Object(_) => {
                let (labels, texts) = (texts(choices.get("label")?)?, texts(choices.get("text")?)?);
                labels.into_iter().zip(texts).collect()
            }
            Value::Array(items) if items.iter().all(Value::is_object) => {
                let pair = |item: &Value| {
                    Some((scalar(item.get("label")?).ok()?, scalar(item.get("text")?).ok()?))
                };
                items.iter().map(pair).collect::<Option<_>>()?
            }
            _ => {
                let letters = ('A'..='Z').map(String::from);
                letters.zip(texts(choices)?).map(lettered).collect()
            }
        };
        (pairs.len() > 1).then_some(Self(pairs))
    }

    /// The letter of an answer that is a letter, an index or one of the texts; and its text. `number`: the answer, where it
    /// is a number in the file: an index before it is a text, since choices may be numbers as well (MMLU).
    pub(super) fn answer(&self, answer: &str, number: Option<u64>) -> (String, Vec<String>) {
        let by = |right: &dyn Fn(&(String, String)) -> bool| self.0.iter().find(|pair| right(pair));
        let at = |index: usize| self.0.get(index);
        let found = number
            .and_then(|index| at(usize::try_from(index).ok()?))
            .or_else(|| by(&|(label, _)| label == answer))
            .or_else(|| by(&|(_, text)| text.eq_ignore_ascii_case(answer)))
            .or_else(|| at(answer.parse().ok()?));
        match found {
            Some((label, text)) => (label.clone(), vec![text.clone()]),
            None => (answer.to_owned(), Vec::new()),
        }
    }
}

/// AQuA writes the letter into the text: `A)21`.
fn lettered((letter, text): (String, String)) -> (String, String) {
    let own = text.strip_prefix(&letter).and_then(|rest| rest.strip_prefix([')', '.', ':']));
    match own.map(|rest| rest.trim().to_owned()) {
        Some(own) => (letter, own),
        None => (letter, text),
    }
}

impl fmt::Display for Choices {
    /// Below a question, as CODI's CommonsenseQA has them.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\nChoices:")?;
        self.0.iter().try_for_each(|(label, text)| write!(f, "\n{label}: {text}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_number_counts_choices_that_are_numbers_too() {
        for (choices, answer, letter) in [
            (json!(["2", "4", "0", "1"]), json!(0), "A"),
            (json!([1, 2, 3, 7]), json!(2), "C"),
            // Not an index: one of the texts.
            (json!(["9", "18"]), json!(18), "B"),
            // A text in the file is one of the texts first, and an index where none is like it.
            (json!(["2", "4", "0", "1"]), json!("0"), "C"),
            (json!(["red", "blue"]), json!("1"), "B"),
        ] {
            let choices = Choices::of(&json!({ "choices": choices })).unwrap();
            let said = scalar(&answer).unwrap();
            assert_eq!(choices.answer(&said, answer.as_u64()).0, letter, "{answer} of {choices}");
        }
    }
}
