//! Dialogues of a checkpoint in this process: rounds are asked of its engine, one after the other. Knows no wire.

use crate::engine::request::Failure;
use crate::reason::acting::Asks;
use crate::reason::acting::Replies;
use crate::reason::acting::Talk;
use crate::reason::acting::is_too_long;
use crate::reason::borrow::Borrowed;
use crate::reason::question::AskError;
use crate::reason::question::Question;
use crate::reason::reasoner::Reasoner;
use crate::reason::reply::Reply;
use crate::reason::reply::Unanswered;
use crate::reason::types::Answer;
use crate::reason::types::Part;
use std::sync::Arc;

struct Local(Arc<Reasoner>);

impl Asks for Local {
    type Reply = Reply;
    type Error = Unanswered;

    async fn ask(&self, question: Question, _has_begun: bool) -> Result<Reply, Unanswered> {
        Ok(self.0.ask_with(&question, &Borrowed::default())?)
    }

    fn refuse(&self, error: AskError) -> Unanswered {
        error.into()
    }

    fn is_too_long(&self, error: &Unanswered) -> bool {
        matches!(error, Unanswered::Refused(error) if is_too_long(error))
    }
}

impl Replies for Reply {
    async fn next(&mut self) -> Part {
        Self::next(self).await.unwrap_or(Part::Failed(Failure::Engine))
    }
}

/// Asks a question, in rounds where the model may act, and waits for all of the answer.
///
/// # Errors
/// Where it is refused or fails.
pub async fn answer(reasoner: &Arc<Reasoner>, question: &Question) -> Result<Answer, Unanswered> {
    if question.acting.is_none() {
        return reasoner.answer(question).await;
    }
    let local = Local(Arc::clone(reasoner));
    let mut talk = Talk::begin(local, Arc::clone(reasoner), question.clone()).await?;
    while let Some(part) = talk.next().await {
        match part? {
            Part::Done(answer) => return Ok(*answer),
            Part::Failed(failure) => return Err(failure.into()),
            _ => {}
        }
    }
    Err(Failure::Engine.into())
}
