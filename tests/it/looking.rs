//! Who looks inside and who does not: numbers stay what they are, to the bit; what is not there is refused, what others
//! computed before is not in the way, and what was kept of it is complete.

use crate::insides::everything;
use crate::insides::insides;
use crate::insides::looking;
use crate::insides::probabilities;
use crate::insides::program;
use crate::insides::told;
use crate::parity::of;
use crate::parity::start;
use crate::scripts::leaf;
use crate::scripts::script;
use crate::scripts::sweep;
use crate::scripts::think;
use crate::support::Fixture;
use crate::support::TOLERANCE;
use crate::support::data;
use crate::support::distance;
use candle_core::DType;
use candle_core::Device;
use candle_core::Tensor;
use coconut::engine::Engine;
use coconut::engine::config::EngineConfig;
use coconut::engine::config::PrefixCache;
use coconut::engine::inside::Inside;
use coconut::engine::inside::NotThere;
use coconut::engine::inside::Places;
use coconut::engine::inside::Role;
use coconut::engine::request::EventKind;
use coconut::engine::request::InsideRow;
use coconut::engine::request::Malformed;
use coconut::engine::request::Rejected;
use coconut::engine::request::Report;
use coconut::engine::request::Request;
use coconut::engine::request::Reused;
use coconut::engine::request::Thought;
use coconut::latent::checkpoint::Checkpoint;
use coconut::latent::checkpoint::Location;
use coconut::latent::edits::Edit;
use coconut::latent::edits::Edits;
use coconut::latent::edits::Steps;
use coconut::latent::program::Program;
use coconut::latent::script::Act;
use coconut::latent::script::Sampling;
use coconut::latent::script::ScoredAs;
use coconut::latent::script::Think;
use coconut::latent::script::Until;
use coconut::latent::script::ids;
use coconut::metrics::Metrics;
use coconut::model::Model;
use std::collections::BTreeMap;
use std::sync::Arc;

const NAMES: [&str; 4] =
    ["coconut-gpt2-hf", "coconut-llama-meta", "coconut-qwen3-hf", "codi-llama"];

/// Nothing is reused.
pub(crate) fn off() -> EngineConfig {
    EngineConfig { prefix_cache: PrefixCache::Off, ..EngineConfig::default() }
}

/// The same weights as a chain of tensors.
pub(crate) fn chain(name: &str, config: EngineConfig) -> Engine {
    let checkpoint = Checkpoint::open(&Location::folder(data(name))).unwrap();
    let model = checkpoint.tensors(&Device::Cpu, DType::F32).unwrap();
    Engine::start(model, config, Arc::new(Metrics::new())).unwrap()
}

fn thoughts(events: &[EventKind]) -> Vec<Thought> {
    let thought = |event: &EventKind| match event {
        EventKind::Thought(thought) => Some(thought.clone()),
        _ => None,
    };
    events.iter().filter_map(thought).collect()
}

fn reused(events: &[EventKind]) -> Reused {
    let reused = events.iter().find_map(|event| match event {
        EventKind::Admitted(reused) => Some(*reused),
        _ => None,
    });
    reused.unwrap()
}

/// All numbers of thoughts and answers, without what only some ask for.
fn numbers(told: &BTreeMap<usize, Vec<EventKind>>) -> Vec<String> {
    let mut all = Vec::new();
    for (branch, events) in told {
        for event in events {
            let shown = match event {
                EventKind::Thought(thought) => {
                    let plain = Thought { entropy: None, cosine: None, ..thought.clone() };
                    format!("{plain:?}")
                }
                EventKind::Token(token) => format!("{} {:?}", token.id, token.logprob),
                EventKind::Inside(_) => continue,
                other => format!("{other:?}"),
            };
            all.push(format!("{branch}: {shown}"));
        }
    }
    all
}

#[test]
fn looking_changes_no_number_of_who_looks() {
    for name in NAMES {
        let fixture = Fixture::load(name);
        let program = program(&fixture);
        let scripts = [
            program.script(Sampling::GREEDY),
            Program { latent_steps: 0, ..program.clone() }.script(Sampling::GREEDY),
            sweep(&program, 3, &Edits::default()),
        ];
        for engine in [start(Fixture::load(name), off()), chain(name, off())] {
            for script in &scripts {
                let ask = |request: Request| numbers(&told(engine.submit(request).unwrap()));
                let plain = ask(of(script.clone()));
                for places in [Places::ALL, Places { latent: true, ..Places::default() }] {
                    let inside = Inside { places, ..everything(&fixture.model, true) };
                    let mut request = looking(script, &inside);
                    (request.report.entropy, request.report.cosine) = (true, true);
                    assert_eq!(ask(request), plain, "{name}");
                }
                assert_eq!(ask(of(script.clone())), plain, "{name}");
            }
        }
    }
}

