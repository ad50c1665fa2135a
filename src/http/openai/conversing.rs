//! What the routes that take conversations make of a request. Knows no JSON of either.

use crate::http::asking::acting::WantedTools;
use crate::http::openai::calls::Speech;
use crate::http::openai::extras::Extras;
use crate::http::openai::saying::SayingFields;
use crate::reason::question::Question;

/// What a request comes to.
#[derive(Debug)]
pub(super) struct Asking {
    pub(super) question: Question,
    pub(super) saying: SayingFields,
    pub(super) extras: Extras,
    /// How its answers are to be read.
    pub(super) speech: Speech,
    /// What the model may do by itself.
    pub(super) acting: WantedTools,
}
