//! Words for people on standard output and standard error: plain, or with colours where a terminal shows them. Knows no
//! answers.

use std::io::IsTerminal as _;
use std::io::Write as _;

/// How things look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Look {
    /// Whether there are colours.
    pub(super) colour: Colour,
    /// Columns.
    pub(super) width: usize,
}

/// Whether there are colours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Colour {
    /// Escape sequences are written.
    Shown,
    /// Nothing but text is.
    No,
}

/// Columns where there is no terminal to tell.
const USUAL_WIDTH: usize = 80;
/// A line of many columns is hard to read along.
const WIDEST: usize = 120;
/// Fewer columns have no room for a bar.
const NARROWEST: usize = 30;

impl Look {
    /// For standard output, as it is.
    pub(super) fn of_stdout() -> Self {
        let is_terminal = std::io::stdout().is_terminal();
        // As no-color.org has it.
        let unwanted = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty())
            || std::env::var_os("TERM").is_some_and(|value| value == "dumb");
        let width = terminal_size::terminal_size().map(|(width, _)| usize::from(width.0));
        let width = width.filter(|_| is_terminal).unwrap_or(USUAL_WIDTH);
        Self {
            colour: if is_terminal && !unwanted { Colour::Shown } else { Colour::No },
            width: width.clamp(NARROWEST, WIDEST),
        }
    }

    /// Something beside the point.
    pub(super) fn dim(self, text: &str) -> String {
        self.painted("2", text)
    }

    /// What it is about.
    pub(super) fn strong(self, text: &str) -> String {
        self.painted("1", text)
    }

    /// A bar.
    pub(super) fn bar(self, text: &str) -> String {
        self.painted("36", text)
    }

    fn painted(self, code: &str, text: &str) -> String {
        match self.colour {
            Colour::Shown => format!("\u{1b}[{code}m{text}\u{1b}[0m"),
            Colour::No => text.to_owned(),
        }
    }
}

/// A line on standard error.
pub(super) fn complain(text: &str) -> anyhow::Result<()> {
    Ok(writeln!(std::io::stderr(), "{text}")?)
}
