//! Engine events to the parts of an answer: ids become text, stop strings end it, times and counts add up. Plain data
//! in, plain data out; knows no channels.

use crate::engine::request::Event;
use crate::engine::request::EventKind;
use crate::engine::request::Failure;
use crate::engine::request::Finish;
use crate::engine::request::Reused;
use crate::engine::request::Thought;
use crate::engine::request::Token;
use crate::latent::answer::AnswerRule;
use crate::reason::types::Answer;
use crate::reason::types::Part;
use crate::reason::types::Timings;
use crate::reason::types::TokenText;
use crate::reason::types::Usage;
use crate::reason::types::Warning;
use crate::text::Tokenizer;
use crate::text::decode::IncrementalDecoder;
use crate::text::encode::Unknown;
use crate::text::stop::StopWatch;
use crate::text::stop::Watched;
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Instant;

/// One answer in the making.
#[derive(Debug)]
pub(crate) struct Transcript {
    tokenizer: Arc<Tokenizer>,
    rule: AnswerRule,
    decoder: IncrementalDecoder,
    watch: StopWatch,
    /// The last token while more text may come with it, were it the last: a character is unfinished, or a stop string may
    /// have begun.
    unsettled: Option<TokenText>,
    text: String,
    tokens: Vec<TokenText>,
    thoughts: Vec<Thought>,
    first_logits: Option<Vec<f32>>,
    prompt: Prompt,
    reused: Reused,
    clock: Clock,
}

/// What the question came to.
#[derive(Clone, Debug)]
pub(crate) struct Prompt {
    pub(crate) tokens: usize,
    pub(crate) unknown: Unknown,
}

/// When the phases ended.
#[derive(Clone, Copy, Debug)]
struct Clock {
    submitted: Instant,
    admitted: Option<Instant>,
    prefilled: Option<Instant>,
    first_token: Option<Instant>,
}

/// Whether the answer goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Goes {
    /// More events are to come.
    On,
    /// The last part has been given out; later events do not count.
    Over,
}

impl Transcript {
    pub(crate) fn new(
        (tokenizer, rule): (Arc<Tokenizer>, AnswerRule),
        stop: Vec<String>,
        prompt: Prompt,
        submitted: Instant,
    ) -> Self {
        Self {
            decoder: tokenizer.decoder(),
            tokenizer,
            rule,
            watch: StopWatch::new(stop),
            unsettled: None,
            text: String::new(),
            tokens: Vec::new(),
            thoughts: Vec::new(),
            first_logits: None,
            prompt,
            reused: Reused::default(),
            clock: Clock { submitted, admitted: None, prefilled: None, first_token: None },
        }
    }

    /// Takes in an event and adds what it makes certain to `parts`.
    pub(crate) fn take(&mut self, event: Event, parts: &mut VecDeque<Part>) -> Goes {
        let at = event.at;
        match event.kind {
            EventKind::Admitted(reused) => {
                self.clock.admitted = Some(at);
                self.reused = reused;
            }
            EventKind::Prefilled => self.clock.prefilled = Some(at),
            EventKind::Thought(thought) => {
                self.thoughts.push(thought.clone());
                parts.push_back(Part::Thought(thought));
            }
            EventKind::FirstLogits(logits) => self.first_logits = Some(logits),
            // No question asks for scores.
            EventKind::Scored(_) | EventKind::Inside(_) => {}
            EventKind::Token(token) => return self.take_token(token, at, parts),
            EventKind::Finished(finish) => {
                self.finish(finish, at, parts);
                return Goes::Over;
            }
            EventKind::Failed(failure) => {
                parts.push_back(Part::Failed(failure));
                return Goes::Over;
            }
        }
        Goes::On
    }

    /// The engine went away without a last event.
    pub(crate) fn lost(parts: &mut VecDeque<Part>) {
        parts.push_back(Part::Failed(Failure::Engine));
    }

    fn take_token(&mut self, token: Token, at: Instant, parts: &mut VecDeque<Part>) -> Goes {
        self.clock.first_token.get_or_insert(at);
        // What is unfinished will be given out with a later token.
        self.settle("", parts);
        let fresh = self.decoder.push(self.tokenizer.token(token.id));
        self.unsettled = Some(TokenText {
            index: self.tokens.len(),
            id: token.id,
            text: String::new(),
            logprob: token.logprob,
        });
        match self.watch.push(&fresh) {
            Watched::Stopped(text) => {
                self.settle(&text, parts);
                self.done(Finish::Stop, at, parts);
                Goes::Over
            }
            Watched::Go(text) => {
                if !self.decoder.is_unfinished() && !self.watch.is_holding() {
                    self.settle(&text, parts);
                } else if let Some(last) = &mut self.unsettled {
                    last.text = text;
                }
                Goes::On
            }
        }
    }

    fn finish(&mut self, finish: Finish, at: Instant, parts: &mut VecDeque<Part>) {
        let rest = self.decoder.finish();
        let (text, finish) = match self.watch.push(&rest) {
            Watched::Stopped(text) => (text, Finish::Stop),
            Watched::Go(text) => (text + &self.watch.finish(), finish),
        };
        self.settle(&text, parts);
        self.done(finish, at, parts);
    }

    /// Gives out the token held back, with `text` behind its own.
    fn settle(&mut self, text: &str, parts: &mut VecDeque<Part>) {
        if let Some(mut token) = self.unsettled.take() {
            token.text.push_str(text);
            self.text.push_str(&token.text);
            self.tokens.push(token.clone());
            parts.push_back(Part::Token(token));
        }
    }

    fn done(&mut self, finish: Finish, at: Instant, parts: &mut VecDeque<Part>) {
        let usage = Usage {
            prompt_tokens: self.prompt.tokens,
            unknown_tokens: self.prompt.unknown.tokens,
            latent_steps: self.thoughts.len(),
            completion_tokens: self.tokens.len(),
            reused: self.reused,
        };
        let text = std::mem::take(&mut self.text);
        let unknown = std::mem::take(&mut self.prompt.unknown);
        let warning = (unknown.tokens > 0).then_some(Warning::UnknownTokens(unknown));
        parts.push_back(Part::Done(Box::new(Answer {
            answer: self.rule.extract(&text),
            text,
            finish,
            thoughts: std::mem::take(&mut self.thoughts),
            tokens: std::mem::take(&mut self.tokens),
            first_logits: self.first_logits.take(),
            usage,
            timings: self.clock.timings(at),
            warnings: warning.into_iter().collect(),
        })));
    }
}

impl Clock {
    /// A phase that was never entered takes no time.
    fn timings(self, end: Instant) -> Timings {
        let admitted = self.admitted.unwrap_or(end);
        let prefilled = self.prefilled.unwrap_or(end).max(admitted);
        let first_token = self.first_token.unwrap_or(end).max(prefilled);
        Timings {
            queue: admitted - self.submitted,
            prefill: prefilled - admitted,
            latent: first_token - prefilled,
            decode: end - first_token,
            total: end - self.submitted,
        }
    }
}
