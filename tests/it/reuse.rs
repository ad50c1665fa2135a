//! What is computed once for many requests: answers with reuse are those without, and a client is told of it.

use crate::parity::Collected;
use crate::parity::collect;
use crate::parity::fixtures;
use crate::parity::request;
use crate::parity::start;
use crate::support::Fixture;
use crate::support::distance;
use crate::wire::Wire;
use coconut::engine::Engine;
use coconut::engine::Ticket;
use coconut::engine::config::EngineConfig;
use coconut::engine::config::KvBudget;
use coconut::engine::config::PrefixCache;
use coconut::engine::request::Reused;
use coconut::latent::program::Program;
use futures::future::join_all;
use serde_json::Value;
use serde_json::json;

const QUESTION: &str =
    "Every lempus is a yerpus. Every yerpus is a hilpus. Bob is a lempus. Is Bob a hilpus?";

/// Of the largest number of a vector, for the first thought. Rows are computed in other company with reuse than without, and
/// a sum may then be rounded differently.
const TOLERANCE: f32 = 1e-5;

/// How much a thought makes of a difference in the one before, with the fixtures' random weights: measured without reuse,
/// between questions in a batch and one by one, it is two to three.
const GROWTH: f32 = 2.5;

/// All questions of a fixture with fewer, as many and more thoughts, and prompts that begin like others.
fn programs(fixture: &Fixture) -> Vec<Program> {
    let mut programs = Vec::new();
    for case in &fixture.expected.cases {
        let program = fixture.program(case);
        for latent_steps in [case.n_latent, 0, 2, case.n_latent + 1] {
            programs.push(Program { latent_steps, ..program.clone() });
        }
        let mut prompt = program.prompt.clone();
        prompt.truncate(prompt.len() - 3);
        programs.push(Program { prompt, ..program });
    }
    programs
}

fn assert_same(ours: &Collected, computed: &Collected, what: &str) {
    let assert_close = |a: &[f32], b: &[f32], thoughts_before: usize| {
        let off = distance(a, b) / b.iter().fold(1.0f32, |size, x| size.max(x.abs()));
        let allowed = TOLERANCE * GROWTH.powi(thoughts_before as i32);
        assert!(off <= allowed, "{what}, after {thoughts_before} thoughts: off by {off}");
    };
    assert_eq!(ours.ids, computed.ids, "{what}");
    assert_eq!(ours.thoughts.len(), computed.thoughts.len(), "{what}");
    for (before, (a, b)) in ours.thoughts.iter().zip(&computed.thoughts).enumerate() {
        assert_close(a, b, before);
    }
    assert_close(&ours.first_logits, &computed.first_logits, ours.thoughts.len());
}

fn all_at_once<'a>(engine: &Engine, programs: impl Iterator<Item = &'a Program>) -> Vec<Collected> {
    let tickets: Vec<Ticket> =
        programs.map(|program| engine.submit(request(program.clone())).unwrap()).collect();
    tickets.into_iter().map(collect).collect()
}

#[test]
fn answers_with_reuse_are_those_without() {
    for name in fixtures() {
        let programs = programs(&Fixture::load(name));
        let off = EngineConfig { prefix_cache: PrefixCache::Off, ..EngineConfig::default() };
        let engine = start(Fixture::load(name), off);
        let one_by_one = |engine: &Engine| -> Vec<Collected> {
            programs.iter().flat_map(|one| all_at_once(engine, [one].into_iter())).collect()
        };
        let computed = one_by_one(&engine);
        for (answer, computed) in all_at_once(&engine, programs.iter()).iter().zip(&computed) {
            assert_eq!((answer.reused, computed.reused), Default::default());
            assert_same(answer, computed, "a batch without reuse");
        }
        // With room for everything, and with so little that pages are given up all the time.
        for positions in [8192, 160] {
            let kv = KvBudget::Positions(positions);
            let engine = start(Fixture::load(name), EngineConfig { kv, ..EngineConfig::default() });
            let mut backwards = all_at_once(&engine, programs.iter().rev());
            backwards.reverse();
            let waves = [backwards, all_at_once(&engine, programs.iter()), one_by_one(&engine)];
            for (wave, answers) in waves.iter().enumerate() {
                for ((program, answer), computed) in programs.iter().zip(answers).zip(&computed) {
                    let (ids, n) = (program.prompt.len(), program.latent_steps);
                    let what = format!("{name}: {ids} ids, {n} thoughts, wave {wave}");
                    assert_same(answer, computed, &what);
                    if wave > 0 && positions == 8192 {
                        let Reused { positions, thoughts } = answer.reused;
                        assert_eq!(thoughts, n, "{what}");
                        assert!(positions >= (ids - 1) / 16 * 16, "{what}: {positions}");
                    }
                }
            }
        }
    }
}

