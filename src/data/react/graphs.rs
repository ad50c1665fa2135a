//! Questions about a graph ("Is Tom a lempus or scrompus?") answered by looking for paths: to the first candidate, and where
//! there is none, to the next; `none` is the answer where no path leads to any. Whoever asks like this need not know the
//! answer. Knows no file.

use crate::data::example::Example;
use crate::data::react::Facts;
use crate::data::react::Record;
use crate::tools::graph::Graph;
use crate::tools::graph::GraphError;
use crate::tools::graph::NONE;
use crate::tools::graph::apart;
use crate::tools::graph::sentences;
use crate::tools::react::ReactForm;
use crate::tools::react::Round;
use rand::Rng;
use rand::seq::IteratorRandom as _;

/// What is asked: is somebody one thing, or another?
#[derive(Clone, Debug, PartialEq, Eq)]
struct Asked<'a> {
    entity: &'a str,
    candidates: Vec<&'a str>,
}

/// The dialogue about the graph that a question tells, or that its facts tell.
///
/// # Errors
/// If it asks something else, or its facts do not lead to its answer.
pub fn record(example: &Example, facts: Facts) -> Result<Record, String> {
    let Example { question, answer, .. } = example;
    let (told, asked) = match &example.facts {
        Some(facts) => (facts.as_str(), question.trim()),
        None => apart(question),
    };
    let graph = Graph::parse(told).map_err(|error| format!("question: {error}"))?;
    if let Some(other) = graph.not_facts().first() {
        return Err(format!("facts: {other:?} is none"));
    }
    let trajectory = trajectory(&graph, &Asked::parse(asked)?)?;
    let found = trajectory.last().map(|round| round.argument.as_str()).unwrap_or_default();
    if found != answer {
        return Err(format!("answer: is {answer:?}, and the facts lead to {found:?}"));
    }
    let (question, facts) = match facts {
        Facts::Tool => (asked.to_owned(), Some(told.to_owned())),
        Facts::Question => (format!("{told} {asked}"), None),
    };
    Ok(Record { question, facts, trajectory, answer: answer.clone() })
}

/// Looks for a path to one candidate after the other.
fn trajectory(graph: &Graph, asked: &Asked<'_>) -> Result<Vec<Round>, String> {
    let Asked { entity, candidates } = asked;
    let (mut rounds, mut before) = (Vec::new(), String::new());
    for candidate in candidates {
        let argument = format!("{entity}, {candidate}");
        let (way, found) = match graph.path(entity, candidate) {
            Ok(way) => (way.clone(), way != NONE),
            // What nobody speaks of is nobody's.
            Err(error @ GraphError::Unknown(_)) => (error.to_string(), false),
            Err(error) => return Err(format!("facts: {error}")),
        };
        rounds.push(Round {
            thought: format!("{before}Is {entity} a {candidate}?"),
            action: "path".to_owned(),
            argument,
            observation: Some(way),
        });
        if found {
            let answer = format!("{entity} is a {candidate}.");
            rounds.push(ReactForm::react().finish(answer.clone(), &answer));
            return Ok(rounds);
        }
        before = format!("{entity} is no {candidate}. ");
    }
    rounds.push(ReactForm::react().finish(before.trim_end().to_owned(), NONE));
    Ok(rounds)
}

/// A question of which the tool knows less: only the way to the answer, so that the other candidate is unknown; or no way at
/// all, so that the answer is `none`.
pub fn with_fewer_facts(example: Example, rng: &mut impl Rng) -> Example {
    let (told, asked) = apart(&example.question);
    let mut facts: Vec<&str> = sentences(told).collect();
    if rng.random_bool(0.5) {
        facts.retain(|fact| example.steps.iter().any(|step| step == fact));
        return Example { question: format!("{} {asked}", facts.join(" ")), ..example };
    }
    let Ok(Asked { entity, candidates }) = Asked::parse(asked) else { return example };
    for candidate in candidates {
        while let Ok(graph) = Graph::parse(&facts.join(" "))
            && let Ok(way) = graph.path(entity, candidate)
            && let Some(lost) = sentences(&way).filter(|_| way != NONE).choose(rng)
        {
            facts.retain(|fact| *fact != lost);
        }
    }
    let (question, answer) = (format!("{} {asked}", facts.join(" ")), NONE.to_owned());
    Example { question, answer, ..example }
}

impl<'a> Asked<'a> {
    /// `Is Tom a lempus or scrompus?`
    fn parse(text: &'a str) -> Result<Self, String> {
        let parsed = || {
            let (entity, candidates) =
                text.strip_prefix("Is ")?.strip_suffix('?')?.split_once(' ')?;
            let candidates = candidates.split(" or ").map(without_article).collect();
            Some(Self { entity, candidates })
        };
        let sound = |asked: &Self| {
            let words = asked.candidates.iter().chain([&asked.entity]);
            asked.candidates.len() > 1
                && words.into_iter().all(|word| !word.is_empty() && !word.contains(' '))
        };
        let wrong =
            || format!("question: {text:?} is not `Is X a Y or Z?`, and there are no equations");
        parsed().filter(sound).ok_or_else(wrong)
    }
}

