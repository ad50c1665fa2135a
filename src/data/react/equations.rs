//! Equations in the steps of a question (`<<48/2=24>>`, GSM8K's notation) as calls of a calculator. Words around them are
//! thoughts: nothing but the notation is lost. Computes nothing: what is observed is what was written.

use crate::data::example::Example;
use crate::data::react::Record;
use crate::tools::calculator;
use crate::tools::react::ReactForm;
use crate::tools::react::Round;

const OPEN: &str = "<<";
const CLOSE: &str = ">>";

/// Whether there is an equation in these steps.
pub fn are_in(steps: &[String]) -> bool {
    steps.iter().any(|step| step.contains(OPEN))
}

/// The dialogue of a question's equations, one a round.
///
/// # Errors
/// If one is not written as equations are.
pub fn record(example: &Example) -> Result<Record, String> {
    let Example { question, steps, answer, .. } = example;
    let (mut trajectory, mut thought) = (Vec::new(), String::new());
    for (index, step) in steps.iter().enumerate() {
        let wrong = |what: &str| format!("steps[{index}]: {what} in {step:?}");
        let mut rest = step.as_str();
        while let Some((before, equation)) = rest.split_once(OPEN) {
            let (equation, after) =
                equation.split_once(CLOSE).ok_or_else(|| wrong("`<<` without `>>`"))?;
            let (argument, result) = equation.rsplit_once('=').ok_or_else(|| wrong("no `=`"))?;
            let (argument, result) = (argument.trim(), result.trim());
            if argument.is_empty() || result.is_empty() {
                return Err(wrong("half an equation"));
            }
            think(&mut thought, until_the_result(before));
            trajectory.push(Round {
                thought: std::mem::take(&mut thought),
                action: calculator::NAME.to_owned(),
                argument: argument.to_owned(),
                observation: Some(result.to_owned()),
            });
            // GSM8K says the result once more for people: `<<48/2=24>>24 clips`.
            rest = after;
        }
        think(&mut thought, rest);
    }
    trajectory.push(ReactForm::react().finish(thought, answer));
    Ok(Record { question: question.clone(), facts: None, trajectory, answer: answer.clone() })
}

/// Text before an equation, without the `=` and the currency that lead to its result.
fn until_the_result(before: &str) -> &str {
    before.trim_end_matches(|letter: char| letter.is_whitespace() || matches!(letter, '=' | '$'))
}

fn think(thought: &mut String, text: &str) {
    let text = text.trim();
    if !thought.is_empty() && !text.is_empty() {
        thought.push(' ');
    }
    thought.push_str(text);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(steps: &[&str]) -> Result<String, String> {
        let steps = steps.iter().map(|&step| step.to_owned()).collect();
        let (question, answer) = ("How many?".to_owned(), "72".to_owned());
        let example = Example { question, steps, answer, ..Example::default() };
        record(&example).map(|record| ReactForm::react().written(&record.trajectory))
    }

    #[test]
    fn equations_are_calls() {
        assert_eq!(
            written(&["<<48/2=24>>", "<<48 + 24 = 72>>"]).unwrap(),
            "Thought 1:\nAction 1: calculator[48/2]\nObservation 1: 24\n\
             Thought 2:\nAction 2: calculator[48 + 24]\nObservation 2: 72\n\
             Thought 3:\nAction 3: Finish[72]\n"
        );
    }

    #[test]
    fn words_around_equations_are_thoughts() {
        assert_eq!(
            written(&[
                "Natalia sold 48/2 = <<48/2=24>>24 clips in May.",
                "Altogether 48+24 = $<<48+24=72>>72, or <<72/12=6>>6 dozens."
            ])
            .unwrap(),
            "Thought 1: Natalia sold 48/2\nAction 1: calculator[48/2]\nObservation 1: 24\n\
             Thought 2: 24 clips in May. Altogether 48+24\nAction 2: calculator[48+24]\nObservation 2: 72\n\
             Thought 3: 72, or\nAction 3: calculator[72/12]\nObservation 3: 6\n\
             Thought 4: 6 dozens.\nAction 4: Finish[72]\n"
        );
    }

    #[test]
    fn half_an_equation_is_none() {
        for (step, said) in [
            ("a <<1+1", "steps[0]: `<<` without `>>`"),
            ("a <<1+1>>", "no `=`"),
            ("<<=2>>", "half an equation"),
            ("<<1+1= >>", "half an equation"),
        ] {
            assert!(written(&[step]).unwrap_err().contains(said), "{step}");
        }
    }
}
