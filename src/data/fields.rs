//! What in a row of a data set is the question, what its answer, what the steps: by the names that the published sets
//! use, or by names that are given. Knows values, no files.

use crate::data::choices::Choices;
use crate::data::example::Example;
use crate::data::icot;
use crate::data::values::at;
use crate::data::values::find;
use crate::data::values::scalar;
use crate::tools::react::Round;
use serde::Deserialize;
use serde::Serialize;
use serde_json::Value;

/// The names of fields where they are others than published sets use, with dots for fields within fields: `a.b.0`.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Eq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Fields {
    /// Of the question.
    #[serde(default)]
    pub question: Option<String>,
    /// Of the answer.
    #[serde(default)]
    pub answer: Option<String>,
    /// Of the steps.
    #[serde(default)]
    pub steps: Option<String>,
}

/// What is read of a row.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wanted {
    /// Where it is.
    pub fields: Fields,
    /// Whether steps are.
    pub steps: Steps,
}

/// Which way to its answer is read of a question.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Steps {
    /// They are not needed to ask: whatever is there in their place does not matter.
    #[default]
    Ignored,
    /// They are taught.
    Read,
    /// The dialogue with tools is taught.
    Trajectory,
    /// Nothing but the question is read: it may have no answer.
    QuestionOnly,
}

/// A question without more.
fn asked(question: String) -> Result<Example, String> {
    match question.trim().is_empty() {
        true => Err("question: is empty".to_owned()),
        false => Ok(Example { question, ..Example::default() }),
    }
}

/// What stands before a question, as a text of its own: SVAMP and ASDiv, logic puzzles.
const BEFORE: &[&str] = &["body", "context"];
/// SVAMP has both parts in one, too.
const WHOLE_QUESTION: &[&str] = &["question_concat"];
/// ProsQA, GSM8K, MultiArith; MAWPS; MATH; GSM-Hard in its two forms.
const QUESTION: &[&str] = &["question", "sQuestion", "problem", "instruction", "input", "prompt"];
/// What is asked about a text that is called the question (ProntoQA), or is asked by itself.
const QUERY: &[&str] = &["query"];
/// ProsQA, GSM8K, SVAMP; MultiArith; MAWPS; CommonsenseQA; GSM-Hard in its two forms; AQuA.
const ANSWER: &[&str] = &[
    "answer",
    "final_ans",
    "final_answer",
    "lSolutions",
    "answerKey",
    "target",
    "response",
    "output",
    "correct",
    "result",
];
/// ProsQA; CODI's GSM8k-Aug; ProntoQA; AQuA.
const STEPS: &[&str] = &["steps", "cot", "chain_of_thought", "rationale", "reasoning"];
/// What `generate-data react` leaves out of questions.
const FACTS: &[&str] = &["facts"];
/// What it makes.
const TRAJECTORY: &str = "trajectory";
/// What the answer of GSM8K follows.
const HASHES: &str = "####";

impl Wanted {
    /// A row as a question.
    ///
    /// # Errors
    /// Which field is missing or cannot be used.
    pub(super) fn example(&self, row: &Value) -> Result<Example, String> {
        if !row.is_object() {
            return Err("expected a JSON object".to_owned());
        }
        let row = inner(row);
        let question = self.question(row)?;
        if self.steps == Steps::QuestionOnly {
            return asked(question);
        }
        let (field, value) = self.field(row, Part::Answer)?;
        let answer = scalar(value).map_err(|reason| format!("{field}: {reason}"))?;
        let (reasoning, answer) = answer.rsplit_once(HASHES).unwrap_or(("", &answer));
        let answer = answer.trim();
        let (steps, trajectory) = match self.steps {
            Steps::Ignored | Steps::QuestionOnly => (Vec::new(), Vec::new()),
            Steps::Read => (self.steps(row, reasoning)?, Vec::new()),
            Steps::Trajectory => (Vec::new(), trajectory(row)?),
        };
        let answer = match find(row, BEFORE) {
            Some(_) => without_unit(answer),
            None => answer,
        };
        let answer = whole_number(answer);
        let (answer, also) = match Choices::of(row) {
            Some(choices) => choices.answer(answer, value.as_u64()),
            None => (answer.to_owned(), Vec::new()),
        };
        let facts = find(row, FACTS).and_then(|(_, value)| sentences(value));
        Example { question, steps, answer, also, facts, trajectory }.check()
    }

