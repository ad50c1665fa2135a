//! Statistics of dialogues: rounds, actions, and how often nothing was found. Knows sums, keeps no question.

use crate::data::react::Record;
use crate::tools::graph::NONE;
use std::collections::BTreeMap;
use std::fmt;

/// Sums over questions.
#[derive(Clone, Debug, Default)]
pub struct Statistics {
    questions: u64,
    rounds: BTreeMap<usize, u64>,
    actions: BTreeMap<String, u64>,
    observations: u64,
    nothing_found: u64,
    question_words: u64,
    observed_words: u64,
}

impl Statistics {
    /// Counts a question.
    pub fn add(&mut self, record: &Record) {
        self.questions += 1;
        self.question_words += words(&record.question);
        *self.rounds.entry(record.trajectory.len()).or_default() += 1;
        for round in &record.trajectory {
            *self.actions.entry(round.action.clone()).or_default() += 1;
            if let Some(observation) = &round.observation {
                self.observations += 1;
                self.observed_words += words(observation);
                self.nothing_found += u64::from(observation == NONE);
            }
        }
    }

    /// Mean number of rounds, the last one included.
    pub fn mean_rounds(&self) -> f64 {
        let sum: u64 = self.rounds.iter().map(|(&rounds, count)| rounds as u64 * count).sum();
        share(sum, self.questions)
    }
}

impl fmt::Display for Statistics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{:15} {:.2}", "question words", share(self.question_words, self.questions))?;
        writeln!(
            f,
            "{:15} {:.2}",
            "observed words",
            share(self.observed_words, self.observations)
        )?;
        writeln!(
            f,
            "{:15} {:.1} %",
            "nothing found",
            100.0 * share(self.nothing_found, self.observations)
        )?;
        writeln!(f, "{:15} {:.2}", "rounds", self.mean_rounds())?;
        for (rounds, &count) in &self.rounds {
            let percent = 100.0 * share(count, self.questions);
            writeln!(f, "{:15} {percent:.1} %", format!("{rounds} rounds"))?;
        }
        for (action, &count) in &self.actions {
            writeln!(f, "{action:15} {:.2} a question", share(count, self.questions))?;
        }
        Ok(())
    }
}

fn words(text: &str) -> u64 {
    text.split_whitespace().count() as u64
}

fn share(sum: u64, of: u64) -> f64 {
    sum as f64 / of.max(1) as f64
}
