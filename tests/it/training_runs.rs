//! `coconut train` as a user runs it: a tiny model on three questions. A killed and resumed run equals an unbroken one,
//! byte for byte, and what comes out is served.

use crate::support::data;
use candle_core::Device;
use coconut::data::prosqa::words;
use coconut::latent::checkpoint::Checkpoint;
use coconut::latent::checkpoint::Location;
use coconut::latent::generate::generate;
use coconut::latent::program::Program;
use coconut::model::gradients::cross_entropy::Distribution;
use coconut::text::Tokenizer;
use coconut::text::word_level::Words;
use coconut::train::encoded::Special;
use coconut::train::graph_work::GraphQuestions;
use coconut::train::graph_work::GraphWork;
use coconut::train::graph_work::Learn;
use coconut::train::init::stream;
use coconut::train::journal::Event;
use coconut::train::sequence::Input;
use coconut::train::sequence::Sequence;
use coconut::train::settings::Settings;
use coconut::train::told::Words as GraphWords;
use std::collections::BTreeSet;
use std::io::BufRead as _;
use std::io::BufReader;
use std::path::Path;
use std::path::PathBuf;
use std::process::Command;
use std::process::Stdio;

const COCONUT: &str = env!("CARGO_BIN_EXE_coconut");

/// A run of 12 steps: two stages of the curriculum, and one optimiser that forgets between them.
pub fn settings(folder: &Path, method: &str) -> PathBuf {
    let golden = std::fs::read_to_string(data("training.json")).unwrap();
    let golden: serde_json::Value = serde_json::from_str(&golden).unwrap();
    let examples = folder.join("examples.json");
    std::fs::write(&examples, golden["examples"].to_string()).unwrap();
    let tokenizer = data("coconut-gpt2-hf").join("tokenizer.json");
    let text = format!(
        r#"
        seed = 5
        tokenizer = {tokenizer:?}
        log_every = 1
        save_every = 2
        [model]
        model_type = "llama"
        hidden_size = 16
        intermediate_size = 24
        num_hidden_layers = 2
        num_attention_heads = 2
        max_position_embeddings = 128
        tie_word_embeddings = true
        [optimizer]
        kind = "muon"
        lr = 3e-3
        weight_decay = 0.1
        no_decay = ["norms", "embeddings"]
        clip = 1.0
        [schedule]
        kind = "cosine"
        warmup_steps = 2
        [validate]
        data = {examples:?}
        every = 6
        max_tokens = 4
        [[phases]]
        name = "curriculum"
        accumulate = 2
        [phases.objective.questions]
        train = {examples:?}
        epochs = 12
        batch_size = 2
        method = {method}
        "#,
    );
    let path = folder.join("run.toml");
    std::fs::write(&path, text).unwrap();
    path
}

/// These settings with the vocabulary of graphs.
pub fn with_graph_words(settings: &str) -> String {
    let tokenizer = Path::new(env!("CARGO_MANIFEST_DIR")).join("models/prosqa/tokenizer.json");
    let line = |line: &str| match line.trim_start().starts_with("tokenizer = ") {
        true => format!("tokenizer = {tokenizer:?}\n"),
        false => format!("{line}\n"),
    };
    settings.lines().map(line).collect()
}

pub const METHOD: &str = "{ coconut = { c_thought = 1, epochs_per_stage = 4, max_latent_stage = 2, uniform_prob = 0.3, reset_optimizer = true } }";

pub fn train(config: &Path, out: &Path) -> Command {
    let mut command = Command::new(COCONUT);
    command.args(["train", "--threads", "1", "--config"]).arg(config).arg("--out").arg(out);
    command
}

pub fn bytes(out: &Path) -> Vec<u8> {
    std::fs::read(out.join("checkpoint/model.safetensors")).unwrap()
}

#[test]
fn a_killed_and_resumed_run_is_an_unbroken_one() {
    let folder = tempfile::tempdir().unwrap();
    let config = settings(folder.path(), METHOD);
    let (whole, broken) = (folder.path().join("whole"), folder.path().join("broken"));
    let output = train(&config, &whole).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));

    // Killed at one moment after the other, each time without a warning.
    for step in [1, 4, 7, 10] {
        let mut child =
            train(&config, &broken).arg("--resume").stderr(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let reached = format!("step {step}/12 ");
        assert!(lines.any(|line| line.unwrap().starts_with(&reached)), "step {step} is reached");
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(!broken.join("checkpoint").exists());
    }
    // Without --resume nothing is overwritten.
    let refused = train(&config, &broken).output().unwrap();
    assert!(!refused.status.success());
    assert!(String::from_utf8_lossy(&refused.stderr).contains("--resume"));
    let output = train(&config, &broken).arg("--resume").output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(bytes(&whole) == bytes(&broken), "the weights differ");
    let steps = |out: &Path| -> Vec<usize> {
        let text = std::fs::read_to_string(out.join("metrics.jsonl")).unwrap();
        text.lines().map(|line| serde_json::from_str::<Event>(line).unwrap().step()).collect()
    };
    assert_eq!(steps(&whole), steps(&broken));
    assert!(whole.join("curve.svg").is_file());

    // Other settings do not go on from this state.
    let text = std::fs::read_to_string(&config).unwrap().replace("seed = 5", "seed = 6");
    std::fs::write(&config, text).unwrap();
    let refused = train(&config, &broken).arg("--resume").output().unwrap();
    assert!(String::from_utf8_lossy(&refused.stderr).contains("other settings"));
}

