//! The engine's thread with scripts that branch: what is told of which branch, one that fails, clients that go, and scripts
//! that are refused. The model is that of `worker_tests`.

use crate::engine::config::EngineConfig;
use crate::engine::request::EventKind;
use crate::engine::request::Failure;
use crate::engine::request::Finish;
use crate::engine::request::Malformed;
use crate::engine::request::Rejected;
use crate::engine::request::Report;
use crate::engine::request::Request;
use crate::engine::worker_tests::Bench;
use crate::engine::worker_tests::NOT_A_NUMBER;
use crate::engine::worker_tests::bench;
use crate::latent::edits::Edit;
use crate::latent::edits::Edits;
use crate::latent::edits::Steps;
use crate::latent::script::Act;
use crate::latent::script::Branch;
use crate::latent::script::Fed;
use crate::latent::script::Sampling;
use crate::latent::script::Say;
use crate::latent::script::ScoredAs;
use crate::latent::script::Script;
use crate::latent::script::StopRule;
use crate::latent::script::Think;
use crate::latent::script::Until;
use crate::latent::script::ids;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use std::time::Instant;

fn say(max_tokens: usize) -> Act {
    Act::Say(Say { max_tokens, stop: StopRule::NEVER, sampling: Sampling::GREEDY })
}

fn leaf(acts: Vec<Act>) -> Branch {
    Branch { acts, branches: Vec::new() }
}

fn request(acts: Vec<Act>, branches: Vec<Branch>) -> Request {
    let acts = std::iter::once(Act::Feed(ids(&[1, 1]))).chain(acts).collect();
    Request {
        script: Script { root: Branch { acts, branches }, masked: Vec::new() },
        report: Report::default(),
        deadline: Instant::now() + Duration::from_secs(30),
    }
}

/// Two thoughts; then an answer, a continuation, and one more thought behind which two answers follow.
fn tree() -> Request {
    let deeper = Branch {
        acts: vec![Act::Think(Think::steps(1))],
        branches: vec![leaf(vec![say(2)]), leaf(vec![Act::Feed(ids(&[2])), say(1)])],
    };
    let scores = leaf(vec![Act::Score(vec![3, 2, 3], ScoredAs::Answer)]);
    request(vec![Act::Think(Think::steps(2))], vec![leaf(vec![say(3)]), scores, deeper])
}

/// Names of what is told, by branch and in order, each event within ten seconds.
async fn told(ticket: &mut crate::engine::Ticket) -> BTreeMap<usize, Vec<&'static str>> {
    let mut told = BTreeMap::<usize, Vec<_>>::new();
    while let Ok(Some(event)) = tokio::time::timeout(Duration::from_secs(10), ticket.next()).await {
        told.entry(event.branch).or_default().push(match event.kind {
            EventKind::Admitted(_) => "admitted",
            EventKind::Prefilled => "prefilled",
            EventKind::Thought(_) => "thought",
            EventKind::FirstLogits(_) => "first logits",
            EventKind::Token(_) => "token",
            EventKind::Ended(_) => "ended",
            EventKind::Scored(scores) => {
                // Token 3 has a logit of 9, the three others of 0.
                let (first, second) = (scores[0].scored, scores[1].scored);
                assert!(first.rank == 0 && first.logprob > -0.001, "{first:?}");
                assert!(second.rank == 1 && (second.logprob + 9.0).abs() < 0.001, "{second:?}");
                "scores"
            }
            EventKind::Inside(_) => "inside",
            EventKind::Finished(Finish::Stop) => "stop",
            EventKind::Finished(Finish::Length) => "length",
            EventKind::Finished(Finish::Done) => "done",
            EventKind::Failed(Failure::NonFinite) => "not finite",
            EventKind::Failed(Failure::Deadline) => "late",
            EventKind::Failed(_) => "failed",
        });
    }
    told
}

#[tokio::test]
async fn every_branch_is_told_apart_and_ends_once() {
    let Bench { engine, metrics, steps } = bench(EngineConfig::default());
    drop(steps);
    let told = told(&mut engine.submit(tree()).unwrap()).await;
    let expected: [(usize, &[&str]); 6] = [
        (0, &["admitted", "prefilled", "thought", "thought"]),
        (1, &["token", "token", "token", "length"]),
        (2, &["scores", "done"]),
        (3, &["thought"]),
        (4, &["token", "token", "length"]),
        (5, &["token", "length"]),
    ];
    assert_eq!(told, expected.map(|(branch, told)| (branch, told.to_vec())).into());
    engine.drained().await;
    assert_eq!(metrics.kv_positions_reserved.get(), 0);
    assert_eq!(metrics.finished_total.with_label_values(&["length"]).get(), 1);
}

#[tokio::test]
async fn a_branch_that_has_said_enough_ends_at_the_next_step_and_the_others_go_on() {
    let Bench { engine, metrics, steps } = bench(EngineConfig::default());
    let branches = vec![leaf(vec![say(9)]), leaf(vec![say(5)])];
    let mut ticket = engine.submit(request(Vec::new(), branches)).unwrap();
    steps.send(()).unwrap();
    steps.send(()).unwrap();
    while ticket.next().await.unwrap().branch != 1 {}
    ticket.enough_of(1);
    drop(steps);
    let told = told(&mut ticket).await;
    // A step may have begun before that was heard.
    assert!(told[&1].len() <= 2 && told[&1].last() == Some(&"stop"), "{told:?}");
    assert_eq!(told[&2].last(), Some(&"length"));
    engine.drained().await;
    assert_eq!(metrics.kv_positions_reserved.get(), 0);
}

