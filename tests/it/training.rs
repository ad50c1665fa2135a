//! Training against the paper's code in PyTorch: sequences and labels, the loss, and the gradient of every parameter;
//! and against serving: the same thoughts and logits, the same answers.

use crate::support::Fixture;
use crate::support::data;
use crate::support::distance;
use candle_core::Device;
use coconut::data::example::Example;
use coconut::latent::checkpoint::Checkpoint;
use coconut::latent::checkpoint::Location;
use coconut::latent::generate::generate;
use coconut::latent::program::Program;
use coconut::model::gradients::cross_entropy::Distribution;
use coconut::train::batch::Batch;
use coconut::train::curriculum::Curriculum;
use coconut::train::curriculum::Rest;
use coconut::train::curriculum::Thought;
use coconut::train::forward;
use coconut::train::init::stream;
use coconut::train::method::Method;
use coconut::train::sequence::Input;
use coconut::train::sequence::Sequence;
use coconut::train::start::MoreLayers;
use coconut::train::start::Start;
use coconut::train::variables::Role;
use coconut::train::variables::Variable;
use serde::Deserialize;
use std::collections::BTreeMap;

#[derive(Deserialize)]
struct Golden {
    examples: Vec<Example>,
    cases: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    checkpoint: String,
    stage: usize,
    c_thought: usize,
    max_latent_stage: usize,
    pad_latent_to_max: bool,
    sequences: Vec<GoldenSequence>,
    loss: f32,
    gradients: BTreeMap<String, GoldenGradient>,
}

#[derive(Deserialize)]
struct GoldenSequence {
    input_ids: Vec<u32>,
    labels: Vec<i64>,
}

#[derive(Deserialize)]
struct GoldenGradient {
    norm: f64,
    head: Vec<f32>,
}

fn golden() -> Golden {
    serde_json::from_str(&std::fs::read_to_string(data("training.json")).unwrap()).unwrap()
}

/// A run's start from a fixture.
fn begun(checkpoint: &str, more: MoreLayers) -> Start {
    let folder = data(checkpoint);
    let tokenizer = Checkpoint::open(&Location::folder(&folder)).unwrap().tokenizer;
    let config = std::fs::read_to_string(folder.join("config.json")).unwrap();
    let config: serde_json::Value = serde_json::from_str(&config).unwrap();
    let eos = tokenizer.name(config["eos_token_id"].as_u64().unwrap() as u32);
    Start::checkpoint(&folder, None, &eos, more, &Device::Cpu).unwrap()
}

impl Case {
    fn method(&self) -> Method {
        Method::Coconut(Curriculum {
            thought: Thought::Hidden,
            c_thought: self.c_thought,
            epochs_per_stage: 1,
            max_latent_stage: self.max_latent_stage,
            pad_latent_to_max: self.pad_latent_to_max,
            uniform_prob: 0.0,
            first_stage: 0,
            stages: true,
            reset_optimizer: false,
            rest: Rest::Chain,
        })
    }

    fn start(&self) -> Start {
        self.grown(0)
    }

    /// With blocks behind those of the checkpoint.
    fn grown(&self, count: usize) -> Start {
        begun(&self.checkpoint, MoreLayers { count, seed: 7 })
    }

    fn batch(&self, start: &Start, examples: &[Example]) -> Batch {
        let method = self.method();
        let sequence = |example: &Example| {
            let encoded = method.encode(example, &start.tokenizer, "").unwrap();
            method.sequence(&encoded, self.stage, start.special, &mut stream(0, ""))
        };
        Batch::of(examples.iter().map(sequence).collect())
    }
}

#[test]
fn sequences_and_labels_are_the_papers() {
    let golden = golden();
    for case in &golden.cases {
        let start = case.start();
        let batch = case.batch(&start, &golden.examples);
        for (ours, golden) in batch.sequences.iter().zip(&case.sequences) {
            let ids: Vec<u32> = ours
                .inputs
                .iter()
                .map(|input| match input {
                    Input::Token(id) => *id,
                    Input::Thought => start.special.latent,
                })
                .collect();
            assert_eq!(ids, golden.input_ids, "stage {} of {}", case.stage, case.checkpoint);
            let labels: Vec<(usize, u32)> = (1..golden.labels.len())
                .filter(|&at| golden.labels[at] != -100)
                .map(|at| (at - 1, golden.labels[at] as u32))
                .collect();
            let token = |distribution: &Distribution| match distribution {
                Distribution::Token(id) => *id,
                Distribution::Uniform(_) => panic!("labels are tokens"),
            };
            let targets: Vec<(usize, u32)> = ours
                .targets
                .iter()
                .map(|(at, target)| (*at, token(&target.distribution)))
                .collect();
            assert_eq!(targets, labels, "stage {} of {}", case.stage, case.checkpoint);
        }
    }
}

#[test]
fn more_layers_change_nothing_until_they_have_learnt() {
    let golden = golden();
    for case in &golden.cases {
        let start = case.grown(2);
        let loss = forward::loss(&start.model, &case.batch(&start, &golden.examples)).unwrap();
        let gradients = loss.backward().unwrap();
        let loss: f32 = loss.to_scalar().unwrap();
        let what = format!("stage {} of {}", case.stage, case.checkpoint);
        assert!((loss - case.loss).abs() < 1e-4, "{what}: loss {loss}, not {}", case.loss);
        let new: Vec<_> = start
            .variables
            .iter()
            .filter(|each| !case.gradients.contains_key(&each.name))
            .collect();
        assert_eq!(new.len() + case.gradients.len(), start.variables.iter().count(), "{what}");
        let learns = |variable: &&&Variable| {
            let gradient = gradients.get(variable.var.as_tensor()).unwrap();
            gradient.sqr().unwrap().sum_all().unwrap().to_scalar::<f32>().unwrap() > 0.0
        };
        // The two products that write into the stream, in both blocks; all else has its gradient through these.
        let moved: Vec<_> =
            new.iter().filter(learns).filter(|each| each.role() == Role::Matrix).collect();
        assert_eq!(moved.len(), 4, "{what}: {moved:?}");
    }
}

