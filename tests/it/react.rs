//! Dialogues with tools, from the data to a checkpoint: what is made is what the tools say, what is observed is not learnt,
//! and a checkpoint answers in real rounds, as one that is asked slowly does.

use crate::cli::run;
use crate::support::UNOPTIMISED;
use crate::training_runs::settings;
use crate::training_runs::train;
use candle_core::Device;
use coconut::data::example::Example;
use coconut::data::fields::Steps;
use coconut::data::fields::Wanted;
use coconut::data::questions::Questions;
use coconut::data::questions::Reading;
use coconut::latent::checkpoint::Checkpoint;
use coconut::latent::checkpoint::Location;
use coconut::latent::generate::generate;
use coconut::latent::program::Program;
use coconut::model::Model;
use coconut::text::Tokenizer;
use coconut::tools::graph::Graph;
use coconut::tools::react::Opening;
use coconut::tools::react::ReactForm;
use coconut::tools::react::Said;
use coconut::train::encoded::Special;
use coconut::train::evaluate::Exam;
use coconut::train::init::stream;
use coconut::train::method::Method;
use coconut::train::rounds;
use coconut::train::sequence::Input;
use std::path::Path;
use std::path::PathBuf;
use tempfile::TempDir;

/// A file that `coconut generate-data` makes, and what was printed.
#[track_caller]
fn made(folder: &Path, name: &str, words: &[&str]) -> (PathBuf, String) {
    let path = folder.join(name);
    let out = ["--out", path.to_str().unwrap()];
    let (output, text) = run(&[&["generate-data"], words, &out[..]].concat());
    assert!(output.status.success(), "{text}");
    (path, text)
}

/// The questions of a file with their dialogues.
fn dialogues(path: &Path) -> Vec<Example> {
    let wanted = Wanted { steps: Steps::Trajectory, ..Wanted::default() };
    let reading = Reading { wanted, strict: true, limit: None };
    Questions::read(path, &reading).unwrap().examples()
}

fn temporary() -> TempDir {
    tempfile::tempdir().unwrap()
}

#[test]
fn what_is_observed_is_what_the_tool_says() {
    let folder = temporary();
    let words = ["react", "--count", "40", "--seed", "3", "--fewer-facts", "30", "--stats"];
    let (path, text) = made(folder.path(), "tool.jsonl", &[&words[..], &["--jsonl"]].concat());
    assert!(text.contains("40 questions in") && text.contains("path "), "{text}");
    let all = dialogues(&path);
    let nowhere = all.iter().filter(|example| example.answer == "none").count();
    assert!((1..20).contains(&nowhere), "{nowhere} of 40 have no answer");
    for Example { question, answer, facts, trajectory, .. } in &all {
        let graph = Graph::parse(facts.as_deref().unwrap()).unwrap();
        assert!(!question.contains('.'), "no facts are left in {question:?}");
        let (last, before) = trajectory.split_last().unwrap();
        assert_eq!((last.action.as_str(), &last.argument), ("Finish", answer));
        for round in before {
            let observed = graph.call(&round.action, &round.argument);
            let observed = observed.unwrap_or_else(|error| error.to_string());
            assert_eq!(round.observation.as_deref(), Some(observed.as_str()));
        }
    }
    // The same graphs told in the questions: the same dialogues.
    let (path, _) =
        made(folder.path(), "question.json", &[&words[..], &["--facts", "question"]].concat());
    for (told, apart) in dialogues(&path).iter().zip(&all) {
        assert_eq!(told.facts, None);
        assert_eq!(
            told.question,
            format!("{} {}", apart.facts.as_deref().unwrap(), apart.question)
        );
        assert_eq!(told.trajectory, apart.trajectory);
    }
}

#[test]
fn published_questions_become_dialogues() {
    let folder = temporary();
    let (questions, _) = made(folder.path(), "q.json", &["prosqa", "--count", "10", "--seed", "4"]);
    let from = ["react", "--from", questions.to_str().unwrap()];
    let (path, text) = made(folder.path(), "d.json", &from);
    assert!(text.contains("10 questions in"), "{text}");
    let drawn = made(folder.path(), "e.json", &["react", "--from", path.to_str().unwrap()]).0;
    assert_eq!(dialogues(&path), dialogues(&drawn), "what has dialogues already gets the same");

    let equations = folder.path().join("gsm.txt");
    let lines = "How many?||<<48/2=24>> <<48+24=72>> #### 72\nHow so?|| #### 3\n";
    std::fs::write(&equations, lines).unwrap();
    let from = ["react", "--from", equations.to_str().unwrap()];
    let (path, text) = made(folder.path(), "g.json", &from);
    assert!(
        text.contains("1 row is no question") && text.contains("question 2 (line 2)"),
        "{text}"
    );
    let text = ReactForm::act().written(&dialogues(&path)[0].trajectory);
    assert!(text.starts_with("Action 1: calculator[48/2]\nObservation 1: 24\n"), "{text}");
    assert!(text.ends_with("Action 3: Finish[72]\n"), "{text}");
    let strict = [&["generate-data"], &from[..], &["--strict", "--out", "-"]].concat();
    let (output, text) = run(&strict);
    assert!(!output.status.success() && text.contains("gsm.txt: line 2, question 2: "), "{text}");
}

