//! An intervention as it stands in JSON: which thoughts, what is done, with what. Each operation has its own fields, and
//! others are refused by name. Knows no model: whether a vector fits is told later.

use crate::http::error::ApiError;
use crate::http::object::object_or_none;
use crate::http::whole::Whole;
use crate::http::whole::whole;
use crate::http::whole::whole_or_none;
use crate::reason::question::At;
use crate::reason::question::Intervention as Checked;
use crate::reason::question::MAX_COUNT;
use crate::reason::question::Op;
use crate::reason::question::Origin;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde::Deserialize;
use serde::Deserializer;
use serde::Serialize;
use serde::de::Error as _;
use serde_json::Value;
use std::sync::Arc;
use utoipa::PartialSchema;
use utoipa::ToSchema;
use utoipa::openapi::ArrayBuilder;
use utoipa::openapi::ObjectBuilder;
use utoipa::openapi::OneOfBuilder;
use utoipa::openapi::RefOr;
use utoipa::openapi::Type;
use utoipa::openapi::schema::Schema;

/// Far more than leaves anything of a thought.
const MAX_ALPHA: f64 = 1e6;

/// Something to do to thoughts before they are fed: behind the projector, before a position is added.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::http) struct InterventionBody {
    /// Which thoughts, counted from 1: a number, a list of numbers or `"all"`.
    step: AtBody,
    /// What is done.
    op: OpName,
    /// `set` and `add`: base64 of little-endian f32, as many as a thought has.
    vector: Option<String>,
    /// `add`: how often the vector is added (1 where absent). `scale`: the factor. `noise`: the standard deviation.
    #[schema(minimum = -1e6, maximum = 1e6)]
    alpha: Option<f64>,
    /// `noise` and `random`: what they follow from; the request's `seed` where absent.
    #[serde(default, deserialize_with = "whole_or_none")]
    #[schema(maximum = 18_446_744_073_709_551_615_usize)]
    seed: Option<u64>,
    /// `copy`: the thought that is fed instead.
    #[serde(default, deserialize_with = "object_or_none")]
    from: Option<FromBody>,
}

/// A thought of a question.
#[derive(Clone, Debug, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::http) struct FromBody {
    /// The question whose thought it is; the one that asks where absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    question: Option<String>,
    /// Which of its thoughts, counted from 1.
    #[serde(deserialize_with = "one_whole")]
    #[schema(minimum = 1, maximum = 1_048_576)]
    step: usize,
}

/// What is done to a thought.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(in crate::http) enum OpName {
    /// `vector` is fed in its place.
    Set,
    /// `alpha` times `vector` is added.
    Add,
    /// It is multiplied by `alpha`.
    Scale,
    /// Zeros are fed in its place.
    Zero,
    /// The mean thought of this step is fed in its place (`--thought-means`).
    Mean,
    /// Normal numbers with standard deviation `alpha` are added.
    Noise,
    /// A random vector of its length is fed in its place.
    Random,
    /// It is left out: neither computed nor fed.
    Skip,
    /// What was fed as the thought before is fed again.
    Repeat,
    /// The thought that `from` names is fed in its place.
    Copy,
}

/// Which thoughts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub(in crate::http) enum AtBody {
    One(usize),
    Many(Vec<usize>),
    All(All),
}

/// The word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(in crate::http) enum All {
    All,
}

impl<'de> Deserialize<'de> for AtBody {
    fn deserialize<D: Deserializer<'de>>(json: D) -> Result<Self, D::Error> {
        let number = |value: &Value| match value {
            Value::Number(number) => whole(number).map_err(D::Error::custom),
            other => Err(D::Error::custom(format!("{other} is no number of a thought"))),
        };
        match Value::deserialize(json)? {
            Value::String(word) if word == "all" => Ok(Self::All(All::All)),
            Value::Array(steps) => {
                Ok(Self::Many(steps.iter().map(number).collect::<Result<_, _>>()?))
            }
            one @ Value::Number(_) => Ok(Self::One(number(&one)?)),
            other => {
                let wanted = "a number from 1, a list of numbers or \"all\"";
                Err(D::Error::custom(format!("{other} is not {wanted}")))
            }
        }
    }
}

impl PartialSchema for AtBody {
    fn schema() -> RefOr<Schema> {
        let number = || {
            let number = ObjectBuilder::new().schema_type(Type::Integer);
            number.minimum(Some(1)).maximum(Some(MAX_COUNT))
        };
        let many = ArrayBuilder::new().items(number()).min_items(Some(1));
        let all = ObjectBuilder::new().schema_type(Type::String).enum_values(Some(["all"]));
        OneOfBuilder::new().item(number()).item(many).item(all).into()
    }
}

impl ToSchema for AtBody {}

fn one_whole<'de, D: Deserializer<'de>>(json: D) -> Result<usize, D::Error> {
    Ok(Whole::deserialize(json)?.0)
}

