//! Events as OpenAI's clients read them: data alone, without names, `[DONE]` last. Knows no route.

use crate::http::error::ApiError;
use axum::response::sse::Event;
use serde::Serialize;

/// A chunk.
pub(super) fn data(body: &impl Serialize) -> Event {
    let event = Event::default().json_data(body);
    event.expect("keys are strings, and floats that are not finite become null")
}

/// Nothing follows.
pub(super) fn done() -> Event {
    Event::default().data("[DONE]")
}

/// In the place of all that is missing.
pub(super) fn failed(error: &ApiError) -> Vec<Event> {
    vec![data(&error.body()), done()]
}