    /// A question with what is wanted of it.
    pub(super) fn of(&self, example: Example) -> Result<Example, String> {
        let steps = match self.steps {
            Steps::QuestionOnly => return asked(example.question),
            Steps::Ignored => Vec::new(),
            Steps::Read => example.steps,
            Steps::Trajectory => return Err(no_trajectory()),
        };
        Example { steps, ..example }.check()
    }

    /// The steps of a row; where it has none of its own, what precedes its answer.
    fn steps(&self, row: &Value, reasoning: &str) -> Result<Vec<String>, String> {
        if self.fields.steps.is_none() && find(row, STEPS).is_none() {
            return Ok(split(reasoning));
        }
        let (field, steps) = self.field(row, Part::Steps)?;
        let steps = steps_of(steps).map_err(|reason| format!("{field}{reason}"))?;
        Ok(match find(row, QUERY).is_some() && field == "chain_of_thought" {
            // A fact and what follows from it are one step, as the Coconut code prepares ProntoQA.
            true => steps.chunks(2).map(|pair| pair.join(" ")).collect(),
            false => steps,
        })
    }

    /// Whether something in this value is a question.
    pub(super) fn has_question(&self, row: &Value) -> bool {
        self.question(inner(row)).is_ok()
    }

    fn question(&self, row: &Value) -> Result<String, String> {
        if self.fields.question.is_none()
            && let Some((_, whole)) = find(row, WHOLE_QUESTION)
        {
            return scalar(whole).map_err(str::to_owned);
        }
        let (field, asked) = self.field(row, Part::Question)?;
        let text = |value: &Value| scalar(value).map_err(|reason| format!("{field}: {reason}"));
        // CommonsenseQA as its authors publish it has the text within.
        let asked = text(asked.get("stem").unwrap_or(asked))?;
        if self.fields.question.is_some() {
            return Ok(asked);
        }
        let beside = |names: &[&str]| find(row, names).filter(|(name, _)| *name != field.as_str());
        let before = beside(BEFORE).and_then(|(_, value)| scalar(value).ok());
        let query = beside(QUERY).and_then(|(_, value)| scalar(value).ok());
        // What an instruction is about.
        let input = match field.eq_ignore_ascii_case("instruction") {
            true => beside(&["input"]).and_then(|(_, value)| scalar(value).ok()),
            false => None,
        };
        let parts = [before, Some(asked), query, input].into_iter().flatten();
        let parts: Vec<String> = parts.filter(|part| !part.is_empty()).collect();
        let choices = Choices::of(row).map(|choices| choices.to_string()).unwrap_or_default();
        Ok(parts.join(" ") + &choices)
    }

    /// A part of a question, by the name that is given or by those that are known.
    fn field<'a>(&self, row: &'a Value, part: Part) -> Result<(String, &'a Value), String> {
        let (named, known): (_, &[&[&str]]) = match part {
            Part::Question => (&self.fields.question, &[QUESTION, QUERY]),
            Part::Answer => (&self.fields.answer, &[ANSWER]),
            Part::Steps => (&self.fields.steps, &[STEPS]),
        };
        let found = match named {
            Some(path) => at(row, path).map(|value| (path.as_str(), value)),
            None => known.iter().find_map(|names| find(row, names)),
        };
        let found = found.map(|(name, value)| (name.to_owned(), value));
        found.ok_or_else(|| missing(row, part, named.as_deref()))
    }
}

