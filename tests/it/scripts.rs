//! Scripts with branches, scores and edits: the engine does what the slow oracle does, alone and with everything mixed, and
//! what both do is what was asked for.

use crate::parity::FIXTURES;
use crate::parity::crowded;
use crate::parity::fixtures;
use crate::parity::of;
use crate::parity::start;
use crate::support::Fixture;
use crate::support::TOLERANCE;
use crate::support::assert_golden;
use crate::support::data;
use crate::support::distance;
use coconut::engine::Engine;
use coconut::engine::Ticket;
use coconut::engine::config::EngineConfig;
use coconut::engine::config::PrefixCache;
use coconut::engine::request::EventKind;
use coconut::engine::request::Finish;
use coconut::engine::request::Reused;
use coconut::latent::edits::Edit;
use coconut::latent::edits::Edits;
use coconut::latent::edits::Steps;
use coconut::latent::edits::length;
use coconut::latent::generate::Generated;
use coconut::latent::generate::walk;
use coconut::latent::program::Program;
use coconut::latent::script::Act;
use coconut::latent::script::Branch;
use coconut::latent::script::Fed;
use coconut::latent::script::Sampling;
use coconut::latent::script::Say;
use coconut::latent::script::ScoredAs;
use coconut::latent::script::Script;
use coconut::latent::script::Think;
use coconut::latent::script::Until;
use coconut::latent::script::ids;
use coconut::metrics::Metrics;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::sync::Arc;

/// What a branch of a request gave, and how it ended.
#[derive(Default, Debug)]
struct Told {
    given: Generated,
    finish: Option<Finish>,
}

/// Everything that is told of a request, by branch.
fn collect(mut ticket: Ticket) -> (BTreeMap<usize, Told>, Reused) {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(async {
        let (mut all, mut reused) = (BTreeMap::<usize, Told>::new(), Reused::default());
        while let Some(event) = ticket.next().await {
            let told = all.entry(event.branch).or_default();
            assert_eq!(told.finish, None, "nothing follows the end of a branch");
            match event.kind {
                EventKind::Admitted(what) => reused = what,
                EventKind::Prefilled | EventKind::Inside(_) | EventKind::Ended(_) => {}
                EventKind::Thought(thought) => told.given.thoughts.push(thought.vector.unwrap()),
                EventKind::FirstLogits(logits) => told.given.first_logits = logits,
                EventKind::Token(token) => told.given.ids.push(token.id),
                EventKind::Scored(scores) => {
                    told.given.scores.extend(scores.iter().map(|given| given.scored.logprob));
                }
                EventKind::Finished(finish) => told.finish = Some(finish),
                EventKind::Failed(failure) => panic!("{failure}"),
            }
        }
        (all, reused)
    })
}

fn assert_same(ours: &BTreeMap<usize, Told>, oracle: &[Generated], what: &str) {
    let close = |a: &[f32], b: &[f32], of: &str| {
        let off = distance(a, b) / b.iter().fold(1.0f32, |size, x| size.max(x.abs()));
        assert!(off < TOLERANCE, "{what}: {of} are off by {off}");
    };
    let nothing = Told::default();
    for (number, oracle) in oracle.iter().enumerate() {
        let Generated { thoughts, first_logits, ids, scores } =
            &ours.get(&number).unwrap_or(&nothing).given;
        assert_eq!(thoughts.len(), oracle.thoughts.len(), "{what}: thoughts of {number}");
        for (step, (a, b)) in thoughts.iter().zip(&oracle.thoughts).enumerate() {
            close(a, b, &format!("numbers of thought {} of branch {number}", step + 1));
        }
        close(first_logits, &oracle.first_logits, &format!("first logits of branch {number}"));
        close(scores, &oracle.scores, &format!("scores of branch {number}"));
        assert_eq!(*ids, oracle.ids, "{what}: tokens of branch {number}");
    }
}

pub(crate) fn leaf(acts: Vec<Act>) -> Branch {
    Branch { acts, branches: Vec::new() }
}

fn say(program: &Program) -> Act {
    let (max_tokens, stop) = (program.max_tokens, program.stop.clone());
    Act::Say(Say { max_tokens, stop, sampling: Sampling::GREEDY })
}

pub(crate) fn script(program: &Program, acts: Vec<Act>, branches: Vec<Branch>) -> Script {
    let acts = std::iter::once(Act::Feed(ids(&program.prompt))).chain(acts).collect();
    Script { root: Branch { acts, branches }, masked: program.masked.clone() }
}

