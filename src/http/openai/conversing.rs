//! What the routes that take conversations make of a request. Knows no JSON of either.

use crate::http::asking::acting::WantedTools;
use crate::http::error::ApiError;
use crate::http::error::Fields;
use crate::http::openai::calls::Speech;
use crate::http::openai::extras::Extras;
use crate::http::openai::saying::SayingFields;
use crate::http::state::AppState;
use crate::reason::question::Question;
use crate::reason::reasoner::Reasoner;

/// What a request comes to.
#[derive(Debug)]
pub(super) struct Asking {
    pub(super) question: Question,
    /// What the client calls it.
    pub(super) fields: Fields,
    pub(super) saying: SayingFields,
    pub(super) extras: Extras,
    /// How its answers are to be read.
    pub(super) speech: Speech,
    /// What the model may do by itself.
    pub(super) acting: WantedTools,
}

/// The question with what the model may do by itself: nothing where the client brought tools of its own.
pub(super) fn acting(
    question: Question,
    (wanted, speech): (WantedTools, &Speech),
    at: (&AppState, &Reasoner),
) -> Result<Question, ApiError> {
    if matches!(speech, Speech::Plain) {
        return wanted.given_to(question, at);
    }
    wanted.check_absent()?;
    Ok(question)
}
