//! What a run came to: plain numbers, as text for people and as JSON for scripts.

use serde::Serialize;
use std::collections::BTreeMap;
use std::fmt::Display;
use std::fmt::Formatter;

/// The result of one run.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// Requests that ended, in whatever way.
    pub requests: u64,
    /// Those with an answer.
    pub answered: u64,
    /// The others, by kind: `status 429`, `connect`, `timeout`, `broken`, `event CODE`.
    pub errors: BTreeMap<String, u64>,
    /// Refusals that said when to come back; more than errors where clients did come back.
    pub told_to_return: u64,
    /// Answers with a warning, such as one of words that the model does not know.
    pub warned: u64,
    /// The first of these.
    pub warning: Option<String>,
    /// From the first request to the last answer.
    pub seconds: f64,
    /// Answers a second.
    pub requests_per_second: f64,
    /// Answer tokens a second.
    pub tokens_per_second: f64,
    /// Thoughts a second.
    pub thoughts_per_second: f64,
    /// Mean of the prompts' lengths, in tokens.
    pub prompt_tokens: f64,
    /// From the intended beginning of a request to its answer, in milliseconds.
    pub latency_ms: Option<Spread>,
    /// The same to the first answer token; of streams only.
    pub first_token_ms: Option<Spread>,
    /// The answers, in the order of their requests.
    #[serde(skip)]
    pub answers: Vec<AnswerLine>,
}

/// How times are distributed, in milliseconds.
#[derive(Clone, Debug, Serialize)]
pub struct Spread {
    /// Arithmetic mean.
    pub mean: f64,
    /// Half are not longer.
    pub p50: f64,
    /// Nine in ten are not longer.
    pub p90: f64,
    /// 99 in 100 are not longer.
    pub p99: f64,
    /// The longest.
    pub max: f64,
    /// All percentiles from 0 to 100.
    pub percentiles: Vec<f64>,
}

/// One answer, as a line of the file of answers.
#[derive(Clone, Debug, Serialize)]
pub struct AnswerLine {
    /// Which request, from 0.
    pub number: usize,
    /// What was asked.
    pub question: String,
    /// What the data call the answer.
    pub expected: String,
    /// What the server calls the answer.
    pub answer: String,
    /// The whole text that it decoded.
    pub text: String,
}

impl Display for Report {
    fn fmt(&self, f: &mut Formatter<'_>) -> std::fmt::Result {
        let Self { requests, answered, seconds, .. } = self;
        writeln!(f, "requests      {requests} in {seconds:.2} s, {answered} answered")?;
        for (kind, count) in &self.errors {
            writeln!(f, "  {kind:<12}{count}")?;
        }
        if self.told_to_return > 0 {
            writeln!(f, "retry-after   {} times", self.told_to_return)?;
        }
        if let Some(warning) = &self.warning {
            writeln!(f, "warnings      {}, the first: {warning}", self.warned)?;
        }
        writeln!(f, "requests/s    {:.2}", self.requests_per_second)?;
        writeln!(f, "tokens/s      {:.1}", self.tokens_per_second)?;
        writeln!(f, "thoughts/s    {:.1}", self.thoughts_per_second)?;
        writeln!(f, "prompt        {:.1} tokens on average", self.prompt_tokens)?;
        if let Some(latency) = &self.latency_ms {
            writeln!(f, "latency       {latency}")?;
        }
        if let Some(first_token) = &self.first_token_ms {
            writeln!(f, "first token   {first_token}")?;
        }
        Ok(())
    }
}

impl Display for Spread {
    fn fmt(&self, f: &mut Formatter<'_>) -> std::fmt::Result {
        let Self { mean, p50, p90, p99, max, .. } = self;
        write!(f, "p50 {p50:.1}  p90 {p90:.1}  p99 {p99:.1}  max {max:.1}  mean {mean:.1} ms")
    }
}
