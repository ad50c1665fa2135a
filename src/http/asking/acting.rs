//! Questions to models that call tools: which tools a request may use, rounds asked like any question, calls counted. Knows no
//! route's JSON.

use crate::http::asking::ask::Asking;
use crate::http::asking::ask::ask;
use crate::http::asking::watched::Watched;
use crate::http::asking::watched::answered;
use crate::http::asking::watched::without_answer;
use crate::http::error::ApiError;
use crate::http::state::AppState;
use crate::http::track::OutcomeSlot;
use crate::reason::acting::Asks;
use crate::reason::acting::Replies;
use crate::reason::acting::Talk;
use crate::reason::question::Acting;
use crate::reason::question::AskError;
use crate::reason::question::LatentSteps;
use crate::reason::question::Question;
use crate::reason::reasoner::Reasoner;
use crate::reason::types::Action;
use crate::reason::types::Part;
use crate::tools::call::Observation;
use futures::Stream;
use futures::stream;
use prometheus::IntGauge;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::Instant;
use tokio::time::sleep;
use tokio::time::timeout_at;

/// How soon what found no room is asked again, where its request has begun to be answered.
const PATIENCE: Duration = Duration::from_millis(50);

/// A moment in which there may come room; none at the deadline.
pub(super) async fn pause(deadline: Instant) -> Result<(), ApiError> {
    timeout_at(deadline, sleep(PATIENCE)).await.map_err(|_late| ApiError::Deadline)
}

/// When to come back to a server with as many dialogues as it may have.
const RETRY_FULL: Duration = Duration::from_secs(1);

/// The most characters that tools are told with a question.
const MAX_FACTS: usize = 1 << 20;

/// What a request says about tools.
#[derive(Clone, Debug, Default)]
pub(in crate::http) struct WantedTools {
    /// Fewer than the server has.
    pub(in crate::http) tools: Option<Vec<String>>,
    pub(in crate::http) facts: Option<String>,
    pub(in crate::http) max_rounds: Option<usize>,
}

impl WantedTools {
    /// Refuses what is said about the server's tools where a client has its own.
    pub(in crate::http) fn check_absent(&self) -> Result<(), ApiError> {
        let is_told = [("facts", self.facts.is_some()), ("max_rounds", self.max_rounds.is_some())];
        match is_told.into_iter().find(|(_, is_told)| *is_told) {
            Some((field, _)) => {
                let message = "is for the server's tools, and this request has `tools` of its own";
                Err(ApiError::invalid(field, message))
            }
            None => Ok(()),
        }
    }

    /// The question with what the model may do on its way to the answer; as it is where the model calls no tools.
    pub(in crate::http) fn given_to(
        self,
        question: Question,
        (state, reasoner): (&AppState, &Reasoner),
    ) -> Result<Question, ApiError> {
        let Some(acting) = self.checked(state, reasoner)? else { return Ok(question) };
        check_rounds(&question)?;
        Ok(Question { acting: Some(acting), ..question })
    }

    fn checked(self, state: &AppState, reasoner: &Reasoner) -> Result<Option<Acting>, ApiError> {
        let is_told = [
            ("tools", self.tools.is_some()),
            ("facts", self.facts.is_some()),
            ("max_rounds", self.max_rounds.is_some()),
        ];
        if !reasoner.acts() {
            return match is_told.into_iter().find(|(_, is_told)| *is_told) {
                Some((field, _)) => Err(ApiError::invalid(field, "this model calls no tools")),
                None => Ok(None),
            };
        }
        if self.max_rounds == Some(0) {
            return Err(ApiError::invalid("max_rounds", "must be at least 1"));
        }
        if self.facts.as_ref().is_some_and(|facts| facts.len() > MAX_FACTS) {
            return Err(ApiError::invalid("facts", format!("at most {MAX_FACTS} bytes")));
        }
        let all = &state.config().tools;
        let tools = match &self.tools {
            Some(names) => {
                let narrowed = all.narrowed(names);
                narrowed.map_err(|error| ApiError::invalid("tools", error))?
            }
            None => all.clone(),
        };
        let (facts, max_rounds) = (self.facts.map(Arc::from), self.max_rounds);
        let call_timeout = state.config().tool_timeout;
        Ok(Some(Acting { tools, facts, form: None, max_rounds, call_timeout }))
    }
}

/// Refuses what a dialogue has no place for, by the names that all routes have for it.
fn check_rounds(question: &Question) -> Result<(), ApiError> {
    let saying = question.saying();
    let impossible = [
        ("n", saying.is_some_and(|saying| saying.samples > 1)),
        ("sweep", matches!(question.thinking.steps, LatentSteps::Sweep(_))),
        ("inside", question.inside.is_some()),
        ("interventions", !question.thinking.interventions.is_empty()),
        ("stop", saying.is_some_and(|saying| !saying.stop.is_empty())),
    ];
    match impossible.into_iter().find(|(_, is_there)| *is_there) {
        Some((field, _)) => {
            Err(ApiError::invalid(field, "this model answers in rounds, with tools in between"))
        }
        None => Ok(()),
    }
}

