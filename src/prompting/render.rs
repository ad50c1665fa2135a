//! Prompts as text: an instruction, shots, and the question, up to where the model goes on; and what of a text that it said
//! is the answer. Rounds of actions after the first are the loop's business.

use crate::prompting::file::Error;
use crate::prompting::file::Method;
use crate::prompting::file::Prompts;
use crate::prompting::file::Shot;
use crate::tools::react::ReactForm;

/// What a question begins with, and what facts do that are read before it.
const QUESTION: &str = "Question:";
const FACTS: &str = "Facts:";

/// What reasoning and answers begin with.
const THOUGHT: &str = "Thought:";
const ANSWER: &str = "Answer:";

/// A prompt that waits for a question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Prompt {
    method: Method,
    beginning: String,
}

impl Prompts {
    /// The prompt of a method with so many shots, the first ones of the file.
    ///
    /// # Errors
    /// If there are not so many.
    pub fn prompt(&self, method: Method, shots: usize) -> Result<Prompt, Error> {
        let present = self.shots.len();
        let shown = self.shots.get(..shots);
        let shown = shown.ok_or(Error::TooFewShots { wanted: shots, present })?;
        let mut prompt = Prompt { method, beginning: String::new() };
        let instruction = self.instruction(method).trim();
        if !instruction.is_empty() {
            prompt.beginning = format!("{instruction}\n\n");
        }
        for shot in shown {
            let worked = format!(
                "{}{}\n",
                prompt.question(&shot.question, shot.facts.as_deref()),
                prompt.work(shot)
            );
            prompt.beginning.push_str(&worked);
        }
        Ok(prompt)
    }
}

impl Prompt {
    /// How a question is asked.
    pub fn method(&self) -> Method {
        self.method
    }

    /// What precedes every question.
    pub fn beginning(&self) -> &str {
        &self.beginning
    }

    /// The whole text for a question, from the end of which the model goes on. Facts that tools look into do not stand in it.
    pub fn ask(&self, question: &str, facts: Option<&str>) -> String {
        format!("{}{}{}", self.beginning, self.question(question, facts), self.opening())
    }

    /// How actions are written, where there are any.
    pub fn form(&self) -> Option<ReactForm> {
        match self.method {
            Method::Standard | Method::Cot => None,
            Method::Act => Some(ReactForm::act()),
            Method::React => Some(ReactForm::react()),
        }
    }

    /// Where methods without actions are interrupted, lest the model ask itself the next question.
    pub fn stops(&self) -> Vec<String> {
        match self.method {
            Method::Standard => vec!["\n".to_owned()],
            Method::Cot => [QUESTION, FACTS].map(|next| format!("\n{next}")).to_vec(),
            Method::Act | Method::React => Vec::new(),
        }
    }

    /// The answer in what the model said, if it came to one. What actions came to, their last one says.
    pub fn answer<'a>(&self, said: &'a str) -> Option<&'a str> {
        let answer = match self.method {
            Method::Standard => said,
            Method::Cot => said.split_once(ANSWER)?.1,
            Method::Act | Method::React => return None,
        };
        let line = answer.trim_start().lines().next().unwrap_or_default().trim();
        (!line.is_empty()).then_some(line)
    }

    fn question(&self, question: &str, facts: Option<&str>) -> String {
        let question = format!("{QUESTION} {}\n", one_line(question));
        match facts.filter(|_| !self.method.has_tools()) {
            Some(facts) => format!("{FACTS} {}\n{question}", one_line(facts)),
            None => question,
        }
    }

    /// What the model goes on from.
    fn opening(&self) -> String {
        match self.form() {
            Some(form) => form.opening(form.opens_with(), 1),
            None if self.method == Method::Cot => THOUGHT.to_owned(),
            None => ANSWER.to_owned(),
        }
    }

    /// How the answer of a shot is found.
    fn work(&self, shot: &Shot) -> String {
        let (reasoning, answer) = (one_line(&shot.reasoning), one_line(&shot.answer));
        match self.form() {
            Some(form) => {
                let mut rounds = shot.rounds.clone();
                rounds.push(form.finish(shot.conclusion.clone(), &answer));
                form.written(&rounds)
            }
            None if self.method == Method::Cot => {
                format!("{THOUGHT} {reasoning}\n{ANSWER} {answer}\n")
            }
            None => format!("{ANSWER} {answer}\n"),
        }
    }
}

/// Every part of a prompt is a line.
fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}
