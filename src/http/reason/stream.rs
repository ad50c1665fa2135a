//! An answer as server-sent events. Does not know how parts are written as JSON.

use super::response::ReasonResponse;
use super::response::ThoughtBody;
use super::response::TokenBody;
use super::response::View;
use super::watched::Watched;
use crate::http::error::ApiError;
use crate::http::error::ErrorBody;
use crate::reason::types::Part;
use axum::http::HeaderName;
use axum::response::IntoResponse;
use axum::response::Response;
use axum::response::Sse;
use axum::response::sse::Event;
use axum::response::sse::KeepAlive;
use futures::stream;
use serde::Serialize;
use std::convert::Infallible;
use std::time::Duration;
use utoipa::ToSchema;

/// Asks proxies not to collect events before passing them on.
const NO_BUFFERING: (HeaderName, &str) = (HeaderName::from_static("x-accel-buffering"), "no");

/// Events `thought` and `token` as they happen, then one `done` or `error`; a comment after each `ping` of silence.
pub(super) fn response(reply: Watched, view: View, ping: Duration) -> Response {
    let events = stream::unfold(Some((reply, view)), async |state| {
        let (mut reply, view) = state?;
        let part = reply.next().await;
        let more = matches!(part, Part::Thought(_) | Part::Token(_));
        let event = ReasonEvent::of(part, &view).into_event();
        Some((Ok::<_, Infallible>(event), more.then_some((reply, view))))
    });
    let ping = KeepAlive::new().interval(ping).text("ping");
    ([NO_BUFFERING], Sse::new(events).keep_alive(ping)).into_response()
}

/// What an event's `data` holds; `event` names which.
#[derive(Debug, Serialize, ToSchema)]
#[serde(untagged)]
pub(in crate::http) enum ReasonEvent {
    /// `event: thought`: a latent step was computed.
    #[schema(title = "thought")]
    Thought(ThoughtBody),
    /// `event: token`: an answer token was chosen.
    #[schema(title = "token")]
    Token(TokenBody),
    /// `event: done`: the complete answer; nothing follows.
    #[schema(title = "done")]
    Done(Box<ReasonResponse>),
    /// `event: error`: there will be no answer; nothing follows.
    #[schema(title = "error")]
    Error(ErrorBody),
}

impl ReasonEvent {
    fn of(part: Part, view: &View) -> Self {
        match part {
            Part::Thought(thought) => Self::Thought(view.thought(thought)),
            Part::Token(token) => Self::Token(token.into()),
            Part::Done(answer) => Self::Done(Box::new(view.answer(*answer))),
            Part::Failed(failure) => Self::Error(ApiError::from(failure).body()),
        }
    }

    fn into_event(self) -> Event {
        let name = match self {
            Self::Thought(_) => "thought",
            Self::Token(_) => "token",
            Self::Done(_) => "done",
            Self::Error(_) => "error",
        };
        let event = Event::default().event(name).json_data(self);
        event.expect("keys are strings, and floats that are not finite become null")
    }
}
