//! An answer as server-sent events. Does not know how parts are written as JSON, nor which there are.

use crate::http::asking::parts::LAST_WORK;
use crate::http::asking::parts::answer_bytes;
use crate::http::asking::parts::inside_bytes;
use crate::http::asking::parts::thought_bytes;
use crate::http::asking::watched::Watched;
use crate::http::desk::Work;
use crate::http::error::ApiError;
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
use utoipa::openapi::ObjectBuilder;
use utoipa::openapi::OneOfBuilder;
use utoipa::openapi::RefOr;
use utoipa::openapi::Type;
use utoipa::openapi::schema::Schema;

/// Asks proxies not to collect events before passing them on.
const NO_BUFFERING: (HeaderName, &str) = (HeaderName::from_static("x-accel-buffering"), "no");

/// What a route makes of a part: an event, or none.
pub(in crate::http) trait Show: Send + Sync + 'static {
    /// The name and the data of a part; the last one is `done` or `error`.
    fn event(&self, part: Part) -> Option<Event>;
}

/// Events as parts come; a comment after each ping interval of silence.
pub(in crate::http) fn response(reply: Watched, show: impl Show, state: AppState) -> Response {
    let (ping, show) = (state.config().ping_interval, Arc::new(show));
    let events = stream::unfold(Some((reply, show, state)), async |mut writing| {
        loop {
            let (mut reply, show, state) = writing?;
            let part = reply.next().await;
            let more = !matches!(part, Part::Done(_) | Part::Failed(_));
            let (work, shown) = (Work::Write(bytes(&part)), Arc::clone(&show));
            let written = move || shown.event(part);
            let event = state.writing().run(work, Instant::now() + LAST_WORK, written).await;
            let event = event.unwrap_or_else(|error| Some(failed(error)));
            writing = more.then_some((reply, show, state));
            if let Some(event) = event {
                return Some((Ok::<_, Infallible>(event), writing));
            }
        }
    });
    let ping = KeepAlive::new().interval(ping).text("ping");
    ([NO_BUFFERING], Sse::new(events).keep_alive(ping)).into_response()
}

fn bytes(part: &Part) -> usize {
    match part {
        Part::Thought { thought, .. } => thought_bytes(thought),
        Part::Inside { row, .. } => inside_bytes(row),
        Part::Done(answer) => answer_bytes(answer),
        Part::Scored { scores, .. } => 256 * scores.len(),
        Part::Token { .. } | Part::Failed(_) => 0,
    }
}

/// The last event of what is no answer.
pub(in crate::http) fn failed(error: impl Into<ApiError>) -> Event {
    event("error", error.into().body())
}

/// An event of this name.
pub(in crate::http) fn event(name: &str, data: impl Serialize) -> Event {
    let event = Event::default().event(name).json_data(data);
    event.expect("keys are strings, and floats that are not finite become null")
}

/// Events as they are sent, for the document: their names, what their data is, what they say.
pub(in crate::http) fn schema(events: &[[&str; 3]]) -> RefOr<Schema> {
    let one = |[name, data, says]: &[&str; 3]| {
        let name = ObjectBuilder::new().schema_type(Type::String).enum_values(Some([*name]));
        let data = ObjectBuilder::new()
            .schema_type(Type::String)
            .content_media_type("application/json")
            .description(Some(format!("A `{data}`: {says}.")));
        let event = ObjectBuilder::new().property("event", name).property("data", data);
        event.required("event").required("data")
    };
    let all = OneOfBuilder::new().description(Some("A server-sent event."));
    events.iter().fold(all, |all, event| all.item(one(event))).into()
}