/// Entropies of what the head makes of the thoughts, and angles between those that are fed.
fn truth(model: &Model, thoughts: &[Thought]) -> (Vec<Option<f32>>, Vec<Option<f32>>) {
    let vector = |thought: &Thought| thought.vector.clone().unwrap();
    let fed: Vec<Vec<f32>> = thoughts.iter().map(vector).collect();
    let entropies = fed.iter().map(|x| Some(entropy(&logits(model, x))));
    let angles = fed.windows(2).map(|pair| {
        let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f32>();
        let (a, b) = (&pair[0], &pair[1]);
        Some(dot(a, b) / (dot(a, a) * dot(b, b)).sqrt())
    });
    (entropies.collect(), std::iter::once(None).chain(angles).collect())
}

fn logits(model: &Model, hidden: &[f32]) -> Vec<f32> {
    let hidden = Tensor::from_slice(hidden, (1, hidden.len()), model.device()).unwrap();
    model.logits(&hidden).unwrap().flatten_all().unwrap().to_vec1().unwrap()
}

fn entropy(logits: &[f32]) -> f32 {
    let wide: Vec<f64> = logits.iter().map(|&logit| f64::from(logit)).collect();
    probabilities(&wide).iter().filter(|&&p| p > 0.0).map(|p| -p * p.ln()).sum::<f64>() as f32
}

fn assert_close(ours: &[Option<f32>], truth: &[Option<f32>], what: &str) {
    assert_eq!(ours.len(), truth.len(), "{what}");
    for (ours, truth) in ours.iter().zip(truth) {
        assert_eq!(ours.is_some(), truth.is_some(), "{what}");
        let off = (ours.unwrap_or(0.0) - truth.unwrap_or(0.0)).abs();
        assert!(off < TOLERANCE, "{what}: {ours:?}, not {truth:?}");
    }
}

/// Computed, and recalled: after others that asked for less, or for something else.
#[test]
fn thoughts_and_tokens_have_their_entropies_and_thoughts_their_angles() {
    for name in NAMES {
        let fixture = Fixture::load(name);
        let script = program(&fixture).script(Sampling::GREEDY);
        let engine = start(Fixture::load(name), EngineConfig::default());
        let plain = Report { thought_vectors: true, ..Report::default() };
        let top = Report { top_thought_tokens: 4, ..plain.clone() };
        let first = Report { first_logits: true, ..plain.clone() };
        let entropies = Report { entropy: true, cosine: true, ..first };
        let both = Report { top_thought_tokens: 4, ..entropies.clone() };
        // What is asked, and how many of the two thoughts are recalled for it.
        let asked = [(plain, 0), (top, 0), (entropies.clone(), 0), (entropies, 2), (both, 2)];
        for (report, recalled) in asked {
            let request = Request { report: report.clone(), ..of(script.clone()) };
            let told = told(engine.submit(request).unwrap()).remove(&0).unwrap();
            assert_eq!(reused(&told).thoughts, recalled, "{name} {report:?}");
            let thoughts = thoughts(&told);
            let (mut entropies, mut angles) = truth(&fixture.model, &thoughts);
            if !report.entropy {
                (entropies, angles) = (vec![None; 2], vec![None; 2]);
            }
            let ours: Vec<_> = thoughts.iter().map(|thought| thought.entropy).collect();
            assert_close(&ours, &entropies, name);
            let ours: Vec<_> = thoughts.iter().map(|thought| thought.cosine).collect();
            assert_close(&ours, &angles, name);
            let tops = thoughts.iter().map(|thought| thought.top_tokens.len());
            assert_eq!(tops.collect::<Vec<_>>(), [report.top_thought_tokens; 2]);
            let tokens: Vec<_> = told
                .iter()
                .filter_map(|event| match event {
                    EventKind::Token(token) => Some(token.entropy),
                    _ => None,
                })
                .collect();
            assert_eq!(tokens.len(), 4);
            assert!(tokens.iter().all(|entropy| entropy.is_some() == report.entropy));
            for event in &told {
                if let EventKind::FirstLogits(logits) = event {
                    assert_close(&tokens[..1], &[Some(entropy(logits))], name);
                }
            }
        }
    }
}

