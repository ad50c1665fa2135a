//! The prompt files of `models/prompts`: what their shots observe is what the tools say, and what they look like as text.

use coconut::prompting::file::Error;
use coconut::prompting::file::Method;
use coconut::prompting::file::Prompts;
use coconut::prompting::file::Shot;
use coconut::tools::call::Argument;
use coconut::tools::call::Call;
use coconut::tools::set::ToolSet;
use coconut::tools::tool::Given;
use std::fs;
use std::path::Path;
use std::path::PathBuf;
use std::time::Duration;
use std::time::Instant;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("models/prompts")
}

/// All prompt files, by name.
fn files() -> Vec<(String, Prompts)> {
    let paths = fs::read_dir(folder()).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<(String, Prompts)> = paths
        .filter(|path| path.extension().is_some_and(|extension| extension == "toml"))
        .map(|path| {
            let name = path.file_stem().unwrap().to_string_lossy().into_owned();
            (name, Prompts::read(&path).unwrap())
        })
        .collect();
    files.sort_by(|(a, _), (b, _)| a.cmp(b));
    assert!(files.len() >= 3, "{}", files.len());
    files
}

/// The tools that a file names; its documents lie beside it.
fn tools(prompts: &Prompts) -> ToolSet {
    let entry = |name: &String| match name.as_str() {
        "lookup" => format!("lookup={}", folder().join("documents").display()),
        name => name.to_owned(),
    };
    ToolSet::parse(&prompts.tools.iter().map(entry).collect::<Vec<_>>()).unwrap()
}

async fn check(shot: &Shot, tools: &ToolSet) {
    let mut given = Given { facts: shot.facts.as_deref().map(Into::into), ..Given::default() };
    assert!(!shot.rounds.is_empty(), "{}", shot.question);
    for round in &shot.rounds {
        let argument = Argument::Text(round.argument.clone());
        let call = Call { name: round.action.clone(), argument };
        let deadline = Instant::now() + Duration::from_secs(60);
        let observed = tools.run(&call, &mut given, deadline).await;
        assert!(!observed.is_error, "{call:?}: {}", observed.text);
        assert_eq!(Some(observed.text.as_str()), round.observation.as_deref(), "{call:?}");
    }
}

#[tokio::test]
async fn what_shots_observe_is_what_tools_say() {
    for (name, prompts) in files() {
        assert!(prompts.shots.len() >= 6, "{name}: {}", prompts.shots.len());
        let tools = tools(&prompts);
        for shot in &prompts.shots {
            check(shot, &tools).await;
            assert!(shot.rounds.len() < 7, "{name}: the answer takes a round too");
        }
        for declared in tools.declarations() {
            for method in [Method::Act, Method::React] {
                let instruction = prompts.instruction(method);
                assert!(
                    instruction.contains(&format!("{}[", declared.name)),
                    "{name}: {}",
                    declared.name
                );
            }
        }
    }
}

#[test]
fn every_question_begins_with_the_same_text_and_fewer_shots_with_a_part_of_it() {
    for (name, prompts) in files() {
        for method in Method::ALL {
            let prompt = prompts.prompt(method, 6).unwrap();
            for question in ["Who is it?", "How many?\nTwo lines."] {
                let asked = prompt.ask(question, Some("A is a b."));
                assert!(asked.starts_with(prompt.beginning()), "{name}");
                let facts = asked[prompt.beginning().len()..].contains("A is a b.");
                assert_eq!(facts, !method.has_tools(), "{name} {method:?}");
                assert!(
                    !asked.contains("\n\n\n") && !asked.ends_with(char::is_whitespace),
                    "{name}"
                );
            }
            let fewer = prompts.prompt(method, 2).unwrap();
            assert!(prompt.beginning().starts_with(fewer.beginning()), "{name}");
            let none = prompts.prompt(method, 0).unwrap();
            assert_eq!(none.beginning().trim_end(), prompts.instruction(method).trim(), "{name}");
        }
    }
}

