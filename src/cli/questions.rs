//! The flags for a file of questions, and what is said of rows that are none.

use crate::data::fields::Fields;
use crate::data::fields::Wanted;
use crate::data::questions::Questions;
use crate::data::questions::Reading;
use clap::Args;
use std::io::Write as _;
use std::num::NonZeroUsize;
use std::path::PathBuf;

/// A file of questions.
#[derive(Debug, Args)]
pub(super) struct QuestionArgs {
    /// Questions with their answers: a JSON list, JSON lines or one JSON object with rows, by the field names of the
    /// published sets (GSM8K, SVAMP, MultiArith, GSM-Hard, ASDiv, CommonsenseQA, ProntoQA, ProsQA), or text lines
    /// `question||steps #### answer`.
    #[arg(long, value_name = "FILE")]
    pub(super) data: PathBuf,
    /// The field with the question, where the file has names of its own; `a.b.0` is a field within fields.
    #[arg(hide_short_help = true, long, value_name = "FIELD")]
    question_field: Option<String>,
    /// The field with the answer.
    #[arg(hide_short_help = true, long, value_name = "FIELD")]
    answer_field: Option<String>,
    /// Stop at the first row that is no question. Without this such rows are left out, counted and named.
    #[arg(hide_short_help = true, long)]
    strict: bool,
}

impl QuestionArgs {
    /// Reads the file, `limit` questions of it, and says what was left out.
    pub(super) fn read(&self, limit: Option<NonZeroUsize>) -> anyhow::Result<Questions> {
        let (question, answer) = (self.question_field.clone(), self.answer_field.clone());
        let fields = Fields { question, answer, steps: None };
        let wanted = Wanted { fields, ..Wanted::default() };
        let limit = limit.map(NonZeroUsize::get);
        let questions =
            Questions::read(&self.data, &Reading { wanted, strict: self.strict, limit })?;
        if questions.skipped.count > 0 {
            writeln!(std::io::stderr(), "{}: {}", self.data.display(), questions.skipped)?;
        }
        Ok(questions)
    }
}
