//! How questions are asked, as plain data. Knows nobody who answers.

use crate::data::example::Example;
use crate::data::questions::Row;
use crate::prompting::render::Prompt;
use crate::reason::question::Feedback;
use crate::tools::graph::apart;
use crate::tools::set::ToolSet;
use serde_json::Value;
use serde_json::json;

/// How questions are asked.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The numbers of latent steps to try.
    pub latent_steps: Vec<usize>,
    /// Most answer tokens; what the recipe says where `None`.
    pub max_tokens: Option<usize>,
    /// How many questions are asked at the same time.
    pub concurrency: usize,
    /// What is fed in the places of thoughts.
    pub feedback: Feedback,
    /// How answers differ from each other, where there are several.
    pub sampling: Samples,
    /// Who is told the facts that a question begins with, where the model calls tools.
    pub facts_for: FactsFor,
    /// What questions are shown in, instead of the recipe's prompt.
    pub prompt: Option<Prompt>,
    /// What a model here may call.
    pub tools: ToolSet,
}

/// Who is told the facts of a question.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum FactsFor {
    /// The tools, and not the model.
    #[default]
    Tools,
    /// The model.
    Model,
    /// Both.
    Both,
}

/// Several answers to each question.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Samples {
    /// How many; 1 for one answer.
    pub count: usize,
    /// Standard deviation of the noise on every thought.
    pub latent_noise: Option<f32>,
    /// Of answer tokens; 0 takes the most likely one.
    pub temperature: f64,
    /// What everything random follows from, together with the number of the question.
    pub seed: u64,
}

impl Default for Samples {
    fn default() -> Self {
        Self { count: 1, latent_noise: None, temperature: 0.0, seed: 0 }
    }
}

/// What is known of the model that answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Facts {
    /// Its name.
    pub model: String,
    /// What tells it from others of that name; servers of older versions do not say.
    pub fingerprint: Option<String>,
    /// How it reasons, such as `coconut`.
    pub family: String,
    /// Latent steps where nobody names a number.
    pub default_latent_steps: usize,
    /// The most latent steps.
    pub max_latent_steps: usize,
    /// Whether it calls tools on its way to an answer.
    pub calls_tools: bool,
}

/// A question, as it is asked once.
#[derive(Clone, Copy, Debug)]
pub(super) struct Asked<'a> {
    pub(super) row: &'a Row,
    pub(super) latent_steps: usize,
    pub(super) settings: &'a Settings,
}

impl<'a> Asked<'a> {
    /// The question, and the facts that tools or a prompt are told.
    pub(super) fn parts(&self, told: FactsFor) -> (&'a str, Option<&'a str>) {
        parts(&self.row.example, told)
    }

    /// Who is told the facts: the model, where there are no tools.
    pub(super) fn told(&self, calls_tools: bool) -> FactsFor {
        if calls_tools { self.settings.facts_for } else { FactsFor::Model }
    }

    /// What everything random about it follows from. Samples have the numbers that follow a question's own.
    pub(super) fn seed(&self) -> u64 {
        self.settings.sampling.seed.wrapping_add(self.row.number << 32)
    }
}

impl Settings {
    /// What answers follow from, as reports tell it. Two runs with the same are parts of one.
    pub fn told(&self) -> Value {
        let Samples { count, latent_noise, temperature, seed } = self.sampling;
        json!({
            "max_tokens": self.max_tokens,
            "feedback": feedback_name(self.feedback),
            "samples": count,
            "latent_noise": latent_noise,
            "temperature": temperature,
            "seed": seed,
            "facts": match self.facts_for {
                FactsFor::Tools => "tools",
                FactsFor::Model => "model",
                FactsFor::Both => "both",
            },
            "prompt": self.prompt.as_ref().map(|prompt| prompt.method().name()),
        })
    }
}

fn parts(example: &Example, told: FactsFor) -> (&str, Option<&str>) {
    if let Some(facts) = &example.facts {
        return (&example.question, Some(facts));
    }
    let (facts, question) = apart(&example.question);
    let (facts, question) = (facts.trim(), question.trim());
    match told {
        _ if facts.is_empty() || question.is_empty() => (&example.question, None),
        FactsFor::Tools => (question, Some(facts)),
        FactsFor::Model => (&example.question, None),
        FactsFor::Both => (&example.question, Some(facts)),
    }
}

/// As the wire calls it.
pub(super) fn feedback_name(feedback: Feedback) -> &'static str {
    match feedback {
        Feedback::Hidden => "hidden",
        Feedback::Pause => "pause",
        Feedback::Random => "random",
        Feedback::Shuffle => "shuffle",
        Feedback::Mean => "mean",
        Feedback::None => "none",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn facts_are_told_to_those_who_are_named() {
        let whole = "Every a is a b. Tom is a a. Is Tom a b or c?";
        let (facts, question) = ("Every a is a b. Tom is a a.", "Is Tom a b or c?");
        let example = Example { question: whole.to_owned(), ..Example::default() };
        assert_eq!(parts(&example, FactsFor::Tools), (question, Some(facts)));
        assert_eq!(parts(&example, FactsFor::Model), (whole, None));
        assert_eq!(parts(&example, FactsFor::Both), (whole, Some(facts)));
        // Facts that a data set has apart stay so.
        let apart =
            Example { facts: Some(facts.to_owned()), question: question.to_owned(), ..example };
        assert_eq!(parts(&apart, FactsFor::Model), (question, Some(facts)));
    }
}