fn answer(program: &Program) -> Branch {
    leaf(vec![Act::Feed(ids(&program.forced)), say(program)])
}

/// An answer after each number of thoughts from 0 to `steps`.
pub(crate) fn sweep(program: &Program, steps: usize, edits: &Edits) -> Script {
    let mut branches = vec![answer(program)];
    for _ in 0..steps {
        let think = Think { until: Until::Steps(1), edits: edits.clone() };
        let deeper = Branch { acts: vec![Act::Think(think)], branches };
        branches = vec![answer(program), deeper];
    }
    script(program, Vec::new(), branches)
}

/// The numbers of the branches with the answers of a [`sweep`].
pub(crate) fn answers(steps: usize) -> impl Iterator<Item = usize> {
    (0..steps).map(|k| 2 * k + 1).chain([2 * steps + 1])
}

pub(crate) fn think(steps: usize, edits: Vec<(Steps, Edit)>) -> Act {
    Act::Think(Think { until: Until::Steps(steps), edits: Edits(edits) })
}

fn edited(program: &Program, steps: usize, edits: Vec<(Steps, Edit)>) -> Script {
    let acts = vec![think(steps, edits), Act::Feed(ids(&program.forced)), say(program)];
    script(program, acts, Vec::new())
}

pub(crate) fn vector(width: usize, size: f32) -> Arc<[f32]> {
    (0..width).map(|at| size * ((at * 7 % 11) as f32 - 5.0)).collect()
}

/// Every act, every edit, and forks at every kind of place.
fn scripts(program: &Program, width: usize) -> Vec<Script> {
    let continuation = |count: usize| {
        let ids = program.prompt.iter().cycle().skip(count).take(count);
        leaf(vec![Act::Score(ids.copied().collect(), ScoredAs::Answer)])
    };
    let scores = || vec![continuation(1), continuation(5), continuation(20), answer(program)];
    let noise = |seed| (Steps::All, Edit::Noise { sigma: 0.3, seed });
    let samples = (0..3).map(|seed| {
        leaf(vec![think(3, vec![noise(seed)]), Act::Feed(ids(&program.forced)), say(program)])
    });
    let vectors = vec![Fed::Vector(vector(width, 0.1)), Fed::Id(program.prompt[0])];
    let long = program.prompt.iter().cycle().take(40).copied().collect::<Vec<u32>>();
    let mut all = vec![
        program.script(Sampling::GREEDY),
        sweep(program, 4, &Edits::default()),
        sweep(program, 3, &Edits(vec![noise(7)])),
        script(program, vec![], scores()),
        script(program, vec![think(2, vec![]), Act::Feed(ids(&program.forced))], scores()),
        script(program, vec![think(3, vec![])], scores()),
        script(program, vec![], samples.collect()),
        script(program, vec![think(2, vec![])], Vec::new()),
        script(
            program,
            vec![Act::Feed(vectors), think(1, vec![]), say(program)],
            vec![leaf(vec![Act::Feed(ids(&long)), say(program)]), continuation(3)],
        ),
    ];
    for edit in [
        Edit::Set(vector(width, 0.2)),
        Edit::Add(vector(width, 0.1), 0.5),
        Edit::Scale(0.5),
        Edit::Zero,
        Edit::Noise { sigma: 0.5, seed: 3 },
        Edit::Random { seed: 3 },
        Edit::Skip,
        Edit::Repeat,
    ] {
        all.push(edited(program, 4, vec![(Steps::One(2), edit.clone())]));
        if edit != Edit::Repeat {
            all.push(edited(program, 3, vec![(Steps::All, edit)]));
        }
    }
    all
}

#[test]
fn the_engine_does_what_the_oracle_does_alone_and_with_everything_mixed() {
    for name in fixtures() {
        let engines = [1, 64].map(|rows| start(Fixture::load(name), crowded(rows)));
        follows_scripts(&Fixture::load(name), &engines);
    }
}

