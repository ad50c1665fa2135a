//! What all of `coconut generate-data` has in common: the form of its files, ranges, and what is said on standard error.
//! Knows no questions.

use crate::data::error::Error;
use crate::data::fields::Wanted;
use crate::data::read::Examples;
use crate::data::write::Form;
use indicatif::ProgressBar;
use indicatif::ProgressStyle;
use std::fs::File;
use std::io::Write as _;
use std::ops::RangeInclusive;
use std::path::Path;

/// More than any disk is meant for.
pub(super) const MAX_QUESTIONS: u64 = 1_000_000_000;

pub(super) fn json_form(jsonl: bool) -> Form {
    if jsonl { Form::JsonLines } else { Form::JsonList }
}

pub(super) fn report(written: u64, out: &Path) -> anyhow::Result<()> {
    tell(format_args!("{written} questions in {}\n", shown(out)))
}

pub(super) fn shown(out: &Path) -> std::path::Display<'_> {
    match out == Path::new("-") {
        true => Path::new("standard output").display(),
        false => out.display(),
    }
}

/// How many questions are written, on a terminal; nothing elsewhere.
pub(super) fn bar(questions: u64) -> ProgressBar {
    let style = ProgressStyle::with_template("{wide_bar} {pos} of {len}, {eta} left");
    let style = style.expect("the template is a constant that is valid");
    ProgressBar::new(questions).with_style(style)
}

/// The questions of a file, and how much of it is read, on a terminal.
pub(super) fn opened(path: &Path, wanted: &Wanted) -> Result<Examples, Error> {
    let io = |reason| Error::Io { path: path.to_owned(), reason };
    let file = File::open(path).map_err(io)?;
    let bytes = file.metadata().map_err(io)?.len();
    let style = ProgressStyle::with_template("{wide_bar} {bytes} of {total_bytes}, {eta} left");
    let style = style.expect("the template is a constant that is valid");
    let bar = ProgressBar::new(bytes).with_style(style);
    Examples::new(Box::new(bar.wrap_read(file)), path, wanted)
}

/// To standard error: standard output may be the file.
pub(super) fn tell(text: std::fmt::Arguments<'_>) -> anyhow::Result<()> {
    Ok(std::io::stderr().write_fmt(text)?)
}

/// `A..B`, both included, or one number.
pub(super) fn parse_range(text: &str) -> Result<RangeInclusive<usize>, String> {
    let number =
        |text: &str| text.trim().parse::<usize>().map_err(|_| format!("{text:?} is no number"));
    match text.split_once("..") {
        Some((low, high)) => Ok(number(low)?..=number(high.trim_start_matches('='))?),
        None => number(text).map(|nodes| nodes..=nodes),
    }
}
