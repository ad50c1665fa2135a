//! Two lengths of help: `--help`, a screen with the flags of every day, and `--help-all` with every flag in full. Which
//! flags are of every day is said where they are declared (`hide_short_help`); knows no command.

use clap::Arg;
use clap::ArgAction;
use clap::Command;
use clap::builder::StyledStr;
use std::ffi::OsStr;

/// The flag for all of it.
pub(super) const ALL: &str = "help-all";

/// A longer note of a default would be a line of its own.
const SHORT_NOTE: usize = 24;

/// Two lines beside the flags' names; what is longer loses what follows its last colon or semicolon.
const SHORT_TEXT: usize = 80;

/// How much is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Length {
    /// What fits on a screen.
    Brief,
    /// Everything.
    Whole,
}

impl Length {
    /// What these words of a command line, without the program's name, ask for.
    pub(super) fn of<'a>(mut words: impl Iterator<Item = &'a OsStr>) -> Self {
        let is_all = |word: &OsStr| word == format!("--{ALL}").as_str();
        let first = words.next();
        let by_first = first.is_some_and(|word| word == "help" || is_all(word));
        // What follows `--` is no flag.
        match by_first || words.take_while(|word| *word != "--").any(is_all) {
            true => Self::Whole,
            false => Self::Brief,
        }
    }
}

/// A command with both flags for help, the texts of which are as long as asked for.
pub(super) fn with_help(command: Command, length: Length) -> Command {
    let command = match length {
        Length::Brief => command.mut_args(brief),
        Length::Whole => command.mut_args(whole),
    };
    let flag = |name: &'static str, text: &'static str, action| {
        let flag = Arg::new(name).long(name).help(text).action(action).display_order(1000);
        // Not below the heading of the last group.
        match length {
            Length::Brief => flag.help_heading(None::<&str>),
            Length::Whole => flag.help_heading("Help"),
        }
    };
    let help = flag("help", "Print what is needed every day", ArgAction::HelpShort).short('h');
    let all = flag(ALL, "Print everything, with environment variables", ArgAction::HelpLong);
    let command = command.disable_help_flag(true).arg(help).arg(all);
    command.mut_subcommands(|sub| with_help(sub, length))
}

/// The first sentence about a flag, without its variable and its heading.
fn brief(arg: Arg) -> Arg {
    let shortened = arg.get_help().map(|help| first_sentence(&help.to_string()));
    let arg = arg.hide_env(true).help_heading(None::<&str>);
    match shortened {
        Some(help) => arg.help(StyledStr::from(help)),
        None => arg,
    }
}

/// The text about a flag where `--help-all` and pages of the manual look for it.
fn whole(arg: Arg) -> Arg {
    match (arg.get_long_help(), arg.get_help().cloned()) {
        (None, Some(help)) => arg.long_help(help),
        _ => arg,
    }
}

/// The first sentence, and what the default is where that is short.
fn first_sentence(text: &str) -> String {
    let text = text.replace('\n', " ");
    let (text, note) = match text.rsplit_once(" [default: ") {
        Some((before, note)) => (before, format!(" [default: {note}")),
        None => (text.as_str(), String::new()),
    };
    let mut first = text.split(". ").next().unwrap_or(text).trim_end_matches('.');
    while first.len() > SHORT_TEXT
        && let Some(end) = first.rfind(": ").max(first.rfind("; "))
    {
        first = &first[..end];
    }
    match note.len() <= SHORT_NOTE {
        true => format!("{first}{note}"),
        false => first.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_brief_text_is_the_first_sentence_and_a_short_default() {
        for (text, brief) in [
            ("Most of it. More follows.", "Most of it"),
            ("Such as 0.5 or 1.", "Such as 0.5 or 1"),
            ("Memory. It bounds. [default: 1GiB]", "Memory [default: 1GiB]"),
            (
                "A flag: what it does in many words; and whatever else there is to say about it in yet more of them.",
                "A flag: what it does in many words",
            ),
            ("Steps. [default: what the checkpoint's recipe says]", "Steps"),
        ] {
            assert_eq!(first_sentence(text), brief);
        }
    }

    #[test]
    fn all_of_it_is_asked_for_before_two_dashes() {
        let length = |line: &str| Length::of(line.split(' ').map(OsStr::new));
        for whole in ["serve --help-all", "--help-all", "help serve", "eval --data x --help-all"] {
            assert_eq!(length(whole), Length::Whole, "{whole}");
        }
        for brief in ["serve --help", "reason -- --help-all", "", "reason help"] {
            assert_eq!(length(brief), Length::Brief, "{brief}");
        }
    }
}