/// Every script alone and all at once, next to the oracle.
pub(crate) fn follows_scripts(fixture: &Fixture, engines: &[Engine]) {
    let program = fixture.program(&fixture.expected.cases[0]);
    let scripts = scripts(&program, fixture.model.config().width);
    let oracle: Vec<_> = scripts.iter().map(|s| walk(&fixture.model, s).unwrap()).collect();
    let name = &fixture.recipe.family;
    for engine in engines {
        let submit = |script: &Script| engine.submit(of(script.clone())).unwrap();
        for (index, (script, oracle)) in scripts.iter().zip(&oracle).enumerate() {
            let (told, _) = collect(submit(script));
            assert_same(&told, oracle, &format!("{name}, script {index} alone"));
        }
        let tickets: Vec<_> = scripts.iter().map(submit).collect();
        for (index, (ticket, oracle)) in tickets.into_iter().zip(&oracle).enumerate() {
            let (told, _) = collect(ticket);
            assert_same(&told, oracle, &format!("{name}, script {index} among all"));
        }
    }
}

/// One prefill, and an answer after each number of thoughts: those of requests that ask for that many, which are PyTorch's.
#[test]
fn a_sweep_gives_the_golden_answer_after_the_golden_number_of_thoughts() {
    for name in FIXTURES {
        let fixture = Fixture::load(name);
        for case in &fixture.expected.cases {
            let (program, steps) = (fixture.program(case), case.n_latent);
            let (engine, metrics) = measured(name, EngineConfig::default());
            let script = sweep(&program, steps, &Edits::default());
            let (told, _) = collect(engine.submit(of(script)).unwrap());
            // Each answer feeds the end of the prompt or a thought, and the markers: the prompt was read once.
            let most = program.prompt.len() + 1 + program.forced.len();
            assert!(metrics.prompt_tokens_total.get() as usize <= most, "{name}");
            let last = &told[&answers(steps).last().unwrap()].given;
            let thoughts: Vec<_> =
                told.values().flat_map(|told| told.given.thoughts.clone()).collect();
            assert_golden(case, &thoughts, &last.first_logits, &last.ids);
            for (latent_steps, number) in answers(steps).enumerate() {
                let alone = Program { latent_steps, ..program.clone() }.script(Sampling::GREEDY);
                let (alone, _) = collect(engine.submit(of(alone)).unwrap());
                assert_eq!(told[&number].given.ids, alone[&0].given.ids, "{name} {latent_steps}");
                assert_eq!(told[&number].finish, alone[&0].finish);
            }
        }
    }
}

fn measured(name: &str, config: EngineConfig) -> (Engine, Arc<Metrics>) {
    let metrics = Arc::new(Metrics::new());
    let model = Fixture::load(name).host_model;
    (Engine::start(model, config, Arc::clone(&metrics)).unwrap(), metrics)
}

/// To the bit, where nothing else is computed and nothing reused.
#[test]
fn an_edit_that_changes_nothing_changes_nothing() {
    let off = EngineConfig { prefix_cache: PrefixCache::Off, ..EngineConfig::default() };
    for name in fixtures() {
        let fixture = Fixture::load(name);
        let program = fixture.program(&fixture.expected.cases[0]);
        let engine = start(Fixture::load(name), off);
        let ask =
            |script: Script| collect(engine.submit(of(script)).unwrap()).0.remove(&0).unwrap();
        let plain = ask(edited(&program, 4, Vec::new())).given;
        let own = (1..).zip(&plain.thoughts);
        let own: Vec<_> =
            own.map(|(k, x)| (Steps::One(k), Edit::Set(x.as_slice().into()))).collect();
        let zero = vector(fixture.model.config().width, 1.0);
        for edits in [
            own,
            vec![(Steps::All, Edit::Add(zero, 0.0))],
            vec![(Steps::All, Edit::Scale(1.0))],
            vec![(Steps::All, Edit::Noise { sigma: 0.0, seed: 1 })],
        ] {
            let same = ask(edited(&program, 4, edits.clone())).given;
            assert_eq!(same.thoughts, plain.thoughts, "{name} {edits:?}");
            assert_eq!(same.first_logits, plain.first_logits, "{name} {edits:?}");
            assert_eq!(same.ids, plain.ids, "{name} {edits:?}");
        }
    }
}

