//! Runs side by side, questions that are seen once, and facts as what is learnt.

use crate::training_runs::METHOD;
use crate::training_runs::bytes;
use crate::training_runs::edges;
use crate::training_runs::frontier;
use crate::training_runs::prosqa_words;
use crate::training_runs::settings;
use crate::training_runs::token_ids;
use crate::training_runs::train;
use crate::training_runs::with_graph_words;
use coconut::data::prosqa::words::END_OF_TEXT;
use coconut::model::gradients::cross_entropy::Distribution;
use coconut::model::gradients::cross_entropy::Target;
use coconut::text::Tokenizer;
use coconut::train::batch::Batch;
use coconut::train::curriculum::Curriculum;
use coconut::train::curriculum::Rest;
use coconut::train::curriculum::Thought;
use coconut::train::graph_work::GraphWork;
use coconut::train::graph_work::Learn;
use coconut::train::graph_work::MethodQuestions;
use coconut::train::graph_work::Turns;
use coconut::train::init::stream;
use coconut::train::method::Method;
use coconut::train::method::Removal;
use coconut::train::sequence::Sequence;
use coconut::train::settings::Settings;
use coconut::train::task::Context;
use coconut::train::task::Task;
use coconut::train::told::Words;
use std::collections::BTreeSet;

#[test]
fn runs_side_by_side_are_the_runs_alone() {
    let folder = tempfile::tempdir().unwrap();
    let one = settings(folder.path(), METHOD);
    let other = folder.path().join("other.toml");
    let text = std::fs::read_to_string(&one).unwrap();
    std::fs::write(&other, text.replace("seed = 5", "seed = 6")).unwrap();
    let (both, alone) = (folder.path().join("both"), folder.path().join("alone"));
    let output = train(&one, &both).arg("--config").arg(&other).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(train(&other, &alone).output().unwrap().status.success());
    assert_eq!(bytes(&both.join("other")), bytes(&alone));
    assert_ne!(bytes(&both.join("run")), bytes(&alone));
}

#[test]
fn one_run_that_fails_does_not_end_the_others() {
    let folder = tempfile::tempdir().unwrap();
    let good = settings(folder.path(), METHOD);
    let bad = folder.path().join("bad.toml");
    let text = std::fs::read_to_string(&good).unwrap();
    std::fs::write(&bad, text.replace("epochs = 12", "epochs = 12\nparts = 100")).unwrap();
    let out = folder.path().join("out");
    let output = train(&bad, &out).arg("--config").arg(&good).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1));
    assert!(
        said.contains("bad.toml") && said.contains("`parts` are 100, of 3 questions"),
        "{said}"
    );
    assert!(out.join("run/checkpoint").is_dir());

    let refused = train(&good, &out).arg("--config").arg(&good).output().unwrap();
    let said = String::from_utf8_lossy(&refused.stderr);
    assert!(said.contains("two files of one name"), "{said}");
}

#[test]
fn with_as_many_parts_as_epochs_no_question_is_seen_twice() {
    let folder = tempfile::tempdir().unwrap();
    let path = settings(folder.path(), "'cot'");
    let text = std::fs::read_to_string(&path).unwrap();
    let text = text.replace("epochs = 12", "epochs = 3\nparts = 3").replace("accumulate = 2", "");
    std::fs::write(&path, text).unwrap();
    let settings = Settings::read(&path).unwrap();
    let (tokenizer, special) = prosqa_words();
    let context =
        Context { seed: 1, tokenizer: &tokenizer, special, eos: &settings.eos, max_positions: 128 };
    let task = Task::new(&settings.phases[0], 0, context).unwrap();
    assert_eq!(task.steps(), 3, "an epoch is one question");
    let seen: BTreeSet<Vec<u32>> = (0..task.steps())
        .flat_map(|step| task.batches(step).unwrap())
        .flat_map(|batch| batch.sequences)
        .map(|sequence| token_ids(&sequence))
        .collect();
    assert_eq!(seen.len(), 3);
}

