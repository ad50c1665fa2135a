//! The text of ReAct (Yao et al., 2210.03629) and of its variant without thoughts, Act: lines that the model says, lines
//! that are fed, and what was said so far as a thought, a call or an answer. Does not know what an action does.
//!
//!     Thought 1: Is Tom a lempus?              fed up to the colon; said from there to the end of the next line
//!     Action 1: path[Tom, lempus]
//!     Observation 1: Tom is a lempus.          fed
//!     Thought 2: Tom is a lempus.
//!     Action 2: Finish[Tom is a lempus.]

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

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn call(thought: &str, action: &str, argument: &str) -> Said {
        let [thought, action, argument] = [thought, action, argument].map(str::to_owned);
        Said::Call { thought, action, argument }
    }

    #[test]
    fn a_dialogue_is_written_as_in_the_paper() {
        let first = Round {
            thought: "Is Tom a lempus?".to_owned(),
            action: "path".to_owned(),
            argument: "Tom, lempus".to_owned(),
            observation: Some("Tom is a terpus.\nEvery terpus is a lempus.".to_owned()),
        };
        let react = ReactForm::react();
        let rounds = [first, react.finish("Yes.".to_owned(), "Tom is a lempus.")];
        assert_eq!(
            react.written(&rounds),
            "Thought 1: Is Tom a lempus?\nAction 1: path[Tom, lempus]\n\
             Observation 1: Tom is a terpus. Every terpus is a lempus.\n\
             Thought 2: Yes.\nAction 2: Finish[Tom is a lempus.]\n"
        );
        assert_eq!(
            ReactForm { numbered: false, ..ReactForm::act() }.written(&rounds),
            "Action: path[Tom, lempus]\nObservation: Tom is a terpus. Every terpus is a lempus.\n\
             Action: Finish[Tom is a lempus.]\n"
        );
    }

    #[test]
    fn what_models_say_is_read() {
        let form = ReactForm::react();
        let read = |said| form.read(Opening::Thought, said, false);
        assert_eq!(
            read(" I need\nAction 1: Search[a[1] b]\nObs"),
            call("I need", "Search", "a[1] b")
        );
        assert_eq!(read(" One.\nTwo.\nAction: Search [ a ]\n"), call("One. Two.", "Search", "a"));
        assert_eq!(read("\nAction 3: f[]\n"), call("", "f", ""));
        let finish = Said::Finish { thought: "So".to_owned(), answer: "yes".to_owned() };
        assert_eq!(read(" So\nAction 2: finish[yes]\n"), finish);
        assert_eq!(read(" So\nAction 2: Finish[yes]"), Said::Open);
        assert_eq!(form.read(Opening::Thought, " So\nAction 2: Finish[yes]", true), finish);
        let invalid = Said::Invalid { thought: "x".to_owned(), action: "look around".to_owned() };
        assert_eq!(read(" x\nAction 1: look around\n"), invalid);
        let missing = Said::Missing { thought: "x".to_owned() };
        assert_eq!(read(" x\ny\nObservation 1: none\n"), missing);
        assert_eq!(read(" x\nThought 2: z\nAction 2: f[a]\n"), missing);
        assert_eq!(form.read(Opening::Thought, " x", true), missing);
        let act = |said| ReactForm::act().read(Opening::Action, said, false);
        assert_eq!(act(" \n f[a]\n"), call("", "f", "a"));
        assert_eq!(act(" f[a]"), Said::Open);
    }

    #[test]
    fn a_form_is_stated_by_what_is_special_about_it() {
        let json = |form: &ReactForm| serde_json::to_string(form).unwrap();
        assert_eq!(json(&ReactForm::act()), r#"{"thoughts":false}"#);
        let text = r#"{"thoughts":true,"max_rounds":3,"numbered":false,"labels":{"thought":"T","action":"A","observation":"O","finish":"F"}}"#;
        let form: ReactForm = serde_json::from_str(text).unwrap();
        assert_eq!(json(&form), text);
        assert_eq!(serde_json::from_str::<ReactForm>("{}").unwrap(), ReactForm::react());
        assert!(serde_json::from_str::<ReactForm>(r#"{"thought":true}"#).is_err());
    }

    /// A text that is on one line already.
    fn line() -> impl Strategy<Value = String> {
        "[a-zA-Z0-9 :\\[\\],.?é]{0,24}".prop_map(|text| one_line(&text))
    }

    fn round() -> impl Strategy<Value = Round> {
        let parts = (line(), "[a-zA-Z]{1,8}", line(), line());
        parts.prop_filter_map("no finish", |(thought, action, argument, observation)| {
            let observation = Some(observation);
            let is_call = !action.eq_ignore_ascii_case("finish");
            is_call.then_some(Round { thought, action, argument, observation })
        })
    }

    fn form() -> impl Strategy<Value = ReactForm> {
        (any::<bool>(), any::<bool>()).prop_map(|(thoughts, numbered)| ReactForm {
            thoughts,
            numbered,
            ..ReactForm::react()
        })
    }

    /// Reads a whole dialogue as a loop does: openings and observations are fed, the rest is read letter by letter.
    fn heard(form: &ReactForm, mut text: &str, observed: &[Option<String>]) -> Vec<Round> {
        let mut rounds = Vec::new();
        for (number, observation) in (1..).zip(observed) {
            let opening = form.opens_with();
            text = text.strip_prefix(&form.opening(opening, number)).unwrap();
            let ends = (0..=text.len()).filter(|&end| text.is_char_boundary(end));
            let (end, said) = ends
                .map(|end| (end, form.read(opening, &text[..end], false)))
                .find(|(_, said)| *said != Said::Open)
                .unwrap();
            assert_eq!(form.read(opening, text, false), said, "what follows does not matter");
            let interrupts = form.interrupts(opening);
            assert!(interrupts.iter().any(|interrupt| text[..end].ends_with(interrupt.as_str())));
            text = &text[end..];
            let (thought, action, argument) = match said {
                Said::Call { thought, action, argument } => (thought, action, argument),
                Said::Finish { thought, answer } => (thought, "Finish".to_owned(), answer),
                other => panic!("{other:?}"),
            };
            if let Some(observation) = observation {
                text = text.strip_prefix(&form.observation(number, observation)).unwrap();
            }
            rounds.push(Round { thought, action, argument, observation: observation.clone() });
        }
        assert_eq!(text, "");
        rounds
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_again(
            form in form(), mut rounds in prop::collection::vec(round(), 0..4), last in line(), answer in line(),
        ) {
            rounds.push(form.finish(last, &answer));
            if !form.thoughts {
                rounds.iter_mut().for_each(|round| round.thought.clear());
            }
            let observed: Vec<Option<String>> =
                rounds.iter().map(|round| round.observation.clone()).collect();
            prop_assert_eq!(heard(&form, &form.written(&rounds), &observed), rounds);
        }

        #[test]
        fn anything_may_be_said(form in form(), said in "(\\PC|\\n|Action 1: |Thought:|\\]){0,40}", ended in any::<bool>()) {
            for opening in [Opening::Thought, Opening::Action] {
                let whole = form.read(opening, &said, ended);
                prop_assert!(!ended || whole != Said::Open);
                // Once it is known what was said, more of it changes nothing.
                for end in (0..said.len()).filter(|&end| said.is_char_boundary(end)) {
                    let early = form.read(opening, &said[..end], false);
                    prop_assert!(early == Said::Open || early == whole);
                }
            }
        }
    }
}
