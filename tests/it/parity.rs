//! The same numbers as PyTorch and Hugging Face transformers: by the oracle, and by the engine with everything mixed.

use crate::support::Fixture;
use crate::support::UNOPTIMISED;
use crate::support::assert_golden;
use coconut::engine::Engine;
use coconut::engine::Ticket;
use coconut::engine::config::EngineConfig;
use coconut::engine::config::KvBudget;
use coconut::engine::request::EventKind;
use coconut::engine::request::Report;
use coconut::engine::request::Request;
use coconut::engine::request::Reused;
use coconut::latent::generate::generate;
use coconut::latent::program::Program;
use coconut::latent::script::Sampling;
use coconut::latent::script::Script;
use coconut::metrics::Metrics;
use std::sync::Arc;
use std::time::Duration;
use std::time::Instant;

/// One checkpoint of each published layout, as published.
pub(crate) const FIXTURES: &[&str] = &[
    "coconut-gpt2-hf",
    "coconut-gpt2-meta",
    "coconut-llama-meta",
    "coconut-llama3rope-hf-bf16",
    "coconut-qwen2-hf",
    "coconut-qwen3-hf",
    "codi-gpt2",
    "codi-llama",
    "simcot-gpt2-meta",
    "superposition-gpt2",
];

/// All of them; unoptimised every third, each of another architecture or way to feed.
pub(crate) fn fixtures() -> impl Iterator<Item = &'static str> {
    FIXTURES.iter().step_by(if UNOPTIMISED { 3 } else { 1 }).copied()
}

#[test]
fn the_oracle_gives_the_golden_numbers() {
    for name in FIXTURES {
        let fixture = Fixture::load(name);
        for case in &fixture.expected.cases {
            let generated = generate(&fixture.model, &fixture.program(case)).unwrap();
            assert_golden(case, &generated.thoughts, &generated.first_logits, &generated.ids);
            if let Some(text) = &case.text {
                assert_eq!(&fixture.tokenizer.decode(&generated.ids), text);
            }
        }
    }
}

#[test]
fn the_engine_gives_the_golden_numbers_one_request_at_a_time() {
    for name in FIXTURES {
        let fixture = Fixture::load(name);
        one_at_a_time(&fixture, &start(Fixture::load(name), EngineConfig::default()));
    }
}

/// All cases and all n at once, prompts cut into chunks of uneven size, so that every kind of row meets every other.
#[test]
fn the_engine_gives_the_golden_numbers_with_everything_in_one_batch() {
    for name in FIXTURES {
        let fixture = Fixture::load(name);
        for rows_per_step in [1, 7, 64, 1024] {
            all_at_once(&fixture, &start(Fixture::load(name), crowded(rows_per_step)));
        }
    }
}

/// Asks for the cases of a fixture one after the other.
pub(crate) fn one_at_a_time(fixture: &Fixture, engine: &Engine) {
    for case in &fixture.expected.cases {
        let collected = collect(engine.submit(request(fixture.program(case))).unwrap());
        assert_golden(case, &collected.thoughts, &collected.first_logits, &collected.ids);
    }
}

/// Asks for 13 cases of a fixture at once.
pub(crate) fn all_at_once(fixture: &Fixture, engine: &Engine) {
    let cases: Vec<_> = fixture.expected.cases.iter().cycle().take(13).collect();
    let tickets: Vec<Ticket> =
        cases.iter().map(|case| engine.submit(request(fixture.program(case))).unwrap()).collect();
    for (case, ticket) in cases.into_iter().zip(tickets) {
        let collected = collect(ticket);
        assert_golden(case, &collected.thoughts, &collected.first_logits, &collected.ids);
    }
}

/// An engine for [`all_at_once`].
pub(crate) fn crowded(rows_per_step: usize) -> EngineConfig {
    EngineConfig { rows_per_step, kv: KvBudget::Positions(2048), ..EngineConfig::default() }
}

#[derive(Default)]
pub(crate) struct Collected {
    pub(crate) thoughts: Vec<Vec<f32>>,
    pub(crate) first_logits: Vec<f32>,
    pub(crate) ids: Vec<u32>,
    pub(crate) reused: Reused,
}

pub(crate) fn start(fixture: Fixture, config: EngineConfig) -> Engine {
    Engine::start(fixture.host_model, config, Arc::new(Metrics::new())).unwrap()
}

#[expect(clippy::needless_pass_by_value, reason = "a request is made of it")]
pub(crate) fn request(program: Program) -> Request {
    of(program.script(Sampling::GREEDY))
}

pub(crate) fn of(script: Script) -> Request {
    Request {
        script,
        report: Report {
            top_thought_tokens: 3,
            thought_vectors: true,
            first_logits: true,
            logprobs: true,
            ..Report::default()
        },
        deadline: Instant::now() + Duration::from_secs(60),
    }
}

pub(crate) fn collect(mut ticket: Ticket) -> Collected {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(async {
        let mut collected = Collected::default();
        while let Some(event) = ticket.next().await {
            match event.kind {
                EventKind::Thought(thought) => collected.thoughts.push(thought.vector.unwrap()),
                EventKind::FirstLogits(logits) => collected.first_logits = logits,
                EventKind::Token(token) => collected.ids.push(token.id),
                EventKind::Finished(_) => return collected,
                EventKind::Failed(failure) => panic!("{failure}"),
                EventKind::Admitted(reused) => collected.reused = reused,
                EventKind::Prefilled
                | EventKind::Ended(_)
                | EventKind::Scored(_)
                | EventKind::Inside(_) => {}
            }
        }
        panic!("the engine went away");
    })
}
