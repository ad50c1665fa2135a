//! The text form of iCoT (Deng et al., 2024): one question a line, `question||steps #### answer`. Knows single lines, no
//! files.

use crate::data::example::Example;

const QUESTION_END: &str = "||";
const ANSWER_START: &str = "####";

/// One line as a question.
///
/// Steps are `<<...>>`, and in multiplications the terms, each with its `+`. Joined by spaces they are the text again.
///
/// # Errors
/// Which separator is missing or doubled.
pub fn parse(line: &str) -> Result<Example, String> {
    let (question, rest) = only(line, QUESTION_END)?;
    let (steps, answer) = only(rest, ANSWER_START)?;
    Ok(Example {
        question: question.trim().to_owned(),
        steps: split_steps(steps),
        answer: answer.trim().to_owned(),
        ..Example::default()
    })
}

/// The line of a question, without its end.
pub fn format(example: &Example) -> String {
    let Example { question, steps, answer, .. } = example;
    let space = if steps.is_empty() { "" } else { " " };
    format!("{question}{QUESTION_END}{}{space}{ANSWER_START} {answer}", steps.join(" "))
}

/// What is before and after the one `separator`.
fn only<'a>(text: &'a str, separator: &str) -> Result<(&'a str, &'a str), String> {
    let (before, after) = text
        .split_once(separator)
        .ok_or_else(|| format!("no `{separator}`; lines are `question||steps #### answer`"))?;
    match after.contains(separator) {
        true => Err(format!("more than one `{separator}`")),
        false => Ok((before, after)),
    }
}

pub(super) fn split_steps(text: &str) -> Vec<String> {
    let mut steps: Vec<String> = Vec::new();
    // Within `<<` and `>>` words belong together, whatever they are.
    let (mut within, mut ended) = (false, true);
    for word in text.split_whitespace() {
        let starts = !within && (ended || word.starts_with("<<") || word == "+");
        match steps.last_mut() {
            Some(step) if !starts => {
                step.push(' ');
                step.push_str(word);
            }
            _ => steps.push(word.to_owned()),
        }
        within = (within || word.contains("<<")) && !word.ends_with(">>");
        ended = word.ends_with(">>");
    }
    steps
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn steps(line: &str) -> Vec<String> {
        let example = parse(line).unwrap();
        assert_eq!(parse(&format(&example)).unwrap(), example);
        example.steps
    }

    #[test]
    fn equations_are_steps_even_with_spaces_in_them() {
        assert_eq!(steps("q||<<1+1=2>> <<2+1=3>> #### 3"), ["<<1+1=2>>", "<<2+1=3>>"]);
        assert_eq!(steps("q||<<1 + 1 = 2>> <<2+1=3>> #### 3"), ["<<1 + 1 = 2>>", "<<2+1=3>>"]);
        assert_eq!(steps("q||#### 3"), Vec::<String>::new());
    }

    #[test]
    fn terms_of_a_multiplication_are_steps() {
        let line = "2 1 * 4 3||8 4 0 + 0 6 3 0 ( 8 0 4 0 ) #### 8 0 4 0";
        assert_eq!(steps(line), ["8 4 0", "+ 0 6 3 0 ( 8 0 4 0 )"]);
    }

    #[test]
    fn missing_and_doubled_separators_are_named() {
        for (line, said) in [
            ("no separator", "no `||`"),
            ("q||steps", "no `####`"),
            ("q||a||b #### 1", "more than one `||`"),
            ("q||a #### 1 #### 2", "more than one `####`"),
        ] {
            assert!(parse(line).unwrap_err().contains(said), "{line}");
        }
    }
}
