//! Samples added up. Does not know how they were taken or how they are shown.

use crate::bench::client::Sample;
use crate::bench::plan::Plan;
use crate::bench::report::AnswerLine;
use crate::bench::report::Report;
use crate::bench::report::Spread;
use hdrhistogram::Histogram;
use std::collections::BTreeMap;
use std::time::Duration;
use tokio::time::Instant;

/// Digits that a recorded time keeps; with microseconds as the unit.
const DIGITS: u8 = 3;

/// The sum of all samples so far.
#[derive(Debug)]
pub(crate) struct Recorder {
    latency: Histogram<u64>,
    first_token: Histogram<u64>,
    /// From the first intended beginning to the last end.
    span: Option<(Instant, Instant)>,
    requests: u64,
    prompt_tokens: u64,
    thoughts: u64,
    tokens: u64,
    told_to_return: u64,
    warned: u64,
    warning: Option<String>,
    errors: BTreeMap<String, u64>,
    answers: BTreeMap<usize, (String, String)>,
}

impl Default for Recorder {
    fn default() -> Self {
        let times = || Histogram::new(DIGITS).expect("1 to 5 digits");
        Self {
            latency: times(),
            first_token: times(),
            span: None,
            requests: 0,
            prompt_tokens: 0,
            thoughts: 0,
            tokens: 0,
            told_to_return: 0,
            warned: 0,
            warning: None,
            errors: BTreeMap::new(),
            answers: BTreeMap::new(),
        }
    }
}

impl Recorder {
    /// Counts one request. Only answers have a latency: a refusal is quick, and would make the server look so.
    pub(crate) fn take(&mut self, sample: Sample) {
        let (start, end) = self.span.unwrap_or((sample.intended, sample.ended));
        self.span = Some((start.min(sample.intended), end.max(sample.ended)));
        self.requests += 1;
        self.told_to_return += sample.told_to_return;
        let answered = match sample.outcome {
            Ok(answered) => answered,
            Err(failed) => {
                *self.errors.entry(failed.to_string()).or_default() += 1;
                return;
            }
        };
        record(&mut self.latency, sample.ended - sample.intended);
        if let Some(first_token) = sample.first_token {
            record(&mut self.first_token, first_token - sample.intended);
        }
        self.prompt_tokens = self.prompt_tokens.saturating_add(answered.prompt_tokens);
        self.thoughts = self.thoughts.saturating_add(answered.thoughts);
        self.tokens = self.tokens.saturating_add(answered.tokens);
        self.warned += u64::from(answered.warning.is_some());
        self.warning = self.warning.take().or(answered.warning);
        self.answers.insert(sample.number, (answered.answer, answered.text));
    }

    /// What the samples of this plan come to.
    pub(crate) fn report(self, plan: &Plan) -> Report {
        let (start, end) = self.span.unwrap_or_else(|| (Instant::now(), Instant::now()));
        let seconds = (end - start).as_secs_f64();
        let answered = self.latency.len();
        let per_second = |count: u64| if seconds > 0.0 { count as f64 / seconds } else { 0.0 };
        let line = |(number, (answer, text)): (usize, (String, String))| AnswerLine {
            number,
            question: plan.question(number).question.clone(),
            expected: plan.question(number).answer.clone(),
            answer,
            text,
        };
        Report {
            requests: self.requests,
            answered,
            errors: self.errors,
            told_to_return: self.told_to_return,
            warned: self.warned,
            warning: self.warning,
            seconds,
            requests_per_second: per_second(answered),
            tokens_per_second: per_second(self.tokens),
            thoughts_per_second: per_second(self.thoughts),
            prompt_tokens: self.prompt_tokens as f64 / answered.max(1) as f64,
            latency_ms: spread(&self.latency),
            first_token_ms: spread(&self.first_token),
            answers: self.answers.into_iter().map(line).collect(),
        }
    }
}

fn record(histogram: &mut Histogram<u64>, time: Duration) {
    let micros = time.as_micros().try_into().unwrap_or(u64::MAX);
    histogram.record(micros).expect("it grows up to all that 64 bits can hold");
}

