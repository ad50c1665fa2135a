//! What an evaluation found, as a table for people and as JSON. Does not compute an answer.

use crate::data::questions::Skipped;
use crate::eval::score::pass_at;
use crate::eval::score::share;
use serde::Deserialize;
use serde::Serialize;
use serde_json::Value;
use serde_json::json;
use std::fmt;
use std::time::Duration;

/// All runs over one data set.
#[derive(Clone, Debug, PartialEq)]
pub struct Report {
    /// The model's name.
    pub model: String,
    /// What tells it from others of that name, where it is known.
    pub fingerprint: Option<String>,
    /// Its family.
    pub family: String,
    /// The file with the questions.
    pub data: String,
    /// What was left out of it.
    pub skipped: Skipped,
    /// What answers follow from beside the number of latent steps.
    pub settings: Value,
    /// One for each number of latent steps.
    pub runs: Vec<Run>,
}

/// All questions at one number of latent steps.
#[derive(Clone, Debug, PartialEq)]
pub struct Run {
    /// How often the model thought.
    pub latent_steps: usize,
    /// From the first question to the last answer.
    pub wall: Duration,
    /// One for each question, in their order.
    pub scored: Vec<Scored>,
}

/// A question, and what came of it.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct Scored {
    /// From 1, in the file.
    pub number: u64,
    /// The right answer.
    pub expected: String,
    /// What came of it.
    #[serde(flatten)]
    pub outcome: Outcome,
}

/// What came of a question.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Outcome {
    /// An answer.
    Answered {
        /// What the recipe extracts from the text.
        answer: String,
        /// Whether it is the expected one.
        correct: bool,
        /// Answer tokens.
        tokens: usize,
        /// Thoughts.
        thoughts: usize,
        /// Calls of tools.
        #[serde(default)]
        tool_calls: usize,
        /// Rows of the forward pass: what was fed, thought and said, in all rounds and samples; what an earlier question had
        /// computed already counts, too.
        #[serde(default)]
        positions: usize,
        /// From the question to the answer.
        seconds: f64,
        /// Where there are several answers, of which this is the vote.
        #[serde(skip_serializing_if = "Option::is_none")]
        samples: Option<Sampled>,
        /// What makes it worth less, such as words that the model does not know.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        warnings: Vec<String>,
    },
    /// It could not be asked, or the model failed at it; counts as wrong.
    Unanswered {
        /// Why.
        reason: String,
    },
}

/// Several answers to a question.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq, Serialize)]
pub struct Sampled {
    /// How many.
    pub count: usize,
    /// How many of them are right.
    pub correct: usize,
    /// How many of them say what most say.
    pub agreeing: usize,
}

impl Outcome {
    /// Whether the answer is the expected one.
    pub fn is_right(&self) -> bool {
        matches!(self, Self::Answered { correct: true, .. })
    }
}

impl Run {
    /// How many answers are right.
    pub fn correct(&self) -> usize {
        self.scored.iter().filter(|scored| scored.outcome.is_right()).count()
    }

    /// The share of right answers, and its 95 % interval.
    pub fn accuracy(&self) -> (f64, [f64; 2]) {
        share(self.correct(), self.scored.len())
    }

    /// Answers to each question.
    pub fn samples(&self) -> usize {
        let samples = self.scored.iter().filter_map(|scored| match &scored.outcome {
            Outcome::Answered { samples, .. } => Some(samples.map_or(1, |all| all.count)),
            Outcome::Unanswered { .. } => None,
        });
        samples.max().unwrap_or(1)
    }

    /// The share of questions that one of `k` samples is right on, as expected of those that there are (Chen et al. 2021,
    /// section 2.1), for 1, 2, 4 and so on up to all of them. Empty where there is one answer.
    pub fn pass_at(&self) -> Vec<(usize, f64)> {
        let samples = self.samples();
        if samples < 2 {
            return Vec::new();
        }
        let doubling = std::iter::successors(Some(1), |k| Some(k * 2)).take_while(|k| *k < samples);
        let of = |k| {
            let passed = self.scored.iter().map(|scored| match &scored.outcome {
                Outcome::Answered { samples: Some(all), .. } => pass_at(k, all.count, all.correct),
                other => f64::from(u8::from(other.is_right())),
            });
            passed.sum::<f64>() / self.scored.len().max(1) as f64
        };
        doubling.chain([samples]).map(|k| (k, of(k))).collect()
    }

    /// How large the share of samples is that agree with the vote, in the mean.
    fn agreement(&self) -> f64 {
        let shares = self.scored.iter().filter_map(|scored| match &scored.outcome {
            Outcome::Answered { samples: Some(all), .. } => {
                Some(all.agreeing as f64 / all.count.max(1) as f64)
            }
            _ => None,
        });
        let (sum, count) = shares.fold((0.0, 0), |(sum, count), share| (sum + share, count + 1));
        if count > 0 { sum / f64::from(count) } else { 0.0 }
    }

    /// Questions without an answer, each with the reason.
    pub fn unanswered(&self) -> impl Iterator<Item = (u64, &str)> {
        self.scored.iter().filter_map(|scored| match &scored.outcome {
            Outcome::Unanswered { reason } => Some((scored.number, reason.as_str())),
            Outcome::Answered { .. } => None,
        })
    }

    /// Questions that the model did not see as they are, each with the first reason.
    pub fn warned(&self) -> impl Iterator<Item = (u64, &str)> {
        self.scored.iter().filter_map(|scored| match &scored.outcome {
            Outcome::Answered { warnings, .. } => Some((scored.number, warnings.first()?.as_str())),
            Outcome::Unanswered { .. } => None,
        })
    }

