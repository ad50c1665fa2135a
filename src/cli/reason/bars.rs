//! A thought as bars of the tokens that the head reads from it. Knows the JSON of a thought, and columns.

use crate::cli::reason::words::Look;
use serde_json::Value;
use std::fmt::Write as _;
use unicode_width::UnicodeWidthStr as _;

/// Columns for a token.
const TOKEN: usize = 16;
/// Columns for ` 100.0 %`.
const PERCENT: usize = 8;
/// Spaces before a bar's line.
const INDENT: usize = 2;
/// Eighths of a column, from one to seven.
const PARTS: [char; 7] = ['▏', '▎', '▍', '▌', '▋', '▊', '▉'];

/// The lines about a thought.
pub(super) fn thought(thought: &Value, look: Look) -> String {
    let mut lines = look.strong(&format!("thought {}", thought["step"]));
    if let Some(choice) = thought["choice"].as_u64() {
        _ = write!(lines, " of answer {}", choice + 1);
    }
    let number = |field: &str| thought[field].as_f64();
    if let Some(norm) = number("norm") {
        lines += &look.dim(&format!("   norm {norm:.2}"));
    }
    if let Some(norm) = number("computed_norm") {
        lines += &look.dim(&format!(" (computed {norm:.2})"));
    }
    if let Some(entropy) = number("entropy") {
        lines += &look.dim(&format!("   entropy {entropy:.2} nats"));
    }
    lines.push('\n');
    for token in thought["top_tokens"].as_array().into_iter().flatten() {
        let probability = token["probability"].as_f64().unwrap_or(0.0);
        let name = fitted(token["token"].as_str().unwrap_or_default());
        let room = look.width - INDENT - TOKEN - PERCENT - 1;
        let bar = look.bar(&bar(probability, room));
        _ = writeln!(lines, "{:INDENT$}{name} {:5.1} % {bar}", "", probability * 100.0);
    }
    lines
}

/// A bar of a share of so many columns, to the eighth of one.
fn bar(share: f64, columns: usize) -> String {
    let eighths = (share.clamp(0.0, 1.0) * (columns * 8) as f64).round() as usize;
    let mut bar = "█".repeat(eighths / 8);
    bar.extend((eighths % 8).checked_sub(1).map(|part| PARTS[part]));
    bar
}

/// A token in the columns for it: cut, or filled up with spaces. What would move the cursor is written out.
fn fitted(token: &str) -> String {
    let shown: String = token
        .chars()
        .flat_map(|c| match c.is_control() {
            true => c.escape_default().collect::<Vec<_>>(),
            false => vec![c],
        })
        .collect();
    let mut fitted = String::new();
    for c in shown.trim_start().chars() {
        let longer = format!("{fitted}{c}");
        if longer.width() > TOKEN {
            fitted.pop();
            fitted.push('…');
            break;
        }
        fitted = longer;
    }
    let missing = TOKEN.saturating_sub(fitted.width());
    format!("{fitted}{}", " ".repeat(missing))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::reason::words::Colour;
    use serde_json::json;
    use unicode_width::UnicodeWidthStr;

    #[test]
    fn bars_are_as_long_as_what_they_stand_for() {
        assert_eq!(bar(1.0, 4), "████");
        assert_eq!(bar(0.5, 3), "█▌");
        assert_eq!(bar(0.0, 9), "");
        assert_eq!(bar(1e-9, 9), "");
    }

    #[test]
    fn no_line_is_wider_than_the_terminal() {
        let long = "an unbelievably long token".to_owned();
        let tokens = ["a", " b", &long, "日本語日本語日本語", "\n", "\u{1b}[31m"];
        let tokens: Vec<_> = tokens
            .iter()
            .map(|token| json!({"id": 1, "token": token, "probability": 1.0}))
            .collect();
        let body = json!({"step": 2, "norm": 1.5, "entropy": 0.25, "top_tokens": tokens});
        for width in [30, 80, 120] {
            let text = thought(&body, Look { colour: Colour::No, width });
            assert!(text.starts_with("thought 2   norm 1.50   entropy 0.25 nats\n"), "{text}");
            assert_eq!(text.lines().count(), 7, "{text}");
            let widths = text.lines().skip(1).map(UnicodeWidthStr::width);
            assert!(widths.clone().all(|columns| columns == width), "{width}: {text}");
            assert!(!text.contains('\u{1b}'), "a token moves no cursor: {text:?}");
        }
    }
}
