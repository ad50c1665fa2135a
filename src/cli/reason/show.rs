//! What is said about answers: JSON lines for programs, text for people, as it comes where standard output is a terminal.
//! Knows the JSON of answers and events, not where they come from.

use crate::cli::reason::ask::AskArgs;
use crate::cli::reason::bars;
use crate::cli::reason::local::Refusal;
use crate::cli::reason::words::Look;
use crate::cli::reason::words::complain;
use clap::Args;
use indicatif::ProgressBar;
use indicatif::ProgressStyle;
use serde_json::Value;
use serde_json::json;
use std::fmt::Write as _;
use std::io::IsTerminal as _;
use std::io::Write as _;

/// What is printed.
#[derive(Debug, Args)]
pub(super) struct ShowArgs {
    /// Show each thought: its likeliest tokens as bars, its norm and its entropy.
    #[arg(long)]
    thoughts: bool,
    /// Print a line of JSON for each question: what `POST /v1/reason` answers, and the question.
    #[arg(long)]
    json: bool,
}

/// How answers are shown.
#[derive(Debug)]
pub(super) enum Show {
    /// A line of JSON each.
    Json,
    /// Text, all of it when it is there.
    Text {
        /// How it looks.
        look: Look,
        /// Whether questions are told too: there are several, and more than a line is said about each.
        titled: bool,
    },
    /// Text as it comes.
    Live {
        /// How it looks.
        look: Look,
        /// What was written.
        said: String,
    },
}

impl ShowArgs {
    /// What has to be reported for it.
    pub(super) fn includes(&self) -> &'static [&'static str] {
        if self.thoughts { &["thoughts", "entropy"] } else { &[] }
    }

    pub(super) fn of(&self, ask: &AskArgs, questions: usize) -> Show {
        let look = Look::of_stdout();
        let titled = questions > 1 && (self.thoughts || ask.asks_many());
        match (self.json, std::io::stdout().is_terminal()) {
            (true, _) => Show::Json,
            (false, true) if questions == 1 && !ask.asks_many() => {
                Show::Live { look, said: String::new() }
            }
            (false, _) => Show::Text { look, titled },
        }
    }
}

impl Show {
    /// Whether parts are shown before the end.
    pub(super) fn is_live(&self) -> bool {
        matches!(self, Self::Live { .. })
    }

    /// A part of the only answer.
    pub(super) fn event(&mut self, name: &str, data: &Value) -> anyhow::Result<()> {
        let Self::Live { look, said } = self else { return Ok(()) };
        let text = match name {
            // Without its tokens it says nothing.
            "thought" if data["top_tokens"].is_array() => bars::thought(data, *look),
            "token" => {
                let text = data["text"].as_str().unwrap_or_default();
                let begins = said.trim_start().is_empty();
                let shown = if begins { text.trim_start() } else { text }.to_owned();
                said.push_str(text);
                shown
            }
            _ => return Ok(()),
        };
        print(&text)
    }

    /// An answer, or what is left to say of it.
    pub(super) fn answer(&self, question: &str, answer: &Value) -> anyhow::Result<()> {
        match self {
            Self::Json => print_json(question, answer.clone())?,
            Self::Text { look, titled } => {
                let title = titled.then(|| look.strong(question) + "\n").unwrap_or_default();
                print(&format!("{title}{}", told(answer, *look)))?;
            }
            Self::Live { look, said } => {
                let extracted = answer["answer"].as_str().unwrap_or_default();
                let end = if said.ends_with('\n') || said.is_empty() { "" } else { "\n" };
                match extracted == said.trim() {
                    true => print(end)?,
                    false => print(&format!("{end}{}\n", look.strong(extracted)))?,
                }
            }
        }
        for warning in answer["warnings"].as_array().into_iter().flatten() {
            if !matches!(self, Self::Json) {
                let message = warning["message"].as_str().unwrap_or_default();
                complain(&format!("warning: {message}"))?;
            }
        }
        Ok(())
    }

    /// In the place of an answer; people are told on standard error.
    pub(super) fn refusal(&self, question: &str, refusal: &Refusal) -> anyhow::Result<()> {
        match self {
            Self::Json => print_json(question, json!(refusal)),
            Self::Text { .. } | Self::Live { .. } => Ok(()),
        }
    }
}

/// How far a run over so many questions is; nothing where answers themselves show it.
pub(super) fn bar(questions: usize) -> ProgressBar {
    if std::io::stdout().is_terminal() {
        return ProgressBar::hidden();
    }
    let style = ProgressStyle::with_template("{wide_bar} {pos} of {len}, {eta} left");
    let style = style.expect("the template is a constant that is valid");
    ProgressBar::new(questions as u64).with_style(style)
}

/// An answer in words.
fn told(answer: &Value, look: Look) -> String {
    let mut text = thoughts(&answer["thoughts"], look);
    let said = |of: &Value| of["answer"].as_str().unwrap_or_default().to_owned();
    if let Some(answers) = answer["answers"].as_array() {
        for one in answers {
            text += &thoughts(&one["thoughts"], look);
            _ = writeln!(text, "{}\t{}", one["latent_steps"], said(one));
        }
        return text;
    }
    for (index, one) in answer["choices"].as_array().into_iter().flatten().enumerate() {
        let own = thoughts(&one["thoughts"], look);
        if !own.is_empty() {
            text += &look.dim(&format!("answer {}: {}\n", index + 1, said(one)));
            text += &own;
        }
    }
    text += &said(answer);
    if let (Some(count), Some(all)) =
        (answer["vote"]["count"].as_u64(), answer["choices"].as_array())
    {
        text += &look.dim(&format!("\t{count} of {}", all.len()));
    }
    text + "\n"
}

fn thoughts(thoughts: &Value, look: Look) -> String {
    let all = thoughts.as_array().into_iter().flatten();
    all.map(|thought| bars::thought(thought, look)).collect()
}

fn print_json(question: &str, mut line: Value) -> anyhow::Result<()> {
    line["question"] = question.into();
    print(&format!("{line}\n"))
}

/// At once, in the middle of a line too.
fn print(text: &str) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    out.write_all(text.as_bytes())?;
    Ok(out.flush()?)
}
