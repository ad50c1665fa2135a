//! Where questions come from: the command line, a file, standard input. Knows no answers.

use crate::data::fields::Fields;
use crate::data::fields::Steps;
use crate::data::fields::Wanted;
use crate::data::read::Examples;
use crate::files;
use crate::files::text;
use anyhow::Context as _;
use anyhow::ensure;
use clap::Args;
use clap::error::ErrorKind;
use std::io::Cursor;
use std::io::IsTerminal as _;
use std::io::Read as _;
use std::num::NonZeroUsize;
use std::path::Path;
use std::path::PathBuf;

/// What separates a question from the rest of its line, as iCoT's files have it.
const END_OF_QUESTION: &str = "||";

/// Questions.
#[derive(Debug, Args)]
pub(super) struct InputArgs {
    /// The question; where there is none or `-`, a pipe is read for questions.
    #[arg(value_name = "QUESTION", conflicts_with = "file")]
    question: Option<String>,
    /// File of questions: lines of text, or any form that `coconut eval` reads; answers may be missing.
    #[arg(long, value_name = "FILE")]
    file: Option<PathBuf>,
    /// The field with the question, where the file has names of its own; `a.b.0` is a field within fields.
    #[arg(hide_short_help = true, long, value_name = "FIELD")]
    question_field: Option<String>,
    /// Only so many questions, from the beginning.
    #[arg(hide_short_help = true, long, value_name = "N")]
    limit: Option<NonZeroUsize>,
}

impl InputArgs {
    /// All questions, at least one; ends the process where none is given.
    pub(super) fn questions(&self) -> anyhow::Result<Vec<String>> {
        let mut questions = match (&self.question, &self.file) {
            (Some(question), _) if question != "-" => vec![question.clone()],
            (None, Some(file)) if file != Path::new("-") => {
                let read = files::read(file);
                self.read(&read.with_context(|| format!("cannot read {}", file.display()))?, file)?
            }
            (None, None) if std::io::stdin().is_terminal() => none_given(),
            _ => {
                let mut bytes = Vec::new();
                std::io::stdin().read_to_end(&mut bytes).context("cannot read standard input")?;
                let text = text::text(&bytes).context("standard input")?;
                self.read(text, Path::new("standard input"))?
            }
        };
        questions.truncate(self.limit.map_or(usize::MAX, NonZeroUsize::get));
        Ok(questions)
    }

    fn read(&self, text: &str, place: &Path) -> anyhow::Result<Vec<String>> {
        let is_json = text.trim_start().starts_with(['[', '{'])
            && place.extension().is_none_or(|extension| extension != "txt");
        let questions = if is_json { self.records(text, place)? } else { lines(text) };
        ensure!(!questions.is_empty(), "{}: holds no question", place.display());
        Ok(questions)
    }

    fn records(&self, text: &str, place: &Path) -> anyhow::Result<Vec<String>> {
        let fields = Fields { question: self.question_field.clone(), ..Fields::default() };
        let wanted = Wanted { fields, steps: Steps::QuestionOnly };
        let reader = Box::new(Cursor::new(text.as_bytes().to_vec()));
        let questions = Examples::new(reader, place, &wanted)?.map(|row| Ok(row?.question));
        // A row that is left out would shift the answers.
        questions.collect()
    }
}

/// A question a line; blank lines are none.
fn lines(text: &str) -> Vec<String> {
    let lines = text.lines().map(|line| line.split(END_OF_QUESTION).next().unwrap_or(line).trim());
    lines.filter(|line| !line.is_empty()).map(str::to_owned).collect()
}

/// What other wrong usage looks like, with its exit code.
fn none_given() -> ! {
    let message = "no question: name one (coconut reason \"...\"), a --file, or pipe questions in\n\n\
                   For more information, try 'coconut reason --help'.\n";
    clap::Error::raw(ErrorKind::MissingRequiredArgument, message).exit()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn questions_are_lines_or_records_with_or_without_answers() {
        let input = InputArgs { question: None, file: None, question_field: None, limit: None };
        let read = |text: &str, place: &str| input.read(text, Path::new(place)).ok();
        let two = Some(vec!["Why?".to_owned(), "How [so]?".to_owned()]);
        for (text, place) in [
            ("Why?\n\n  How [so]?\r\n", "q.txt"),
            ("Why?||<<1=1>> #### 1\nHow [so]?||#### 2", "standard input"),
            (
                "{\"question\": \"Why?\"}\n{\"question\": \"How [so]?\", \"answer\": \"so\"}",
                "q.jsonl",
            ),
            ("[{\"question\": \"Why?\", \"answer\": 1}, {\"question\": \"How [so]?\"}]", "q.json"),
        ] {
            assert_eq!(read(text, place), two, "{text}");
        }
        for (text, place) in [(" \n", "q.txt"), ("[]", "q.json"), ("[{\"q\": 1}]", "q.json")] {
            assert_eq!(read(text, place), None, "{text}");
        }
    }
}
