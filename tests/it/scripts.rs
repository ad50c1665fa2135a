//! Scripts with branches, scores and edits: the engine does what the slow oracle does, alone and with everything mixed, and
//! what both do is what was asked for.

use crate::parity::FIXTURES;
use crate::parity::crowded;
use crate::parity::of;
use crate::parity::start;
use crate::support::Fixture;
use crate::support::TOLERANCE;
use crate::support::distance;
use coconut::engine::Engine;
use coconut::engine::Ticket;
use coconut::engine::config::EngineConfig;
use coconut::engine::config::PrefixCache;
use coconut::engine::request::EventKind;
use coconut::engine::request::Finish;
use coconut::engine::request::Malformed;
use coconut::engine::request::Rejected;
use coconut::engine::request::Reused;
use coconut::latent::edits::Edit;
use coconut::latent::edits::Edits;
use coconut::latent::edits::Steps;
use coconut::latent::generate::Generated;
use coconut::latent::generate::walk;
use coconut::latent::program::Program;
use coconut::latent::script::Act;
use coconut::latent::script::Branch;
use coconut::latent::script::Fed;
use coconut::latent::script::Sampling;
use coconut::latent::script::Say;
use coconut::latent::script::Script;
use coconut::latent::script::Think;
use coconut::latent::script::Until;
use coconut::latent::script::ids;
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
                EventKind::Prefilled => {}
                EventKind::Thought(thought) => told.given.thoughts.push(thought.vector.unwrap()),
                EventKind::FirstLogits(logits) => told.given.first_logits = logits,
                EventKind::Token(token) => told.given.ids.push(token.id),
                EventKind::Scored(scores) => {
                    told.given.scores.extend(scores.iter().map(|scored| scored.logprob));
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

fn leaf(acts: Vec<Act>) -> Branch {
    Branch { acts, branches: Vec::new() }
}

fn say(program: &Program) -> Act {
    let (max_tokens, stop) = (program.max_tokens, program.stop.clone());
    Act::Say(Say { max_tokens, stop, sampling: Sampling::GREEDY })
}

fn script(program: &Program, acts: Vec<Act>, branches: Vec<Branch>) -> Script {
    let acts = std::iter::once(Act::Feed(ids(&program.prompt))).chain(acts).collect();
    Script { root: Branch { acts, branches }, masked: program.masked.clone() }
}

fn answer(program: &Program) -> Branch {
    leaf(vec![Act::Feed(ids(&program.forced)), say(program)])
}

/// An answer after each number of thoughts from 0 to `steps`.
fn sweep(program: &Program, steps: usize, edits: &Edits) -> Script {
    let mut branches = vec![answer(program)];
    for _ in 0..steps {
        let think = Think { until: Until::Steps(1), edits: edits.clone() };
        let deeper = Branch { acts: vec![Act::Think(think)], branches };
        branches = vec![answer(program), deeper];
    }
    script(program, Vec::new(), branches)
}

/// The numbers of the branches with the answers of a [`sweep`].
fn answers(steps: usize) -> impl Iterator<Item = usize> {
    (0..steps).map(|k| 2 * k + 1).chain([2 * steps + 1])
}

fn think(steps: usize, edits: Vec<(Steps, Edit)>) -> Act {
    Act::Think(Think { until: Until::Steps(steps), edits: Edits(edits) })
}

fn edited(program: &Program, steps: usize, edits: Vec<(Steps, Edit)>) -> Script {
    let acts = vec![think(steps, edits), Act::Feed(ids(&program.forced)), say(program)];
    script(program, acts, Vec::new())
}

fn vector(width: usize, size: f32) -> Arc<[f32]> {
    (0..width).map(|at| size * ((at * 7 % 11) as f32 - 5.0)).collect()
}

/// Every act, every edit, and forks at every kind of place.
fn scripts(program: &Program, width: usize) -> Vec<Script> {
    let continuation = |count: usize| {
        let ids = program.prompt.iter().cycle().skip(count).take(count);
        leaf(vec![Act::Score(ids.copied().collect())])
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
    for name in FIXTURES {
        let fixture = Fixture::load(name);
        let program = fixture.program(&fixture.expected.cases[0]);
        let scripts = scripts(&program, fixture.model.config().width);
        let oracle: Vec<_> = scripts.iter().map(|s| walk(&fixture.model, s).unwrap()).collect();
        for rows_per_step in [1, 64] {
            let engine = start(Fixture::load(name), crowded(rows_per_step));
            let submit = |script: &Script| engine.submit(of(script.clone())).unwrap();
            for (index, (script, oracle)) in scripts.iter().zip(&oracle).enumerate() {
                let (told, _) = collect(submit(script));
                assert_same(&told, oracle, &format!("{name}, script {index} alone"));
            }
            let tickets: Vec<_> = scripts.iter().rev().map(submit).collect();
            for (ticket, (index, oracle)) in
                tickets.into_iter().zip(oracle.iter().enumerate().rev())
            {
                let (told, _) = collect(ticket);
                assert_same(&told, oracle, &format!("{name}, script {index} among all"));
            }
        }
    }
}
