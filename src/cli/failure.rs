//! How a command that failed says so: in words, or as a line of a log. Knows no command.

use crate::cli::advice::advice;
use serde_json::json;

/// What is left to say of an error that stands in the log already.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("it failed; its log says why")]
pub struct Told;

/// An error with its causes, without those that it has told already, as some of other libraries do.
fn said(error: &anyhow::Error) -> String {
    error.chain().fold(String::new(), |said, cause| match cause.to_string() {
        cause if said.is_empty() => cause,
        cause if said.contains(&cause) => said,
        cause => format!("{said}: {cause}"),
    })
}

/// The same on a line of its own, and what to do next on another.
pub fn in_words(error: &anyhow::Error) -> String {
    let next = advice(error).map(|advice| format!("next:  {advice}\n"));
    format!("error: {}\n{}", said(error), next.unwrap_or_default())
}

/// The same as the last line of a log whose lines are JSON.
pub(super) fn as_json(error: &anyhow::Error) -> String {
    let timestamp = format!("{:.6}", jiff::Timestamp::now());
    let mut line = json!({
        "timestamp": timestamp,
        "level": "ERROR",
        "message": said(error),
        "target": "coconut::cli",
    });
    if let Some(advice) = advice(error) {
        line["next"] = advice.into();
    }
    format!("{line}\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use anyhow::anyhow;

    #[test]
    fn an_error_is_a_line_in_words_and_an_object_in_json() {
        let busy = std::io::Error::from_raw_os_error(98);
        let error = anyhow!(busy).context("cannot listen");
        let words = in_words(&error);
        assert!(words.starts_with("error: cannot listen: "), "{words}");
        assert!(words.contains("\nnext:  another program listens"), "{words}");
        let line = as_json(&error);
        assert_eq!(line.lines().count(), 1, "{line}");
        let line: serde_json::Value = serde_json::from_str(&line).unwrap();
        assert_eq!(line["level"], "ERROR");
        assert_eq!(line["message"], said(&error));
        assert!(line["next"].as_str().unwrap().contains("--listen"), "{line}");
        assert!(as_json(&anyhow!("two\nlines")).trim_end().lines().count() == 1);
    }
}