/// Asks rounds through the desk, like any question.
struct Rounds {
    state: AppState,
    reasoner: Arc<Reasoner>,
    asking: Asking,
}

impl Asks for Rounds {
    type Reply = Watched;
    type Error = ApiError;

    async fn ask(&self, question: Question, has_begun: bool) -> Result<Watched, ApiError> {
        // How a round ended is not how the question did.
        let asking = Asking { outcome: OutcomeSlot::default(), ..self.asking.clone() };
        loop {
            match ask(&self.state, &self.reasoner, question.clone(), &asking).await {
                Err(ApiError::QueueFull { .. }) if has_begun => pause(asking.deadline).await?,
                asked => return asked,
            }
        }
    }

    fn refuse(&self, error: AskError) -> ApiError {
        ApiError::refused(error, self.asking.fields)
    }

    fn is_too_long(&self, error: &ApiError) -> bool {
        matches!(error, ApiError::TooLong { .. } | ApiError::FarTooLong { .. })
    }

    fn calling(&self, _action: &Action) -> impl Send {
        Counted::of(&self.state.metrics().tools_running)
    }

    fn called(&self, action: &Action, observation: &Observation, took: Duration) {
        let Some(call) = &action.call else { return };
        let tools = &self.state.config().tools;
        // A label must not grow with what models make up.
        let name = tools.declarations().find(|known| known.name.eq_ignore_ascii_case(&call.name));
        let name = name.map_or("unknown", |known| known.name.as_str());
        let outcome = if observation.is_error { "error" } else { "found" };
        let metrics = self.state.metrics();
        metrics.tool_calls_total.with_label_values(&[name, outcome]).inc();
        metrics.tool_seconds.with_label_values(&[name]).observe(took.as_secs_f64());
    }
}

impl Replies for Watched {
    async fn next(&mut self) -> Part {
        Self::next(self).await
    }
}

/// One more, for as long as it lives.
struct Counted(IntGauge);

impl Counted {
    fn of(gauge: &IntGauge) -> Self {
        gauge.inc();
        Self(gauge.clone())
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.dec();
    }
}

/// A dialogue in the making; dropping it cancels it and is logged as such.
pub(in crate::http) struct Dialogue {
    talk: Talk<Rounds>,
    prompt_tokens: usize,
    outcome: OutcomeSlot,
    _counted: Counted,
    _place: OwnedSemaphorePermit,
}

impl Dialogue {
    /// Asks the first round.
    ///
    /// # Errors
    /// Where it is refused, or there are as many dialogues as there may be.
    pub(in crate::http) async fn begin(
        state: &AppState,
        reasoner: &Arc<Reasoner>,
        question: Question,
        asking: &Asking,
    ) -> Result<Self, ApiError> {
        let place = state.dialogues().try_acquire_owned();
        let place = place.map_err(|_full| ApiError::QueueFull { retry_after: RETRY_FULL })?;
        let counted = Counted::of(&state.metrics().dialogues);
        let (outcome, asking) = (Arc::clone(&asking.outcome), asking.clone());
        let timeout = asking.deadline.saturating_duration_since(Instant::now());
        let question = Question { timeout, ..question };
        let rounds = Rounds { state: state.clone(), reasoner: Arc::clone(reasoner), asking };
        let talk = Talk::begin(rounds, Arc::clone(reasoner), question).await?;
        let prompt_tokens = talk.prompt_tokens();
        Ok(Self { talk, prompt_tokens, outcome, _counted: counted, _place: place })
    }

    /// Positions of the first prompt.
    pub(in crate::http) fn prompt_tokens(&self) -> usize {
        self.prompt_tokens
    }

    /// All parts; an error is the last.
    pub(in crate::http) fn parts(self) -> impl Stream<Item = Result<Part, ApiError>> {
        stream::unfold(Some(self), async |dialogue| {
            let mut dialogue = dialogue?;
            let part = dialogue.talk.next().await?;
            if let Ok(Part::Done(answer)) = &part {
                dialogue.outcome.get_or_init(|| answered(answer));
            }
            let more =
                matches!(&part, Ok(part) if !matches!(part, Part::Done(_) | Part::Failed(_)));
            Some((part, more.then_some(dialogue)))
        })
    }
}

impl Drop for Dialogue {
    fn drop(&mut self) {
        self.outcome.get_or_init(|| without_answer("cancelled"));
    }
}
