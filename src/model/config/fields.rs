//! Fields of a JSON object as Python programs write them: null is absent, and so is a negative id (-1 and -100 are how
//! "not set" is written where a number is wanted). Every refusal names the field. Knows no field by name.

use crate::model::error::Error;
use crate::model::error::Result;
use coconut_kernels::activation::Activation;
use serde_json::Map;
use serde_json::Value;

/// How much of a wrong value is shown, in characters.
const SHOWN_CHARACTERS: usize = 40;

/// An object and where it stands.
#[derive(Clone, Debug)]
pub(super) struct Fields<'a> {
    object: &'a Map<String, Value>,
    /// What its fields' names begin with in refusals: nothing at the top, else `rope_scaling.` or the like.
    place: String,
}

impl<'a> Fields<'a> {
    /// The fields at the top of a file.
    pub(super) fn of(value: &'a Value) -> Result<Self> {
        match value {
            Value::Object(object) => Ok(Self { object, place: String::new() }),
            other => {
                let field = "model_type".to_owned();
                let reason = format!("is missing; the file {}", wanted("an object", other));
                Err(Error::Config { field, reason })
            }
        }
    }

    /// The object in a field.
    pub(super) fn section(&self, name: &str) -> Result<Option<Self>> {
        let Some(value) = self.value(name) else { return Ok(None) };
        match value {
            Value::Object(object) => {
                Ok(Some(Self { object, place: format!("{}{name}.", self.place) }))
            }
            other => Err(self.invalid(name, wanted("an object", other))),
        }
    }

    /// Whether a field is there, be it null.
    pub(super) fn names(&self, name: &str) -> bool {
        self.object.contains_key(name)
    }

    /// Refuses a switch that is on.
    pub(super) fn refuse(&self, name: &str) -> Result<()> {
        match self.flag(name)? {
            Some(true) => Err(self.invalid(name, "is true, which is not computed".to_owned())),
            Some(false) | None => Ok(()),
        }
    }

    /// What a field holds, if that is anything.
    pub(super) fn value(&self, name: &str) -> Option<&'a Value> {
        self.object.get(name).filter(|value| !value.is_null())
    }

    /// Whether nothing is in it.
    pub(super) fn is_empty(&self) -> bool {
        self.object.is_empty()
    }

    /// A whole number of things.
    pub(super) fn size(&self, name: &str) -> Result<Option<usize>> {
        self.read(name, "a whole number", |value| usize::try_from(value.as_u64()?).ok())
    }

    /// Any number.
    pub(super) fn number(&self, name: &str) -> Result<Option<f64>> {
        self.read(name, "a number", Value::as_f64)
    }

    /// Yes or no.
    pub(super) fn flag(&self, name: &str) -> Result<Option<bool>> {
        self.read(name, "true or false", Value::as_bool)
    }

    /// A word.
    pub(super) fn text(&self, name: &str) -> Result<Option<&'a str>> {
        self.read(name, "a string", Value::as_str)
    }

    /// Several words.
    pub(super) fn texts(&self, name: &str) -> Result<Option<Vec<&'a str>>> {
        let texts = |value: &'a Value| value.as_array()?.iter().map(Value::as_str).collect();
        self.read(name, "a list of strings", texts)
    }

    /// An id; `None` where it is negative.
    pub(super) fn id(&self, name: &str) -> Result<Option<u32>> {
        let id = self.read(name, "an id", one_id)?;
        Ok(id.flatten())
    }

    /// One id or a list of them, those left out that are null or negative.
    pub(super) fn ids(&self, name: &str) -> Result<Vec<u32>> {
        let ids = |value: &Value| match value {
            Value::Array(ids) => {
                let ids = ids.iter().filter(|id| !id.is_null()).map(one_id);
                ids.collect::<Option<Vec<_>>>()
            }
            one => Some(vec![one_id(one)?]),
        };
        let ids = self.read(name, "an id or a list of ids", ids)?;
        Ok(ids.into_iter().flatten().flatten().collect())
    }

    /// A non-linearity by its name.
    pub(super) fn activation(&self, name: &str, default: &'static str) -> Result<Activation> {
        let activation = self.text(name)?.unwrap_or(default);
        Activation::from_name(activation)
            .ok_or_else(|| self.invalid(name, format!("is `{activation}`, which is not computed")))
    }

    /// The size of each head where a width is shared by as many heads as a field says.
    pub(super) fn divided(&self, name: &str, width: usize, heads: usize) -> Result<usize> {
        match heads {
            0 => Err(self.invalid(name, "is 0".to_owned())),
            _ if !width.is_multiple_of(heads) => {
                Err(self.invalid(name, format!("is {heads}, which does not divide {width}")))
            }
            _ => Ok(width / heads),
        }
    }

    /// A refusal of a field of this object.
    pub(super) fn invalid(&self, name: &str, reason: String) -> Error {
        Error::Config { field: format!("{}{name}", self.place), reason }
    }

    fn read<T>(
        &self,
        name: &str,
        what: &str,
        read: impl FnOnce(&'a Value) -> Option<T>,
    ) -> Result<Option<T>> {
        let Some(value) = self.value(name) else { return Ok(None) };
        match read(value) {
            Some(read) => Ok(Some(read)),
            None => Err(self.invalid(name, wanted(what, value))),
        }
    }
}

/// `None` where it is no id at all, `Some(None)` where it says that there is none.
fn one_id(value: &Value) -> Option<Option<u32>> {
    match value.as_i64()? {
        negative if negative < 0 => Some(None),
        id => Some(Some(u32::try_from(id).ok()?)),
    }
}

fn wanted(what: &str, value: &Value) -> String {
    let text = value.to_string();
    let shown: String = text.chars().take(SHOWN_CHARACTERS).collect();
    let rest = if shown.len() < text.len() { "..." } else { "" };
    format!("is {shown}{rest}; {what} is needed")
}
