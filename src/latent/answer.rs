//! What part of a decoded text is the answer, and whether it is the right one. Knows text only.

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

impl AnswerRule {
    /// A text that the model would say, of which `answer` is the answer.
    pub fn written(self, answer: &str) -> String {
        match self {
            Self::Whole => answer.to_owned(),
            Self::AfterHash => format!("### {answer}"),
            Self::LastNumber | Self::Choice => format!("{ANSWER_IS} {answer}"),
        }
    }

    /// Whether an extracted answer is the expected one, or that in other words (`also`), compared as the family's own code
    /// does: texts without commas (`run.py` of Coconut), numbers as numbers (`test.py` of CODI).
    pub fn is_right(self, answer: &str, expected: &str, also: &[String]) -> bool {
        let expected = self.extract(expected);
        let number = |text: &str| text.parse::<f64>().ok();
        let right = match (self, number(answer), number(&expected)) {
            (Self::LastNumber, Some(answer), Some(expected)) => answer == expected,
            _ => answer == expected,
        };
        right || also.iter().any(|also| answer.eq_ignore_ascii_case(also.trim()))
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
    fn answers_are_compared_as_their_family_does() {
        let right = |rule: AnswerRule, answer, expected| rule.is_right(answer, expected, &[]);
        let (hash, last) = (AnswerRule::AfterHash, AnswerRule::LastNumber);
        assert!(right(hash, "70000", "70,000"));
        assert!(right(hash, "18", "#### 18"));
        assert!(!right(hash, "18.0", "18"), "texts");
        assert!(right(last, "18.0", "18"), "numbers");
        assert!(right(last, "1007.5", "$1,007.50"));
        assert!(right(last, "True", "True"));
        assert!(!right(last, "True", "1"));
        assert!(right(AnswerRule::Choice, "B", "B"));
        assert!(right(AnswerRule::Whole, "17", " 17 "));
    }

    #[test]
    fn a_choice_is_its_letter_or_its_text() {
        let also = ["bank".to_owned()];
        for answer in ["B", "bank", "Bank"] {
            assert!(AnswerRule::Whole.is_right(answer, "B", &also), "{answer}");
        }
        assert!(!AnswerRule::Whole.is_right("A", "B", &also));
    }

    #[test]
    fn what_is_written_is_read_again() {
        use AnswerRule::{AfterHash, Choice, LastNumber, Whole};
        for (rule, answer) in [(AfterHash, "a b."), (LastNumber, "18"), (Choice, "B"), (Whole, "x")]
        {
            assert_eq!(rule.extract(&rule.written(answer)), answer);
        }
    }

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