#[test]
fn every_method_trains_to_a_checkpoint_that_is_served() {
    let pause = METHOD.replace("c_thought", "thought = 'pause', c_thought");
    let none = METHOD.replace("c_thought", "thought = 'none', c_thought");
    let no_stages = METHOD.replace("c_thought", "stages = false, c_thought");
    let icot = "{ icot = { remove_per_epoch = 2, smoothing_lambda = 4.0 } }";
    let methods = [METHOD, &pause, &none, &no_stages, "'cot'", "'no_cot'", icot];
    for (method, family) in methods.into_iter().zip([
        "coconut",
        "pause",
        "no-thought",
        "coconut",
        "cot",
        "no-cot",
        "icot",
    ]) {
        let folder = tempfile::tempdir().unwrap();
        let config = settings(folder.path(), method);
        let out = folder.path().join("out");
        let output = train(&config, &out).output().unwrap();
        assert!(output.status.success(), "{family}: {}", String::from_utf8_lossy(&output.stderr));
        let folder = out.join("checkpoint");
        let who_may = |file| std::fs::metadata(folder.join(file)).unwrap().permissions();
        assert_eq!(who_may("model.safetensors"), who_may("config.json"));
        let checkpoint = Checkpoint::open(&Location::folder(folder)).unwrap();
        assert_eq!(checkpoint.recipe.family, family);
        let mut prompt = checkpoint
            .tokenizer
            .encode(&checkpoint.recipe.render("Is Bob a hilpus?"), true)
            .unwrap();
        prompt.extend(&checkpoint.recipe.start);
        let program = Program {
            prompt,
            latent_steps: checkpoint.recipe.latent_steps.default,
            forced: checkpoint.recipe.end.clone(),
            max_tokens: 2,
            stop: checkpoint.recipe.stop_rule(),
            masked: Vec::new(),
        };
        generate(&checkpoint.model(&Device::Cpu).unwrap(), &program).unwrap();
    }
}

#[test]
fn settings_that_cannot_be_used_are_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let path = settings(folder.path(), METHOD);
    let good = std::fs::read_to_string(&path).unwrap();
    Settings::read(&path).unwrap();
    for (from, to, said) in [
        ("lr = 3e-3", "lr = -1.0", "optimizer.lr"),
        ("lr = 3e-3", "lr = 3e-3\nlearning_rate = 1", "learning_rate"),
        ("batch_size = 2", "batch_size = 0", "batch_size"),
        ("epochs_per_stage = 4", "epochs_per_stage = 0", "epochs_per_stage"),
        ("epochs_per_stage", "epochs_a_stage", "epochs_a_stage"),
        ("coconut =", "coco =", "coco"),
        ("log_every = 1", "log_every = 0", "log_every"),
        ("accumulate = 2", "until = { loss = 0.0, rounds = 1 }", "phases[0].until.loss"),
        ("accumulate = 2", "until = { loss = 1.0, rounds = 0 }", "until.rounds"),
        ("seed = 5", "seed = 5\ninit = 'somewhere'", "init"),
        ("seed = 5", "seed = 5\nmore_layers = 1", "more_layers"),
        ("seed = 5", "seed = 5\nmore_layers = 100000", "more_layers"),
    ] {
        assert!(good.contains(from), "{from}");
        std::fs::write(&path, good.replace(from, to)).unwrap();
        let error = Settings::read(&path).unwrap_err().to_string();
        assert!(error.contains(said), "{to}: {error}");
    }
}

/// Who is what, read back from the text of a graph.
pub fn edges(text: &str) -> Vec<(&str, &str)> {
    let sentences = text.split('.').map(|sentence| sentence.trim().trim_start_matches("Every "));
    sentences.filter_map(|sentence| sentence.split_once(" is a ")).collect()
}