/// Numbers in names count more than blocks: a projector has parts, too.
#[test]
fn what_a_checkpoint_holds_depends_on_no_seed() {
    for name in ["codi-gpt2", "codi-llama", "coconut-gpt2-hf", "coconut-llama-meta"] {
        let [one, other] = [1, 2].map(|seed| begun(name, MoreLayers { count: 0, seed }));
        for (one, other) in one.variables.iter().zip(other.variables.iter()) {
            let [a, b] =
                [one, other].map(|each| each.var.flatten_all().unwrap().to_vec1::<f32>().unwrap());
            assert_eq!(distance(&a, &b), 0.0, "{name}: {}", one.name);
        }
    }
}

#[test]
fn losses_and_gradients_are_those_of_the_reference() {
    let golden = golden();
    for case in &golden.cases {
        let start = case.start();
        let loss = forward::loss(&start.model, &case.batch(&start, &golden.examples)).unwrap();
        let gradients = loss.backward().unwrap();
        let loss: f32 = loss.to_scalar().unwrap();
        let what = format!("stage {} of {}", case.stage, case.checkpoint);
        assert!((loss - case.loss).abs() < 1e-4, "{what}: loss {loss}, not {}", case.loss);
        assert_eq!(start.variables.iter().count(), case.gradients.len(), "{what}");
        for variable in start.variables.iter() {
            let gradient = gradients.get(&variable.var);
            let gradient =
                gradient.unwrap_or_else(|| panic!("{what}: no gradient for {}", variable.name));
            let gradient = variable.as_saved(gradient).unwrap().flatten_all().unwrap();
            let gradient = gradient.to_vec1::<f32>().unwrap();
            let golden = &case.gradients[&variable.name];
            let norm = gradient.iter().map(|x| f64::from(*x).powi(2)).sum::<f64>().sqrt();
            let off = (norm / golden.norm - 1.0).abs();
            assert!(off < 1e-3, "{what}: norm of {} is {norm}, not {}", variable.name, golden.norm);
            // Relative to the typical element: the first ones may be near 0.
            let typical = golden.norm as f32 / (gradient.len() as f32).sqrt();
            for (ours, golden) in gradient.iter().zip(&golden.head) {
                let allowed = 1e-3 * golden.abs().max(typical);
                assert!(
                    (ours - golden).abs() < allowed,
                    "{what}: {}: {ours}, not {golden}",
                    variable.name
                );
            }
        }
    }
}

/// Every published family whose thoughts can be trained, next to the oracle: hidden states fed back and first logits.
#[test]
fn the_training_forward_is_the_serving_forward() {
    for name in [
        "coconut-gpt2-hf",
        "coconut-llama3rope-hf-bf16",
        "coconut-qwen2-hf",
        "coconut-qwen3-hf",
        "codi-gpt2",
    ] {
        let fixture = Fixture::load(name);
        let programs: Vec<Program> =
            fixture.expected.cases.iter().map(|case| fixture.program(case)).collect();
        let sequence = |program: &Program| {
            let mut sequence = Sequence::default();
            sequence.feed(&program.prompt);
            sequence.think(program.latent_steps);
            sequence.feed(&program.forced);
            sequence.expect(Distribution::Token(0), 1.0);
            sequence
        };
        // All cases in one batch: prompts of different lengths, some with fewer thoughts.
        let batch = Batch::of(programs.iter().map(sequence).collect());
        let outcome = forward::run(&fixture.model, &batch).unwrap();
        let logits = fixture.model.logits(&outcome.hidden).unwrap().to_vec2::<f32>().unwrap();
        // Rows come pass by pass; sequences with fewer thoughts come first.
        let mut order: Vec<usize> = (0..programs.len()).collect();
        let padding = batch.layout().padding;
        let last_pass = batch.layout().passes.len() - 1;
        order.sort_by_key(|&index| {
            let at = batch.sequences[index].inputs.len() - 1 + padding[index];
            let passes = batch.layout().passes;
            passes.iter().position(|pass| pass.columns.contains(&at)).unwrap_or(last_pass)
        });
        for (logits, index) in logits.iter().zip(order) {
            let oracle = generate(&fixture.model, &programs[index]).unwrap();
            let off = distance(logits, &oracle.first_logits);
            let largest = oracle.first_logits.iter().fold(1.0f32, |a, b| a.max(b.abs()));
            assert!(off < 1e-4 * largest, "{name}: first logits of case {index} are off by {off}");
        }
    }
}

#[test]
fn answers_in_a_batch_are_those_of_serving() {
    for name in ["coconut-gpt2-hf", "coconut-llama3rope-hf-bf16", "superposition-gpt2", "codi-gpt2"]
    {
        let fixture = Fixture::load(name);
        let mut by_steps: BTreeMap<usize, Vec<Program>> = BTreeMap::new();
        for case in &fixture.expected.cases {
            by_steps.entry(case.n_latent).or_default().push(fixture.program(case));
        }
        for programs in by_steps.values() {
            let ours = coconut::train::generate::generate(&fixture.model, programs).unwrap();
            let served =
                programs.iter().map(|program| generate(&fixture.model, program).unwrap().ids);
            assert_eq!(ours, served.collect::<Vec<_>>(), "{name}");
        }
    }
}
