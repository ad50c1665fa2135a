//! Thoughts that a question takes from elsewhere: of another question, or its own in another order. They are computed by
//! requests before it, which whoever asks makes. Knows which, not how they are asked for.

use crate::engine::request::Report;
use crate::engine::request::Thought;
use crate::reason::question::Asked;
use crate::reason::question::Echo;
use crate::reason::question::Feedback;
use crate::reason::question::LatentSteps;
use crate::reason::question::Op;
use crate::reason::question::Origin;
use crate::reason::question::Question;
use crate::reason::question::Then;
use crate::reason::question::Thinking;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// The first thoughts of a question, to be computed before another is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Loan {
    /// Which question; `None` is the one that is to be asked.
    pub question: Option<String>,
    /// How many.
    pub steps: usize,
    /// The first intervention that wants them, from 0; `None` where the feedback does.
    pub intervention: Option<usize>,
}

/// Thoughts that were computed before, by question.
#[derive(Clone, Debug, Default)]
pub struct Borrowed(BTreeMap<Option<String>, Vec<Arc<[f32]>>>);

impl Question {
    /// What has to be computed before it, where so many thoughts are its most.
    pub fn loans(&self, most: usize) -> Vec<Loan> {
        let mut loans: Vec<Loan> = Vec::new();
        let mut want = |question: Option<&String>, steps: usize, intervention| match loans
            .iter_mut()
            .find(|loan| loan.question.as_ref() == question)
        {
            Some(loan) => loan.steps = loan.steps.max(steps),
            None => loans.push(Loan { question: question.cloned(), steps, intervention }),
        };
        if self.thinking.feedback == Feedback::Shuffle && most > 0 {
            want(None, most, None);
        }
        for (index, intervention) in self.thinking.interventions.iter().enumerate() {
            if let Op::Copy(Origin { question, step }) = &intervention.op {
                want(question.as_ref(), *step, Some(index));
            }
        }
        loans
    }

    /// The question that computes them.
    pub fn lending(&self, loan: &Loan, timeout: Duration) -> Self {
        Self {
            asked: loan.question.clone().map_or_else(|| self.asked.clone(), Asked::Question),
            echo: Echo::No,
            thinking: Thinking { steps: LatentSteps::Exactly(loan.steps), ..Thinking::default() },
            then: Then::Nothing,
            report: Report { thought_vectors: true, ..Report::default() },
            inside: None,
            acting: None,
            timeout,
        }
    }
}

impl Borrowed {
    /// Takes in the thoughts that came of a loan.
    pub fn take(&mut self, loan: &Loan, thoughts: Vec<Thought>) {
        let vectors = thoughts.into_iter().filter_map(|thought| thought.vector);
        self.0.insert(loan.question.clone(), vectors.map(Arc::from).collect());
    }

    /// The first thoughts of a question, as far as they were computed.
    pub(crate) fn of(&self, question: &Option<String>) -> &[Arc<[f32]>] {
        self.0.get(question).map_or(&[], Vec::as_slice)
    }
}