/// `None` where nothing was recorded.
fn spread(histogram: &Histogram<u64>) -> Option<Spread> {
    let ms = |micros: u64| micros as f64 / 1e3;
    let at = |percentile| ms(histogram.value_at_percentile(percentile));
    (!histogram.is_empty()).then(|| Spread {
        mean: (histogram.mean() * 1e3).round() / 1e6,
        p50: at(50.0),
        p90: at(90.0),
        p99: at(99.0),
        max: ms(histogram.max()),
        percentiles: (0..=100).map(|percentile| at(f64::from(percentile))).collect(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::client::Failed;
    use crate::bench::plan::Arrivals;
    use crate::bench::plan::Ask;
    use crate::bench::plan::End;
    use crate::bench::plan::Refused;
    use crate::bench::plan::Server;
    use crate::bench::target::Answered;
    use crate::data::example::Example;

    fn plan() -> Plan {
        let example = |text: &str| Example {
            question: text.to_owned(),
            steps: Vec::new(),
            answer: "7".to_owned(),
            ..Example::default()
        };
        Plan {
            server: Server {
                base: "http://localhost".parse().unwrap(),
                authorization: None,
                timeout: Duration::from_secs(1),
                refused: Refused::Counts,
            },
            ask: Ask::default(),
            questions: vec![example("a"), example("b")],
            arrivals: Arrivals::Closed { clients: 1 },
            end: End::default(),
            warmup: 0,
        }
    }

    fn sample(number: usize, millis: (u64, u64), outcome: Result<Answered, Failed>) -> Sample {
        let origin = Instant::now();
        let (start, end) = millis;
        let at = |millis| origin + Duration::from_millis(millis);
        Sample {
            number,
            intended: at(start),
            ended: at(end),
            first_token: Some(at(start + 1)),
            told_to_return: 0,
            outcome,
        }
    }

    #[test]
    fn rates_are_those_of_answers_and_errors_are_counted_by_kind() {
        let answered =
            Answered { prompt_tokens: 10, thoughts: 6, tokens: 3, ..Answered::default() };
        let mut recorder = Recorder::default();
        recorder.take(sample(0, (0, 100), Ok(answered.clone())));
        let warning = Some("unknown".to_owned());
        recorder.take(sample(1, (100, 300), Ok(Answered { warning, ..answered })));
        recorder.take(sample(2, (0, 2000), Err(Failed::Timeout)));
        recorder.take(sample(3, (0, 1), Err(Failed::Timeout)));
        recorder.take(sample(4, (0, 1), Err(Failed::Event("deadline".to_owned()))));
        let report = recorder.report(&plan());
        assert_eq!((report.requests, report.answered), (5, 2));
        assert_eq!((report.warned, report.warning.as_deref()), (1, Some("unknown")));
        let kinds: Vec<_> = report.errors.iter().map(|(kind, &count)| (&kind[..], count)).collect();
        assert_eq!(kinds, [("event deadline", 1), ("timeout", 2)]);
        assert!((report.requests_per_second - 1.0).abs() < 0.05, "{report:?}");
        assert!((report.thoughts_per_second - 6.0).abs() < 0.3, "{report:?}");
        assert!((report.prompt_tokens - 10.0).abs() < 1e-9, "{report:?}");
        let latency = report.latency_ms.unwrap();
        assert!((latency.p50 - 100.0).abs() < 0.2 && (latency.max - 200.0).abs() < 0.2);
        assert!((report.first_token_ms.unwrap().max - 1.0).abs() < 0.1);
        let lines: Vec<_> =
            report.answers.iter().map(|line| (line.number, &line.question[..])).collect();
        assert_eq!(lines, [(0, "a"), (1, "b")]);
    }

    #[test]
    fn nothing_is_no_latency() {
        let report = Recorder::default().report(&plan());
        assert_eq!((report.requests, report.answered), (0, 0));
        assert!(report.latency_ms.is_none() && report.first_token_ms.is_none());
    }
}