/// What is fed counts, where a thought was edited; what was computed has the entropy.
#[test]
fn an_edited_thought_has_the_angle_of_what_is_fed_and_the_entropy_of_what_was_computed() {
    let fixture = Fixture::load("coconut-gpt2-hf");
    // A prompt that is read from memory may differ in its last bits, on some processors.
    let engine = start(Fixture::load("coconut-gpt2-hf"), off());
    let ask = |edit: Edit| {
        let edits = Edits(vec![(Steps::One(2), edit)]);
        let think = Act::Think(Think { until: Until::Steps(3), edits });
        let mut script = program(&fixture).script(Sampling::GREEDY);
        script.root.acts[1] = think;
        let report = Report { entropy: true, cosine: true, ..Report::default() };
        let request = Request { report, ..of(script) };
        thoughts(&told(engine.submit(request).unwrap())[&0])
    };
    let (plain, turned, none) = (ask(Edit::Scale(1.0)), ask(Edit::Scale(-2.0)), ask(Edit::Zero));
    assert_eq!(plain[1].cosine.unwrap(), -turned[1].cosine.unwrap());
    assert_eq!((none[1].cosine, none[2].cosine), (Some(0.0), Some(0.0)));
    for edited in [&turned, &none] {
        assert_eq!((edited[0].cosine, edited[1].entropy), (None, plain[1].entropy));
    }
    let repeated = ask(Edit::Repeat);
    assert!((repeated[1].cosine.unwrap() - 1.0).abs() < 1e-6);
    let left_out = ask(Edit::Skip);
    let steps: Vec<_> = left_out.iter().map(|thought| thought.step).collect();
    assert_eq!((steps, left_out[1].cosine.is_some()), (vec![1, 3], true));
}

/// Pages of the prompt are read, but not its end; thoughts are computed, and left for others.
#[test]
fn who_looks_computes_what_it_looks_at_whatever_others_left() {
    let roles = |rows: &[InsideRow]| -> Vec<Role> { rows.iter().map(|row| row.role).collect() };
    for steps in [0, 2] {
        let fixture = Fixture::load("coconut-gpt2-hf");
        let engine = start(Fixture::load("coconut-gpt2-hf"), EngineConfig::default());
        let mut program = Program { latent_steps: steps, ..program(&fixture) };
        program.prompt.truncate(32);
        let script = program.script(Sampling::GREEDY);
        let inside = everything(&fixture.model, true);
        let mut first = None;
        for _ in 0..2 {
            told(engine.submit(of(script.clone())).unwrap());
            let told = told(engine.submit(looking(&script, &inside)).unwrap()).remove(&0).unwrap();
            assert_eq!(reused(&told), Reused { positions: 16, thoughts: 0 });
            let rows = insides(&told);
            let latent = (1..=steps as u32).map(Role::Latent);
            let answer = (0..3).map(Role::Answer);
            let expected = [Role::Prompt].into_iter().chain(latent).chain([Role::Marker(0)]);
            assert_eq!(roles(&rows), expected.chain(answer).collect::<Vec<_>>());
            let states = rows.iter().flat_map(|row| row.hidden_states.clone()).collect::<Vec<_>>();
            let first = first.get_or_insert_with(|| states.clone());
            assert!(distance(first, &states) < TOLERANCE);
        }
        let told = told(engine.submit(of(script)).unwrap()).remove(&0).unwrap();
        assert_eq!(reused(&told).thoughts, steps);
    }
}