impl InterventionBody {
    /// The same, checked; `at` is its place in the list.
    pub(super) fn checked(self, at: usize) -> Result<Checked, ApiError> {
        let invalid = |field: &str, message: &str| {
            Err(ApiError::invalid(&format!("interventions[{at}].{field}"), message))
        };
        let steps = match self.step {
            AtBody::All(All::All) => At::All,
            AtBody::One(step) => At::Steps(vec![step]),
            AtBody::Many(steps) if steps.is_empty() => return invalid("step", "names no thought"),
            AtBody::Many(steps) => At::Steps(steps),
        };
        let has = [
            ("vector", self.vector.is_some()),
            ("alpha", self.alpha.is_some()),
            ("seed", self.seed.is_some()),
            ("from", self.from.is_some()),
        ];
        let takes = self.op.takes();
        if let Some((field, _)) = has.iter().find(|(field, has)| *has && !takes.contains(field)) {
            return invalid(field, "this op has no such field");
        }
        let needs = self.op.needs();
        if let Some((field, _)) = has.iter().find(|(field, has)| !*has && needs.contains(field)) {
            return invalid(field, "this op needs it");
        }
        let (alpha, least) = (self.alpha.unwrap_or(1.0), self.op.least_alpha());
        if !(least..=MAX_ALPHA).contains(&alpha) {
            return invalid("alpha", &format!("must be from {least} to {MAX_ALPHA}"));
        }
        let alpha = alpha as f32;
        let vector = match self.vector.as_deref().map(vector).transpose() {
            Ok(vector) => vector.unwrap_or_else(|| Arc::new([])),
            Err(message) => return invalid("vector", message),
        };
        let origin = self.from.map_or(Origin { question: None, step: 0 }, |from| Origin {
            question: from.question,
            step: from.step,
        });
        if self.op == OpName::Copy && origin.step == 0 {
            return invalid("from.step", "thoughts are counted from 1");
        }
        Ok(Checked { steps, op: self.op.with((vector, alpha), self.seed, origin) })
    }
}

/// The numbers of a vector.
fn vector(text: &str) -> Result<Arc<[f32]>, &'static str> {
    let bytes = BASE64_STANDARD.decode(text.trim()).map_err(|_| "is not base64")?;
    let (numbers, rest) = bytes.as_chunks();
    if !rest.is_empty() {
        return Err("is no whole number of f32, 4 bytes each");
    }
    let numbers: Arc<[f32]> = numbers.iter().map(|&bytes| f32::from_le_bytes(bytes)).collect();
    match numbers.iter().all(|number| number.is_finite()) {
        true => Ok(numbers),
        false => Err("has numbers that are not finite"),
    }
}

impl OpName {
    fn needs(self) -> &'static [&'static str] {
        match self {
            Self::Set | Self::Add => &["vector"],
            Self::Scale | Self::Noise => &["alpha"],
            Self::Copy => &["from"],
            Self::Zero | Self::Mean | Self::Random | Self::Skip | Self::Repeat => &[],
        }
    }

    fn least_alpha(self) -> f64 {
        match self {
            Self::Noise => 0.0,
            _ => -MAX_ALPHA,
        }
    }

    fn takes(self) -> &'static [&'static str] {
        match self {
            Self::Add => &["vector", "alpha"],
            Self::Noise => &["alpha", "seed"],
            Self::Random => &["seed"],
            _ => self.needs(),
        }
    }

    fn with(self, (vector, alpha): (Arc<[f32]>, f32), seed: Option<u64>, origin: Origin) -> Op {
        match self {
            Self::Set => Op::Set(vector),
            Self::Add => Op::Add(vector, alpha),
            Self::Scale => Op::Scale(alpha),
            Self::Zero => Op::Zero,
            Self::Mean => Op::Mean,
            Self::Noise => Op::Noise(alpha, seed),
            Self::Random => Op::Random(seed),
            Self::Skip => Op::Skip,
            Self::Repeat => Op::Repeat,
            Self::Copy => Op::Copy(origin),
        }
    }
}

/// An intervention as it was made.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(in crate::http) struct Intervention {
    /// Which thoughts.
    step: AtBody,
    /// What was done.
    op: OpName,
    /// The number that it was done with.
    #[serde(skip_serializing_if = "Option::is_none")]
    alpha: Option<f64>,
    /// What chance followed from.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(maximum = 18_446_744_073_709_551_615_usize)]
    seed: Option<u64>,
    /// The thought that was fed instead.
    #[serde(skip_serializing_if = "Option::is_none")]
    from: Option<FromBody>,
}

impl InterventionBody {
    /// As it is made in a request with this seed.
    pub(super) fn resolved(&self, seed: u64) -> Intervention {
        let is_random = matches!(self.op, OpName::Noise | OpName::Random);
        Intervention {
            step: self.step.clone(),
            op: self.op,
            alpha: self.alpha.or((self.op == OpName::Add).then_some(1.0)),
            seed: is_random.then_some(self.seed.unwrap_or(seed)),
            from: self.from.clone(),
        }
    }
}
