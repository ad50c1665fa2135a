//! The requests that look into one question. Knows how they are put, not what is made of it all.

use crate::data::prosqa::record::Record;
use crate::engine::inside::Places;
use crate::engine::inside::Role;
use crate::engine::request::LensView;
use crate::engine::request::Report;
use crate::engine::request::Thought;
use crate::latent::script::Sampling;
use crate::probe::Asked;
use crate::probe::Error;
use crate::probe::Settings;
use crate::probe::seen::Edited;
use crate::probe::seen::Layer;
use crate::probe::seen::Means;
use crate::probe::seen::Seen;
use crate::probe::seen::Step;
use crate::reason::inside::Insides;
use crate::reason::inside::LensOf;
use crate::reason::question::Intervention;
use crate::reason::question::LatentSteps;
use crate::reason::question::Question;
use crate::reason::question::Saying;
use crate::reason::question::Then;
use crate::reason::question::Thinking;
use crate::reason::reasoner::Reasoner;
use crate::reason::scoring::Continuation;
use crate::reason::scoring::Scoring;
use crate::reason::types::Answer;
use crate::reason::types::Choice;
use std::collections::BTreeSet;
use std::time::Duration;

/// No answer takes so long; the engine's failures are told by itself.
const PATIENCE: Duration = Duration::from_secs(24 * 3600);

/// Everything but what comes of replacing thoughts.
pub(super) async fn see(
    reasoner: &Reasoner,
    asked: &Asked,
    settings: &Settings,
) -> Result<Seen, Error> {
    let said = Then::Say(Saying { max_tokens: settings.max_tokens, ..Saying::default() });
    let report = Report {
        top_thought_tokens: settings.top,
        thought_vectors: true,
        entropy: true,
        ..Report::default()
    };
    let mut said = question(asked, settings, said, report);
    said.inside = lens(settings);
    let said = answer(reasoner, asked, &said).await?;
    let scored = Then::Score(candidates(reasoner, asked));
    let scored = question(asked, settings, scored, Report::default());
    let scored = answer(reasoner, asked, &scored).await?;
    let of = |number: usize| -> Vec<f64> {
        let choices = scored.choices.iter().filter(|choice| choice.number == number);
        let sum = |choice: &Choice| {
            choice.scores.iter().map(|given| f64::from(given.scored.logprob)).sum()
        };
        choices.map(sum).collect()
    };
    let answers: Vec<String> = said.choices.iter().map(|choice| choice.answer.clone()).collect();
    let is_right = |said: &String| is_right(reasoner, asked, said);
    let graph = asked.graph.as_ref();
    let frontiers = graph.map(|graph| frontiers(reasoner, graph, &said.thoughts));
    Ok(Seen {
        number: asked.number,
        correct: answers.iter().map(is_right).collect(),
        answers,
        right: of(0),
        wrong: of(1),
        frontiers: frontiers.unwrap_or_default(),
        thoughts: steps(said),
    })
}

/// All layers, where thoughts are fed.
fn lens(settings: &Settings) -> Option<Insides> {
    let places = Places { latent: true, ..Places::default() };
    let lens = LensOf { top: settings.lens, normed: true, ..LensOf::default() };
    let inside = Insides { places, lens: Some(lens), ..Insides::default() };
    (settings.lens > 0).then_some(inside)
}

/// Thoughts with their layers.
fn steps(said: Answer) -> Vec<Step> {
    let mut steps: Vec<Step> = said.thoughts.into_iter().map(Step::from).collect();
    for (_, row) in said.insides {
        let Role::Latent(number) = row.role else { continue };
        if let Some(step) = (number as usize).checked_sub(1).and_then(|at| steps.get_mut(at)) {
            step.layers = row.lens.iter().map(Layer::from).collect();
        }
    }
    steps
}

/// What comes of replacing each thought with each of the edits.
pub(super) async fn edit(
    reasoner: &Reasoner,
    asked: &Asked,
    settings: &Settings,
    means: &Means,
) -> Result<Edited, Error> {
    let mut correct = Vec::new();
    for kind in &settings.edits {
        let mut by_step = Vec::new();
        for step in 1..=settings.latent_steps {
            by_step.push(match kind.at(step, means) {
                Some(one) => Some(is_right_with(reasoner, asked, settings, one).await?),
                None => None,
            });
        }
        correct.push(by_step);
    }
    Ok(Edited { number: asked.number, correct })
}

