//! A question with its answer: what files of questions hold, and all that is asked. Knows no file.

use crate::tools::react::Round;
use serde::Deserialize;
use serde::Serialize;

/// A question with the steps that lead to its answer, as the published data sets hold it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Example {
    /// The question.
    pub question: String,
    /// The reasoning in words, one step each; may be empty.
    pub steps: Vec<String>,
    /// The answer, without the `###` that a trained model writes before it.
    pub answer: String,
    /// The answer in other words: the text of the choice whose letter is the answer.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub also: Vec<String>,
    /// What only tools know of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub facts: Option<String>,
    /// The dialogue with tools that leads to the answer, its last round with it; empty where none is read.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub trajectory: Vec<Round>,
}

impl Example {
    /// A question as it is asked: nothing is empty, and an empty step is no step.
    ///
    /// # Errors
    /// Which field has nothing in it.
    pub(super) fn check(mut self) -> Result<Self, String> {
        for (field, text) in [("question", &self.question), ("answer", &self.answer)] {
            if text.trim().is_empty() {
                return Err(format!("{field}: is empty"));
            }
        }
        self.steps.retain(|step| !step.trim().is_empty());
        Ok(self)
    }
}
