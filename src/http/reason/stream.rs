//! An answer as server-sent events. Does not know how parts are written as JSON.

use super::response::LAST_WORK;
use super::response::ReasonResponse;
use super::response::ThoughtBody;
use super::response::TokenBody;
use super::response::View;
use super::response::answer_bytes;
use super::response::thought_bytes;
use super::watched::Watched;
use crate::http::desk::Work;
use crate::http::error::ApiError;
use crate::http::error::ErrorBody;
use crate::http::state::AppState;
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
use std::sync::Arc;
use tokio::time::Instant;
use utoipa::PartialSchema;
use utoipa::ToSchema;
use utoipa::openapi::ObjectBuilder;
use utoipa::openapi::OneOfBuilder;
use utoipa::openapi::RefOr;
use utoipa::openapi::Type;
use utoipa::openapi::schema::Schema;

/// Asks proxies not to collect events before passing them on.
const NO_BUFFERING: (HeaderName, &str) = (HeaderName::from_static("x-accel-buffering"), "no");

/// Events `thought` and `token` as they happen, then one `done` or `error`; a comment after each ping interval of silence.
pub(super) fn response(reply: Watched, view: View, state: AppState) -> Response {
    let (ping, view) = (state.config().ping_interval, Arc::new(view));
    let events = stream::unfold(Some((reply, view, state)), async |writing| {
        let (mut reply, view, state) = writing?;
        let part = reply.next().await;
        let more = matches!(part, Part::Thought(_) | Part::Token(_));
        let (work, shown) = (Work::Write(bytes(&part)), Arc::clone(&view));
        let written = move || ReasonEvent::of(part, &shown).into_event();
        let event = state.writing().run(work, Instant::now() + LAST_WORK, written).await;
        let event = event.unwrap_or_else(|error| ReasonEvent::Error(error.body()).into_event());
        Some((Ok::<_, Infallible>(event), more.then_some((reply, view, state))))
    });
    let ping = KeepAlive::new().interval(ping).text("ping");
    ([NO_BUFFERING], Sse::new(events).keep_alive(ping)).into_response()
}

fn bytes(part: &Part) -> usize {
    match part {
        Part::Thought(thought) => thought_bytes(thought),
        Part::Done(answer) => answer_bytes(answer),
        Part::Token(_) | Part::Failed(_) => 0,
    }
}

/// What an event's `data` holds; `event` names which.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub(in crate::http) enum ReasonEvent {
    Thought(ThoughtBody),
    Token(TokenBody),
    Done(Box<ReasonResponse>),
    Error(ErrorBody),
}

impl PartialSchema for ReasonEvent {
    /// An event as it is sent: its name, and JSON as text.
    fn schema() -> RefOr<Schema> {
        let event = |name: &str, data: &str, says: &str| {
            let name = ObjectBuilder::new().schema_type(Type::String).enum_values(Some([name]));
            let data = ObjectBuilder::new()
                .schema_type(Type::String)
                .content_media_type("application/json")
                .description(Some(format!("A `{data}`: {says}.")));
            let event = ObjectBuilder::new().property("event", name).property("data", data);
            event.required("event").required("data")
        };
        OneOfBuilder::new()
            .item(event("thought", "ThoughtBody", "a latent step was computed"))
            .item(event("token", "TokenBody", "an answer token was chosen"))
            .item(event("done", "ReasonResponse", "the complete answer; nothing follows"))
            .item(event("error", "ErrorBody", "there will be no answer; nothing follows"))
            .description(Some("A server-sent event."))
            .into()
    }
}

impl ToSchema for ReasonEvent {
    fn schemas(schemas: &mut Vec<(String, RefOr<Schema>)>) {
        schemas.push((ThoughtBody::name().into_owned(), ThoughtBody::schema()));
        schemas.push((TokenBody::name().into_owned(), TokenBody::schema()));
        ThoughtBody::schemas(schemas);
        TokenBody::schemas(schemas);
    }
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
