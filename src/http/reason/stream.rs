//! An answer as server-sent events. Does not know how parts are written as JSON.

use super::response::TokenBody;
use super::response::View;
use super::watched::Watched;
use crate::http::error::ApiError;
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

/// Asks proxies not to collect events before passing them on.
const NO_BUFFERING: (HeaderName, &str) = (HeaderName::from_static("x-accel-buffering"), "no");

/// Events `thought` and `token` as they happen, then one `done` or `error`; a comment after each `ping` of silence.
pub(super) fn response(reply: Watched, view: View, ping: Duration) -> Response {
    let events = stream::unfold(Some((reply, view)), async |state| {
        let (mut reply, view) = state?;
        let part = reply.next().await;
        let more = matches!(part, Part::Thought(_) | Part::Token(_));
        let event = event(part, &view);
        Some((Ok::<_, Infallible>(event), more.then_some((reply, view))))
    });
    let ping = KeepAlive::new().interval(ping).text("ping");
    ([NO_BUFFERING], Sse::new(events).keep_alive(ping)).into_response()
}

fn event(part: Part, view: &View) -> Event {
    match part {
        Part::Thought(thought) => named("thought", &view.thought(thought)),
        Part::Token(token) => named("token", &TokenBody::from(token)),
        Part::Done(answer) => named("done", &view.answer(*answer)),
        Part::Failed(failure) => named("error", &ApiError::from(failure).body()),
    }
}

fn named(name: &str, data: &impl Serialize) -> Event {
    Event::default()
        .event(name)
        .json_data(data)
        .expect("keys are strings and floats that are not finite become null")
}
