//! The way of a question to the engine: what it borrows is computed, it is tokenized away from the connections, and a refusal
//! names the field that is to blame. Knows no route's JSON.

use crate::engine::request::Rejected;
use crate::http::asking::watched::Watched;
use crate::http::desk::Work;
use crate::http::error::ApiError;
use crate::http::error::Fields;
use crate::http::state::AppState;
use crate::http::state::Served;
use crate::http::track::OutcomeSlot;
use crate::reason::borrow::Borrowed;
use crate::reason::borrow::Loan;
use crate::reason::question::AskError;
use crate::reason::question::LatentSteps;
use crate::reason::question::Question;
use crate::reason::question::Then;
use crate::reason::reasoner::Reasoner;
use crate::reason::reply::Reply;
use crate::reason::scoring::Continuation;
use std::sync::Arc;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

/// What the questions of one request have in common.
#[derive(Clone, Debug)]
pub(in crate::http) struct Asking {
    /// How its route calls what may be to blame.
    pub(in crate::http) fields: Fields,
    /// When all must be answered.
    pub(in crate::http) deadline: Instant,
    /// Where it is told how they ended.
    pub(in crate::http) outcome: OutcomeSlot,
    /// Said before the server itself drops what is left of them, since one of them failed: no client went away then.
    pub(in crate::http) given_up: CancellationToken,
}

impl Asking {
    pub(in crate::http) fn new(fields: Fields, deadline: Instant, outcome: OutcomeSlot) -> Self {
        Self { fields, deadline, outcome, given_up: CancellationToken::new() }
    }
}

/// How the routes of our own call what may be to blame.
pub(in crate::http) const OURS: Fields = Fields { question: "question", max_tokens: "max_tokens" };

/// Submits a question, after those whose thoughts it takes.
pub(in crate::http) async fn ask(
    state: &AppState,
    reasoner: &Arc<Reasoner>,
    question: Question,
    asking: &Asking,
) -> Result<Watched, ApiError> {
    let Asking { fields, deadline, .. } = *asking;
    let (question, mut borrowed) = (Arc::new(question), Borrowed::default());
    let loans = reasoner.loans(&question).map_err(|error| refused(&question, error, fields))?;
    for loan in &loans {
        let timeout = deadline.saturating_duration_since(Instant::now());
        let lending = Arc::new(question.lending(loan, timeout));
        let reply = submit(state, reasoner, (&lending, Borrowed::default()), deadline).await?;
        let reply = reply.map_err(|error| blamed(loan, error, fields))?;
        // How it ended is not how the question did.
        let told = (OutcomeSlot::default(), asking.given_up.clone());
        let reply = Watched::new(reply, deadline, told);
        borrowed.take(loan, reply.complete().await?.thoughts);
    }
    let reply = submit(state, reasoner, (&question, borrowed), deadline).await?;
    let reply = reply.map_err(|error| refused(&question, error, fields))?;
    let told = (Arc::clone(&asking.outcome), asking.given_up.clone());
    Ok(Watched::new(reply, deadline, told))
}

async fn submit(
    state: &AppState,
    reasoner: &Arc<Reasoner>,
    (question, borrowed): (&Arc<Question>, Borrowed),
    deadline: Instant,
) -> Result<Result<Reply, AskError>, ApiError> {
    let work = Work::Tokenize(text_bytes(question));
    let (reasoner, question) = (Arc::clone(reasoner), Arc::clone(question));
    // Not by the question's own timeout: whatever came before it, other questions among it, took of the same time.
    let asked = move || reasoner.ask_by(&question, &borrowed, deadline.into_std());
    state.reading().run(work, deadline, asked).await
}

fn text_bytes(question: &Question) -> usize {
    let scored = match &question.then {
        Then::Score(scoring) => scoring.bytes(),
        Then::Say(_) | Then::Nothing => 0,
    };
    question.asked.bytes() + scored
}

/// The refusal of a question, which names the field that is to blame.
fn refused(question: &Question, error: AskError, fields: Fields) -> ApiError {
    match error {
        AskError::Rejected(Rejected::TooManyBranches { .. } | Rejected::TooLarge { .. }) => {
            ApiError::invalid(branching(question, fields), error)
        }
        AskError::Rejected(Rejected::Malformed(_)) => ApiError::invalid("interventions", error),
        AskError::Rejected(Rejected::UnknownId { .. } | Rejected::Empty)
            if matches!(question.then, Then::Score(_)) =>
        {
            ApiError::invalid("continuations", error)
        }
        AskError::Rejected(rejected @ Rejected::TooLong { .. }) => {
            let param = too_long_field(question, &rejected, fields);
            ApiError::TooLong { rejected, param }
        }
        AskError::TooManyLatentSteps { .. }
            if matches!(question.thinking.steps, LatentSteps::Sweep(_)) =>
        {
            ApiError::invalid("sweep", error)
        }
        error => ApiError::refused(error, fields),
    }
}

/// What could be shorter: of what is said or scored, where the prompt alone would have fitted.
fn too_long_field(question: &Question, rejected: &Rejected, fields: Fields) -> &'static str {
    match (&question.then, rejected) {
        (Then::Score(scoring), Rejected::TooLong { prompt, available, .. })
            if prompt < available =>
        {
            let longest = scoring.continuations.iter().map(Continuation::length).max();
            if longest < Some(scoring.prefix.len()) { "prefix" } else { "continuations" }
        }
        _ => fields.too_long(rejected),
    }
}

/// The field that a question has its many ends from.
fn branching(question: &Question, fields: Fields) -> &'static str {
    match (&question.then, &question.thinking.steps) {
        (Then::Score(scoring), _) if scoring.continuations.len() > 1 => "continuations",
        (_, LatentSteps::Sweep(_)) => "sweep",
        (Then::Say(saying), _) if saying.samples > 1 => "n",
        _ => fields.question,
    }
}

/// The refusal of a question that another one borrows from.
fn blamed(loan: &Loan, error: AskError, fields: Fields) -> ApiError {
    match (loan.intervention, &loan.question, error) {
        (
            ..,
            error @ AskError::Rejected(Rejected::Full { .. } | Rejected::Stopping | Rejected::Dead),
        ) => ApiError::refused(error, fields),
        (Some(index), Some(_), error) => {
            ApiError::invalid(&format!("interventions[{index}].from.question"), error)
        }
        (.., error) => ApiError::refused(error, fields),
    }
}

/// What chance follows from where a request does not say: a number that JSON means the same everywhere.
pub(in crate::http) fn random_seed(id: Uuid) -> u64 {
    id.as_u64_pair().1 >> 11
}

/// The model, once it is loaded.
pub(in crate::http) fn loaded(state: &AppState) -> Result<&Served, ApiError> {
    state.served().inspect_err(|_loading| {
        state.metrics().rejected_total.with_label_values(&["loading"]).inc();
    })
}
