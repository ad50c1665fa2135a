//! The JSON of a question, and what it means to the layer below. Checks values that need no model to check.

use crate::engine::request::Report;
use crate::http::error::ApiError;
use crate::latent::script::Sampling;
use crate::reason::types::MAX_COUNT;
use crate::reason::types::Question;
use serde::Deserialize;
use serde::Deserializer;
use serde::de::Error as _;
use serde_json::Number;
use std::ops::RangeInclusive;
use std::time::Duration;
use utoipa::ToSchema;
use utoipa::openapi::ArrayBuilder;
use utoipa::openapi::ObjectBuilder;
use utoipa::openapi::OneOfBuilder;
use utoipa::openapi::Type;
use utoipa::openapi::schema::Schema;
use utoipa::openapi::schema::SchemaType;

const MAX_TEMPERATURE: f64 = 2.0;
const MAX_TOP_THOUGHT_TOKENS: usize = 100;
const DEFAULT_TOP_THOUGHT_TOKENS: usize = 5;
const MAX_STOP_STRINGS: usize = 16;
const MAX_STOP_CHARACTERS: usize = 256;

/// 2 to the 64.
const BEYOND_U64: f64 = 18_446_744_073_709_551_616.0;

/// A question and how to answer it. Every field but the question may be absent; `null` says the same.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"question": "Tom is a wumpus. Every wumpus is a zumpus. Is Tom a zumpus or a lempus?"}))]
pub(in crate::http) struct ReasonRequest {
    /// The question. The model's own prompt template is put around it.
    #[schema(min_length = 1, pattern = r"\S")]
    pub(super) question: String,
    /// How many thoughts to compute before answering; the model's default where absent. 0 answers at once.
    #[serde(default, deserialize_with = "whole")]
    #[schema(maximum = 1_048_576)]
    pub(super) latent_steps: Option<usize>,
    /// Most answer tokens; where absent what the model's recipe says, 64 if nothing. An answer that takes up the positions
    /// that question and thoughts leave ends there, with `length`. More than all of the model's positions are refused.
    #[serde(default, deserialize_with = "whole")]
    #[schema(minimum = 1, maximum = 1_048_576, example = 64)]
    pub(super) max_tokens: Option<usize>,
    /// Go on after end-of-sequence tokens, up to `max_tokens`; for benchmarks, where all answers cost the same.
    #[schema(default = false)]
    pub(super) ignore_eos: Option<bool>,
    /// 0 takes the most likely token, always.
    #[schema(minimum = 0, maximum = 2, default = 0)]
    pub(super) temperature: Option<f64>,
    /// Choose among the smallest set of tokens whose probabilities reach this sum.
    #[schema(exclusive_minimum = 0, maximum = 1)]
    pub(super) top_p: Option<f64>,
    /// Choose among this many most likely tokens; more than the vocabulary has are all of them.
    #[serde(default, deserialize_with = "whole")]
    #[schema(minimum = 1, maximum = 18_446_744_073_709_551_615_usize)]
    pub(super) top_k: Option<usize>,
    /// Makes a sampled answer repeatable; random where absent.
    #[serde(default, deserialize_with = "whole")]
    #[schema(maximum = 18_446_744_073_709_551_615_usize)]
    pub(super) seed: Option<u64>,
    /// A string, or up to 16 of them, that end the answer and are not part of it.
    #[schema(schema_with = stop_schema)]
    pub(super) stop: Option<Stop>,
    /// Answer as server-sent events while it is computed: `thought`, `token`, and at the end `done` or `error`.
    #[schema(default = false)]
    pub(super) stream: Option<bool>,
    /// What to report beside the answer.
    pub(super) include: Option<Vec<Include>>,
    /// How many tokens to show per thought, with `thoughts` in `include`.
    #[serde(default, deserialize_with = "whole")]
    #[schema(maximum = 100, default = 5)]
    pub(super) top_thought_tokens: Option<usize>,
}

/// A whole number, also where a client writes it as `6.0`: to JSON that is the same number.
fn whole<'de, D: Deserializer<'de>, T: TryFrom<u64>>(json: D) -> Result<Option<T>, D::Error> {
    let Some(number) = Option::<Number>::deserialize(json)? else { return Ok(None) };
    let value = number.as_u64().or_else(|| {
        let value = number.as_f64()?;
        let is_whole = value.fract() == 0.0 && (0.0..BEYOND_U64).contains(&value);
        is_whole.then_some(value as u64)
    });
    let value = value.and_then(|value| T::try_from(value).ok());
    let refused =
        || D::Error::custom(format!("`{number}` is not a whole number from 0 to {}", u64::MAX));
    value.map(Some).ok_or_else(refused)
}