/// Neither does an edited request find what a plain one left, beyond the thoughts before its first edit, nor the other way
/// round; and samples are the same whatever else is in the batch.
#[test]
fn what_is_edited_is_never_taken_for_what_is_not() {
    for name in fixtures() {
        let fixture = Fixture::load(name);
        let program = fixture.program(&fixture.expected.cases[0]);
        let plain = edited(&program, 4, Vec::new());
        let noise = |seed| vec![(Steps::All, Edit::Noise { sigma: 0.6, seed })];
        let zero = vec![(Steps::One(3), Edit::Zero)];
        let oracle = |script: &Script| walk(&fixture.model, script).unwrap();
        let scripts = [
            edited(&program, 4, noise(1)),
            edited(&program, 4, zero),
            edited(&program, 4, noise(2)),
            plain.clone(),
        ];
        let thoughts = [0, 2, 0, 4];
        for plain_first in [true, false] {
            let engine = start(Fixture::load(name), EngineConfig::default());
            let ask = |script: &Script| collect(engine.submit(of(script.clone())).unwrap());
            if plain_first {
                assert_same(&ask(&plain).0, &oracle(&plain), name);
            }
            for (script, thoughts) in scripts.iter().zip(thoughts) {
                let (told, reused) = ask(script);
                assert_same(&told, &oracle(script), name);
                if plain_first {
                    assert_eq!(reused.thoughts, thoughts, "{name}");
                }
            }
        }
    }
}

#[test]
fn thoughts_that_settle_end_before_their_time_and_are_known_to_the_next_who_asks() {
    for name in fixtures() {
        let fixture = Fixture::load(name);
        let program = fixture.program(&fixture.expected.cases[0]);
        let all = walk(&fixture.model, &edited(&program, 6, Vec::new())).unwrap().remove(0);
        let change = |pair: &[Vec<f32>]| {
            let difference: Vec<f32> = pair[0].iter().zip(&pair[1]).map(|(a, b)| b - a).collect();
            length(&difference) / length(&pair[1])
        };
        let changes: Vec<f64> = all.thoughts.windows(2).map(change).collect();
        // Between the smallest change and the next, so that rounding decides nothing.
        let mut sorted = changes.clone();
        sorted.sort_by(f64::total_cmp);
        let tolerance = ((sorted[0] + sorted[1]) / 2.0) as f32;
        let used = changes.iter().position(|change| *change <= f64::from(tolerance)).unwrap() + 2;
        let until = Until::Settled { tolerance, max: 6 };
        let think = Act::Think(Think { until, edits: Edits::default() });
        let acts = vec![think, Act::Feed(ids(&program.forced)), say(&program)];
        let script = script(&program, acts, Vec::new());
        let oracle = walk(&fixture.model, &script).unwrap();
        assert_eq!(oracle[0].thoughts.len(), used, "{name}");
        let engine = start(Fixture::load(name), EngineConfig::default());
        for known in [0, used] {
            let (told, reused) = collect(engine.submit(of(script.clone())).unwrap());
            assert_same(&told, &oracle, name);
            assert_eq!(reused.thoughts, known, "{name}");
        }
    }
}

/// What `tests/data/make_scores.py` wrote, one continuation after some thoughts.
#[derive(Deserialize)]
struct Golden {
    case: usize,
    latent_steps: usize,
    continuation: Vec<u32>,
    logprobs: Vec<f32>,
}

/// All continuations of a question from one prefill, each after its number of thoughts.
#[test]
fn scores_are_those_of_teacher_forcing_in_pytorch() {
    let text = std::fs::read_to_string(data("scores.json")).unwrap();
    let all: BTreeMap<String, Vec<Golden>> = serde_json::from_str(&text).unwrap();
    for (name, golden) in all {
        let fixture = Fixture::load(&name);
        let engine = start(Fixture::load(&name), EngineConfig::default());
        for case in 0..2 {
            let program = fixture.program(&fixture.expected.cases[case]);
            let golden: Vec<_> = golden.iter().filter(|golden| golden.case == case).collect();
            let branches = golden.iter().map(|golden| {
                let end = Act::Feed(ids(&program.forced));
                let score = Act::Score(golden.continuation.clone(), ScoredAs::Answer);
                leaf(vec![think(golden.latent_steps, Vec::new()), end, score])
            });
            let script = script(&program, Vec::new(), branches.collect());
            let (told, _) = collect(engine.submit(of(script)).unwrap());
            for (number, golden) in (1..).zip(golden) {
                let ours = &told[&number].given.scores;
                assert_eq!(ours.len(), golden.logprobs.len(), "{name}");
                // Six thoughts of random weights make a thousand times as much of what f32 rounds differently.
                let bound =
                    if golden.latent_steps > 1 { 3.0 * TOLERANCE } else { TOLERANCE / 50.0 };
                for (ours, golden) in ours.iter().zip(&golden.logprobs) {
                    let off = (ours - golden).abs() / golden.abs().max(1.0);
                    assert!(off < bound, "{name}, branch {number}: {ours}, not {golden}");
                }
            }
        }
    }
}
