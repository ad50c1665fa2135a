//! A dialogue with tools, as the parts of one answer: rounds are asked, tools run in between. Holds nothing of the engine while
//! a tool runs: what was fed is in its memory for as long as nobody else needs the room, and fed again otherwise. Who
//! asks, and how, is the caller's.

use crate::engine::request::Failure;
use crate::engine::request::Rejected;
use crate::latent::recipe::ToolForm;
use crate::reason::dialogue::Dialogue;
use crate::reason::dialogue::Heard;
use crate::reason::question::AskError;
use crate::reason::question::Question;
use crate::reason::reasoner::Reasoner;
use crate::reason::types::Action;
use crate::reason::types::Answer;
use crate::reason::types::Part;
use crate::tools::call::Observation;
use crate::tools::tool::Given;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;
use std::time::Instant;

/// Whoever has questions answered.
pub trait Asks: Send + Sync {
    /// What is on its way.
    type Reply: Replies;
    /// Why there is none.
    type Error: Send;

    /// Asks a round. One of a dialogue that has begun is not turned away for want of room, but waits for it.
    fn ask(
        &self,
        question: Question,
        has_begun: bool,
    ) -> impl Future<Output = Result<Self::Reply, Self::Error>> + Send;

    /// The refusal of what cannot be asked.
    fn refuse(&self, error: AskError) -> Self::Error;

    /// Whether a round was refused because there are not as many positions.
    fn is_too_long(&self, error: &Self::Error) -> bool;

    /// Is told of each call while it runs; what it gives back lives as long.
    fn calling(&self, _action: &Action) -> impl Send {}

    /// Is told what came of each call.
    fn called(&self, _action: &Action, _observation: &Observation, _took: Duration) {}
}

/// An answer on its way.
pub trait Replies: Send {
    /// The next part; the last one is `Done` or `Failed`.
    fn next(&mut self) -> impl Future<Output = Part> + Send;
}

/// A dialogue under way. Dropping it ends it.
pub struct Talk<A: Asks> {
    asks: A,
    reasoner: Arc<Reasoner>,
    dialogue: Dialogue,
    given: Given,
    deadline: Instant,
    phase: Phase<A::Reply>,
    shows_vectors: bool,
}

enum Phase<R> {
    Ask,
    Hear(R),
    Act(Action),
    /// There is no round left.
    Ended,
    Over,
}

impl<A: Asks> Talk<A> {
    /// Asks the first round.
    ///
    /// # Errors
    /// Where it is refused, or this model knows no calls.
    pub async fn begin(
        asks: A,
        reasoner: Arc<Reasoner>,
        question: Question,
    ) -> Result<Self, A::Error> {
        let prompted = question.acting.as_ref().and_then(|acting| acting.form.clone());
        let form = match (prompted, reasoner.tool_form()) {
            (Some(form), _) => form,
            (None, Some(ToolForm::React(form))) => form.clone(),
            (None, _) => return Err(asks.refuse(AskError::Acting("this model calls no tools"))),
        };
        let deadline = Instant::now() + question.timeout;
        let shows_vectors = question.report.thought_vectors;
        let dialogue =
            Dialogue::begin(&reasoner, &form, question).map_err(|error| asks.refuse(error))?;
        let given = Given { facts: dialogue.acting().facts, ..Given::default() };
        let phase = Phase::Hear(asks.ask(dialogue.ask(), false).await?);
        Ok(Self { asks, reasoner, dialogue, given, deadline, phase, shows_vectors })
    }

    /// Positions of what was fed before anything was said.
    pub fn prompt_tokens(&self) -> usize {
        self.dialogue.told()
    }

    /// The next part; `None` after `Done` or `Failed`.
    ///
    /// # Errors
    /// Where a later round is refused.
    pub async fn next(&mut self) -> Option<Result<Part, A::Error>> {
        loop {
            match std::mem::replace(&mut self.phase, Phase::Over) {
                Phase::Over => return None,
                Phase::Ended => return Some(Ok(self.over(None))),
                Phase::Ask => match self.asks.ask(self.dialogue.ask(), true).await {
                    Ok(reply) => self.phase = Phase::Hear(reply),
                    Err(error) if self.asks.is_too_long(&error) => {
                        return Some(Ok(self.over(None)));
                    }
                    Err(error) => return Some(Err(error)),
                },
                Phase::Hear(mut reply) => match reply.next().await {
                    Part::Done(answer) => match self.heard(*answer) {
                        Ok(Some(part)) => return Some(Ok(part)),
                        Ok(None) => {}
                        Err(error) => return Some(Err(self.asks.refuse(error))),
                    },
                    Part::Failed(failure) => return Some(Ok(Part::Failed(failure))),
                    part => {
                        self.phase = Phase::Hear(reply);
                        return Some(Ok(self.shown(part)));
                    }
                },
                Phase::Act(action) => {
                    return Some(self.act(action).await.map_err(|error| self.asks.refuse(error)));
                }
            }
        }
    }

    fn heard(&mut self, answer: Answer) -> Result<Option<Part>, AskError> {
        Ok(match self.dialogue.hear(&self.reasoner, answer)? {
            Heard::Again => {
                self.phase = Phase::Ask;
                None
            }
            Heard::Act(action) => {
                self.phase = Phase::Act(action.clone());
                Some(Part::Action(action))
            }
            Heard::Over(said) => Some(self.over(said)),
        })
    }

    async fn act(&mut self, action: Action) -> Result<Part, AskError> {
        let (started, acting) = (Instant::now(), self.dialogue.acting());
        let deadline = self.deadline.min(started + acting.call_timeout);
        let observation = match &action.call {
            Some(call) => {
                let _running = self.asks.calling(&action);
                acting.tools.run(call, &mut self.given, deadline).await
            }
            None => Observation::invalid("an action is written name[argument]"),
        };
        let took = started.elapsed();
        self.asks.called(&action, &observation, took);
        let part = Part::Observed { round: action.round, observation: observation.clone() };
        let goes_on = self.dialogue.observe(&self.reasoner, (action, observation), took)?;
        self.phase = if goes_on { Phase::Ask } else { Phase::Ended };
        Ok(part)
    }

    /// Parts of a round as those of the whole.
    fn shown(&self, part: Part) -> Part {
        match part {
            Part::Token { choice, mut token } => {
                token.index += self.dialogue.tokens();
                Part::Token { choice, token }
            }
            Part::Thought { choice, mut thought } if !self.shows_vectors => {
                thought.vector = None;
                Part::Thought { choice, thought }
            }
            part => part,
        }
    }

    fn over(&mut self, said: Option<String>) -> Part {
        self.phase = Phase::Over;
        let answer = self.dialogue.finished(&self.reasoner, said);
        answer.map_or(Part::Failed(Failure::Engine), |answer| Part::Done(Box::new(answer)))
    }
}

/// Whether there are not as many positions as a question needs.
pub fn is_too_long(error: &AskError) -> bool {
    matches!(error, AskError::TooLong { .. } | AskError::Rejected(Rejected::TooLong { .. }))
}