    /// Means over the answers: tokens, thoughts, seconds, calls of tools, positions.
    fn means(&self) -> [f64; 5] {
        let (mut sums, mut count) = ([0.0; 5], 0.0);
        for scored in &self.scored {
            if let Outcome::Answered { tokens, thoughts, tool_calls, positions, seconds, .. } =
                scored.outcome
            {
                count += 1.0;
                let counts = [tool_calls, positions].map(|count| count as f64);
                let values = [tokens as f64, thoughts as f64, seconds, counts[0], counts[1]];
                sums.iter_mut().zip(values).for_each(|(sum, value)| *sum += value);
            }
        }
        sums.map(|sum| if count > 0.0 { sum / count } else { 0.0 })
    }

    fn to_json(&self) -> Value {
        let (accuracy, interval) = self.accuracy();
        let [tokens, thoughts, seconds, tool_calls, positions] = self.means();
        json!({
            "latent_steps": self.latent_steps,
            "questions": self.scored.len(),
            "correct": self.correct(),
            "unanswered": self.unanswered().count(),
            "with_warnings": self.warned().count(),
            "accuracy": accuracy,
            "accuracy_95": interval,
            "mean_tokens": tokens,
            "mean_thoughts": thoughts,
            "mean_tool_calls": tool_calls,
            "mean_positions": positions,
            "mean_seconds": seconds,
            "wall_seconds": self.wall.as_secs_f64(),
            "samples": self.samples(),
            "pass_at": self.pass_at(),
            "answers": self.scored,
        })
    }
}

impl Report {
    /// All of it, every answer included.
    pub fn to_json(&self) -> Value {
        let runs: Vec<_> = self.runs.iter().map(Run::to_json).collect();
        let first = self.skipped.first.iter().map(
            |(number, line, reason)| json!({ "number": number, "line": line, "reason": reason }),
        );
        json!({
            "model": self.model,
            "fingerprint": self.fingerprint,
            "family": self.family,
            "data": self.data,
            "settings": self.settings,
            "skipped": { "count": self.skipped.count, "first": first.collect::<Vec<_>>() },
            "runs": runs,
        })
    }
}

/// A report as its file has it, as far as a run that goes on needs it.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Stored {
    model: String,
    #[serde(default)]
    fingerprint: Option<String>,
    family: String,
    data: String,
    settings: Value,
    runs: Vec<StoredRun>,
}

#[derive(Clone, Debug, Deserialize)]
struct StoredRun {
    latent_steps: usize,
    wall_seconds: f64,
    answers: Vec<Scored>,
}

impl Stored {
    /// What it is of that the other report is not of.
    pub(super) fn differs(&self, from: &Report) -> Option<&'static str> {
        // As it comes back from a file: numbers may lose their last bit on the way.
        let settings = serde_json::from_str(&from.settings.to_string()).unwrap_or(Value::Null);
        let same = [
            ("model", self.model == from.model),
            ("fingerprint", self.fingerprint.is_none() || self.fingerprint == from.fingerprint),
            ("family", self.family == from.family),
            ("data", self.data == from.data),
            ("settings", self.settings == settings),
        ];
        same.into_iter().find(|(_, same)| !same).map(|(field, _)| field)
    }

    /// What was found.
    pub(super) fn runs(self) -> Vec<Run> {
        let run = |StoredRun { latent_steps, wall_seconds, answers: scored }| {
            let wall = Duration::try_from_secs_f64(wall_seconds).unwrap_or_default();
            Run { latent_steps, wall, scored }
        };
        self.runs.into_iter().map(run).collect()
    }
}

impl fmt::Display for Report {
    /// A line for each number of latent steps. Tokens, thoughts and seconds are means over the answers; the seconds of a
    /// question include its wait for others.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{} ({}) on {}", self.model, self.family, self.data)?;
        write!(
            f,
            "latent steps    correct  accuracy    95 % interval  tokens  thoughts  s/question  wall s"
        )?;
        for run in &self.runs {
            let (accuracy, [low, high]) = run.accuracy();
            let [tokens, thoughts, seconds, ..] = run.means();
            let correct = format!("{}/{}", run.correct(), run.scored.len());
            let interval = format!("{:.2} - {:.2} %", low * 100.0, high * 100.0);
            write!(
                f,
                "\n{:12}  {correct:>9}  {:6.2} %  {interval:>15}  {tokens:6.1}  {thoughts:8.1}  {seconds:10.4}  {:6.2}",
                run.latent_steps,
                accuracy * 100.0,
                run.wall.as_secs_f64()
            )?;
        }
        for run in self.runs.iter().filter(|run| run.samples() > 1) {
            let (samples, steps) = (run.samples(), run.latent_steps);
            write!(f, "\n{steps} latent steps, {samples} samples: correct is their vote, ")?;
            write!(f, "{:.1} % agree with it;", run.agreement() * 100.0)?;
            for (k, share) in run.pass_at() {
                write!(f, " pass@{k} {:.2} %", share * 100.0)?;
            }
        }
        // The same at any number of latent steps.
        let mut warned = self.runs.iter().take(1).flat_map(Run::warned);
        if let Some((number, warning)) = warned.next() {
            let count = warned.count() + 1;
            write!(f, "\n{count} with a warning; question {number}: {warning}")?;
        }
        for run in &self.runs {
            let mut unanswered = run.unanswered();
            if let Some((number, reason)) = unanswered.next() {
                let count = unanswered.count() + 1;
                let steps = run.latent_steps;
                write!(
                    f,
                    "\n{count} without an answer at {steps} latent steps; question {number}: {reason}"
                )?;
            }
        }
        match self.skipped.count {
            0 => Ok(()),
            _ => write!(f, "\n{}", self.skipped),
        }
    }
}