/// Also where more than the prompt is known before anything is decided, and others left the pages of all of it.
#[test]
fn what_is_known_behind_the_prompt_is_computed_for_who_looks() {
    let fixture = Fixture::load("coconut-gpt2-hf");
    let program = program(&fixture);
    let pauses = Act::Feed(ids(&[program.prompt[3]; 40]));
    for acts in [Vec::new(), vec![think(2, Vec::new())]] {
        let engine = start(Fixture::load("coconut-gpt2-hf"), EngineConfig::default());
        let acts = std::iter::once(pauses.clone()).chain(acts).collect();
        let branches = vec![leaf(vec![Act::Score(vec![1, 2], ScoredAs::Answer)])];
        let script = script(&program, acts, branches);
        for _ in 0..2 {
            told(engine.submit(of(script.clone())).unwrap());
        }
        let told =
            told(engine.submit(looking(&script, &everything(&fixture.model, true))).unwrap());
        assert_eq!(reused(&told[&0]), Reused { positions: 32, thoughts: 0 });
        let rows: Vec<_> = told.values().flat_map(|events| insides(events)).collect();
        let positions: Vec<_> = rows.iter().map(|row| row.position).collect();
        let first = program.prompt.len() - 1;
        assert_eq!(positions, (first..first + rows.len()).collect::<Vec<_>>());
        assert!(rows[0].role == Role::Prompt && rows.len() >= 42, "{}", rows.len());
    }
}

#[test]
fn only_what_was_asked_for_is_told() {
    let name = "coconut-llama-meta";
    let fixture = Fixture::load(name);
    let script = program(&fixture).script(Sampling::GREEDY);
    let all = everything(&fixture.model, true);
    let (width, layers) = (fixture.model.config().width, all.layers.len());
    let latent = Places { latent: true, ..Places::default() };
    let nothing = Inside { layers: all.layers.clone(), places: latent, ..Inside::default() };
    let attention = Inside { attention: Some(vec![1]), ..nothing.clone() };
    let lens = Inside { lens: all.lens.clone(), ..nothing.clone() };
    let states = Inside { hidden_states: true, ..nothing.clone() };
    for engine in [start(Fixture::load(name), off()), chain(name, off())] {
        for (inside, counts) in [
            (&nothing, [0, 0, 0]),
            (&attention, [0, 0, layers - 1]),
            (&lens, [0, layers, 0]),
            (&states, [layers * width, 0, 0]),
        ] {
            let rows = insides(&told(engine.submit(looking(&script, inside)).unwrap())[&0]);
            let roles: Vec<_> = rows.iter().map(|row| row.role).collect();
            assert_eq!(roles, [Role::Latent(1), Role::Latent(2)]);
            for row in rows {
                let weights = row.attention.len() / (row.position + 1);
                assert_eq!([row.hidden_states.len(), row.lens.len(), weights], counts);
            }
        }
    }
}

#[test]
fn what_the_model_does_not_have_is_refused_by_name() {
    let fixture = Fixture::load("coconut-gpt2-hf");
    let engine = start(Fixture::load("coconut-gpt2-hf"), EngineConfig::default());
    let script = program(&fixture).script(Sampling::GREEDY);
    let refused = |inside: Inside| engine.submit(looking(&script, &inside)).unwrap_err();
    let layers = Inside { layers: vec![4], ..Inside::default() };
    let heads = Inside { attention: Some(vec![0, 4]), ..Inside::default() };
    for (inside, not_there) in [
        (layers, NotThere::Layer { layer: 4, last: 3 }),
        (heads, NotThere::Head { head: 4, last: 3 }),
    ] {
        assert_eq!(refused(inside), Rejected::Malformed(Malformed::NotThere(not_there)));
    }
}

/// Nobody reads before everything has happened, and there is more to tell than rows to compute.
#[test]
fn a_slow_reader_is_told_everything() {
    let fixture = Fixture::load("superposition-gpt2");
    let engine = start(Fixture::load("superposition-gpt2"), EngineConfig::default());
    let mut program = Program { max_tokens: 12, ..program(&fixture) };
    program.prompt.truncate(1);
    let script = sweep(&program, 5, &Edits::default());
    let ticket = engine.submit(looking(&script, &everything(&fixture.model, false))).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(engine.drained());
    let told = told(ticket);
    let count = |branch: usize| {
        let Some(events) = told.get(&branch) else { return (0, 0, 0) };
        let finished = events.iter().filter(|event| matches!(event, EventKind::Finished(_)));
        let tokens = events.iter().filter(|event| matches!(event, EventKind::Token(_)));
        (insides(events).len(), tokens.count(), finished.count())
    };
    let markers = program.forced.len();
    for branch in crate::scripts::answers(5) {
        assert_eq!(count(branch), (1 + markers + 11, 12, 1), "branch {branch}");
    }
}
