//! The events of a response, for the document. Does not write any.

use crate::http::asking::stream;
use utoipa::PartialSchema;
use utoipa::ToSchema;
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::Schema;

/// What an event's `data` holds, for the document.
#[derive(Debug)]
pub(in crate::http) struct SpeakingEvent;

impl PartialSchema for SpeakingEvent {
    fn schema() -> RefOr<Schema> {
        let kinds = [
            ["response.created", "it is accepted"],
            ["response.in_progress", "it is being computed"],
            ["response.coconut.progress", "a thought, or what is inside"],
            ["response.output_item.added", "a message or a call began"],
            ["response.content_part.added", "a message's text began"],
            ["response.output_text.delta", "more of a text"],
            ["response.output_text.done", "all of a text"],
            ["response.content_part.done", "all of a text"],
            ["response.function_call_arguments.delta", "more of a call's arguments"],
            ["response.function_call_arguments.done", "all of a call's arguments"],
            ["response.output_item.done", "a message or a call is complete"],
            ["response.completed", "the whole response; nothing follows"],
            ["response.incomplete", "the whole response, cut; nothing follows"],
            ["error", "there will be no response; nothing follows"],
        ];
        let kinds = kinds.map(|[kind, says]| [kind, "JSON object of this type", says]);
        stream::schema(&kinds)
    }
}

impl ToSchema for SpeakingEvent {}
