//! An answer as server-sent events. Does not know how parts are written as JSON, nor which there are.

use crate::http::asking::parts::LAST_WORK;
use crate::http::asking::parts::answer_bytes;
use crate::http::asking::parts::inside_bytes;
use crate::http::asking::parts::thought_bytes;
use crate::http::asking::several::Several;
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
use futures::StreamExt as _;
use futures::stream;
use serde::Serialize;
use std::convert::Infallible;
use tokio::time::Instant;
use utoipa::openapi::ObjectBuilder;
use utoipa::openapi::OneOfBuilder;
use utoipa::openapi::RefOr;
use utoipa::openapi::Type;
use utoipa::openapi::schema::Schema;

/// Asks proxies not to collect events before passing them on.
const NO_BUFFERING: (HeaderName, &str) = (HeaderName::from_static("x-accel-buffering"), "no");

/// What a route makes of parts: events.
pub(in crate::http) trait Show: Send + 'static {
    /// Those of a part of the question with this number.
    fn part(&mut self, question: usize, part: Part) -> Vec<Event>;

    /// Is told before each part how many positions the prompts have that were accepted so far.
    fn asked(&mut self, _prompt_tokens: usize) {}

    /// Those behind the last part.
    fn end(&mut self) -> Vec<Event> {
        Vec::new()
    }

    /// Those in the place of all that is missing.
    fn failed(error: ApiError) -> Vec<Event>;
}

/// Events as parts come; a comment after each ping interval of silence.
pub(in crate::http) fn response<S: Show>(parts: Several, show: S, state: AppState) -> Response {
    let ping = KeepAlive::new().interval(state.config().ping_interval).text("ping");
    let events = stream::unfold(Some((parts, show, state)), async |writing| {
        let (mut parts, mut show, state) = writing?;
        let next = parts.next().await;
        show.asked(parts.prompt_tokens());
        Some(match written(next, show, &state).await {
            (events, Some(show)) => (events, Some((parts, show, state))),
            (events, None) => {
                parts.give_up();
                (events, None)
            }
        })
    });
    let events = events.flat_map(|events| stream::iter(events).map(Ok::<_, Infallible>));
    ([NO_BUFFERING], Sse::new(events).keep_alive(ping)).into_response()
}

/// The events of what comes next, and who shows what follows, if anything does.
async fn written<S: Show>(
    next: Option<Result<(usize, Part), ApiError>>,
    mut show: S,
    state: &AppState,
) -> (Vec<Event>, Option<S>) {
    match next {
        None => (show.end(), None),
        Some(Err(error)) => (S::failed(error), None),
        Some(Ok((_, Part::Failed(failure)))) => (S::failed(failure.into()), None),
        Some(Ok((at, part))) => {
            let work = Work::Write(bytes(&part));
            let shown = move || (show.part(at, part), show);
            let shown = state.writing().run(work, Instant::now() + LAST_WORK, shown).await;
            match shown {
                Ok((events, show)) => (events, Some(show)),
                Err(error) => (S::failed(error), None),
            }
        }
    }
}

fn bytes(part: &Part) -> usize {
    match part {
        Part::Thought { thought, .. } => thought_bytes(thought),
        Part::Inside { row, .. } => inside_bytes(row),
        Part::Done(answer) => answer_bytes(answer),
        Part::Scored { scores, .. } => 256 * scores.len(),
        Part::Prompt(tokens) => tokens.iter().map(|token| 256 * (1 + token.top.len())).sum(),
        Part::Token { token, .. } => 256 * token.top.len(),
        Part::Action(_) | Part::Observed { .. } | Part::Failed(_) => 0,
    }
}

/// The last event of what is no answer.
pub(in crate::http) fn failed(error: &ApiError) -> Event {
    event("error", error.body())
}

/// An event of this name.
pub(in crate::http) fn event(name: &str, data: impl Serialize) -> Event {
    let event = Event::default().event(name).json_data(data);
    event.expect("keys are strings, and floats that are not finite become null")
}

/// Events without names, for the document: what their data is.
pub(in crate::http) fn unnamed_schema(data: &str) -> RefOr<Schema> {
    let data = ObjectBuilder::new().schema_type(Type::String).description(Some(format!(
        "A `{data}`; `[DONE]` at the end; an `ErrorBody` where something failed."
    )));
    let event = ObjectBuilder::new().property("data", data).required("data");
    event.description(Some("A server-sent event, of data alone.")).into()
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