/// One string or several.
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged, expecting = "expected a string or a list of strings")]
pub(super) enum Stop {
    One(String),
    Many(Vec<String>),
}

/// Something that can be reported beside the answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum Include {
    /// Per latent step, its norm and the tokens that the model's head makes of it.
    Thoughts,
    /// Per latent step, the vector that is fed back.
    ThoughtVectors,
    /// The logits that the first answer token is chosen from.
    FirstLogits,
    /// The log-probability of each answer token.
    Logprobs,
}

impl ReasonRequest {
    /// The question to ask, or the first field whose value is not allowed. `random` seeds it where the request does not.
    pub(super) fn into_question(
        self,
        timeout: Duration,
        random: u64,
    ) -> Result<Question, ApiError> {
        let reports = |include| self.include.iter().flatten().any(|asked| *asked == include);
        let top_thought_tokens = self.top_thought_tokens.unwrap_or(DEFAULT_TOP_THOUGHT_TOKENS);
        let top_thought_tokens =
            within("top_thought_tokens", top_thought_tokens, 0..=MAX_TOP_THOUGHT_TOKENS)?;
        let report = Report {
            top_thought_tokens: if reports(Include::Thoughts) { top_thought_tokens } else { 0 },
            thought_vectors: reports(Include::ThoughtVectors),
            first_logits: reports(Include::FirstLogits),
            logprobs: reports(Include::Logprobs),
        };
        let sampling = self.sampling(random)?;
        let count = |field, count: Option<usize>, fewest| {
            count.map(|count| within(field, count, fewest..=MAX_COUNT)).transpose()
        };
        let latent_steps = count("latent_steps", self.latent_steps, 0)?;
        let max_tokens = count("max_tokens", self.max_tokens, 1)?;
        let stop = self.stop.map_or(Ok(Vec::new()), Stop::checked)?;
        Ok(Question {
            text: self.question,
            latent_steps,
            max_tokens,
            ignore_eos: self.ignore_eos.unwrap_or(false),
            sampling,
            report,
            stop,
            timeout,
        })
    }

    fn sampling(&self, random: u64) -> Result<Sampling, ApiError> {
        let temperature = self.temperature.unwrap_or(0.0);
        if !(0.0..=MAX_TEMPERATURE).contains(&temperature) {
            return Err(ApiError::invalid(
                "temperature",
                format!("must be from 0 to {MAX_TEMPERATURE}"),
            ));
        }
        if self.top_p.is_some_and(|top_p| !(top_p > 0.0 && top_p <= 1.0)) {
            return Err(ApiError::invalid("top_p", "must be above 0 and at most 1"));
        }
        if self.top_k == Some(0) {
            return Err(ApiError::invalid("top_k", "must be at least 1"));
        }
        let seed = self.seed.unwrap_or(random);
        Ok(Sampling { temperature, top_p: self.top_p, top_k: self.top_k, seed })
    }
}

/// A count that is allowed, or its field blamed.
fn within(field: &str, count: usize, range: RangeInclusive<usize>) -> Result<usize, ApiError> {
    match range.contains(&count) {
        true => Ok(count),
        false => Err(ApiError::invalid(
            field,
            format!("must be from {} to {}", range.start(), range.end()),
        )),
    }
}

/// A string, several, or `null`; with the bounds that [`Stop::checked`] holds.
fn stop_schema() -> Schema {
    let string = |kind: SchemaType| {
        ObjectBuilder::new()
            .schema_type(kind)
            .min_length(Some(1))
            .max_length(Some(MAX_STOP_CHARACTERS))
    };
    let one = string(SchemaType::from_iter([Type::String, Type::Null]));
    let many =
        ArrayBuilder::new().items(string(Type::String.into())).max_items(Some(MAX_STOP_STRINGS));
    let description = "A string, or up to 16 of them, that end the answer and are not part of it.";
    OneOfBuilder::new().item(one).item(many).description(Some(description)).into()
}