#[test]
fn facts_are_begun_and_say_the_children() {
    let (tokenizer, special) = prosqa_words();
    let work = GraphWork {
        learn: Learn::Facts,
        nodes: vec![[8, 12]],
        published: 0.5,
        graphs: 4,
        steps: 10,
    };
    let words = Words { tokenizer: &tokenizer, special, eos: END_OF_TEXT };
    let batch = work.batch(0, 0, &words, &mut stream(3, "test")).unwrap();
    for (index, sequence) in batch.sequences.iter().enumerate() {
        let text = tokenizer.decode(&batch.prefixes[index / batch.fan()]);
        let edges = edges(&text);
        let begun = tokenizer.decode(&token_ids(sequence));
        let node = begun.split_whitespace().rev().nth(2).unwrap();
        assert!(begun.ends_with(&format!("{node} is a")), "{begun}");
        let [(_, named), (last, child)] = &sequence.targets[..] else { panic!("{begun}") };
        assert_eq!(*last, sequence.inputs.len() - 1);
        assert_eq!(named.distribution, child.distribution);
        let Distribution::Uniform(ids) = &child.distribution else { panic!("{begun}") };
        let told: Vec<String> = ids.iter().map(|&id| tokenizer.name(id)).collect();
        let told: BTreeSet<&str> = told.iter().map(String::as_str).collect();
        assert_eq!(told, frontier(&edges, node, 1), "{begun} in {text}");
    }
}

/// The children with which shortest ways begin.
fn nearer<'a>(edges: &[(&'a str, &'a str)], from: &'a str, to: &str) -> BTreeSet<&'a str> {
    let hops = |node| (0..20).find(|&hops| frontier(edges, node, hops).contains(to));
    let Some(left) = hops(from) else { return BTreeSet::new() };
    let children = frontier(edges, from, 1).into_iter();
    children.filter(|child| hops(child) == Some(left - 1)).collect()
}

/// The words that lead to one in a hop.
fn parents<'a>(edges: &[(&'a str, &'a str)], node: &str) -> BTreeSet<&'a str> {
    edges.iter().filter(|(_, to)| *to == node).map(|(from, _)| *from).collect()
}

/// What `from` says behind `one` and `other`: the children that are nearer to the one of them that it leads to, not all of
/// its children; in so many hops where `hops` says so.
fn turn<'a>(
    edges: &[(&'a str, &'a str)],
    (one, other, from): (&str, &str, &'a str),
    hops: Option<usize>,
) -> BTreeSet<&'a str> {
    let next = frontier(edges, from, 1);
    assert!(!next.contains(one) && !next.contains(other), "{from} of {edges:?}");
    if let Some(hops) = hops {
        let there = frontier(edges, from, hops);
        assert!(there.contains(one) || there.contains(other), "{from} of {edges:?}");
    }
    let [one, other] = [nearer(edges, from, one), nearer(edges, from, other)];
    assert!(one.is_empty() != other.is_empty(), "{from} of {edges:?}");
    let nearer = if one.is_empty() { other } else { one };
    assert!(nearer.len() < next.len(), "{from} of {edges:?}");
    nearer
}

#[test]
fn nodes_are_told_their_neighbours_and_where_ways_between_them_begin() {
    let (tokenizer, special) = prosqa_words();
    let words = Words { tokenizer: &tokenizer, special, eos: END_OF_TEXT };
    let mut told_parents = 0;
    let turns = |max_hops, ancestors| {
        Learn::Turns(Turns { per_graph: 12, min_hops: 2, max_hops, ancestors })
    };
    let ways = Learn::Ways { per_graph: 12 };
    for learn in [Learn::Neighbours, ways, turns(None, 0), turns(None, 1), turns(Some(2), 2)] {
        let turns = match learn {
            Learn::Turns(turns) => Some(turns),
            _ => None,
        };
        let work = GraphWork { learn, nodes: vec![[8, 12]], published: 0.5, graphs: 4, steps: 10 };
        let batch = work.batch(0, 0, &words, &mut stream(3, "test")).unwrap();
        for (index, sequence) in batch.sequences.iter().enumerate() {
            let text = tokenizer.decode(&batch.prefixes[index / batch.fan()]);
            let edges = edges(&text);
            let said: Vec<String> =
                token_ids(sequence).iter().map(|&id| tokenizer.name(id)).collect();
            let targets: Vec<(usize, BTreeSet<String>)> = sequence
                .targets
                .iter()
                .map(|(at, target)| {
                    let Distribution::Uniform(ids) = &target.distribution else {
                        panic!("{said:?}")
                    };
                    (*at, ids.iter().map(|&id| tokenizer.name(id)).collect())
                })
                .collect();
            let ((last, told), names) = targets.split_last().unwrap();
            assert_eq!(*last, said.len() - 1);
            let back = turns.map_or(0, |turns| turns.ancestors);
            assert_eq!(names.len(), if back > 0 { 2 } else { 0 });
            for (at, told) in names {
                let near = parents(&edges, &said[*at]);
                let further = near.iter().filter(|_| back > 1);
                let further = further.flat_map(|node| parents(&edges, node));
                let expected: BTreeSet<&str> = further.chain(near.iter().copied()).collect();
                assert!(told.iter().map(String::as_str).eq(expected), "{said:?}");
            }
            let node = &said[*last];
            let expected: BTreeSet<&str> = match &said[..] {
                [to, from] if to != "a" => nearer(&edges, from, to),
                [a, one, or, other, from] => {
                    assert!(turns.is_some() && [&**a, &**or] == ["a", "or"], "{said:?}");
                    turn(&edges, (one, other, from), turns.and_then(|turns| turns.max_hops))
                }
                [a, node] => {
                    assert_eq!(a, "a");
                    told_parents += 1;
                    parents(&edges, node)
                }
                _ => frontier(&edges, node, 1),
            };
            let told: BTreeSet<&str> = told.iter().map(String::as_str).collect();
            assert_eq!(told, expected, "{said:?} in {text}");
        }
    }
    assert!(told_parents > 0);
}