#[tokio::test]
async fn a_branch_that_fails_leaves_the_others_alone() {
    let Bench { engine, metrics, steps } = bench(EngineConfig::default());
    drop(steps);
    let bad = Branch {
        acts: vec![Act::Feed(ids(&[NOT_A_NUMBER])), Act::Think(Think::steps(2))],
        branches: vec![leaf(vec![say(1)]), leaf(vec![say(1)])],
    };
    let request = request(
        vec![Act::Think(Think::steps(1))],
        vec![leaf(vec![say(2)]), bad, leaf(vec![say(1)])],
    );
    let told = told(&mut engine.submit(request).unwrap()).await;
    assert_eq!(told[&1], ["token", "token", "length"]);
    assert_eq!(told[&2], ["not finite"]);
    assert_eq!((told.get(&3), told.get(&4)), (None, None));
    assert_eq!(told[&5], ["token", "length"]);
    engine.drained().await;
    assert_eq!(metrics.kv_positions_reserved.get(), 0);
    assert_eq!(metrics.nonfinite_total.get(), 1);
}

#[tokio::test]
async fn a_client_that_goes_takes_all_branches_along_and_a_deadline_ends_them_at_once() {
    let Bench { engine, metrics, steps } = bench(EngineConfig::default());
    // The step that runs when the client goes is not the last, whichever it is.
    let mut long = tree();
    long.script.root.branches.push(leaf(vec![say(20)]));
    let mut ticket = engine.submit(long).unwrap();
    let mut late = tree();
    late.deadline = Instant::now();
    let mut late = engine.submit(late).unwrap();
    // Until the branches run.
    while ticket.next().await.unwrap().branch == 0 {
        let _ = steps.try_send(());
    }
    drop(ticket);
    drop(steps);
    assert_eq!(told(&mut late).await, [(0, vec!["late"])].into());
    engine.drained().await;
    assert_eq!(metrics.cancelled_total.get(), 1);
    assert_eq!(metrics.kv_positions_reserved.get(), 0);
}

#[tokio::test]
async fn a_script_that_says_nothing_ends_all_the_same() {
    let Bench { engine, steps, .. } = bench(EngineConfig::default());
    drop(steps);
    let thoughts = request(vec![Act::Think(Think::steps(2))], Vec::new());
    let told_of_thoughts = told(&mut engine.submit(thoughts).unwrap()).await;
    let expected = vec!["admitted", "prefilled", "thought", "thought", "done"];
    assert_eq!(told_of_thoughts, [(0, expected)].into());
    let nothing = request(Vec::new(), Vec::new());
    let told = told(&mut engine.submit(nothing).unwrap()).await;
    assert_eq!(told, [(0, vec!["admitted", "prefilled", "done"])].into());
    engine.drained().await;
}

#[tokio::test]
async fn scripts_that_cannot_run_are_refused_by_what_is_wrong_with_them() {
    let Bench { engine, .. } = bench(EngineConfig { max_running: 4, ..EngineConfig::default() });
    let refused = |request: Request| engine.submit(request).unwrap_err();
    let many = |count| vec![leaf(vec![say(1)]); count];
    assert_eq!(
        refused(request(Vec::new(), many(1025))),
        Rejected::TooManyBranches { branches: 1025, available: 1024 }
    );
    // Each fits by itself: 2 positions, and 62 more in four pages.
    assert!(engine.submit(request(Vec::new(), vec![leaf(vec![say(63)]); 3])).is_ok());
    assert_eq!(
        refused(request(Vec::new(), vec![leaf(vec![say(63)]); 4])),
        Rejected::TooLarge { needed: (1 + 4 * 4) * 16, available: 16 * 16 }
    );
    let thinks = |edit| {
        let edits = Edits(vec![(Steps::One(1), edit)]);
        request(vec![Act::Think(Think { until: Until::Steps(2), edits })], Vec::new())
    };
    let mut deep = leaf(vec![say(1)]);
    for _ in 0..300 {
        deep = Branch { acts: Vec::new(), branches: vec![deep] };
    }
    for (request, malformed) in [
        (thinks(Edit::Repeat), Malformed::NothingToRepeat { step: 1 }),
        (thinks(Edit::Set(Arc::new([1.0]))), Malformed::Width { found: 1, width: 2 }),
        (thinks(Edit::Set(Arc::new([1.0, f32::NAN]))), Malformed::NotFinite),
        (thinks(Edit::Scale(f32::INFINITY)), Malformed::NotFinite),
        (request(Vec::new(), vec![deep]), Malformed::TooDeep { max: 256 }),
        (
            request(vec![Act::Feed(vec![Fed::Vector(Arc::new([1.0; 3]))]), say(1)], Vec::new()),
            Malformed::Width { found: 3, width: 2 },
        ),
    ] {
        assert_eq!(refused(request), Rejected::Malformed(malformed));
    }
    let empty = [Act::Score(Vec::new(), ScoredAs::Answer), say(0)];
    for act in empty {
        assert_eq!(refused(request(vec![act], Vec::new())), Rejected::Empty);
    }
    let unknown = request(Vec::new(), vec![leaf(vec![Act::Score(vec![100], ScoredAs::Answer)])]);
    assert_eq!(refused(unknown), Rejected::UnknownId { id: 100 });
    let endless = vec![leaf(vec![say(usize::MAX)]), leaf(vec![say(usize::MAX)])];
    assert!(matches!(refused(request(Vec::new(), endless)), Rejected::TooLong { .. }));
}
