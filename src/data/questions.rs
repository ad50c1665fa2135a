//! All questions of a file, and what was left out of it. Knows no form of files.

use crate::data::error::Error;
use crate::data::example::Example;
use crate::data::fields::Wanted;
use crate::data::read::Examples;
use std::fmt;
use std::path::Path;

/// How many reasons are kept of rows that are left out.
const SHOWN: usize = 3;

/// How a file is read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reading {
    /// What is read of a row, and where it is.
    pub wanted: Wanted,
    /// Whether a row that is no question is an error.
    pub strict: bool,
    /// Only so many questions, from the beginning.
    pub limit: Option<usize>,
}

/// A question and its place in a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// From 1, rows that were left out counted too.
    pub number: u64,
    /// The question.
    pub example: Example,
}

/// The questions of a file.
#[derive(Clone, Debug, Default)]
pub struct Questions {
    /// In their order; at least one.
    pub rows: Vec<Row>,
    /// What is no question.
    pub skipped: Skipped,
}

/// Rows that are no questions.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Skipped {
    /// How many.
    pub count: u64,
    /// The first of them: which row, on which line, and what is wrong with it.
    pub first: Vec<(u64, u64, String)>,
}

impl Questions {
    /// Reads a file; see [`Examples`] for the forms it may have.
    ///
    /// # Errors
    /// Where the file cannot be read, and files without a question; in strict reading the first row that is none.
    pub fn read(path: &Path, reading: &Reading) -> Result<Self, Error> {
        let mut examples = Examples::open(path, &reading.wanted)?;
        let (mut questions, mut number) = (Self::default(), 0);
        while questions.rows.len() < reading.limit.unwrap_or(usize::MAX)
            && let Some(next) = examples.next()
        {
            number += 1;
            match next {
                Ok(example) => questions.rows.push(Row { number, example }),
                Err(error) if reading.strict => return Err(error),
                Err(error) => questions.skipped.add(error)?,
            }
        }
        match (questions.rows.is_empty(), questions.skipped.count) {
            (false, _) => Ok(questions),
            (true, 0) => Err(Error::Empty(path.to_owned())),
            (true, _) => {
                let skipped = questions.skipped.to_string();
                Err(Error::Unusable { path: path.to_owned(), skipped })
            }
        }
    }

    /// The questions alone.
    pub fn examples(&self) -> Vec<Example> {
        self.rows.iter().map(|row| row.example.clone()).collect()
    }
}

impl Skipped {
    /// Counts a row that is no question.
    ///
    /// # Errors
    /// Other errors come back.
    pub fn add(&mut self, error: Error) -> Result<(), Error> {
        let Error::Malformed { line, number, reason, .. } = error else { return Err(error) };
        self.count += 1;
        if self.first.len() < SHOWN {
            self.first.push((number, line, reason));
        }
        Ok(())
    }
}

impl fmt::Display for Skipped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rows = if self.count == 1 { "row is" } else { "rows are" };
        write!(f, "{} {rows} no question and left out", self.count)?;
        for (number, line, reason) in &self.first {
            write!(f, "; question {number} (line {line}): {reason}")?;
        }
        match self.count > self.first.len() as u64 {
            true => write!(f, "; ..."),
            false => Ok(()),
        }
    }
}