/// Questions of a method about graphs of one step, each as the text of all its ids and its number of thoughts.
fn asked(method: Method, stage: usize) -> Vec<(String, usize)> {
    let (tokenizer, batch) = drawn(method, stage);
    let whole = |(index, sequence): (usize, &Sequence)| {
        let prefix = &batch.prefixes[index / batch.fan()];
        // All of the graph is read once.
        assert!(edges(&tokenizer.decode(prefix)).len() >= 7);
        let text = tokenizer.decode(&[&prefix[..], &token_ids(sequence)].concat());
        (text, sequence.thoughts().map_or(0, |(_, count)| count))
    };
    batch.sequences.iter().enumerate().map(whole).collect()
}

/// Three questions about each of five graphs, the same whatever the method.
fn drawn(method: Method, stage: usize) -> (Tokenizer, Batch) {
    let (tokenizer, special) = prosqa_words();
    let questions = MethodQuestions { method, per_graph: 3, min_hops: 2, epochs: 1 };
    let work = GraphWork {
        learn: Learn::Method(questions),
        nodes: vec![[8, 12]],
        published: 0.0,
        graphs: 5,
        steps: 10,
    };
    let words = Words { tokenizer: &tokenizer, special, eos: END_OF_TEXT };
    let batch = work.batch(0, stage, &words, &mut stream(3, "test")).unwrap();
    assert_eq!((batch.prefixes.len(), batch.sequences.len()), (5, 15));
    (tokenizer, batch)
}

fn curriculum() -> Curriculum {
    Curriculum {
        thought: Thought::Hidden,
        c_thought: 1,
        epochs_per_stage: 1,
        max_latent_stage: 4,
        pad_latent_to_max: true,
        uniform_prob: 0.0,
        first_stage: 0,
        stages: true,
        reset_optimizer: false,
        rest: Rest::Chain,
    }
}

#[test]
fn a_methods_questions_about_new_graphs_are_those_of_a_file() {
    let chains = asked(Method::Cot, 0);
    for (text, thoughts) in &chains {
        let (question, chain) = text.split_once('?').unwrap();
        let (known, asked) = question.rsplit_once(". Is ").unwrap();
        let (known, chain) = (edges(known), edges(chain));
        let (steps, answer) = chain.split_at(chain.len() - 1);
        assert!(steps.len() >= 2 && steps.iter().all(|step| known.contains(step)), "{text}");
        assert!(steps.windows(2).all(|steps| steps[0].1 == steps[1].0), "{text}");
        let (root, reached) = (steps[0].0, steps[steps.len() - 1].1);
        assert_eq!(answer[0].0.trim_start_matches("### "), root);
        assert_eq!(answer[0].1, reached);
        assert!(asked.starts_with(root) && asked.contains(reached), "{text}");
        assert_eq!(*thoughts, 0);
    }
    let distinct: BTreeSet<&String> = chains.iter().map(|(text, _)| text).collect();
    assert!(distinct.len() > 8, "{} of 15 questions differ", distinct.len());

    let steps = |text: &String| edges(text.split_once('?').unwrap().1).len() - 1;
    for ((whole, _), (shorter, thoughts)) in
        chains.iter().zip(asked(Method::Coconut(curriculum()), 2))
    {
        assert_eq!((steps(&shorter), thoughts), (steps(whole) - 2, 2));
    }
    let removal = Removal {
        remove_per_epoch: 1.0,
        smoothing_lambda: 4.0,
        remove_all_beyond: Some(9),
        reset_optimizer: false,
    };
    for (text, _) in asked(Method::Icot(removal), 9) {
        assert_eq!(steps(&text), 0, "{text}");
    }
}