async fn is_right_with(
    reasoner: &Reasoner,
    asked: &Asked,
    settings: &Settings,
    intervention: Intervention,
) -> Result<bool, Error> {
    let said = Then::Say(Saying { max_tokens: settings.max_tokens, ..Saying::default() });
    let mut question = question(asked, settings, said, Report::default());
    question.thinking.steps = LatentSteps::Exactly(settings.latent_steps);
    question.thinking.interventions = vec![intervention];
    let said = answer(reasoner, asked, &question).await?;
    Ok(said.choices.first().is_some_and(|choice| is_right(reasoner, asked, &choice.answer)))
}

fn question(asked: &Asked, settings: &Settings, mut then: Then, report: Report) -> Question {
    let seed = settings.seed.wrapping_add(asked.number);
    if let Then::Say(saying) = &mut then {
        saying.sampling = Sampling { seed, ..Sampling::GREEDY };
    }
    let steps = LatentSteps::Sweep((0..=settings.latent_steps).collect());
    let thinking = Thinking { steps, seed, ..Thinking::default() };
    Question { then, report, thinking, ..Question::new(&asked.example.question, PATIENCE) }
}

async fn answer(reasoner: &Reasoner, asked: &Asked, question: &Question) -> Result<Answer, Error> {
    let failed = |reason| Error::Question { number: asked.number, reason };
    reasoner.answer(question).await.map_err(|error| failed(error.to_string()))
}

/// The right answer, and of a graph the other candidate, as the model would say them.
fn candidates(reasoner: &Reasoner, asked: &Asked) -> Scoring {
    let rule = reasoner.answer_rule();
    let text = |answer: &str| Continuation::Text(rule.written(answer));
    let other = asked.graph.as_ref().map(|graph| {
        let word = |node: usize| &graph.idx_to_symbol[node];
        text(&format!("{} is a {}.", word(graph.root), word(graph.neg_target)))
    });
    let continuations = std::iter::once(text(&asked.example.answer)).chain(other).collect();
    Scoring { prefix: String::new(), continuations }
}

fn is_right(reasoner: &Reasoner, asked: &Asked, said: &str) -> bool {
    let example = &asked.example;
    reasoner.answer_rule().is_right(said, &example.answer, &example.also)
}

/// Of each thought, what the head gives to the nodes that 0, 1 and so on hops lead to, as many as there are thoughts; a node
/// counts by the first token of its word.
fn frontiers(reasoner: &Reasoner, record: &Record, thoughts: &[Thought]) -> Vec<Vec<f32>> {
    let frontiers = record.graph().frontiers(record.root);
    let ids = |nodes: &Vec<usize>| -> BTreeSet<u32> {
        nodes.iter().filter_map(|&node| reasoner.first_id(&record.idx_to_symbol[node])).collect()
    };
    let mut ids: Vec<BTreeSet<u32>> = frontiers.iter().map(ids).collect();
    ids.resize(thoughts.len() + 1, BTreeSet::new());
    let mass = |thought: &Thought, ids: &BTreeSet<u32>| {
        let held = thought.top_tokens.iter().filter(|top| ids.contains(&top.id));
        held.map(|top| top.probability).sum()
    };
    thoughts.iter().map(|thought| ids.iter().map(|ids| mass(thought, ids)).collect()).collect()
}

impl From<Thought> for Step {
    fn from(thought: Thought) -> Self {
        let top = thought.top_tokens.iter().map(|top| (top.id, top.probability)).collect();
        let (vector, entropy) = (thought.vector.unwrap_or_default(), thought.entropy);
        Self { vector, entropy: entropy.unwrap_or(0.0), top, layers: Vec::new() }
    }
}

impl From<&LensView> for Layer {
    fn from(view: &LensView) -> Self {
        let top = view.top_tokens.iter().map(|top| (top.id, top.probability)).collect();
        Self { entropy: view.entropy, top }
    }
}