#[test]
fn each_method_shows_a_shot_in_its_own_way() {
    let prompts = Prompts::read(&folder().join("graph.toml")).unwrap();
    let shown = |method| {
        let prompt = prompts.prompt(method, 2).unwrap();
        let without = prompts.prompt(method, 1).unwrap().beginning().len();
        let asked = prompt.ask("Is Kim a zorpus?", Some("Kim is a zorpus."));
        asked[without..].to_owned()
    };
    let facts = "Facts: Ida is a brimpus. Every brimpus is a gorlpus. Leo is a shelpus. Every gorlpus is a wumpus. Every \
                 gorlpus is a terlpus. Every terlpus is a jompus.\n";
    let question = "Question: Is Ida a wumpus or shelpus?\n";
    let way = "Ida is a brimpus. Every brimpus is a gorlpus. Every gorlpus is a wumpus.";
    let next = "Facts: Kim is a zorpus.\nQuestion: Is Kim a zorpus?\n";
    assert_eq!(
        shown(Method::Standard),
        format!("{facts}{question}Answer: Ida is a wumpus.\n\n{next}Answer:")
    );
    assert_eq!(
        shown(Method::Cot),
        format!("{facts}{question}Thought: {way}\nAnswer: Ida is a wumpus.\n\n{next}Thought:")
    );
    assert_eq!(
        shown(Method::Act),
        format!(
            "{question}Action 1: path[Ida, wumpus]\nObservation 1: {way}\nAction 2: Finish[Ida is a wumpus.]\n\n\
             Question: Is Kim a zorpus?\nAction 1:"
        )
    );
    assert_eq!(
        shown(Method::React),
        format!(
            "{question}Thought 1: I ask whether facts lead from Ida to wumpus.\nAction 1: path[Ida, wumpus]\n\
             Observation 1: {way}\nThought 2: The facts lead from Ida to wumpus.\n\
             Action 2: Finish[Ida is a wumpus.]\n\nQuestion: Is Kim a zorpus?\nThought 1:"
        )
    );
}

#[test]
fn answers_are_found_in_what_was_said() {
    let prompts = Prompts::read(&folder().join("arithmetic.toml")).unwrap();
    let answer =
        |method, said: &str| prompts.prompt(method, 1).unwrap().answer(said).map(str::to_owned);
    let found = |text: &str| Some(text.to_owned());
    assert_eq!(answer(Method::Standard, " 27\nQuestion: more"), found("27"));
    assert_eq!(answer(Method::Cot, " 3 + 4 = 7.\nAnswer: 7\n"), found("7"));
    assert_eq!(answer(Method::Cot, " 3 + 4 = 7."), None);
    assert_eq!(answer(Method::Cot, " x\nAnswer:"), None);
    assert_eq!(answer(Method::Standard, " \n"), None);
    // What a shot itself says after its prompt is its answer.
    for method in [Method::Standard, Method::Cot] {
        let prompt = prompts.prompt(method, 2).unwrap();
        let asked = prompts.prompt(method, 1).unwrap().ask(&prompts.shots[1].question, None);
        let said = prompt.beginning().strip_prefix(&asked).unwrap();
        assert_eq!(prompt.answer(said), Some("17.5"));
        assert!(
            prompt
                .stops()
                .iter()
                .all(|stop| !said.trim().contains(stop) || method == Method::Standard)
        );
    }
}

#[test]
fn what_is_not_there_is_named() {
    let prompts = Prompts::read(&folder().join("graph.toml")).unwrap();
    let refused = prompts.prompt(Method::Cot, 7).unwrap_err();
    assert_eq!(refused, Error::TooFewShots { wanted: 7, present: 6 });
    assert!(
        "zero".parse::<Method>().unwrap_err().to_string().contains("standard, cot, act, react")
    );
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.toml");
    fs::write(&path, "tools = []\nshots = []\nhints = 1\n").unwrap();
    let said = Prompts::read(&path).unwrap_err().to_string();
    assert!(said.contains("a.toml") && said.contains("hints"), "{said}");
}