/// What is looked for in a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    Question,
    Answer,
    Steps,
}

impl Part {
    fn name(self) -> &'static str {
        match self {
            Self::Question => "question",
            Self::Answer => "answer",
            Self::Steps => "steps",
        }
    }
}

fn missing(row: &Value, part: Part, named: Option<&str>) -> String {
    const MOST: usize = 12;
    let fields = row.as_object().into_iter().flat_map(|fields| fields.keys());
    let fields: Vec<String> = fields.take(MOST).map(|name| format!("`{name}`")).collect();
    let (part, fields) = (part.name(), fields.join(", "));
    match named {
        Some(path) => format!("missing field `{path}`; there are {fields}"),
        None => format!("missing field `{part}`; there are {fields}: say which is the {part}"),
    }
}

/// A row of a hub's answer is in a field beside its number; ProntoQA's in one beside the examples before it.
fn inner(row: &Value) -> &Value {
    let within = ["row", "test_example"].into_iter().find_map(|name| row.get(name));
    within.filter(|row| row.is_object()).unwrap_or(row)
}

fn steps_of(value: &Value) -> Result<Vec<String>, String> {
    match value {
        Value::Array(steps) => {
            let steps = steps.iter().enumerate();
            steps
                .map(|(at, step)| scalar(step).map_err(|reason| format!("[{at}]: {reason}")))
                .collect()
        }
        Value::String(text) => Ok(split(text)),
        other => scalar(other).map(|step| vec![step]).map_err(|reason| format!(": {reason}")),
    }
}

/// The rounds of a dialogue, of which the last one finishes.
fn trajectory(row: &Value) -> Result<Vec<Round>, String> {
    let rounds = row.get(TRAJECTORY).ok_or_else(no_trajectory)?;
    let rounds: Vec<Round> = serde_path_to_error::deserialize(rounds).map_err(|error| {
        let colon = if error.path().iter().next().is_some() { "" } else { ": " };
        format!("{TRAJECTORY}{colon}{error}")
    })?;
    match rounds.split_last() {
        None => Err(format!("{TRAJECTORY}: is empty")),
        Some((last, _)) if last.observation.is_some() => {
            Err(format!("{TRAJECTORY}: the last round observes something, and does not finish"))
        }
        Some((_, before)) => match before.iter().position(|round| round.observation.is_none()) {
            Some(index) => Err(format!("{TRAJECTORY}[{index}]: missing field `observation`")),
            None => Ok(rounds),
        },
    }
}

fn no_trajectory() -> String {
    format!("missing field `{TRAJECTORY}`; `coconut generate-data react` makes it")
}

/// Facts as one text, or as a list of sentences.
fn sentences(value: &Value) -> Option<String> {
    let text = match value {
        Value::String(text) => text.trim().to_owned(),
        Value::Array(items) => {
            items.iter().map(Value::as_str).collect::<Option<Vec<_>>>()?.join(" ")
        }
        _ => return None,
    };
    Some(text).filter(|text| !text.is_empty())
}

/// Reasoning in one text: a step a line, or equations side by side.
fn split(text: &str) -> Vec<String> {
    let lines: Vec<&str> = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    match lines.as_slice() {
        [line] if line.starts_with("<<") => icot::split_steps(line),
        lines => lines.iter().map(|&line| line.to_owned()).collect(),
    }
}

/// `51.0` is 51, as SVAMP and GSM-Hard mean it: a model that says 51 is right where texts are compared, too.
fn whole_number(answer: &str) -> &str {
    match answer.strip_suffix(".0") {
        Some(whole) if whole.parse::<i64>().is_ok() => whole,
        _ => answer,
    }
}

/// `9 (apples)` is 9, as ASDiv has it.
fn without_unit(answer: &str) -> &str {
    match answer.split_once(" (") {
        Some((number, unit)) if unit.ends_with(')') && number.parse::<f64>().is_ok() => number,
        _ => answer,
    }
}