#[test]
fn the_last_thought_of_a_stage_says_the_next_node_of_the_way() {
    let chains = asked(Method::Cot, 0);
    let way = |text: &str| {
        let chain = edges(text.split_once('?').unwrap().1);
        let nodes = chain[..chain.len() - 1].iter().map(|(from, _)| *from);
        nodes.chain([chain[chain.len() - 1].1]).map(str::to_owned).collect::<Vec<String>>()
    };
    let method = Method::Coconut(Curriculum { rest: Rest::NextNode, ..curriculum() });
    for stage in [0, 2, 3, 4] {
        let (tokenizer, batch) = drawn(method.clone(), stage);
        for ((chain, _), sequence) in chains.iter().zip(&batch.sequences) {
            let Some(node) = way(chain).get(stage).cloned() else {
                assert!(sequence.targets.len() > 5, "an answer follows {chain}");
                continue;
            };
            let [(at, Target { distribution, weight })] = &sequence.targets[..] else {
                panic!("more than a node is learnt from {chain}");
            };
            assert_eq!((*at, *weight), (sequence.inputs.len() - 1, 1.0));
            assert_eq!(*distribution, Distribution::Token(tokenizer.id(&node).unwrap()), "{chain}");
            assert_eq!(sequence.thoughts().map_or(0, |(_, count)| count), stage);
        }
    }
    let folder = tempfile::tempdir().unwrap();
    let path =
        settings(folder.path(), &METHOD.replace("c_thought", "rest = \"next_node\", c_thought"));
    let refused = Settings::read(&path).unwrap_err().to_string();
    assert!(refused.contains("`phases[0].objective.questions.method` learns"), "{refused}");
}

#[test]
fn what_a_method_cannot_be_taught_with_is_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let path = settings(folder.path(), METHOD);
    let text = std::fs::read_to_string(&path).unwrap();
    let (before, _) = text.split_once("[phases.objective").unwrap();
    for (lesson, field) in [
        ("method = { min_hops = 2, method = \"react\", per_graph = 2 }", "learn.method.method"),
        ("method = { min_hops = 2, method = \"cot\", per_graph = 0 }", "learn.method.per_graph"),
        (
            "method = { min_hops = 2, method = \"cot\", per_graph = 2, epochs = 0 }",
            "learn.method.epochs",
        ),
        ("turns = { per_graph = 2, min_hops = 0 }", "learn.turns.min_hops"),
        ("turns = { per_graph = 2, min_hops = 3, max_hops = 2 }", "learn.turns.max_hops"),
    ] {
        let learn = format!("learn = {{ {lesson} }}");
        let work = format!("[phases.objective.graphs]\n{learn}\ngraphs = 2\nsteps = 2\n");
        std::fs::write(&path, format!("{before}{work}")).unwrap();
        let refused = Settings::read(&path).unwrap_err().to_string();
        assert!(refused.contains(&format!("phases[0].objective.graphs.{field}")), "{refused}");
    }
    for (rest, field) in [
        ("steps = 2\nnodes = [[12, 8]]", "objective.graphs.nodes"),
        ("steps = 2\nnodes = [[8, 12], [8, 60]]", "objective.graphs.nodes"),
        ("steps = 2\nnodes = [[2, 3]]", "objective.graphs.nodes"),
        ("steps = 0", "objective.graphs.steps"),
    ] {
        let work = format!("[phases.objective.graphs]\nlearn = \"children\"\ngraphs = 2\n{rest}\n");
        std::fs::write(&path, format!("{before}{work}")).unwrap();
        let refused = Settings::read(&path).unwrap_err().to_string();
        assert!(refused.contains(&format!("phases[0].{field}")), "{refused}");
    }
}

#[test]
fn graphs_that_are_longer_than_the_model_are_refused_before_the_first_phase() {
    let folder = tempfile::tempdir().unwrap();
    let path = settings(folder.path(), METHOD);
    let phase = |nodes: &str| {
        format!(
            "[[phases]]\nname = \"graphs\"\nobjective.graphs = {{ learn = \"children\", graphs = 2, steps = 2, nodes = {nodes} }}\n"
        )
    };
    let text = std::fs::read_to_string(&path).unwrap();
    let (before, _) = text.split_once("[validate]").unwrap();
    let before = with_graph_words(before);
    let phases = [phase("[[8, 8]]"), phase("[[8, 8], [28, 28]]")].concat();
    std::fs::write(&path, format!("{before}\n{phases}")).unwrap();
    let out = folder.path().join("out");
    let output = train(&path, &out).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && !said.contains("step 1/"), "{said}");
    assert!(said.contains("`objective.graphs.nodes` make a question of"), "{said}");
    assert!(said.contains("positions; the model has 128"), "{said}");
}
