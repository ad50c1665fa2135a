//! ReAct's text: examples, and that what is written is read again however it is cut into pieces. Knows no action.

use crate::tools::react::Opening;
use crate::tools::react::ReactForm;
use crate::tools::react::Round;
use crate::tools::react::Said;
use proptest::prelude::*;

fn call(thought: &str, action: &str, argument: &str) -> Said {
    let [thought, action, argument] = [thought, action, argument].map(str::to_owned);
    Said::Call { thought, action, argument }
}

#[test]
fn a_dialogue_is_written_as_in_the_paper() {
    let first = Round {
        thought: "Is Tom a lempus?".to_owned(),
        action: "path".to_owned(),
        argument: "Tom, lempus".to_owned(),
        observation: Some("Tom is a terpus.\nEvery terpus is a lempus.".to_owned()),
    };
    let react = ReactForm::react();
    let rounds = [first, react.finish("Yes.".to_owned(), "Tom is a lempus.")];
    assert_eq!(
        react.written(&rounds),
        "Thought 1: Is Tom a lempus?\nAction 1: path[Tom, lempus]\n\
         Observation 1: Tom is a terpus. Every terpus is a lempus.\n\
         Thought 2: Yes.\nAction 2: Finish[Tom is a lempus.]\n"
    );
    assert_eq!(
        ReactForm { numbered: false, ..ReactForm::act() }.written(&rounds),
        "Action: path[Tom, lempus]\nObservation: Tom is a terpus. Every terpus is a lempus.\n\
         Action: Finish[Tom is a lempus.]\n"
    );
}

#[test]
fn what_models_say_is_read() {
    let form = ReactForm::react();
    let read = |said| form.read(Opening::Thought, said, false);
    assert_eq!(read(" I need\nAction 1: Search[a[1] b]\nObs"), call("I need", "Search", "a[1] b"));
    assert_eq!(read(" One.\nTwo.\nAction: Search [ a ]\n"), call("One. Two.", "Search", "a"));
    assert_eq!(read("\nAction 3: f[]\n"), call("", "f", ""));
    let finish = Said::Finish { thought: "So".to_owned(), answer: "yes".to_owned() };
    assert_eq!(read(" So\nAction 2: finish[yes]\n"), finish);
    assert_eq!(read(" So\nAction 2: Finish[yes]"), Said::Open);
    assert_eq!(form.read(Opening::Thought, " So\nAction 2: Finish[yes]", true), finish);
    let invalid = Said::Invalid { thought: "x".to_owned(), action: "look around".to_owned() };
    assert_eq!(read(" x\nAction 1: look around\n"), invalid);
    let missing = Said::Missing { thought: "x".to_owned() };
    assert_eq!(read(" x\ny\nObservation 1: none\n"), missing);
    assert_eq!(read(" x\nThought 2: z\nAction 2: f[a]\n"), missing);
    assert_eq!(form.read(Opening::Thought, " x", true), missing);
    let act = |said| ReactForm::act().read(Opening::Action, said, false);
    assert_eq!(act(" \n f[a]\n"), call("", "f", "a"));
    assert_eq!(act(" f[a]"), Said::Open);
}

#[test]
fn a_form_is_stated_by_what_is_special_about_it() {
    let json = |form: &ReactForm| serde_json::to_string(form).unwrap();
    assert_eq!(json(&ReactForm::act()), r#"{"thoughts":false}"#);
    let text = r#"{"thoughts":true,"max_rounds":3,"numbered":false,"labels":{"thought":"T","action":"A","observation":"O","finish":"F"}}"#;
    let form: ReactForm = serde_json::from_str(text).unwrap();
    assert_eq!(json(&form), text);
    assert_eq!(serde_json::from_str::<ReactForm>("{}").unwrap(), ReactForm::react());
    assert!(serde_json::from_str::<ReactForm>(r#"{"thought":true}"#).is_err());
}

/// A text that is on one line already.
fn line() -> impl Strategy<Value = String> {
    "[a-zA-Z0-9 :\\[\\],.?é]{0,24}".prop_map(|text| text.trim().to_owned())
}

fn round() -> impl Strategy<Value = Round> {
    let parts = (line(), "[a-zA-Z]{1,8}", line(), line());
    parts.prop_filter_map("no finish", |(thought, action, argument, observation)| {
        let observation = Some(observation);
        let is_call = !action.eq_ignore_ascii_case("finish");
        is_call.then_some(Round { thought, action, argument, observation })
    })
}

fn form() -> impl Strategy<Value = ReactForm> {
    (any::<bool>(), any::<bool>()).prop_map(|(thoughts, numbered)| ReactForm {
        thoughts,
        numbered,
        ..ReactForm::react()
    })
}

/// Reads a whole dialogue as a loop does: openings and observations are fed, the rest is read letter by letter.
fn heard(form: &ReactForm, mut text: &str, observed: &[Option<String>]) -> Vec<Round> {
    let mut rounds = Vec::new();
    for (number, observation) in (1..).zip(observed) {
        let opening = form.opens_with();
        text = text.strip_prefix(&form.opening(opening, number)).unwrap();
        let ends = (0..=text.len()).filter(|&end| text.is_char_boundary(end));
        let (end, said) = ends
            .map(|end| (end, form.read(opening, &text[..end], false)))
            .find(|(_, said)| *said != Said::Open)
            .unwrap();
        assert_eq!(form.read(opening, text, false), said, "what follows does not matter");
        let interrupts = form.interrupts(opening);
        assert!(interrupts.iter().any(|interrupt| text[..end].ends_with(interrupt.as_str())));
        text = &text[end..];
        let (thought, action, argument) = match said {
            Said::Call { thought, action, argument } => (thought, action, argument),
            Said::Finish { thought, answer } => (thought, "Finish".to_owned(), answer),
            other => panic!("{other:?}"),
        };
        if let Some(observation) = observation {
            text = text.strip_prefix(&form.observation(number, observation)).unwrap();
        }
        rounds.push(Round { thought, action, argument, observation: observation.clone() });
    }
    assert_eq!(text, "");
    rounds
}

proptest! {
    #[test]
    fn what_is_written_is_read_again(
        form in form(), mut rounds in prop::collection::vec(round(), 0..4), last in line(), answer in line(),
    ) {
        rounds.push(form.finish(last, &answer));
        if !form.thoughts {
            rounds.iter_mut().for_each(|round| round.thought.clear());
        }
        let observed: Vec<Option<String>> =
            rounds.iter().map(|round| round.observation.clone()).collect();
        prop_assert_eq!(heard(&form, &form.written(&rounds), &observed), rounds);
    }

    #[test]
    fn anything_may_be_said(form in form(), said in "(\\PC|\\n|Action 1: |Thought:|\\]){0,40}", ended in any::<bool>()) {
        for opening in [Opening::Thought, Opening::Action] {
            let whole = form.read(opening, &said, ended);
            prop_assert!(!ended || whole != Said::Open);
            // Once it is known what was said, more of it changes nothing.
            for end in (0..said.len()).filter(|&end| said.is_char_boundary(end)) {
                let early = form.read(opening, &said[..end], false);
                prop_assert!(early == Said::Open || early == whole);
            }
        }
    }
}