async fn ask(wire: &Wire, latent_steps: usize) -> Value {
    let question = json!({
        "question": QUESTION,
        "latent_steps": latent_steps,
        "max_tokens": 4,
        "include": ["thoughts", "thought_vectors"],
    });
    wire.ask(question).await.json()
}

fn cached(answer: &Value) -> (u64, u64) {
    let count = |name: &str| answer["usage"][name].as_u64().unwrap();
    (count("cached_positions"), count("cached_thoughts"))
}

#[tokio::test]
async fn a_question_asked_again_is_told_what_was_not_computed() {
    let (wire, _) = Wire::answering(EngineConfig::default());
    let first = ask(&wire, 6).await;
    assert_eq!(cached(&first), (0, 0));
    let whole_pages = first["usage"]["prompt_tokens"].as_u64().unwrap() / 16 * 16;
    assert!(whole_pages > 0, "{first}");

    let fewer = ask(&wire, 4).await;
    let thoughts = |answer: &Value| answer["thoughts"].as_array().unwrap().clone();
    assert_eq!(thoughts(&fewer), thoughts(&first)[..4]);
    assert!(cached(&fewer).0 >= whole_pages && cached(&fewer).1 == 4, "{fewer}");
    for again in join_all((0..20).map(|_| ask(&wire, 6))).await {
        assert!(cached(&again).0 >= whole_pages && cached(&again).1 == 6, "{again}");
        for field in ["thoughts", "text", "answer"] {
            assert_eq!(again[field], first[field], "{again}");
        }
    }
    let metrics = &wire.metrics;
    // The last thought is fed, too: that is where the end marker follows.
    assert_eq!(metrics.latent_steps_total.get(), 6);
    assert_eq!(metrics.thought_cache_queries_total.get(), 6 + 4 + 20 * 6);
    assert_eq!(metrics.thought_cache_hits_total.get(), 4 + 20 * 6);
    let (asked, hits) =
        (metrics.prefix_cache_queries_total.get(), metrics.prefix_cache_hits_total.get());
    assert!(21 * whole_pages <= hits && hits < asked, "{hits} of {asked}");
    assert_eq!(metrics.kv_positions_reserved.get(), 0);
    assert!(metrics.kv_positions_cached.get() as u64 >= whole_pages);
}

#[tokio::test]
async fn with_the_cache_off_everything_is_computed() {
    let config = EngineConfig { prefix_cache: PrefixCache::Off, ..EngineConfig::default() };
    let (wire, _) = Wire::answering(config);
    for _ in 0..2 {
        assert_eq!(cached(&ask(&wire, 6).await), (0, 0));
    }
    let metrics = &wire.metrics;
    assert_eq!(metrics.latent_steps_total.get(), 12);
    assert_eq!(metrics.kv_positions_cached.get(), 0);
    // Whoever asks nothing of a cache does not miss: an alert looks for that.
    assert_eq!(metrics.prefix_cache_queries_total.get(), 0);
    assert_eq!(metrics.thought_cache_queries_total.get(), 0);
}
