//! Whole numbers of JSON, also where a client writes them as `6.0`: to JSON that is the same number. Knows no field and no
//! bounds beyond those of the types.

use serde::Deserialize;
use serde::Deserializer;
use serde::de::Error as _;
use serde_json::Number;
use utoipa::PartialSchema;
use utoipa::ToSchema;
use utoipa::openapi::ObjectBuilder;
use utoipa::openapi::RefOr;
use utoipa::openapi::Type;
use utoipa::openapi::schema::Schema;

/// 2 to the 64.
const BEYOND_U64: f64 = 18_446_744_073_709_551_616.0;

/// 2 to the 63.
const BEYOND_I64: f64 = 9_223_372_036_854_775_808.0;

/// A number's value, or why it has none.
pub(super) fn whole<T: TryFrom<u64>>(number: &Number) -> Result<T, String> {
    let value = number.as_u64().or_else(|| {
        let value = number.as_f64()?;
        let is_whole = value.fract() == 0.0 && (0.0..BEYOND_U64).contains(&value);
        is_whole.then_some(value as u64)
    });
    let value = value.and_then(|value| T::try_from(value).ok());
    value.ok_or_else(|| format!("`{number}` is not a whole number from 0 to {}", u64::MAX))
}

/// For fields that may be absent or `null`.
pub(super) fn whole_or_none<'de, D: Deserializer<'de>, T: TryFrom<u64>>(
    json: D,
) -> Result<Option<T>, D::Error> {
    let number = Option::<Number>::deserialize(json)?;
    number.map(|number| whole(&number).map_err(D::Error::custom)).transpose()
}

/// For fields that may be absent, `null`, or negative.
pub(super) fn signed_or_none<'de, D: Deserializer<'de>>(json: D) -> Result<Option<i64>, D::Error> {
    let number = Option::<Number>::deserialize(json)?;
    number.map(|number| signed(&number).map_err(D::Error::custom)).transpose()
}

fn signed(number: &Number) -> Result<i64, String> {
    let value = number.as_i64().or_else(|| {
        let value = number.as_f64()?;
        // The least is left out: whatever lies just below it is read as it.
        let is_whole = value.fract() == 0.0 && value.abs() < BEYOND_I64;
        is_whole.then_some(value as i64)
    });
    value.ok_or_else(|| {
        format!("`{number}` is not a whole number from {} to {}", i64::MIN, i64::MAX)
    })
}

/// One of any kind.
struct Any<T>(T);

impl<'de, T: TryFrom<u64>> Deserialize<'de> for Any<T> {
    fn deserialize<D: Deserializer<'de>>(json: D) -> Result<Self, D::Error> {
        whole(&Number::deserialize(json)?).map(Self).map_err(D::Error::custom)
    }
}

/// For what is nothing else.
pub(super) fn one<'de, D: Deserializer<'de>, T: TryFrom<u64>>(json: D) -> Result<T, D::Error> {
    Ok(Any::deserialize(json)?.0)
}

/// For lists.
pub(super) fn list<'de, D: Deserializer<'de>, T: TryFrom<u64>>(
    json: D,
) -> Result<Vec<T>, D::Error> {
    Ok(Vec::<Any<T>>::deserialize(json)?.into_iter().map(|number| number.0).collect())
}

/// For lists of them.
pub(super) fn lists<'de, D: Deserializer<'de>, T: TryFrom<u64>>(
    json: D,
) -> Result<Vec<Vec<T>>, D::Error> {
    let lists = Vec::<Vec<Any<T>>>::deserialize(json)?.into_iter();
    Ok(lists.map(|list| list.into_iter().map(|number| number.0).collect()).collect())
}

/// One of a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Whole(pub(super) usize);

impl<'de> Deserialize<'de> for Whole {
    fn deserialize<D: Deserializer<'de>>(json: D) -> Result<Self, D::Error> {
        whole(&Number::deserialize(json)?).map(Self).map_err(D::Error::custom)
    }
}

impl PartialSchema for Whole {
    fn schema() -> RefOr<Schema> {
        let number = ObjectBuilder::new().schema_type(Type::Integer);
        number.minimum(Some(0)).maximum(Some(1_048_576)).into()
    }
}

impl ToSchema for Whole {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signed_numbers_are_what_the_client_wrote_or_refused() {
        for (text, value) in [
            ("-9223372036854775808", Some(i64::MIN)),
            ("-9223372036854775809", None),
            ("9223372036854775807", Some(i64::MAX)),
            ("9223372036854775808", None),
            ("-6.0", Some(-6)),
            ("6.5", None),
        ] {
            let number: Number = serde_json::from_str(text).unwrap();
            assert_eq!(signed(&number).ok(), value, "{text}");
        }
    }
}
