//! Engine events to the parts of an answer: each end of the script has its voice, times and counts add up. Plain data in,
//! plain data out; knows no channels.

use crate::engine::inside::Role;
use crate::engine::request::Event;
use crate::engine::request::EventKind;
use crate::engine::request::Failure;
use crate::engine::request::Finish;
use crate::engine::request::Given;
use crate::engine::request::InsideRow;
use crate::engine::request::Reused;
use crate::engine::request::Thought;
use crate::engine::request::Token;
use crate::latent::answer::AnswerRule;
use crate::reason::shape::End;
use crate::reason::types::Answer;
use crate::reason::types::Part;
use crate::reason::types::PromptToken;
use crate::reason::types::Timings;
use crate::reason::types::TokenText;
use crate::reason::types::Usage;
use crate::reason::types::Warning;
use crate::reason::voice::Voice;
use crate::reason::voice::steps;
use crate::text::Tokenizer;
use crate::text::encode::Unknown;
use std::collections::BTreeSet;
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Instant;

/// What comes of one question, in the making.
#[derive(Debug)]
pub(crate) struct Transcript {
    rule: AnswerRule,
    /// In the order of the choices.
    voices: Vec<(End, Voice)>,
    /// Those that all have in common.
    thoughts: Vec<Thought>,
    thought_count: usize,
    insides: Vec<(Option<usize>, InsideRow)>,
    /// Rows that choices have in common and that were told, by what they are and where.
    shared_rows: BTreeSet<(Role, usize)>,
    heading: Heading,
    /// Ids of the prompt that have their scores, the first one included.
    echoed: usize,
    reused: Reused,
    clock: Clock,
}

/// What the question came to.
#[derive(Clone, Debug)]
pub(crate) struct Heading {
    pub(crate) tokens: usize,
    pub(crate) unknown: Unknown,
    /// The last ids of a text that what is said goes on with.
    pub(crate) lead: Vec<u32>,
    /// The prompt, where its ids are scored.
    pub(crate) echoed: Vec<PromptToken>,
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
    /// Of others: this branch has said enough, which the engine cannot know.
    Without(usize),
    /// The last part has been given out; later events do not count.
    Over,
    /// The same, and it is no answer.
    Wrong,
}

impl Transcript {
    pub(crate) fn new(
        (tokenizer, rule): (Arc<Tokenizer>, AnswerRule),
        (stop, shows_stop): (&[String], bool),
        ends: Vec<End>,
        heading: Heading,
        submitted: Instant,
    ) -> Self {
        let voice = |end| {
            (end, Voice::new(Arc::clone(&tokenizer), (stop.to_vec(), shows_stop), &heading.lead))
        };
        Self {
            rule,
            voices: ends.into_iter().map(voice).collect(),
            thoughts: Vec::new(),
            thought_count: 0,
            insides: Vec::new(),
            shared_rows: BTreeSet::new(),
            heading,
            echoed: 1,
            reused: Reused::default(),
            clock: Clock { submitted, admitted: None, prefilled: None, first_token: None },
        }
    }

    pub(crate) fn prompt_tokens(&self) -> usize {
        self.heading.tokens
    }

    /// Takes in an event and adds what it makes certain to `parts`.
    pub(crate) fn take(&mut self, event: Event, parts: &mut VecDeque<Part>) -> Goes {
        let Event { at, branch, kind } = event;
        let choice = self.voices.iter().position(|(end, _)| end.branch == branch);
        match (kind, choice) {
            (EventKind::Admitted(reused), _) => {
                self.clock.admitted = Some(at);
                self.reused = reused;
            }
            (EventKind::Prefilled, _) => self.clock.prefilled = Some(at),
            (EventKind::Thought(thought), choice) => self.take_thought(choice, thought, parts),
            (EventKind::Inside(row), choice) => self.take_row(choice, row, parts),
            (EventKind::FirstLogits(logits), Some(choice)) => {
                self.voices[choice].1.first_logits = Some(logits);
            }
            (EventKind::Token(token), Some(choice)) => {
                return self.take_token((choice, token), at, parts);
            }
            (EventKind::Ended(token), Some(choice)) => self.voices[choice].1.end(token),
            (EventKind::Scored(scores), _) if self.echoed < self.heading.echoed.len() => {
                self.take_echo(scores);
                if self.echoed >= self.heading.echoed.len() {
                    parts.push_back(Part::Prompt(self.heading.echoed.clone()));
                }
            }
            (EventKind::Scored(scores), Some(choice)) => {
                self.clock.first_token.get_or_insert(at);
                self.voices[choice].1.scores.extend(scores);
            }
            (EventKind::Finished(finish), choice) => {
                return self.finish(choice, finish, at, parts);
            }
            (EventKind::Failed(failure), _) => {
                parts.push_back(Part::Failed(failure));
                return Goes::Wrong;
            }
            (
                EventKind::FirstLogits(_)
                | EventKind::Token(_)
                | EventKind::Ended(_)
                | EventKind::Scored(_),
                None,
            ) => {}
        }
        Goes::On
    }

    /// The engine went away without a last event.
    pub(crate) fn lost(parts: &mut VecDeque<Part>) {
        parts.push_back(Part::Failed(Failure::Engine));
    }

