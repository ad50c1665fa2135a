//! What was found, over all questions: a table for people. Knows numbers only.

use crate::probe::Found;
use crate::probe::edit::EditKind;
use serde::Serialize;
use std::fmt;

/// Means over all questions.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Summary {
    /// How many there are.
    pub questions: usize,
    /// By number of thoughts from 0 on: the share of right answers.
    pub accuracy: Vec<f64>,
    /// Likewise: the share of answers that are those after all thoughts.
    pub agreement: Vec<f64>,
    /// Likewise: the probability of the right answer.
    pub right: Vec<f64>,
    /// By thought from 1 on: the entropy of what the head makes of it, in nats.
    pub entropy: Vec<f64>,
    /// Of each thought: the probability that the head gives to the nodes that 0, 1 and so on hops lead to. Empty without graphs.
    pub frontiers: Vec<Vec<f64>>,
    /// By what a thought is replaced with: the share of right answers by the thought, from 1 on.
    pub edits: Vec<(String, Vec<Option<f64>>)>,
}

impl Summary {
    /// Of all that was found with these edits.
    pub fn of(found: &Found, edits: &[EditKind]) -> Self {
        let seen = &found.seen;
        let stages = seen.first().map_or(0, |one| one.correct.len());
        let steps = seen.first().map_or(0, |one| one.thoughts.len());
        let agrees = |stage: usize| {
            mean(seen.iter().map(|one| flag(one.answers[stage] == one.answers[stages - 1])))
        };
        let graphs: Vec<_> = seen.iter().filter(|one| !one.frontiers.is_empty()).collect();
        let mass = |step: usize, hops: usize| {
            mean(graphs.iter().map(|one| f64::from(one.frontiers[step][hops])))
        };
        let hops = if graphs.is_empty() { 0 } else { stages };
        let edited = |edit: usize, step: usize| {
            let all: Option<Vec<f64>> =
                found.edited.iter().map(|one| one.correct[edit][step].map(flag)).collect();
            all.map(|all| mean(all.into_iter()))
        };
        let edits = if found.edited.is_empty() { &[] } else { edits };
        Self {
            questions: seen.len(),
            accuracy: by(stages, |k| mean(seen.iter().map(|one| flag(one.correct[k])))),
            agreement: by(stages, agrees),
            right: by(stages, |k| mean(seen.iter().map(|one| one.right[k].exp()))),
            entropy: by(steps, |k| mean(seen.iter().map(|one| f64::from(one.thoughts[k].entropy)))),
            frontiers: by(steps.min(hops * steps), |step| by(hops, |hops| mass(step, hops))),
            edits: edits
                .iter()
                .enumerate()
                .map(|(at, edit)| (edit.name().to_owned(), by(steps, |step| edited(at, step))))
                .collect(),
        }
    }
}

fn flag(is: bool) -> f64 {
    f64::from(u8::from(is))
}

fn by<T>(count: usize, of: impl Fn(usize) -> T) -> Vec<T> {
    (0..count).map(of).collect()
}

fn mean(numbers: impl Iterator<Item = f64>) -> f64 {
    let (sum, count) = numbers.fold((0.0, 0), |(sum, count), x| (sum + x, count + 1));
    if count > 0 { sum / f64::from(count) } else { 0.0 }
}

impl fmt::Display for Summary {
    /// A line for each number of thoughts; of the thought of that number, its entropy and the frontiers in it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{} questions", self.questions)?;
        write!(f, "thoughts   right %  as at the end %  p(right)  entropy")?;
        let graphs = !self.frontiers.is_empty();
        if graphs {
            write!(f, "  mass of the nodes at 0, 1, 2... hops")?;
        }
        for (k, right) in self.accuracy.iter().enumerate() {
            let agreement = self.agreement[k] * 100.0;
            write!(f, "\n{k:8}  {:8.2}  {agreement:15.2}  {:8.4}", right * 100.0, self.right[k])?;
            let Some(step) = k.checked_sub(1) else { continue };
            write!(f, "  {:7.3}", self.entropy[step])?;
            if graphs {
                write!(f, " ")?;
                self.frontiers[step].iter().try_for_each(|mass| write!(f, " {mass:.2}"))?;
            }
        }
        for (name, by_step) in &self.edits {
            write!(f, "\nright % with thought 1, 2... replaced by {name}:")?;
            for share in by_step {
                match share {
                    Some(share) => write!(f, " {:.1}", share * 100.0)?,
                    None => write!(f, " -")?,
                }
            }
        }
        Ok(())
    }
}
