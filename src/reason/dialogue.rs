//! A question that is answered in rounds: the model says what is to be done, is told what came of it, and goes on. What was fed
//! and said so far, what of it is fed next, and what all rounds come to. Knows the form of calls; runs no tool and asks
//! nobody.

use crate::engine::request::Finish;
use crate::engine::request::Thought;
use crate::latent::script::Fed;
use crate::latent::script::ids;
use crate::reason::question::Acting;
use crate::reason::question::AskError;
use crate::reason::question::Asked;
use crate::reason::question::Inputs;
use crate::reason::question::Question;
use crate::reason::question::Saying;
use crate::reason::question::Then;
use crate::reason::reasoner::Reasoner;
use crate::reason::types::Action;
use crate::reason::types::Answer;
use crate::reason::types::Choice;
use crate::reason::types::Turn;
use crate::reason::types::Warning;
use crate::text::encode::Unknown;
use crate::tools::call::Argument;
use crate::tools::call::Call;
use crate::tools::call::Observation;
use crate::tools::react::Opening;
use crate::tools::react::ReactForm;
use crate::tools::react::Said;
use std::sync::Arc;
use std::time::Duration;
use std::time::Instant;

/// Most tokens of a round, as in the paper.
const ROUND_TOKENS: usize = 100;

/// What was said and done so far.
#[derive(Debug)]
pub(crate) struct Dialogue {
    form: ReactForm,
    /// With all that shapes a round.
    question: Question,
    saying: Saying,
    /// All inputs so far; what is fed next, before and behind the thoughts, comes behind.
    fed: Vec<Fed>,
    next: Next,
    round: usize,
    opening: Opening,
    begun: Instant,
    sum: Sum,
}

/// What is fed next.
#[derive(Clone, Debug, Default)]
struct Next {
    before: Vec<u32>,
    after: Vec<u32>,
    /// Whether it goes on in the middle of a round, without thoughts.
    is_plain: bool,
}

/// What all rounds come to.
#[derive(Debug, Default)]
struct Sum {
    answer: Option<Answer>,
    text: String,
    turns: Vec<Turn>,
    thoughts: Vec<Thought>,
    /// Positions that were fed and are neither said nor thought.
    told: usize,
    /// What of the question is unknown.
    unknown: Unknown,
}

/// What a round came to.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Heard {
    /// Something is to be done.
    Act(Action),
    /// It is asked again for an action.
    Again,
    /// The answer, where there is one.
    Over(Option<String>),
}

impl Dialogue {
    pub(crate) fn begin(
        reasoner: &Reasoner,
        form: &ReactForm,
        question: Question,
    ) -> Result<Self, AskError> {
        let Then::Say(saying) = question.then.clone() else {
            return Err(AskError::Acting("scores and prompts alone are had without tools"));
        };
        let max_rounds = question.acting.as_ref().and_then(|acting| acting.max_rounds);
        let form = ReactForm {
            max_rounds: max_rounds.unwrap_or(form.max_rounds).min(form.max_rounds.max(1)),
            ..form.clone()
        };
        let opening = form.opens_with();
        let after = reasoner.encode(&form.opening(opening, 1))?;
        let (fed, unknown) = reasoner.unmarked(&question.asked)?;
        let sum = Sum { told: fed.len() + after.len(), unknown, ..Sum::default() };
        let next = Next { after, ..Next::default() };
        let begun = Instant::now();
        Ok(Self { form, question, saying, fed, next, round: 1, opening, begun, sum })
    }

    /// What the model may do.
    pub(crate) fn acting(&self) -> Acting {
        self.question.acting.clone().unwrap_or_default()
    }

    /// Positions that were fed and are neither said nor thought.
    pub(crate) fn told(&self) -> usize {
        self.sum.told
    }

    /// How many tokens were said.
    pub(crate) fn tokens(&self) -> usize {
        self.said().map_or(0, |choice| choice.tokens.len())
    }

    /// The next thing to ask.
    pub(crate) fn ask(&self) -> Question {
        let left = self.saying.max_tokens.map(|most| most.saturating_sub(self.tokens()).max(1));
        let saying = Saying {
            max_tokens: Some(left.unwrap_or(ROUND_TOKENS).min(ROUND_TOKENS)),
            stop: self.form.interrupts(self.opening),
            shows_stop: true,
            ..self.saying.clone()
        };
        let before = self.fed.iter().cloned().chain(ids(&self.next.before)).collect();
        let (after, is_plain) = (self.next.after.clone(), self.next.is_plain);
        let inputs = Inputs { before, after, is_plain };
        let timeout = self.question.timeout.saturating_sub(self.begun.elapsed());
        let mut question = Question {
            asked: Asked::Inputs(Arc::new(inputs)),
            then: Then::Say(saying),
            acting: None,
            timeout,
            ..self.question.clone()
        };
        // They are fed again in the next round.
        question.report.thought_vectors = true;
        question
    }

