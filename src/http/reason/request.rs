//! The JSON of a question, and what it means to the layer below. Checks values that need no model to check.

use crate::http::asking::acting::WantedTools;
use crate::http::asking::include::Include;
use crate::http::asking::include::report;
use crate::http::asking::include::within;
use crate::http::asking::inside::InsideBody;
use crate::http::asking::saying::Stop;
use crate::http::asking::saying::sampling;
use crate::http::asking::saying::stop_schema;
use crate::http::error::ApiError;
use crate::http::object::object_or_none;
use crate::http::object::objects_or_none;
use crate::http::thinking::FeedbackName;
use crate::http::thinking::InterventionBody;
use crate::http::thinking::Latent;
use crate::http::thinking::NoiseBody;
use crate::http::thinking::Steps;
use crate::http::thinking::steps_schema;
use crate::http::whole::Whole;
use crate::http::whole::whole_or_none;
use crate::reason::question::Asked;
use crate::reason::question::Echo;
use crate::reason::question::MAX_COUNT;
use crate::reason::question::MAX_SAMPLES;
use crate::reason::question::Question;
use crate::reason::question::Saying;
use crate::reason::question::Then;
use serde::Deserialize;
use std::time::Duration;
use utoipa::ToSchema;

/// A question and how to answer it. Every field but the question may be absent; `null` says the same.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"question": "Tom is a wumpus. Every wumpus is a zumpus. Is Tom a zumpus or a lempus?"}))]
pub(in crate::http) struct ReasonRequest {
    /// The question. The model's own prompt template is put around it.
    #[schema(min_length = 1, pattern = r"\S")]
    pub(super) question: String,
    /// How many thoughts to compute before answering; the model's default where absent. 0 answers at once. `"auto"`: until
    /// a thought differs from the one before by at most `tolerance` of its length.
    #[schema(schema_with = steps_schema)]
    pub(super) latent_steps: Option<Steps>,
    /// With `latent_steps: "auto"`: the difference at which thoughts count as settled, as a share of their length.
    #[schema(minimum = 0, maximum = 1, example = 0.1)]
    pub(super) tolerance: Option<f64>,
    /// In the place of `latent_steps`: an answer after each of these numbers of thoughts, from one prefill and one pass of
    /// thoughts. They come back in `answers`.
    #[schema(min_items = 1, max_items = 128)]
    pub(super) sweep: Option<Vec<Whole>>,
    /// What is fed in the places of thoughts, which `hidden` are: the controls that tell whether thoughts matter.
    pub(super) feedback: Option<FeedbackName>,
    /// What is done to single thoughts before they are fed, in this order.
    #[schema(max_items = 256)]
    #[serde(default, deserialize_with = "objects_or_none")]
    pub(super) interventions: Option<Vec<InterventionBody>>,
    /// Noise on every thought; each sample has its own.
    #[serde(default, deserialize_with = "object_or_none")]
    pub(super) latent_noise: Option<NoiseBody>,
    /// Of a model that calls tools: only these of the server's. All where absent, none where empty.
    #[schema(max_items = 256)]
    pub(super) tools: Option<Vec<String>>,
    /// Of a model that calls tools: what these know of the question, and the model does not, such as the facts for `graph`.
    pub(super) facts: Option<String>,
    /// Of a model that calls tools: most rounds; never more than its recipe allows.
    #[serde(default, deserialize_with = "whole_or_none")]
    #[schema(minimum = 1, maximum = 1_048_576, example = 7)]
    pub(super) max_rounds: Option<usize>,
    /// How many samples to answer with; they come back in `choices`, with their vote.
    #[serde(default, deserialize_with = "whole_or_none")]
    #[schema(minimum = 1, maximum = 1024, default = 1)]
    pub(super) n: Option<usize>,
    /// Most answer tokens; where absent what the model's recipe says, 64 if nothing. An answer that takes up the positions
    /// that the question and the most thoughts leave ends there, with `length`. More than all of the model's positions are refused.
    #[serde(default, deserialize_with = "whole_or_none")]
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
    #[serde(default, deserialize_with = "whole_or_none")]
    #[schema(minimum = 1, maximum = 18_446_744_073_709_551_615_usize)]
    pub(super) top_k: Option<usize>,
    /// Makes a sampled answer repeatable; random where absent.
    #[serde(default, deserialize_with = "whole_or_none")]
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
    /// Where to look, with `hidden_states`, `lens` or `attention` in `include`.
    #[serde(default, deserialize_with = "object_or_none")]
    pub(super) inside: Option<InsideBody>,
    /// How many tokens to show per thought, with `thoughts` in `include`.
    #[serde(default, deserialize_with = "whole_or_none")]
    #[schema(maximum = 100, default = 5)]
    pub(super) top_thought_tokens: Option<usize>,
}

