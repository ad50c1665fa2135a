//! The text of ReAct (Yao et al., 2210.03629) and of its variant without thoughts, Act: lines that the model says, lines
//! that are fed, and what was said so far as a thought, a call or an answer. Does not know what an action does.
//!
//! ```text
//! Thought 1: Is Tom a lempus?              fed up to the colon; said from there to the end of the next line
//! Action 1: path[Tom, lempus]
//! Observation 1: Tom is a lempus.          fed
//! Thought 2: Tom is a lempus.
//! Action 2: Finish[Tom is a lempus.]
//! ```

use serde::Deserialize;
use serde::Serialize;

/// Rounds of the paper's loop.
const MAX_ROUNDS: usize = 7;

/// How thoughts, calls and observations are written.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct ReactForm {
    /// Whether a thought precedes each action: ReAct; without, Act.
    pub thoughts: bool,
    /// Most rounds, the one that finishes included.
    #[serde(skip_serializing_if = "is_seven")]
    pub max_rounds: usize,
    /// Whether labels are followed by the number of the round.
    #[serde(skip_serializing_if = "is_true")]
    pub numbered: bool,
    /// The words that lines begin with.
    #[serde(skip_serializing_if = "is_default")]
    pub labels: Labels,
}

/// The words that lines begin with, and the action that ends a dialogue.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Labels {
    /// Before a thought.
    pub thought: String,
    /// Before an action.
    pub action: String,
    /// Before what came of it.
    pub observation: String,
    /// The action whose argument is the answer.
    pub finish: String,
}

/// One round of a dialogue. The last one finishes, and observes nothing.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Eq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Round {
    /// Why the action is done; may be empty.
    #[serde(default)]
    pub thought: String,
    /// Its name.
    pub action: String,
    /// What is in its brackets.
    pub argument: String,
    /// What came of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observation: Option<String>,
}

/// The label that a model is made to begin with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Opening {
    /// It says a thought and then an action.
    Thought,
    /// It says an action.
    Action,
}

/// What a model said in a round, so far.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Said {
    /// There is more to come.
    Open,
    /// Something is to be done.
    Call {
        /// Why.
        thought: String,
        /// The action's name.
        action: String,
        /// What is in its brackets.
        argument: String,
    },
    /// The dialogue is at its end.
    Finish {
        /// Why.
        thought: String,
        /// The answer.
        answer: String,
    },
    /// An action that is not written `name[argument]`: an observation says so, as in the paper.
    Invalid {
        /// Why.
        thought: String,
        /// What was said in the place of an action.
        action: String,
    },
    /// No action. The paper keeps the first line, and asks again from [`Opening::Action`].
    Missing {
        /// The first line.
        thought: String,
    },
}

impl Default for ReactForm {
    fn default() -> Self {
        Self { thoughts: true, max_rounds: MAX_ROUNDS, numbered: true, labels: Labels::default() }
    }
}

impl Default for Labels {
    fn default() -> Self {
        let [thought, action, observation, finish] =
            ["Thought", "Action", "Observation", "Finish"].map(str::to_owned);
        Self { thought, action, observation, finish }
    }
}

impl ReactForm {
    /// ReAct, as in the paper.
    pub fn react() -> Self {
        Self::default()
    }

    /// Without thoughts.
    pub fn act() -> Self {
        Self { thoughts: false, ..Self::default() }
    }

    /// What a round begins with.
    pub fn opens_with(&self) -> Opening {
        if self.thoughts { Opening::Thought } else { Opening::Action }
    }

    /// What is fed before the model speaks, rounds counted from 1: `Thought 1:`.
    pub fn opening(&self, opening: Opening, round: usize) -> String {
        match opening {
            Opening::Thought => self.labelled(&self.labels.thought, round),
            Opening::Action => self.labelled(&self.labels.action, round),
        }
    }

    /// What is fed once an action is done: its line, after which comes the next opening.
    pub fn observation(&self, round: usize, text: &str) -> String {
        format!("{}{}\n", self.labelled(&self.labels.observation, round), after_colon(text))
    }

    /// What the model should say in a round, from the colon of [`Self::opens_with`] on.
    pub fn said(&self, round: usize, said: &Round) -> String {
        let Round { thought, action, argument, .. } = said;
        let call = format!("{action}[{}]", one_line(argument));
        match self.opens_with() {
            Opening::Thought => {
                let action = self.labelled(&self.labels.action, round);
                format!("{}\n{action} {call}\n", after_colon(thought))
            }
            Opening::Action => format!(" {call}\n"),
        }
    }