fn without_article(name: &str) -> &str {
    ["a ", "an "].iter().find_map(|article| name.strip_prefix(article)).unwrap_or(name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng as _;

    const FACTS: &str = "Every terpus is a lempus. Tom is a terpus. Alex is a scrompus.";

    fn example(asked: &str, answer: &str) -> Example {
        let (question, answer) = (format!("{FACTS} {asked}"), answer.to_owned());
        Example { question, answer, ..Example::default() }
    }

    #[test]
    fn paths_are_looked_for_in_the_order_of_the_question() {
        let asked = example("Is Tom a lempus or scrompus?", "Tom is a lempus.");
        let made = record(&asked, Facts::Tool).unwrap();
        assert_eq!(made.question, "Is Tom a lempus or scrompus?");
        assert_eq!(made.facts.as_deref(), Some(FACTS));
        assert_eq!(
            ReactForm::react().written(&made.trajectory),
            "Thought 1: Is Tom a lempus?\nAction 1: path[Tom, lempus]\n\
             Observation 1: Tom is a terpus. Every terpus is a lempus.\n\
             Thought 2: Tom is a lempus.\nAction 2: Finish[Tom is a lempus.]\n"
        );
        let asked = example("Is Tom a scrompus or a lempus?", "Tom is a lempus.");
        let made = record(&asked, Facts::Question).unwrap();
        assert_eq!((made.question, made.facts), (asked.question, None));
        assert_eq!(
            ReactForm::act().written(&made.trajectory),
            "Action 1: path[Tom, scrompus]\nObservation 1: none\nAction 2: path[Tom, lempus]\n\
             Observation 2: Tom is a terpus. Every terpus is a lempus.\nAction 3: Finish[Tom is a lempus.]\n"
        );
    }

    #[test]
    fn facts_that_are_apart_stay_apart_or_come_in() {
        let asked = example("Is Tom a lempus or scrompus?", "Tom is a lempus.");
        let apart = record(&asked, Facts::Tool).unwrap();
        let Record { question, facts, answer, .. } = apart.clone();
        let again = Example { question, facts, answer, ..Example::default() };
        assert_eq!(record(&again, Facts::Tool).unwrap(), apart);
        assert_eq!(record(&again, Facts::Question).unwrap().question, asked.question);
    }

    #[test]
    fn what_nobody_speaks_of_is_not_found() {
        let made = record(&example("Is Alex a terpu or lempus?", NONE), Facts::Tool).unwrap();
        assert_eq!(
            ReactForm::react().written(&made.trajectory),
            "Thought 1: Is Alex a terpu?\nAction 1: path[Alex, terpu]\nObservation 1: unknown: terpu\n\
             Thought 2: Alex is no terpu. Is Alex a lempus?\nAction 2: path[Alex, lempus]\nObservation 2: none\n\
             Thought 3: Alex is no lempus.\nAction 3: Finish[none]\n"
        );
    }

    #[test]
    fn fewer_facts_lead_to_the_answer_or_nowhere() {
        let steps = ["Tom is a terpus.", "Every terpus is a lempus."].map(str::to_owned).to_vec();
        let whole =
            Example { steps, ..example("Is Tom a scrompus or lempus?", "Tom is a lempus.") };
        let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(0);
        let mut seen = std::collections::BTreeSet::new();
        for _ in 0..50 {
            let fewer = with_fewer_facts(whole.clone(), &mut rng);
            let made = record(&fewer, Facts::Tool).unwrap();
            let nowhere = made.answer == NONE;
            assert_eq!(apart(&fewer.question).0.contains("Alex"), nowhere, "{fewer:?}");
            seen.insert((fewer.question, made.trajectory.len()));
        }
        assert_eq!(seen.len(), 3, "one step of two is lost, or all but these: {seen:?}");
    }

    #[test]
    fn what_has_no_dialogue_says_why() {
        for (asked, answer, said) in [
            (
                "Is Tom a lempus or scrompus?",
                "Tom is a scrompus.",
                "the facts lead to \"Tom is a lempus.\"",
            ),
            ("Is Alex a lempus or terpus?", "Alex is a lempus.", "the facts lead to \"none\""),
            ("Is Tom a lempus?", "Tom is a lempus.", "is not `Is X a Y or Z?`"),
            ("Who is a lempus?", "Tom", "is not `Is X a Y or Z?`"),
        ] {
            let error = record(&example(asked, answer), Facts::Tool).unwrap_err();
            assert!(error.contains(said), "{asked}: {error}");
        }
    }
}