#[test]
fn files_without_dialogues_are_no_lessons_in_them() {
    let folder = temporary();
    let path = folder.path().join("q.jsonl");
    let last = r#"{"action": "Finish", "argument": "b"}"#;
    let round = r#"{"action": "path", "argument": "a, b"}"#;
    for (trajectory, said) in [
        (String::new(), "missing field `trajectory`"),
        (r#", "trajectory": []"#.to_owned(), "trajectory: is empty"),
        (
            format!(r#", "trajectory": [{round}, {last}]"#),
            "trajectory[0]: missing field `observation`",
        ),
        (
            r#", "trajectory": [{"action": "f"}]"#.to_owned(),
            "trajectory[0]: missing field `argument`",
        ),
        (r#", "trajectory": "a""#.to_owned(), "trajectory: invalid type"),
        (
            r#", "trajectory": [{"action": "f", "argument": "a", "observation": "x"}]"#.to_owned(),
            "does not finish",
        ),
    ] {
        std::fs::write(&path, format!(r#"{{"question": "q", "answer": "b"{trajectory}}}"#))
            .unwrap();
        let wanted = Wanted { steps: Steps::Trajectory, ..Wanted::default() };
        let reading = Reading { wanted, strict: true, limit: None };
        let error = Questions::read(&path, &reading).unwrap_err().to_string();
        assert!(error.contains(said), "{said}: {error}");
    }
}

/// The tokenizer that `coconut generate-data` makes for dialogues.
fn tokenizer(folder: &Path) -> (PathBuf, Tokenizer, Special) {
    let (path, _) = made(folder, "tokenizer.json", &["tokenizer", "prosqa-react"]);
    let tokenizer = Tokenizer::load(&path).unwrap();
    let [start, end, latent, eos] =
        ["<|start-latent|>", "<|end-latent|>", "<|latent|>", "<|endoftext|>"]
            .map(|name| tokenizer.id(name).unwrap());
    (path, tokenizer, Special { start, end, latent, eos })
}

#[test]
fn what_is_said_is_learnt_and_what_is_observed_is_not() {
    let folder = temporary();
    let (_, tokenizer, special) = tokenizer(folder.path());
    let unknown = tokenizer.id("<|unk|>").unwrap();
    let words = ["react", "--count", "20", "--seed", "8", "--fewer-facts", "50"];
    for facts in ["tool", "question"] {
        let (path, _) = made(folder.path(), "d.json", &[&words[..], &["--facts", facts]].concat());
        for (method, example) in [Method::React, Method::Act]
            .iter()
            .flat_map(|method| dialogues(&path).into_iter().map(move |example| (method, example)))
        {
            let form = method.form().unwrap();
            let encoded = method.encode(&example, &tokenizer, "").unwrap();
            let sequence = method.sequence(&encoded, 0, special, &mut stream(0, ""));
            let ids: Vec<u32> = sequence
                .inputs
                .iter()
                .map(|input| match input {
                    Input::Token(id) => *id,
                    Input::Thought => panic!("there are no thoughts"),
                })
                .collect();
            assert_eq!(method.longest(&encoded), ids.len() + 1);
            assert!(!ids.contains(&unknown));
            let text = format!("{}\n{}", example.question, form.written(&example.trajectory));
            assert_eq!(tokenizer.decode(&ids), text);
            let learnt: Vec<u32> = sequence.targets.iter().map(|(at, _)| ids[at + 1]).collect();
            let said =
                (1..).zip(&example.trajectory).map(|(number, round)| form.said(number, round));
            let said: String = said.collect();
            let said = [tokenizer.encode(&said, false).unwrap(), vec![special.eos]].concat();
            assert_eq!(learnt, said);
        }
    }
}

#[test]
fn dialogues_are_trained_to_a_checkpoint_and_validated_in_rounds() {
    for (method, family) in [("'react'", "react"), ("'act'", "act")] {
        let folder = temporary();
        let (tokenizer, ..) = tokenizer(folder.path());
        let words = ["react", "--count", "8", "--nodes", "8..10"];
        let (questions, _) = made(folder.path(), "d.json", &words);
        let config = settings(folder.path(), method);
        let text = std::fs::read_to_string(&config).unwrap();
        let text: Vec<String> = text
            .lines()
            .map(|line| match line.split_once('=').map(|(key, _)| key.trim()) {
                Some("tokenizer") => format!("tokenizer = {tokenizer:?}"),
                Some(key @ ("data" | "train")) => format!("{key} = {questions:?}"),
                _ => line.to_owned(),
            })
            .collect();
        std::fs::write(&config, text.join("\n")).unwrap();
        let out = folder.path().join("out");
        let output = train(&config, &out).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success() && said.contains("of 8 right"), "{family}: {said}");
        let checkpoint = Checkpoint::open(&Location::folder(out.join("checkpoint"))).unwrap();
        assert_eq!((checkpoint.recipe.family.as_str(), checkpoint.recipe.start.len()), (family, 0));
    }
}

/// The committed checkpoint, and questions that it has not seen.
fn trained() -> (Checkpoint, Model, Vec<Example>) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("models/prosqa-react");
    let checkpoint = Checkpoint::open(&Location::folder(folder)).unwrap();
    let model = checkpoint.model(&Device::Cpu).unwrap();
    let folder = temporary();
    let words = ["react", "--count", "30", "--seed", "77", "--fewer-facts", "20"];
    let (path, _) = made(folder.path(), "d.json", &words);
    (checkpoint, model, dialogues(&path))
}

/// How many are answered rightly, and how many tokens were said.
fn right(
    (checkpoint, model): (&Checkpoint, &Model),
    examples: &[Example],
    form: &ReactForm,
) -> (usize, usize) {
    let tokenizer = &checkpoint.tokenizer;
    let exam = Exam { examples, tokenizer, max_tokens: 40, batch_size: 7 };
    let score = rounds::ask(&exam, model, &checkpoint.recipe, form).unwrap();
    assert_eq!(score.questions, examples.len());
    (score.right, score.answer_tokens)
}

#[test]
fn the_committed_checkpoint_answers_by_its_tool() {
    let (checkpoint, model, examples) = trained();
    let form = ReactForm::react();
    let (count, _) = right((&checkpoint, &model), &examples, &form);
    assert!(count >= 29, "{count} of 30");
    // One at a time, slowly.
    let some = &examples[..if UNOPTIMISED { 7 } else { 30 }];
    let (count, tokens) = right((&checkpoint, &model), some, &form);
    let slow: Vec<(String, usize)> =
        some.iter().map(|example| slowly(&checkpoint, &model, example, &form)).collect();
    let agrees = slow.iter().zip(some).filter(|((said, _), asked)| *said == asked.answer);
    assert_eq!((agrees.count(), slow.iter().map(|(_, tokens)| tokens).sum()), (count, tokens));
    // It knows nothing of the graphs itself, and reads what it is told: by a tool that knows nothing, nothing is found.
    let blind: Vec<Example> = examples
        .iter()
        .map(|example| Example {
            facts: Some("Nobody is a nothing.".to_owned()),
            ..example.clone()
        })
        .collect();
    let nowhere = examples.iter().filter(|example| example.answer == "none").count();
    let (count, _) = right((&checkpoint, &model), &blind, &form);
    assert!(count <= nowhere + 2, "{count} of 30, {nowhere} have no answer");
    // Too few rounds for the dialogues with two paths.
    let hasty = ReactForm { max_rounds: 2, ..form };
    let short = examples.iter().filter(|example| example.trajectory.len() == 2).count();
    let (count, _) = right((&checkpoint, &model), &examples, &hasty);
    assert!(count <= short, "{count} of 30, {short} take two rounds");
}

/// A dialogue by the oracle: token by token, each from the beginning.
fn slowly(
    checkpoint: &Checkpoint,
    model: &Model,
    example: &Example,
    form: &ReactForm,
) -> (String, usize) {
    let tokenizer = &checkpoint.tokenizer;
    let graph = Graph::parse(example.facts.as_deref().unwrap()).unwrap();
    let mut ids = tokenizer.encode(&checkpoint.recipe.render(&example.question), true).unwrap();
    let mut tokens = 0;
    for round in 1..=form.max_rounds {
        let opening = form.opening(Opening::Thought, round);
        ids.extend(tokenizer.encode(&opening, false).unwrap());
        let mut said = Vec::new();
        let action = loop {
            let program = Program {
                prompt: ids.clone(),
                latent_steps: 0,
                forced: Vec::new(),
                max_tokens: 1,
                stop: checkpoint.recipe.stop_rule(),
                masked: Vec::new(),
            };
            let next = generate(model, &program).unwrap().ids;
            said.extend(&next);
            ids.extend(&next);
            tokens += next.len();
            let over = next.is_empty() || said.len() == 40;
            match form.read(Opening::Thought, &tokenizer.decode(&said), over) {
                Said::Open => {}
                Said::Finish { answer, .. } => return (answer, tokens),
                Said::Call { action, argument, .. } => break (action, argument),
                other => panic!("{other:?}"),
            }
        };
        let observed = graph.call(&action.0, &action.1).unwrap_or_else(|error| error.to_string());
        let observed = form.observation(round, &observed);
        ids.extend(tokenizer.encode(&observed, false).unwrap());
    }
    (String::new(), tokens)
}
