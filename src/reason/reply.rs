//! An answer on its way: engine events come in, parts go out. Knows when it is over, not what it is made of.

use crate::engine::Ticket;
use crate::engine::request::Failure;
use crate::reason::question::AskError;
use crate::reason::transcript::Goes;
use crate::reason::transcript::Transcript;
use crate::reason::types::Answer;
use crate::reason::types::Part;
use std::collections::VecDeque;

/// Why a question has no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unanswered {
    /// It was not accepted.
    #[error(transparent)]
    Refused(#[from] AskError),
    /// It was, and then something failed.
    #[error(transparent)]
    Failed(#[from] Failure),
}

/// The parts of one answer in the making. Dropping it cancels the request within one engine step.
#[derive(Debug)]
pub struct Reply {
    /// `None` once the last part is ready.
    ticket: Option<Ticket>,
    transcript: Transcript,
    ready: VecDeque<Part>,
}

impl Reply {
    pub(crate) fn new(ticket: Ticket, transcript: Transcript) -> Self {
        Self { ticket: Some(ticket), transcript, ready: VecDeque::new() }
    }

    /// Positions of the prompt, start markers included.
    pub fn prompt_tokens(&self) -> usize {
        self.transcript.prompt_tokens()
    }

    /// The next part; `None` after `Done` or `Failed`. Cancel-safe.
    pub async fn next(&mut self) -> Option<Part> {
        loop {
            if let Some(part) = self.ready.pop_front() {
                return Some(part);
            }
            let Some(event) = self.ticket.as_mut()?.next().await else {
                self.ticket = None;
                Transcript::lost(&mut self.ready);
                continue;
            };
            match self.transcript.take(event, &mut self.ready) {
                Goes::On => {}
                Goes::Without(branch) => {
                    self.ticket.iter().for_each(|ticket| ticket.enough_of(branch));
                }
                Goes::Over => self.ticket.take().into_iter().for_each(Ticket::satisfied),
                Goes::Wrong => self.ticket = None,
            }
        }
    }

    /// Ends the request because what it belongs to failed elsewhere.
    pub fn useless(&mut self) {
        self.ticket.take().into_iter().for_each(Ticket::useless);
    }

    /// Waits for the complete answer.
    pub async fn complete(mut self) -> Result<Answer, Failure> {
        while let Some(part) = self.next().await {
            match part {
                Part::Done(answer) => return Ok(*answer),
                Part::Failed(failure) => return Err(failure),
                _ => {}
            }
        }
        Err(Failure::Engine)
    }
}
