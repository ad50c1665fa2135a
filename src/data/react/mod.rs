//! Questions with the dialogue that answers them: thoughts, actions, observations (ReAct, Yao et al., 2210.03629). Made from
//! questions about graphs and from equations. Knows what tools answer, no tokenizer.

pub mod equations;
pub mod graphs;
pub mod stats;
pub mod words;

use crate::data::example::Example;
use crate::tools::react::Round;
use serde::Deserialize;
use serde::Serialize;

/// A question with its dialogue, as files hold it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// What is asked.
    pub question: String,
    /// What only tools know; where absent, they are asked about the question itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub facts: Option<String>,
    /// The rounds; the last one finishes.
    pub trajectory: Vec<Round>,
    /// The right answer.
    pub answer: String,
}

/// Where the facts of a question are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Facts {
    /// Left out of the question: without a tool there is no answer.
    Tool,
    /// In the question, where the tool reads them too.
    Question,
}

/// The dialogue of a question: by its equations where it has any, else by the graph it tells.
///
/// # Errors
/// Why there is none.
pub fn record(example: &Example, facts: Facts) -> Result<Record, String> {
    match equations::are_in(&example.steps) {
        true => equations::record(example),
        false => graphs::record(example, facts),
    }
}
