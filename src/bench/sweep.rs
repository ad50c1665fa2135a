//! One plan at several values of one setting. Does not know how a plan is carried out.

use crate::bench::plan::Arrivals;
use crate::bench::plan::MAX_CLIENTS;
use crate::bench::plan::Plan;
use crate::bench::plan::RATES;
use crate::bench::report::Report;
use crate::data::example::Example;
use anyhow::Context as _;
use anyhow::bail;
use anyhow::ensure;
use serde::Serialize;
use std::str::FromStr;

/// More than any server takes.
const MAX_THOUGHTS: usize = 1 << 20;
/// A million words are a body of several megabytes, for each question.
const MAX_WORDS: usize = 1 << 20;

/// The setting that is changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Axis {
    /// Number of clients in a closed loop.
    Clients,
    /// Requests a second in an open loop.
    Rate,
    /// Number of thoughts.
    LatentSteps,
    /// Words of a question, which is made of the words of the data.
    Words,
}

/// A setting and its values.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sweep {
    /// The setting.
    pub axis: Axis,
    /// At least one.
    pub values: Vec<usize>,
}

/// The result at one value.
#[derive(Clone, Debug, Serialize)]
pub struct Point {
    /// The value.
    pub value: usize,
    /// What the run came to.
    #[serde(flatten)]
    pub report: Report,
}

impl Axis {
    /// As it is written on the command line and in pictures.
    pub fn name(self) -> &'static str {
        match self {
            Self::Clients => "clients",
            Self::Rate => "rate",
            Self::LatentSteps => "latent-steps",
            Self::Words => "words",
        }
    }

    /// The least and the most that has sense.
    fn bounds(self) -> (usize, usize) {
        match self {
            Self::Clients => (1, MAX_CLIENTS),
            Self::Rate => (1, *RATES.end() as usize),
            Self::LatentSteps => (0, MAX_THOUGHTS),
            Self::Words => (1, MAX_WORDS),
        }
    }

    /// What a picture shows this setting as, and where a result lies: words are not what a model counts.
    pub fn place(self, point: &Point) -> f64 {
        match self {
            Self::Clients | Self::Rate | Self::LatentSteps => point.value as f64,
            Self::Words => point.report.prompt_tokens,
        }
    }

    /// The name of [`Self::place`].
    pub fn label(self) -> &'static str {
        match self {
            Self::Clients => "clients",
            Self::Rate => "requests begun a second",
            Self::LatentSteps => "latent steps",
            Self::Words => "prompt tokens",
        }
    }
}

impl FromStr for Sweep {
    type Err = anyhow::Error;

    /// `clients=1,2,4`
    fn from_str(text: &str) -> anyhow::Result<Self> {
        let (name, values) = text.split_once('=').context("write it as clients=1,2,4")?;
        let all = [Axis::Clients, Axis::Rate, Axis::LatentSteps, Axis::Words];
        let Some(axis) = all.into_iter().find(|axis| axis.name() == name) else {
            bail!("`{name}` is none of {}", all.map(Axis::name).join(", "));
        };
        let values: Vec<usize> = values
            .split(',')
            .map(|value| value.trim().parse().with_context(|| format!("`{value}` is no number")))
            .collect::<anyhow::Result<_>>()?;
        let (fewest, most) = axis.bounds();
        let within = values.iter().all(|value| (fewest..=most).contains(value));
        ensure!(within, "{name} must be from {fewest} to {most}");
        Ok(Self { axis, values })
    }
}

impl Plan {
    /// The same plan with one setting changed.
    pub fn at(&self, axis: Axis, value: usize) -> Self {
        let mut plan = self.clone();
        match (axis, &mut plan.arrivals) {
            (Axis::Clients, arrivals) => *arrivals = Arrivals::Closed { clients: value },
            (Axis::Rate, Arrivals::Open { rate, .. }) => *rate = value as f64,
            (Axis::Rate, arrivals @ Arrivals::Closed { .. }) => {
                *arrivals = Arrivals::open(value as f64);
            }
            (Axis::LatentSteps, _) => plan.ask.latent_steps = Some(value),
            (Axis::Words, _) => plan.questions = of_words(&self.questions, value),
        }
        plan
    }
}

/// As many questions as there are, each of so many words: those of the data, beginning at another place each.
fn of_words(questions: &[Example], count: usize) -> Vec<Example> {
    let from = |number: usize| {
        let all = questions.iter().cycle().skip(number);
        let words = all.flat_map(|example| example.question.split_whitespace());
        let words: Vec<&str> = words.take(count).collect();
        Example { question: words.join(" "), ..questions[number].clone() }
    };
    (0..questions.len()).map(from).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sweep_is_a_name_and_numbers() {
        let sweep: Sweep = "latent-steps=0,3, 6".parse().unwrap();
        assert_eq!(sweep, Sweep { axis: Axis::LatentSteps, values: vec![0, 3, 6] });
        for wrong in [
            "",
            "clients",
            "clients=",
            "clients=0",
            "clients=1,x",
            "threads=1",
            "clients=65537",
            "words=99999999",
            "rate=18446744073709551615",
        ] {
            assert!(wrong.parse::<Sweep>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn questions_of_a_length_are_made_of_the_words_of_the_data() {
        let example = |question: &str| Example {
            question: question.to_owned(),
            steps: Vec::new(),
            answer: "x".to_owned(),
            ..Example::default()
        };
        let made = of_words(&[example("a b c"), example("d e")], 4);
        let made: Vec<&str> = made.iter().map(|example| &example.question[..]).collect();
        assert_eq!(made, ["a b c d", "d e a b"]);
        assert_eq!(of_words(&[example("a b")], 5)[0].question, "a b a b a");
    }
}