    /// Takes in what came of a round.
    pub(crate) fn hear(&mut self, reasoner: &Reasoner, answer: Answer) -> Result<Heard, AskError> {
        let thoughts: Vec<Fed> =
            answer.thoughts.iter().filter_map(|t| t.vector.as_deref()).map(vector).collect();
        let Some(choice) = answer.choices.first() else { return Ok(Heard::Over(None)) };
        let text = choice.text.clone();
        let said: Vec<u32> = choice.tokens.iter().map(|token| token.id).collect();
        let is_full = self.saying.max_tokens.is_some_and(|most| {
            choice.finish == Finish::Length && self.tokens() + said.len() >= most
        });
        let Next { before, after, is_plain } = std::mem::take(&mut self.next);
        let markers = if is_plain { (&[][..], &[][..]) } else { reasoner.markers() };
        self.fed.extend(ids(&before));
        self.fed.extend(ids(markers.0));
        self.fed.extend(thoughts);
        self.fed.extend(ids(markers.1));
        self.fed.extend(ids(&after));
        let heard = self.form.read(self.opening, &text, true);
        self.sum.add(answer, &text);
        let asked_again = self.opening != self.form.opens_with();
        let spoken = text.trim().to_owned();
        match heard {
            Said::Finish { thought, answer } => {
                let finish = format!("{}[{answer}]", self.form.labels.finish);
                self.sum.turns.push(turn(self.action(thought, None, finish), None, Duration::ZERO));
                Ok(Heard::Over(Some(answer)))
            }
            _ if is_full => Ok(Heard::Over(None)),
            Said::Missing { thought } if !asked_again && self.form.thoughts => {
                self.opening = Opening::Action;
                let opening = self.form.opening(Opening::Action, self.round);
                let after = reasoner.encode(&format!(" {thought}\n{opening}"))?;
                self.next = Next { before: Vec::new(), after, is_plain: true };
                self.sum.told += self.next.after.len();
                Ok(Heard::Again)
            }
            Said::Call { thought, action, argument } => {
                self.fed.extend(ids(&said));
                let written = format!("{action}[{argument}]");
                let call = Call { name: action, argument: Argument::Text(argument) };
                Ok(Heard::Act(self.action(thought, Some(call), written)))
            }
            Said::Invalid { thought, action } => {
                self.fed.extend(ids(&said));
                Ok(Heard::Act(self.action(thought, None, action)))
            }
            Said::Missing { thought } => {
                self.fed.extend(ids(&said));
                Ok(Heard::Act(self.action(thought, None, spoken)))
            }
            Said::Open => {
                self.fed.extend(ids(&said));
                Ok(Heard::Act(self.action(String::new(), None, spoken)))
            }
        }
    }

    fn action(&self, thought: String, call: Option<Call>, said: String) -> Action {
        Action { round: self.round, thought, call, said }
    }

    /// Takes in what came of an action. Whether there is another round.
    pub(crate) fn observe(
        &mut self,
        reasoner: &Reasoner,
        (action, observation): (Action, Observation),
        took: Duration,
    ) -> Result<bool, AskError> {
        let observed = self.form.observation(self.round, &observation.text);
        self.sum.turns.push(turn(action, Some(observation), took));
        self.round += 1;
        self.opening = self.form.opens_with();
        let opening = self.form.opening(self.opening, self.round);
        // Thoughts come between what is observed and what is said; without any, the text is one piece.
        self.next = match reasoner.thinks() {
            true => Next {
                before: reasoner.encode(&observed)?,
                after: reasoner.encode(&opening)?,
                is_plain: false,
            },
            false => {
                Next { after: reasoner.encode(&format!("{observed}{opening}"))?, ..Next::default() }
            }
        };
        self.sum.told += self.next.before.len() + self.next.after.len();
        Ok(self.round <= self.form.max_rounds)
    }

    fn said(&self) -> Option<&Choice> {
        self.sum.answer.as_ref()?.choices.first()
    }

    /// All of it: with this answer, or with none because there was no round left or no room.
    pub(crate) fn finished(&mut self, reasoner: &Reasoner, said: Option<String>) -> Option<Answer> {
        let Sum { answer, text, turns, mut thoughts, told, unknown } =
            std::mem::take(&mut self.sum);
        let mut answer = answer?;
        let choice = answer.choices.first_mut()?;
        choice.finish = if said.is_some() { Finish::Stop } else { Finish::Length };
        choice.answer = reasoner.answer_rule().extract(&said.unwrap_or_default());
        choice.text = text;
        if !self.question.report.thought_vectors {
            thoughts.iter_mut().for_each(|thought| thought.vector = None);
        }
        choice.latent_steps = thoughts.len();
        answer.thoughts = thoughts;
        answer.turns = turns;
        answer.usage.prompt_tokens = told;
        answer.usage.unknown_tokens = unknown.tokens;
        answer.warnings.extend(Warning::of(unknown));
        answer.timings.total = self.begun.elapsed();
        Some(answer)
    }
}

impl Sum {
    fn add(&mut self, round: Answer, text: &str) {
        self.text.push_str(text);
        let count = self.thoughts.len();
        self.thoughts.extend(
            round
                .thoughts
                .iter()
                .cloned()
                .map(|thought| Thought { step: thought.step + count, ..thought }),
        );
        let Some(sum) = &mut self.answer else {
            self.answer = Some(round);
            return;
        };
        let mut said = round.choices.into_iter().flat_map(|choice| choice.tokens);
        if let Some(choice) = sum.choices.first_mut() {
            let from = choice.tokens.len();
            let renumbered = said.by_ref().zip(from..).map(|(mut token, index)| {
                token.index = index;
                token
            });
            choice.tokens.extend(renumbered);
        }
        sum.insides.extend(round.insides);
        sum.usage.completion_tokens += round.usage.completion_tokens;
        sum.usage.latent_steps += round.usage.latent_steps;
        sum.timings.queue += round.timings.queue;
        sum.timings.prefill += round.timings.prefill;
        sum.timings.latent += round.timings.latent;
        sum.timings.decode += round.timings.decode;
    }
}

fn vector(vector: &[f32]) -> Fed {
    Fed::Vector(vector.into())
}

fn turn(action: Action, observation: Option<Observation>, took: Duration) -> Turn {
    Turn { action, observation, took }
}