impl Stop {
    fn checked(self) -> Result<Vec<String>, ApiError> {
        let strings = match self {
            Self::One(string) => vec![string],
            Self::Many(strings) => strings,
        };
        if strings.len() > MAX_STOP_STRINGS {
            return Err(ApiError::invalid("stop", format!("at most {MAX_STOP_STRINGS} strings")));
        }
        let fits = |string: &String| (1..=MAX_STOP_CHARACTERS).contains(&string.chars().count());
        if !strings.iter().all(fits) {
            let message = format!("each string must have 1 to {MAX_STOP_CHARACTERS} characters");
            return Err(ApiError::invalid("stop", message));
        }
        Ok(strings)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;
    use serde_json::json;

    fn question(mut body: Value) -> Result<Question, ApiError> {
        body["question"] = json!("Why?");
        let request: ReasonRequest = serde_json::from_value(body).unwrap();
        request.into_question(Duration::from_secs(1), 17)
    }

    #[test]
    fn a_bare_question_is_greedy_and_reports_nothing() {
        let question = question(json!({})).unwrap();
        assert_eq!((question.latent_steps, question.max_tokens), (None, None));
        assert_eq!(question.sampling, Sampling { seed: 17, ..Sampling::GREEDY });
        assert_eq!(question.report, Report::default());
        assert!(question.stop.is_empty() && !question.ignore_eos);
    }

    #[test]
    fn null_says_what_absence_says() {
        let fields = ["latent_steps", "max_tokens", "ignore_eos", "temperature", "top_p", "top_k"];
        let more = ["seed", "stop", "stream", "include", "top_thought_tokens"];
        let nulls: serde_json::Map<_, _> =
            fields.iter().chain(&more).map(|name| ((*name).to_owned(), Value::Null)).collect();
        let (absent, null) = (question(json!({})).unwrap(), question(nulls.into()).unwrap());
        assert_eq!(format!("{null:?}"), format!("{absent:?}"));
    }

    #[test]
    fn include_turns_into_a_report() {
        let all = json!({"include": ["thoughts", "thought_vectors", "first_logits", "logprobs"]});
        let report = Report {
            top_thought_tokens: 5,
            thought_vectors: true,
            first_logits: true,
            logprobs: true,
        };
        assert_eq!(question(all).unwrap().report, report);
        let vectors = json!({"include": ["thought_vectors"], "top_thought_tokens": 9});
        assert_eq!(
            question(vectors).unwrap().report,
            Report { thought_vectors: true, ..Report::default() }
        );
    }

    #[test]
    fn a_whole_number_may_be_written_with_a_point() {
        let body = json!({"latent_steps": 6.0, "max_tokens": 1e2, "seed": u64::MAX, "top_k": 3.0});
        let question = question(body).unwrap();
        assert_eq!((question.latent_steps, question.max_tokens), (Some(6), Some(100)));
        assert_eq!((question.sampling.seed, question.sampling.top_k), (u64::MAX, Some(3)));
        for value in [json!(6.5), json!(-1), json!(-1.0), json!(1e20), json!("6"), json!([6])] {
            let body = json!({"question": "?", "latent_steps": value});
            serde_json::from_value::<ReasonRequest>(body).unwrap_err();
        }
    }

    #[test]
    fn stop_is_a_string_or_a_list() {
        assert_eq!(question(json!({"stop": "\n"})).unwrap().stop, ["\n"]);
        assert_eq!(question(json!({"stop": ["a", "b"]})).unwrap().stop, ["a", "b"]);
        assert!(question(json!({"stop": null})).unwrap().stop.is_empty());
    }

    #[test]
    fn a_value_out_of_range_is_blamed_on_its_field() {
        for (field, value) in [
            ("temperature", json!(-0.1)),
            ("temperature", json!(2.1)),
            ("top_p", json!(0)),
            ("top_p", json!(1.01)),
            ("top_k", json!(0)),
            ("max_tokens", json!(0)),
            ("max_tokens", json!(MAX_COUNT + 1)),
            ("max_tokens", json!(usize::MAX)),
            ("latent_steps", json!(MAX_COUNT + 1)),
            ("stop", json!("")),
            ("stop", json!(["a", ""])),
            ("stop", json!(vec!["a"; 17])),
            ("top_thought_tokens", json!(101)),
        ] {
            let rejected = question(json!({field: value, "include": ["thoughts"]})).unwrap_err();
            let ApiError::Invalid { param, .. } = &rejected else {
                panic!("{field} {value}: {rejected:?}")
            };
            assert_eq!(param.as_deref(), Some(field), "{value}");
        }
    }
}
