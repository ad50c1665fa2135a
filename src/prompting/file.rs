//! A file of prompts (`models/prompts/*.toml`): what each method is told to do, and shots that all methods are shown in
//! their own way. Does not know how they are written down.

use crate::files;
use crate::tools::react::Round;
use serde::Deserialize;
use std::path::Path;

/// A way of asking a language model.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Method {
    /// Question, answer.
    Standard,
    /// Question, reasoning, answer.
    Cot,
    /// Question, then actions and what they observe.
    Act,
    /// The same with a thought before each action.
    React,
}

/// A file of prompts.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Prompts {
    /// The tools that `act` and `react` need, as `--tools` names them.
    pub tools: Vec<String>,
    /// What stands before the shots.
    pub instructions: Instructions,
    /// Worked questions, the most telling first.
    pub shots: Vec<Shot>,
}

/// What each method is told to do.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Instructions {
    /// For [`Method::Standard`].
    pub standard: String,
    /// For [`Method::Cot`].
    pub cot: String,
    /// For [`Method::Act`].
    pub act: String,
    /// For [`Method::React`].
    pub react: String,
}

/// A worked question.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Shot {
    /// As it is asked.
    pub question: String,
    /// What is known besides: methods without tools read it before the question, tools look into it for those with.
    #[serde(default)]
    pub facts: Option<String>,
    /// What leads to the answer, in words.
    pub reasoning: String,
    /// What leads there by actions: all rounds but the last.
    pub rounds: Vec<Round>,
    /// The last thought.
    pub conclusion: String,
    /// The answer.
    pub answer: String,
}

/// Why there are no prompts.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// A file that cannot be read, or says something else.
    #[error("{file}: {reason}")]
    File {
        /// Which one.
        file: String,
        /// What is wrong with it.
        reason: String,
    },
    /// More shots than the file has.
    #[error("{wanted} shots are asked for; the prompts have {present}")]
    TooFewShots {
        /// How many are asked for.
        wanted: usize,
        /// How many there are.
        present: usize,
    },
    /// No method is called that.
    #[error("there is no method {0:?}; there are standard, cot, act, react")]
    Method(String),
}

impl Method {
    /// All of them, in the order in which they are compared.
    pub const ALL: [Self; 4] = [Self::Standard, Self::Cot, Self::Act, Self::React];

    /// As it is named on the command line and in reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::Standard => "standard",
            Self::Cot => "cot",
            Self::Act => "act",
            Self::React => "react",
        }
    }

    /// Whether actions are done on the way.
    pub fn has_tools(self) -> bool {
        matches!(self, Self::Act | Self::React)
    }
}

impl std::str::FromStr for Method {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self, Error> {
        let found = Self::ALL.into_iter().find(|method| method.name() == name);
        found.ok_or_else(|| Error::Method(name.to_owned()))
    }
}

impl Prompts {
    /// Reads a file.
    ///
    /// # Errors
    /// If it cannot be read, or is no file of prompts.
    pub fn read(path: &Path) -> Result<Self, Error> {
        let file = || path.display().to_string();
        let text = files::read(path);
        let text = text.map_err(|error| Error::File { file: file(), reason: error.to_string() })?;
        toml::from_str(&text)
            .map_err(|error| Error::File { file: file(), reason: error.to_string() })
    }

    /// What a method is told to do.
    pub fn instruction(&self, method: Method) -> &str {
        let Instructions { standard, cot, act, react } = &self.instructions;
        match method {
            Method::Standard => standard,
            Method::Cot => cot,
            Method::Act => act,
            Method::React => react,
        }
    }
}