/// The words that exactly so many hops lead to, by reading the text again and again.
pub fn frontier<'a>(edges: &[(&'a str, &'a str)], root: &'a str, hops: usize) -> BTreeSet<&'a str> {
    (0..hops).fold(BTreeSet::from([root]), |frontier, _| {
        let next = edges.iter().filter(|(from, _)| frontier.contains(from));
        next.map(|(_, to)| *to).collect()
    })
}

pub fn prosqa_words() -> (Tokenizer, Special) {
    let tokenizer = Tokenizer::of_words(&Words {
        vocabulary: &words::vocabulary(),
        pattern: words::PATTERN,
        unknown: words::UNKNOWN,
        special: &[words::PAD, words::END_OF_TEXT],
        markers: &words::MARKERS,
        tight: &[],
    })
    .unwrap();
    let [start, end, latent] = words::MARKERS.map(|marker| tokenizer.id(marker).unwrap());
    let eos = tokenizer.id(words::END_OF_TEXT).unwrap();
    (tokenizer, Special { start, end, latent, eos })
}

pub fn token_ids(sequence: &Sequence) -> Vec<u32> {
    let token = |input: &Input| match input {
        Input::Token(id) => Some(*id),
        Input::Thought => None,
    };
    sequence.inputs.iter().filter_map(token).collect()
}

/// Asserts that what a sequence should say is what the text of its graph says. `asked`: it is a question, not a chain.
fn assert_targets(sequence: &Sequence, text: &str, tokenizer: &Tokenizer, asked: bool) {
    let edges = edges(text);
    let root = tokenizer.name(token_ids(sequence)[usize::from(asked)]);
    let (first, _) = sequence.thoughts().unwrap();
    for (at, target) in &sequence.targets {
        match &target.distribution {
            Distribution::Uniform(nodes) => {
                let hop = at + 1 - first;
                let told: Vec<String> = nodes.iter().map(|&id| tokenizer.name(id)).collect();
                let told: BTreeSet<&str> = told.iter().map(String::as_str).collect();
                assert_eq!(told, frontier(&edges, &root, hop), "hop {hop} from {root} in {text}");
                // Later hops are rarer, and weigh more.
                assert!(target.weight >= if asked { 0.5 } else { 1.0 });
            }
            Distribution::Token(id) if target.weight == 7.0 => {
                let answer = tokenizer.name(*id);
                let reached = (2..10).any(|hops| frontier(&edges, &root, hops).contains(&*answer));
                assert!(reached, "{root} is a {answer} in {text}");
            }
            Distribution::Token(_) => assert!(asked),
        }
    }
}

#[test]
fn thoughts_are_told_the_frontiers_of_the_graph_they_read() {
    let (tokenizer, special) = prosqa_words();
    let questions = GraphQuestions {
        per_graph: 3,
        latent_steps: 4,
        thought_weight: 0.5,
        answer_weight: 7.0,
        min_hops: 2,
    };
    for learn in [Learn::Chains { hops: 5 }, Learn::Questions(questions)] {
        let work = GraphWork { learn, nodes: vec![[8, 12]], published: 0.5, graphs: 4, steps: 10 };
        let words = GraphWords { tokenizer: &tokenizer, special, eos: words::END_OF_TEXT };
        let batch = work.batch(0, 0, &words, &mut stream(3, "test")).unwrap();
        assert_eq!(batch.prefixes.len(), 4);
        for (index, sequence) in batch.sequences.iter().enumerate() {
            let prefix = &batch.prefixes[index / batch.fan()];
            let text = tokenizer.decode(prefix);
            let asked = matches!(work.learn, Learn::Questions(_));
            assert_targets(sequence, &text, &tokenizer, asked);
            if asked {
                // The prefix and what follows it are the tokens of the whole question.
                let ids = token_ids(sequence);
                let line = ids.iter().position(|&id| id == special.start).unwrap();
                let question = format!("{text} {}", tokenizer.decode(&ids[..line]));
                let question = format!("{}\n", question.trim_end());
                let ours = [&prefix[..], &ids[..line]].concat();
                assert_eq!(ours, tokenizer.encode(&question, false).unwrap());
            }
        }
    }
}

/// The recipes that are committed, with the tokenizer and the data that they name made or replaced.
#[test]
fn committed_recipes_are_settings() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("models/recipes");
    let folders = [folder.join("table"), folder].map(|folder| std::fs::read_dir(folder).unwrap());
    let mut count = 0;
    for entry in folders.into_iter().flatten() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "toml") {
            Settings::read(&path).unwrap_or_else(|error| panic!("{error}"));
            count += 1;
        }
    }
    assert!(count >= 19, "{count} recipes");
}
