//! The questions of one request, side by side: as many as are their share of the engine, the others as it has room again.
//! Their parts come as they are computed. Knows no route's JSON.

use crate::http::asking::acting::Dialogue;
use crate::http::asking::acting::pause;
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
    /// How many were accepted and have no answer yet.
    open: usize,
    /// Positions of the prompts that were accepted so far.
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
            open: 0,
            prompt_tokens: 0,
        };
        match several.ask_more().await {
            Ok(()) => Ok(several),
            Err(error) => {
                several.give_up();
                Err(error)
            }
        }
    }

    /// Positions of the prompts that were accepted so far.
    pub(in crate::http) fn prompt_tokens(&self) -> usize {
        self.prompt_tokens
    }

    /// Drops what is left because nobody wants it any more, though the client is still there.
    pub(in crate::http) fn give_up(self) {
        self.asking.given_up.cancel();
    }

    /// Asks as many as the engine has room for, and no more than their share of it.
    async fn ask_more(&mut self) -> Result<(), ApiError> {
        while self.open < self.reasoner.share()
            && let Some((at, question)) = self.waiting.pop_front()
        {
            match begin(&self.state, &self.reasoner, question.clone(), &self.asking).await {
                Ok((prompt_tokens, parts)) => {
                    self.prompt_tokens += prompt_tokens;
                    self.open += 1;
                    self.running.push(parts.map(move |part| (at, part)).boxed());
                }
                // They are asked in order: some were accepted before it.
                Err(ApiError::QueueFull { .. }) if at > 0 => {
                    self.waiting.push_front((at, question));
                    return Ok(());
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Asks until one is on its way, where one is left: others took the room that the last one had.
    async fn wait_for_room(&mut self) -> Result<(), ApiError> {
        while self.open == 0 && !self.waiting.is_empty() {
            pause(self.asking.deadline).await?;
            self.ask_more().await?;
        }
        Ok(())
    }

    /// The next part, with the number of its question; `None` behind the last one.
    ///
    /// # Errors
    /// Where a question that waited is refused.
    pub(in crate::http) async fn next(&mut self) -> Option<Result<(usize, Part), ApiError>> {
        if let Err(error) = self.wait_for_room().await {
            return Some(Err(error));
        }
        let (at, part) = self.running.next().await?;
        if matches!(part, Ok(Part::Done(_))) {
            self.open -= 1;
            if let Err(error) = self.ask_more().await {
                return Some(Err(error));
            }
        }
        Some(part.map(|part| (at, part)))
    }

    /// All answers, in the order of the questions.
    ///
    /// # Errors
    /// Where one of them has none.
    pub(in crate::http) async fn complete(mut self) -> Result<Vec<Answer>, ApiError> {
        let answers = self.answers().await;
        self.give_up();
        answers
    }

    async fn answers(&mut self) -> Result<Vec<Answer>, ApiError> {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::config::EngineConfig;
    use crate::http::asking::ask::OURS;
    use crate::http::config::Config;
    use crate::http::track::OutcomeSlot;
    use crate::metrics::Metrics;
    use crate::reason::committed;
    use std::time::Duration;
    use tokio::time::Instant;

    fn reasoner(engine: EngineConfig, metrics: &Arc<Metrics>) -> Arc<Reasoner> {
        let config = committed::config("tests/data/coconut-gpt2-hf", engine);
        Arc::new(Reasoner::load(&config, Arc::clone(metrics)).unwrap())
    }

    async fn asked(count: usize, engine: EngineConfig, deadline: Instant) -> Several {
        let metrics = Arc::new(Metrics::new());
        let reasoner = reasoner(engine, &metrics);
        let state = AppState::new(Config::default(), metrics);
        let question = Question::new("Is Bob a lempus?", Duration::from_secs(60));
        let asking = Asking::new(OURS, deadline, OutcomeSlot::default());
        Several::ask(&state, &reasoner, vec![question; count], asking).await.unwrap()
    }

    /// Each has a minute by itself.
    #[tokio::test]
    async fn all_have_one_deadline() {
        let several = asked(3, EngineConfig::default(), Instant::now()).await;
        assert_eq!(several.complete().await.unwrap_err(), ApiError::Deadline);
    }

    #[tokio::test]
    async fn one_request_leaves_room_in_the_queue_and_is_answered_all_the_same() {
        let later = Instant::now() + Duration::from_secs(60);
        for (max_running, max_queued, share) in [(4, 256, 4), (32, 8, 4), (1, 1, 1)] {
            let engine = EngineConfig { max_running, max_queued, ..EngineConfig::default() };
            let several = asked(20, engine, later).await;
            assert_eq!((several.open, several.waiting.len()), (share, 20 - share));
            assert_eq!(several.complete().await.unwrap().len(), 20);
        }
    }
}