    /// Whether a row of this choice's branch is of no other.
    fn is_alone(&self, choice: usize, role: Role) -> bool {
        let is_thought = matches!(role, Role::Prompt | Role::Latent(_));
        self.voices.len() > 1 && (!is_thought || self.voices[choice].0.has_own_thoughts)
    }

    fn take_row(&mut self, choice: Option<usize>, row: InsideRow, parts: &mut VecDeque<Part>) {
        if let (Some(choice), Role::Answer(_)) = (choice, row.role) {
            self.voices[choice].1.rows.push_back(row);
            return self.tell_rows(choice, parts);
        }
        let choice = choice.filter(|&choice| self.is_alone(choice, row.role));
        // A thought that branches part at is fed once by each of them.
        if choice.is_some() || self.shared_rows.insert((row.role, row.position)) {
            self.tell_row(choice, row, parts);
        }
    }

    /// Rows of an answer come no earlier than their tokens: where a stop string ends it, none is left without one.
    fn tell_rows(&mut self, choice: usize, parts: &mut VecDeque<Part>) {
        while let Some(row) = self.voices[choice].1.next_row() {
            let alone = Some(choice).filter(|&choice| self.is_alone(choice, row.role));
            self.tell_row(alone, row, parts);
        }
    }

    fn tell_row(&mut self, choice: Option<usize>, row: InsideRow, parts: &mut VecDeque<Part>) {
        self.insides.push((choice, row.clone()));
        parts.push_back(Part::Inside { choice, row });
    }

    /// The prompt's ids are scored in order, and before anything else is.
    fn take_echo(&mut self, scores: Vec<Given>) {
        for Given { scored, top } in scores {
            if let Some(token) = self.heading.echoed.get_mut(self.echoed) {
                (token.logprob, token.top) = (Some(scored.logprob), top);
            }
            self.echoed += 1;
        }
    }

    fn take_thought(
        &mut self,
        choice: Option<usize>,
        thought: Thought,
        parts: &mut VecDeque<Part>,
    ) {
        let choice = choice.filter(|&choice| self.voices[choice].0.has_own_thoughts);
        self.thought_count += 1;
        let thoughts = match choice {
            Some(choice) => &mut self.voices[choice].1.thoughts,
            None => &mut self.thoughts,
        };
        thoughts.push(thought.clone());
        parts.push_back(Part::Thought { choice, thought });
    }

    fn take_token(
        &mut self,
        (choice, token): (usize, Token),
        at: Instant,
        parts: &mut VecDeque<Part>,
    ) -> Goes {
        let voice = &mut self.voices[choice].1;
        if voice.is_over() {
            return Goes::On;
        }
        self.clock.first_token.get_or_insert(at);
        parts.extend(said(choice, voice.take(token)));
        self.tell_rows(choice, parts);
        let (end, voice) = &self.voices[choice];
        let (branch, is_over) = (end.branch, voice.is_over());
        match self.done_if_over(at, parts) {
            Goes::On if is_over => Goes::Without(branch),
            goes => goes,
        }
    }

    fn finish(
        &mut self,
        choice: Option<usize>,
        finish: Finish,
        at: Instant,
        parts: &mut VecDeque<Part>,
    ) -> Goes {
        if let Some(choice) = choice
            && !self.voices[choice].1.is_over()
        {
            let shared = steps(&self.thoughts);
            let (end, voice) = &mut self.voices[choice];
            parts.extend(said(choice, voice.finish(finish)));
            if !voice.scores.is_empty() {
                let latent_steps = end.latent_steps.unwrap_or(shared);
                parts.push_back(Part::Scored {
                    choice,
                    latent_steps,
                    scores: voice.scores.clone(),
                });
            }
        }
        if let Some(choice) = choice {
            self.tell_rows(choice, parts);
        }
        self.done_if_over(at, parts)
    }

    fn done_if_over(&mut self, at: Instant, parts: &mut VecDeque<Part>) -> Goes {
        if !self.voices.iter().all(|(_, voice)| voice.is_over()) {
            return Goes::On;
        }
        let usage = Usage {
            prompt_tokens: self.heading.tokens,
            unknown_tokens: self.heading.unknown.tokens,
            latent_steps: self.thought_count,
            completion_tokens: self.voices.iter().map(|(_, voice)| voice.tokens()).sum(),
            reused: self.reused,
        };
        let unknown = std::mem::take(&mut self.heading.unknown);
        let warning = Warning::of(unknown);
        let voices = std::mem::take(&mut self.voices);
        let shared = steps(&self.thoughts);
        let choices = voices.into_iter().map(|(end, voice)| voice.choice(end, shared, self.rule));
        parts.push_back(Part::Done(Box::new(Answer {
            choices: choices.collect(),
            prompt: std::mem::take(&mut self.heading.echoed),
            thoughts: std::mem::take(&mut self.thoughts),
            insides: std::mem::take(&mut self.insides),
            turns: Vec::new(),
            usage,
            timings: self.clock.timings(at),
            warnings: warning.into_iter().collect(),
        })));
        Goes::Over
    }
}

fn said(choice: usize, tokens: Vec<TokenText>) -> impl Iterator<Item = Part> {
    tokens.into_iter().map(move |token| Part::Token { choice, token })
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
