//! The fields that OpenAI's routes have in common: which model, how tokens are chosen, how the answer comes. What would change
//! an answer and cannot be done here is refused by name; all else that is not known is ignored.

use crate::http::asking::include::report;
use crate::http::asking::include::within;
use crate::http::asking::inside::InsideBody;
use crate::http::asking::saying::Stop;
use crate::http::asking::saying::sampling;
use crate::http::asking::saying::stop_schema;
use crate::http::error::ApiError;
use crate::http::object::object_or_none;
use crate::http::openai::extras::Extras;
use crate::http::whole::signed_or_none;
use crate::http::whole::whole_or_none;
use crate::reason::question::Asked;
use crate::reason::question::Echo;
use crate::reason::question::MAX_COUNT;
use crate::reason::question::MAX_SAMPLES;
use crate::reason::question::Question;
use crate::reason::question::Saying;
use crate::reason::question::Then;
use serde::Deserialize;
use serde_json::Map;
use serde_json::Value;
use std::time::Duration;
use utoipa::ToSchema;

/// Who answers and how tokens are chosen. Every field may be absent.
#[derive(Clone, Debug, Default, Deserialize, ToSchema)]
#[schema(as = SayingFields)]
pub(super) struct SayingFields {
    /// The served model's name; it may be absent.
    pub(super) model: Option<String>,
    /// Answer as server-sent events.
    #[schema(default = false)]
    pub(super) stream: Option<bool>,
    /// What a stream tells beside the answer.
    #[serde(default, deserialize_with = "object_or_none")]
    pub(super) stream_options: Option<StreamOptions>,
    /// How many answers.
    #[serde(default, deserialize_with = "whole_or_none")]
    #[schema(minimum = 1, maximum = 1024, default = 1)]
    n: Option<usize>,
    /// 0 takes the most likely token, always; that is what an absent one means, too.
    #[schema(minimum = 0, maximum = 2, default = 0)]
    pub(super) temperature: Option<f64>,
    /// Choose among the smallest set of tokens whose probabilities reach this sum.
    #[schema(exclusive_minimum = 0, maximum = 1)]
    pub(super) top_p: Option<f64>,
    /// Choose among this many most likely tokens; 0 and -1 are all of them.
    #[serde(default, deserialize_with = "signed_or_none")]
    #[schema(minimum = -1)]
    top_k: Option<i64>,
    /// Makes a sampled answer repeatable.
    #[serde(default, deserialize_with = "signed_or_none")]
    seed: Option<i64>,
    /// A string, or up to 16 of them, that end the answer and are not part of it.
    #[schema(schema_with = stop_schema)]
    stop: Option<Stop>,
    /// Whether the string that ended the answer is part of it.
    #[schema(default = false)]
    include_stop_str_in_output: Option<bool>,
    /// Go on after end-of-sequence tokens, up to the most tokens.
    #[schema(default = false)]
    ignore_eos: Option<bool>,
    /// Other values than 0 are refused.
    #[schema(minimum = 0, maximum = 0)]
    presence_penalty: Option<f64>,
    /// Other values than 0 are refused.
    #[schema(minimum = 0, maximum = 0)]
    frequency_penalty: Option<f64>,
    /// Other values than 1 are refused.
    #[schema(minimum = 1, maximum = 1)]
    repetition_penalty: Option<f64>,
    /// Other values than 0 are refused.
    #[schema(minimum = 0, maximum = 0)]
    min_p: Option<f64>,
    /// Other values than 0 are refused.
    #[serde(default, deserialize_with = "signed_or_none")]
    #[schema(minimum = 0, maximum = 0)]
    min_tokens: Option<i64>,
    /// Other values than 1 are refused: `n` answers are all computed and shown.
    #[serde(default, deserialize_with = "signed_or_none")]
    #[schema(minimum = 1, maximum = 1)]
    best_of: Option<i64>,
    /// Refused where it says something.
    #[schema(value_type = Option<Object>)]
    logit_bias: Option<Map<String, Value>>,
    /// Refused where it says something.
    #[schema(value_type = Option<Vec<Object>>, max_items = 0)]
    stop_token_ids: Option<Vec<Value>>,
}

/// What a stream tells beside the answer.
#[derive(Clone, Copy, Debug, Default, Deserialize, ToSchema)]
pub(super) struct StreamOptions {
    /// A last chunk without choices that counts tokens.
    #[schema(default = false)]
    pub(super) include_usage: Option<bool>,
    /// Counts so far in every chunk.
    #[schema(default = false)]
    pub(super) continuous_usage_stats: Option<bool>,
}