impl ReasonRequest {
    /// The question to ask, or the first field whose value is not allowed. `seed` is for what the request does not seed.
    pub(super) fn into_question(self, timeout: Duration, seed: u64) -> Result<Question, ApiError> {
        let report = report(self.include.as_deref(), self.top_thought_tokens)?;
        let inside = InsideBody::checked(self.inside.clone(), self.include.as_deref())?;
        let seed = self.seed.unwrap_or(seed);
        let sampling = sampling(self.temperature, self.top_p, self.top_k, seed)?;
        let samples = within("n", self.n.unwrap_or(1), 1..=MAX_SAMPLES)?;
        if samples > 1 && self.sweep.is_some() {
            return Err(ApiError::invalid(
                "n",
                "a sweep has one answer for each number of thoughts",
            ));
        }
        let latent = self.latent();
        let max_tokens = self.max_tokens.map(|count| within("max_tokens", count, 1..=MAX_COUNT));
        let max_tokens = max_tokens.transpose()?;
        let stop = self.stop.map_or(Ok(Vec::new()), Stop::checked)?;
        let ignore_eos = self.ignore_eos.unwrap_or(false);
        Ok(Question {
            asked: Asked::Question(self.question),
            echo: Echo::No,
            thinking: latent.checked(sampling.seed)?,
            then: Then::Say(Saying {
                max_tokens,
                ignore_eos,
                sampling,
                stop,
                shows_stop: false,
                samples,
            }),
            report,
            inside,
            acting: None,
            timeout,
        })
    }

    /// What it says about its thoughts.
    pub(super) fn latent(&self) -> Latent {
        Latent {
            latent_steps: self.latent_steps,
            tolerance: self.tolerance,
            sweep: self.sweep.as_ref().map(|all| all.iter().map(|steps| steps.0).collect()),
            feedback: self.feedback,
            interventions: self.interventions.clone(),
            latent_noise: self.latent_noise,
        }
    }

    /// What it says about tools.
    pub(super) fn acting(&self) -> WantedTools {
        let (tools, facts) = (self.tools.clone(), self.facts.clone());
        WantedTools { tools, facts, max_rounds: self.max_rounds }
    }

    /// What its random numbers follow from.
    pub(super) fn seed_or(&self, random: u64) -> u64 {
        self.seed.unwrap_or(random)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::request::Report;
    use crate::latent::script::Sampling;
    use crate::reason::question::LatentSteps;
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
        let saying = question.saying().unwrap();
        assert_eq!((&question.thinking.steps, saying.max_tokens), (&LatentSteps::Recipe, None));
        assert_eq!(saying.sampling, Sampling { seed: 17, ..Sampling::GREEDY });
        assert_eq!((question.report.clone(), saying.samples), (Report::default(), 1));
        assert!(saying.stop.is_empty() && !saying.ignore_eos);
    }

    #[test]
    fn null_says_what_absence_says() {
        let fields = ["latent_steps", "max_tokens", "ignore_eos", "temperature", "top_p", "top_k"];
        let more = ["seed", "stop", "stream", "include", "top_thought_tokens", "tolerance"];
        let latent = ["sweep", "feedback", "interventions", "latent_noise", "n", "inside"];
        let nulls: serde_json::Map<_, _> = fields
            .iter()
            .chain(&more)
            .chain(&latent)
            .map(|name| ((*name).to_owned(), Value::Null))
            .collect();
        let (absent, null) = (question(json!({})).unwrap(), question(nulls.into()).unwrap());
        assert_eq!(format!("{null:?}"), format!("{absent:?}"));
    }

    #[test]
    fn include_turns_into_a_report() {
        let all = json!({"include": ["thoughts", "thought_vectors", "first_logits", "logprobs", "entropy", "cosine"]});
        let report = Report {
            top_thought_tokens: 5,
            thought_vectors: true,
            first_logits: true,
            logprobs: true,
            top_logprobs: 0,
            entropy: true,
            cosine: true,
            inside: None,
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
        let saying = question.saying().unwrap();
        let six = &LatentSteps::Exactly(6);
        assert_eq!((&question.thinking.steps, saying.max_tokens), (six, Some(100)));
        assert_eq!((saying.sampling.seed, saying.sampling.top_k), (u64::MAX, Some(3)));
        for value in [json!(6.5), json!(-1), json!(-1.0), json!(1e20), json!("6"), json!([6])] {
            let body = json!({"question": "?", "latent_steps": value});
            serde_json::from_value::<ReasonRequest>(body).unwrap_err();
        }
    }

    #[test]
    fn stop_is_a_string_or_a_list() {
        let stop = |json| question(json).unwrap().saying().unwrap().stop.clone();
        assert_eq!(stop(json!({"stop": "\n"})), ["\n"]);
        assert_eq!(stop(json!({"stop": ["a", "b"]})), ["a", "b"]);
        assert!(stop(json!({"stop": null})).is_empty());
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
