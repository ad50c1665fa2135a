//! The document's side of bodies that are read group by group: one object with the fields of all.

use serde_json::Value;
use utoipa::openapi::ObjectBuilder;
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::Schema;

/// The object that has the fields of all these objects.
pub(super) fn merged(
    description: &str,
    example: Value,
    groups: impl IntoIterator<Item = RefOr<Schema>>,
) -> RefOr<Schema> {
    let all = ObjectBuilder::new().description(Some(description));
    let all = groups.into_iter().fold(all, |all, group| {
        let RefOr::T(Schema::Object(group)) = group else { return all };
        let all =
            group.properties.into_iter().fold(all, |all, (name, field)| all.property(name, field));
        group.required.into_iter().fold(all, ObjectBuilder::required)
    });
    #[expect(deprecated, reason = "as all other schemas of the document have it")]
    let all = all.example(Some(example));
    all.into()
}