/// What of a question differs by route.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wanted {
    pub(super) echo: Echo,
    /// The most answer tokens, and how the route calls them; 0 says nothing.
    pub(super) max_tokens: (Option<usize>, &'static str),
    /// Whether log-probabilities are wanted, and of how many alternatives.
    pub(super) logprobs: Option<usize>,
}

impl SayingFields {
    /// Refuses another model than is served, and what cannot be done.
    pub(super) fn check(&self, served: &str) -> Result<(), ApiError> {
        if let Some(asked) = self.model.as_ref().filter(|asked| asked.as_str() != served) {
            let (asked, served) = (asked.clone(), served.to_owned());
            return Err(ApiError::NoSuchModel { asked, served });
        }
        let is = |field: Option<f64>, neutral: f64| field.is_none_or(|value| value == neutral);
        let is_whole = |field: Option<i64>, neutral| field.is_none_or(|value| value == neutral);
        let neutral = [
            ("presence_penalty", is(self.presence_penalty, 0.0)),
            ("frequency_penalty", is(self.frequency_penalty, 0.0)),
            ("repetition_penalty", is(self.repetition_penalty, 1.0)),
            ("min_p", is(self.min_p, 0.0)),
            ("min_tokens", is_whole(self.min_tokens, 0)),
            ("best_of", is_whole(self.best_of, 1)),
            ("logit_bias", self.logit_bias.as_ref().is_none_or(Map::is_empty)),
            ("stop_token_ids", self.stop_token_ids.as_ref().is_none_or(Vec::is_empty)),
        ];
        match neutral.into_iter().find(|(_, is_neutral)| !is_neutral) {
            Some((field, _)) => Err(ApiError::invalid(field, "is not supported by this server")),
            None => Ok(()),
        }
    }

    /// How many choices a question has.
    pub(super) fn choices(&self, extras: &Extras) -> usize {
        extras.answers().or(self.n).unwrap_or(1)
    }

    /// What random numbers follow from.
    pub(super) fn seed_or(&self, random: u64) -> u64 {
        self.seed.map_or(random, i64::cast_unsigned)
    }

    pub(super) fn is_streamed(&self) -> bool {
        self.stream.unwrap_or(false)
    }

    /// The question, or the first field whose value is not allowed.
    pub(super) fn question(
        &self,
        asked: Asked,
        wanted: Wanted,
        extras: &Extras,
        (timeout, random): (Duration, u64),
    ) -> Result<Question, ApiError> {
        let samples = within("n", self.n.unwrap_or(1), 1..=MAX_SAMPLES)?;
        if samples > 1 && extras.answers().is_some() {
            let message = "a sweep has one choice for each number of thoughts";
            return Err(ApiError::invalid("n", message));
        }
        let is_alone = extras.answers().is_none() && !(extras.is_noisy() && samples > 1);
        if wanted.echo == Echo::Scored && !is_alone {
            let message = "is possible for one course of thoughts, not for several";
            return Err(ApiError::invalid("echo", message));
        }
        let (asked_for, name) = wanted.max_tokens;
        let max_tokens = asked_for.map(|count| within(name, count, 0..=MAX_COUNT)).transpose()?;
        if self.top_k.is_some_and(|top_k| top_k < -1) {
            return Err(ApiError::invalid("top_k", "must be at least -1"));
        }
        let top_k = self.top_k.filter(|&top_k| top_k > 0).map(i64::cast_unsigned);
        let top_k = top_k.map(|top_k| usize::try_from(top_k).unwrap_or(usize::MAX));
        let sampling = sampling(self.temperature, self.top_p, top_k, self.seed_or(random))?;
        let mut report = report(extras.include.as_deref(), extras.top_thought_tokens)?;
        if let Some(top) = wanted.logprobs {
            (report.logprobs, report.top_logprobs) = (true, top);
        }
        let stop = self.stop.clone().map_or(Ok(Vec::new()), Stop::checked)?;
        let (ignore_eos, seed) = (self.ignore_eos.unwrap_or(false), sampling.seed);
        Ok(Question {
            asked,
            echo: wanted.echo,
            thinking: extras.latent().checked(seed)?,
            then: match max_tokens {
                Some(0) => Then::Nothing,
                _ => Then::Say(Saying {
                    max_tokens,
                    ignore_eos,
                    sampling,
                    stop,
                    shows_stop: self.include_stop_str_in_output.unwrap_or(false),
                    samples,
                }),
            },
            report,
            inside: InsideBody::checked(extras.inside.clone(), extras.include.as_deref())?,
            acting: None,
            timeout,
        })
    }
}
