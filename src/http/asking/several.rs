//! The questions of one request, side by side: as many as the engine's queue takes, the others as it has room again. Their
//! parts come as they are computed. Knows no route's JSON.

use crate::http::asking::acting::Dialogue;
use crate::http::asking::ask::Asking;
use crate::http::asking::ask::ask;
use crate::http::error::ApiError;
use crate::http::state::AppState;
use crate::reason::question::Question;
use crate::reason::reasoner::Reasoner;
use crate::reason::types::Answer;
use crate::reason::types::Part;
use futures::StreamExt as _;
use futures::stream::BoxStream;
use futures::stream::SelectAll;
use std::collections::VecDeque;
use std::sync::Arc;

/// What comes of several questions. Dropping it cancels them all.
pub(in crate::http) struct Several {
    state: AppState,
    reasoner: Arc<Reasoner>,
    asking: Asking,
    waiting: VecDeque<(usize, Question)>,
    running: SelectAll<BoxStream<'static, (usize, Result<Part, ApiError>)>>,
    /// Positions of the prompts that are being answered.
    prompt_tokens: usize,
    questions: usize,
}

impl Several {
    /// Asks as many as there is room for, at least one.
    ///
    /// # Errors
    /// Where one of these is refused, or there is no room at all.
    pub(in crate::http) async fn ask(
        state: &AppState,
        reasoner: &Arc<Reasoner>,
        questions: Vec<Question>,
        asking: Asking,
    ) -> Result<Self, ApiError> {
        let mut several = Self {
            state: state.clone(),
            reasoner: Arc::clone(reasoner),
            asking,
            questions: questions.len(),
            waiting: questions.into_iter().enumerate().collect(),
            running: SelectAll::new(),
            prompt_tokens: 0,
        };
        several.ask_more().await?;
        Ok(several)
    }

    /// Positions of the prompts that were accepted so far.
    pub(in crate::http) fn prompt_tokens(&self) -> usize {
        self.prompt_tokens
    }

    async fn ask_more(&mut self) -> Result<(), ApiError> {
        while let Some((at, question)) = self.waiting.pop_front() {
            match begin(&self.state, &self.reasoner, question.clone(), &self.asking).await {
                Ok((prompt_tokens, parts)) => {
                    self.prompt_tokens += prompt_tokens;
                    self.running.push(parts.map(move |part| (at, part)).boxed());
                }
                Err(ApiError::QueueFull { .. }) if !self.running.is_empty() => {
                    self.waiting.push_front((at, question));
                    return Ok(());
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// The next part, with the number of its question; `None` behind the last one.
    ///
    /// # Errors
    /// Where a question that waited is refused.
    pub(in crate::http) async fn next(&mut self) -> Option<Result<(usize, Part), ApiError>> {
        let (at, part) = self.running.next().await?;
        let part = match part {
            Ok(part) => part,
            Err(error) => return Some(Err(error)),
        };
        if matches!(part, Part::Done(_))
            && !self.waiting.is_empty()
            && let Err(error) = self.ask_more().await
        {
            return Some(Err(error));
        }
        Some(Ok((at, part)))
    }

    /// All answers, in the order of the questions.
    ///
    /// # Errors
    /// Where one of them has none.
    pub(in crate::http) async fn complete(mut self) -> Result<Vec<Answer>, ApiError> {
        let mut answers: Vec<Option<Answer>> = (0..self.questions).map(|_| None).collect();
        while let Some(part) = self.next().await {
            match part? {
                (at, Part::Done(answer)) => answers[at] = Some(*answer),
                (_, Part::Failed(failure)) => return Err(failure.into()),
                _ => {}
            }
        }
        answers.into_iter().collect::<Option<_>>().ok_or(ApiError::Internal)
    }
}

/// Positions of a question's prompt, and its parts as they come; in rounds, where the model may call tools.
async fn begin(
    state: &AppState,
    reasoner: &Arc<Reasoner>,
    question: Question,
    asking: &Asking,
) -> Result<(usize, BoxStream<'static, Result<Part, ApiError>>), ApiError> {
    if question.acting.is_some() {
        let dialogue = Dialogue::begin(state, reasoner, question, asking).await?;
        return Ok((dialogue.prompt_tokens(), dialogue.parts().boxed()));
    }
    let reply = ask(state, reasoner, question, asking).await?;
    Ok((reply.prompt_tokens(), reply.parts().map(Ok).boxed()))
}
