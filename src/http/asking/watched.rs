//! A reply under watch: it always ends, by a deadline of its own if need be, and how it ended gets into the log line.
//! Does not know JSON.

use crate::engine::request::Failure;
use crate::http::asking::parts::finish_reason;
use crate::http::track::Outcome;
use crate::http::track::OutcomeSlot;
use crate::reason::reply::Reply;
use crate::reason::types::Answer;
use crate::reason::types::Part;
use futures::Stream;
use futures::stream;
use std::time::Duration;
use tokio::time::Instant;
use tokio::time::timeout_at;
use tokio_util::sync::CancellationToken;

/// The engine ends requests at their deadline itself; this much later we stop believing that it will.
const ENGINE_SLACK: Duration = Duration::from_secs(5);

/// Dropping it cancels the request and is logged as such.
#[derive(Debug)]
pub(in crate::http) struct Watched {
    reply: Reply,
    give_up: Instant,
    outcome: OutcomeSlot,
    given_up: CancellationToken,
}

impl Watched {
    /// With where it is told how it ended, and what says that the server itself drops it.
    pub(in crate::http) fn new(
        reply: Reply,
        deadline: Instant,
        (outcome, given_up): (OutcomeSlot, CancellationToken),
    ) -> Self {
        Self { reply, give_up: deadline + ENGINE_SLACK, outcome, given_up }
    }

    /// The next part; the last one is `Done` or `Failed`.
    pub(in crate::http) async fn next(&mut self) -> Part {
        let part = match timeout_at(self.give_up, self.reply.next()).await {
            Ok(Some(part)) => part,
            Ok(None) => Part::Failed(Failure::Engine),
            Err(_elapsed) => Part::Failed(Failure::Deadline),
        };
        match &part {
            Part::Done(answer) => self.record(answered(answer)),
            Part::Failed(failure) => self.record(failed(*failure)),
            _ => {}
        }
        part
    }

    /// All parts.
    pub(in crate::http) fn parts(self) -> impl Stream<Item = Part> {
        stream::unfold(Some(self), async |watched| {
            let mut watched = watched?;
            let part = watched.next().await;
            let more = !matches!(part, Part::Done(_) | Part::Failed(_));
            Some((part, more.then_some(watched)))
        })
    }

    /// The complete answer.
    pub(in crate::http) async fn complete(mut self) -> Result<Answer, Failure> {
        loop {
            match self.next().await {
                Part::Done(answer) => return Ok(*answer),
                Part::Failed(failure) => return Err(failure),
                _ => {}
            }
        }
    }

    /// Positions of the prompt.
    pub(in crate::http) fn prompt_tokens(&self) -> usize {
        self.reply.prompt_tokens()
    }

    fn record(&self, outcome: Outcome) {
        self.outcome.get_or_init(|| outcome);
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        if self.given_up.is_cancelled() {
            self.reply.useless();
            self.record(without_answer("dropped"));
        }
        self.record(without_answer("cancelled"));
    }
}

/// How a question ended that has its answer.
pub(in crate::http) fn answered(answer: &Answer) -> Outcome {
    Outcome {
        finish: answer.choices.first().map_or("done", |choice| finish_reason(choice.finish)),
        prompt_tokens: answer.usage.prompt_tokens,
        latent_steps: answer.usage.latent_steps,
        completion_tokens: answer.usage.completion_tokens,
    }
}

fn failed(failure: Failure) -> Outcome {
    without_answer(match failure {
        Failure::Deadline => "deadline",
        Failure::NonFinite => "nonfinite",
        Failure::Step => "step",
        Failure::Engine => "engine",
        Failure::Stopped => "stopped",
    })
}

/// How one ended that has none.
pub(in crate::http) fn without_answer(finish: &'static str) -> Outcome {
    Outcome { finish, prompt_tokens: 0, latent_steps: 0, completion_tokens: 0 }
}
