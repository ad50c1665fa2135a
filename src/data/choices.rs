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

    /// The letter of an answer that is a letter, an index or one of the texts; and its text.
    pub(super) fn answer(&self, answer: &str) -> (String, Vec<String>) {
        let by = |right: &dyn Fn(&(String, String)) -> bool| self.0.iter().find(|pair| right(pair));
        let found = by(&|(label, _)| label == answer)
            .or_else(|| by(&|(_, text)| text.eq_ignore_ascii_case(answer)))
            .or_else(|| self.0.get(answer.parse::<usize>().ok()?));
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