    /// A whole dialogue, as it follows the question.
    pub fn written(&self, rounds: &[Round]) -> String {
        let round = |(number, round): (usize, &Round)| {
            let opening = self.opening(self.opens_with(), number);
            let observed = round.observation.as_deref();
            let observed = observed.map(|text| self.observation(number, text)).unwrap_or_default();
            format!("{opening}{}{observed}", self.said(number, round))
        };
        (1..).zip(rounds).map(round).collect()
    }

    /// The round that ends a dialogue.
    pub fn finish(&self, thought: String, answer: &str) -> Round {
        let (action, argument) = (self.labels.finish.clone(), answer.to_owned());
        Round { thought, action, argument, observation: None }
    }

    /// Texts at which the model is interrupted, so that it does not go on to say what it observes: [`Self::read`] is asked
    /// then, of all that was said, these included; where it says [`Said::Open`], the model goes on.
    pub fn interrupts(&self, opening: Opening) -> Vec<String> {
        match opening {
            Opening::Thought => vec!["]\n".to_owned(), format!("\n{}", self.labels.observation)],
            Opening::Action => vec!["\n".to_owned()],
        }
    }

    /// What was said from the colon of an opening on. `ended`: whether nothing will follow. Whatever follows an action's line
    /// is not looked at, so that it does not matter in which pieces a text comes.
    pub fn read(&self, opening: Opening, said: &str, ended: bool) -> Said {
        let mut thought: Vec<&str> = Vec::new();
        for (index, line) in said.split_inclusive('\n').enumerate() {
            let whole = line.ends_with('\n') || ended;
            let text = line.trim();
            match opening {
                Opening::Action if whole && !text.is_empty() => return self.action(&[], text),
                Opening::Action => {}
                Opening::Thought if index == 0 => thought.push(text),
                Opening::Thought if !whole => {}
                Opening::Thought => match after_label(text, &self.labels.action) {
                    Some(action) => return self.action(&thought, action),
                    None if self.is_over(text) => return missing(&thought),
                    None => thought.push(text),
                },
            }
        }
        if ended { missing(&thought) } else { Said::Open }
    }

    /// Whether a line belongs to what comes after the action.
    fn is_over(&self, line: &str) -> bool {
        let Labels { thought, observation, .. } = &self.labels;
        [thought, observation].into_iter().any(|label| after_label(line, label).is_some())
    }

    fn action(&self, thought: &[&str], text: &str) -> Said {
        let thought = joined(thought);
        let call = text.strip_suffix(']').and_then(|text| text.split_once('['));
        match call.map(|(name, argument)| (name.trim(), argument.trim())) {
            Some((name, answer)) if name.eq_ignore_ascii_case(&self.labels.finish) => {
                Said::Finish { thought, answer: answer.to_owned() }
            }
            Some((name, argument)) if !name.is_empty() => {
                Said::Call { thought, action: name.to_owned(), argument: argument.to_owned() }
            }
            _ => Said::Invalid { thought, action: text.to_owned() },
        }
    }

    fn labelled(&self, label: &str, round: usize) -> String {
        if self.numbered { format!("{label} {round}:") } else { format!("{label}:") }
    }
}

fn missing(thought: &[&str]) -> Said {
    let first = thought.iter().find(|line| !line.is_empty()).copied();
    Said::Missing { thought: first.unwrap_or_default().to_owned() }
}

/// What follows a label at the beginning of a line, with whatever number or none.
fn after_label<'a>(line: &'a str, label: &str) -> Option<&'a str> {
    let rest = line.strip_prefix(label)?;
    let rest = rest.trim_start().trim_start_matches(|letter: char| letter.is_ascii_digit());
    rest.trim_start().strip_prefix(':').map(str::trim)
}

/// A text of several lines as one; every line of a dialogue is one.
fn one_line(text: &str) -> String {
    joined(&text.lines().map(str::trim).collect::<Vec<_>>())
}

fn joined(lines: &[&str]) -> String {
    let lines: Vec<&str> = lines.iter().filter(|line| !line.is_empty()).copied().collect();
    lines.join(" ")
}

/// A text behind a colon: with a space between, if it is any.
fn after_colon(text: &str) -> String {
    let line = one_line(text);
    if line.is_empty() { line } else { format!(" {line}") }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde gives a reference")]
fn is_seven(rounds: &usize) -> bool {
    *rounds == MAX_ROUNDS
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde gives a reference")]
fn is_true(value: &bool) -> bool {
    *value
}

fn is_default(labels: &Labels) -> bool {
    *labels == Labels::default()
}
