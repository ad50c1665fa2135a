//! What part of a decoded text is the answer. Knows text only.

use serde::Deserialize;
use serde::Serialize;

/// What part of the decoded text is the answer.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum AnswerRule {
    /// All of it, trimmed.
    #[default]
    Whole,
    /// What follows the last `#`, without commas, trimmed (the Coconut code's `run.py`).
    AfterHash,
    /// The last number, without commas (the CODI code's `test.py`); where there is none, what follows
    /// `The answer is:`.
    LastNumber,
    /// The letter A to E after `The answer is:`; where there is none, what follows it.
    Choice,
}

/// What CODI's answers begin with.
const ANSWER_IS: &str = "The answer is:";

impl AnswerRule {
    /// The answer within the decoded text.
    pub fn extract(self, text: &str) -> String {
        match self {
            Self::Whole => text.trim().to_owned(),
            Self::AfterHash => {
                text.rsplit('#').next().unwrap_or_default().replace(',', "").trim().to_owned()
            }
            Self::LastNumber => {
                let text = text.replace(',', "");
                last_number(&text).unwrap_or_else(|| after_answer_is(&text)).to_owned()
            }
            Self::Choice => {
                let rest = after_answer_is(text);
                choice(rest).unwrap_or(rest).to_owned()
            }
        }
    }
}

fn after_answer_is(text: &str) -> &str {
    text.rsplit(ANSWER_IS).next().unwrap_or(text).trim()
}

/// The last match of `-?\d+\.?\d*`.
fn last_number(text: &str) -> Option<&str> {
    let bytes = text.as_bytes();
    let mut found = None;
    let mut at = 0;
    while at < bytes.len() {
        let digits = at + usize::from(bytes[at] == b'-');
        let mut end = skip_digits(bytes, digits);
        if end == digits {
            at += 1;
            continue;
        }
        if bytes.get(end) == Some(&b'.') {
            end = skip_digits(bytes, end + 1);
        }
        found = text.get(at..end);
        at = end;
    }
    found
}

fn skip_digits(bytes: &[u8], from: usize) -> usize {
    let digits = bytes.get(from..).unwrap_or_default();
    from + digits.iter().take_while(|byte| byte.is_ascii_digit()).count()
}

/// The first letter A to E that stands by itself.
fn choice(text: &str) -> Option<&str> {
    let words = text.split(|letter: char| !letter.is_alphanumeric());
    words.into_iter().find(|word| matches!(*word, "A" | "B" | "C" | "D" | "E"))
}

#[cfg(test)]
mod tests {
    use super::AnswerRule;

    #[test]
    fn the_answer_follows_the_last_hash() {
        let extract = |text| AnswerRule::AfterHash.extract(text);
        assert_eq!(extract("### Bob is a lempus."), "Bob is a lempus.");
        assert_eq!(extract("<<1000+5=1005>>\n### 1,005"), "1005");
        assert_eq!(extract("no marker "), "no marker");
    }

    #[test]
    fn the_answer_is_the_last_number() {
        let extract = |text| AnswerRule::LastNumber.extract(text);
        assert_eq!(extract("The answer is: 18"), "18");
        assert_eq!(extract("3 + 4 is -1,007.50 dollars"), "-1007.50");
        assert_eq!(extract("12-5."), "-5.");
        assert_eq!(extract("é7é - x"), "7");
        assert_eq!(extract("The answer is: True"), "True");
        assert_eq!(extract(""), "");
    }

    #[test]
    fn the_answer_is_a_letter() {
        let extract = |text| AnswerRule::Choice.extract(text);
        assert_eq!(extract("The answer is: (B) bank"), "B");
        assert_eq!(extract("The answer is: none"), "none");
    }
}
