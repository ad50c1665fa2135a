//! What is inside the model at the rows of a request: as a whole pass over the whole sequence has it, alone and with
//! everything mixed, by packed weights and by the chain of tensors; and nothing else changes for those who look or do not.

use crate::parity::crowded;
use crate::parity::fixtures;
use crate::parity::of;
use crate::parity::start;
use crate::scripts::leaf;
use crate::scripts::script;
use crate::scripts::sweep;
use crate::scripts::think;
use crate::scripts::vector;
use crate::support::Fixture;
use crate::support::TOLERANCE;
use crate::support::distance;
use candle_core::Result;
use candle_core::Tensor;
use coconut::engine::Engine;
use coconut::engine::Ticket;
use coconut::engine::inside::Inside;
use coconut::engine::inside::Lens;
use coconut::engine::inside::Places;
use coconut::engine::inside::Role;
use coconut::engine::request::EventKind;
use coconut::engine::request::InsideRow;
use coconut::engine::request::LensView;
use coconut::engine::request::Request;
use coconut::latent::edits::Edits;
use coconut::latent::generate::Generated;
use coconut::latent::generate::walk;
use coconut::latent::program::Program;
use coconut::latent::script::Act;
use coconut::latent::script::Branch;
use coconut::latent::script::Fed;
use coconut::latent::script::Sampling;
use coconut::latent::script::ScoredAs;
use coconut::latent::script::Script;
use coconut::latent::script::StopRule;
use coconut::latent::script::ids;
use coconut::model::Model;
use coconut::model::attention::Attention;
use coconut::model::attention::causal::Causal;
use coconut::model::ops::Kernels;
use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

/// As many tokens as a lens shows.
const TOP: usize = 3;

// ===== the slow truth =====

/// Causal attention over one sequence that keeps all that passes by.
struct Recording {
    causal: Causal,
    /// By layer, (T, D).
    states: Vec<Vec<Vec<f32>>>,
    /// By block, row and head, (T,).
    weights: Vec<Vec<Vec<Vec<f32>>>>,
}

impl Attention for Recording {
    fn attend(&mut self, layer: usize, q: &Tensor, k: &Tensor, v: &Tensor) -> Result<Tensor> {
        let (queries, keys) = (q.to_vec3::<f32>()?, k.to_vec3::<f32>()?);
        let of_head = |row: usize, head: usize| {
            let group = queries[row].len() / keys[row].len();
            let q = &queries[row][head];
            let dot = |k: &Vec<f32>| q.iter().zip(k).map(|(&a, &b)| f64::from(a * b)).sum::<f64>();
            let score = |at: usize| dot(&keys[at][head / group]) / (q.len() as f64).sqrt();
            let scores: Vec<f64> = (0..=row).map(score).collect();
            probabilities(&scores).iter().map(|&p| p as f32).collect()
        };
        let of_row = |row: usize| (0..queries[row].len()).map(|head| of_head(row, head)).collect();
        self.weights.push((0..queries.len()).map(of_row).collect());
        self.causal.attend(layer, q, k, v)
    }

    fn pass(&mut self, layer: usize, x: &Tensor) -> Result<()> {
        assert_eq!(layer, self.states.len());
        self.states.push(x.to_vec2()?);
        Ok(())
    }
}

pub(crate) fn probabilities(scores: &[f64]) -> Vec<f64> {
    let max = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let total: f64 = scores.iter().map(|score| (score - max).exp()).sum();
    scores.iter().map(|score| (score - max).exp() / total).collect()
}

/// What the head makes of a row, in f64.
struct View {
    logits: Vec<f64>,
    p: Vec<f64>,
    /// The largest of them, in order.
    top: Vec<f32>,
    entropy: f32,
}

impl View {
    fn of(logits: &[f32]) -> Self {
        let logits: Vec<f64> = logits.iter().map(|&logit| f64::from(logit)).collect();
        let p = probabilities(&logits);
        let mut sorted = p.clone();
        sorted.sort_by(|a, b| b.total_cmp(a));
        let top = sorted[..TOP].iter().map(|&p| p as f32).collect();
        let entropy = p.iter().filter(|&&p| p > 0.0).map(|p| -p * p.ln()).sum::<f64>() as f32;
        Self { logits, p, top, entropy }
    }
}

/// One pass over a whole sequence.
fn record(model: &Model, inputs: &[Fed]) -> Recording {
    let row = |input: &Fed| match input {
        Fed::Id(id) => model.embed(&[*id]).unwrap(),
        Fed::Vector(x) => Tensor::from_slice(x, (1, x.len()), model.device()).unwrap(),
    };
    let rows: Vec<Tensor> = inputs.iter().map(row).collect();
    let positions: Vec<u32> = (0..rows.len() as u32).collect();
    let causal = Causal::new(1, rows.len(), model.device()).unwrap();
    let mut recording = Recording { causal, states: Vec::new(), weights: Vec::new() };
    let x = Tensor::cat(&rows, 0).unwrap();
    model.forward(&x, &positions, &mut recording, Kernels::Differentiable).unwrap();
    recording
}

/// What has to be told of a branch.
struct Truth {
    expected: Vec<(Role, usize)>,
    recording: Recording,
    /// By layer and row: of the state itself, and past the final norm.
    views: BTreeMap<(usize, usize), [View; 2]>,
}

impl Truth {
    fn of(model: &Model, Walked { inputs, fed }: Walked, layers: &[usize]) -> Self {
        let expected = fed.filter_map(|at| Some((inputs[at].0?, at))).collect();
        let inputs: Vec<Fed> = inputs.into_iter().map(|(_, fed)| fed).collect();
        let recording = record(model, &inputs);
        let mut truth = Self { expected, recording, views: BTreeMap::new() };
        for &(_, row) in &truth.expected {
            for &layer in layers {
                let state = &truth.recording.states[layer][row];
                let state = Tensor::from_slice(state, (1, state.len()), model.device()).unwrap();
                let normed = model.norm(&state, Kernels::Differentiable).unwrap();
                let view =
                    |x| View::of(&model.logits(x).unwrap().squeeze(0).unwrap().to_vec1().unwrap());
                truth.views.insert((layer, row), [view(&state), view(&normed)]);
            }
        }
        truth
    }

    /// Of every branch, by the oracle.
    fn of_branches(model: &Model, script: &Script) -> Vec<Self> {
        let branches = walked(script, &walk(model, script).unwrap()).into_iter();
        let Inside { layers, .. } = everything(model, true);
        branches.map(|branch| Self::of(model, branch, &layers)).collect()
    }
}

/// Everything that a branch knows once it is over, with what each input is fed as, and which of these it feeds itself.
struct Walked {
    inputs: Vec<(Option<Role>, Fed)>,
    fed: Range<usize>,
}

/// All branches of a script whose answers end by their length, given what the oracle made of each.
fn walked(script: &Script, given: &[Generated]) -> Vec<Walked> {
    fn follow(
        branch: &Branch,
        (mut inputs, mut steps): (Vec<(Option<Role>, Fed)>, u32),
        given: &[Generated],
        all: &mut Vec<Walked>,
    ) {
        let from = inputs.len().saturating_sub(1);
        let Generated { thoughts, ids, .. } = &given[all.len()];
        let (mut thoughts, mut said) = (thoughts.iter(), ids.iter());
        let answer = |(i, &id): (u32, &u32)| (Some(Role::Answer(i)), Fed::Id(id));
        // Where something was decided last: what is known behind it is fed by those that go on from there, if any does.
        let mut decided = from;
        for (act, number) in branch.acts.iter().zip(0..) {
            match act {
                Act::Feed(known) => {
                    let is_prompt = inputs.is_empty() && number == 0;
                    let marker = |(i, fed): (u32, &Fed)| (Some(Role::Marker(i)), fed.clone());
                    inputs.extend((0..).zip(known).map(marker));
                    if is_prompt {
                        inputs.iter_mut().for_each(|(role, _)| *role = None);
                        inputs.last_mut().unwrap().0 = Some(Role::Prompt);
                    }
                }
                Act::Think(think) => {
                    for thought in thoughts.by_ref().take(think.until.most()) {
                        steps += 1;
                        decided = inputs.len();
                        inputs.push((Some(Role::Latent(steps)), Fed::Vector(thought[..].into())));
                    }
                }
                Act::Say(say) => {
                    inputs.extend((0..).zip(said.by_ref().take(say.max_tokens)).map(answer));
                    decided = inputs.len() - 1;
                }
                Act::Pause(..) => unreachable!(),
                Act::Score(ids, _) => {
                    inputs.extend((0..).zip(ids).map(answer));
                    decided = inputs.len() - 1;
                }
            }
        }
        let end = if branch.branches.is_empty() { decided } else { inputs.len() - 1 };
        let fed = from..end;
        all.push(Walked { inputs: inputs.clone(), fed });
        for branch in &branch.branches {
            follow(branch, (inputs.clone(), steps), given, all);
        }
    }
    let mut all = Vec::new();
    follow(&script.root, (Vec::new(), 0), given, &mut all);
    all
}

// ===== what is told =====

/// All that is told, branch by branch.
pub(crate) fn told(mut ticket: Ticket) -> BTreeMap<usize, Vec<EventKind>> {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let mut all = BTreeMap::<usize, Vec<_>>::new();
    runtime.block_on(async {
        while let Some(event) = ticket.next().await {
            if let EventKind::Failed(failure) = event.kind {
                panic!("{failure}");
            }
            all.entry(event.branch).or_default().push(event.kind);
        }
    });
    all
}

pub(crate) fn insides(events: &[EventKind]) -> Vec<InsideRow> {
    let inside = |event: &EventKind| match event {
        EventKind::Inside(row) => Some(row.clone()),
        _ => None,
    };
    events.iter().filter_map(inside).collect()
}

/// All of it, in an order of its own.
pub(crate) fn everything(model: &Model, normed: bool) -> Inside {
    let config = model.config();
    Inside {
        layers: vec![config.layers, 0, 1],
        places: Places::ALL,
        hidden_states: true,
        lens: Some(Lens { top: TOP, ranked: vec![7, 1], normed }),
        attention: Some(vec![config.heads - 1, 0]),
    }
}

pub(crate) fn looking(script: &Script, inside: &Inside) -> Request {
    let mut request = of(script.clone());
    request.report.inside = Some(Arc::new(inside.clone()));
    request
}

// ===== the comparison =====

fn close(ours: &[f32], truth: &[f32], what: &str) {
    let off = distance(ours, truth) / truth.iter().fold(1.0f32, |size, x| size.max(x.abs()));
    assert!(off < TOLERANCE, "{what} is off by {off}");
}

fn same_view(view: &LensView, (truth, lens): (&View, &Lens), what: &str) {
    let View { logits: wide, p, .. } = truth;
    let top: Vec<f32> = view.top_tokens.iter().map(|top| top.probability).collect();
    close(&top, &truth.top, what);
    for top in &view.top_tokens {
        close(&[top.probability], &[p[top.id as usize] as f32], what);
    }
    close(&[view.entropy], &[truth.entropy], &format!("entropy of {what}"));
    assert_eq!(view.ranked.len(), lens.ranked.len());
    for (ours, &id) in view.ranked.iter().zip(&lens.ranked) {
        assert_eq!(ours.id, id);
        close(&[ours.logprob], &[p[id as usize].ln() as f32], what);
        // Of ids whose logits are as good as equal, either may come first.
        let slack = 2e-3 * wide.iter().fold(1.0f64, |size, x| size.max(x.abs()));
        let above = |slack: f64| wide.iter().filter(|&&l| l > wide[id as usize] + slack).count();
        assert!((above(slack)..=above(-slack)).contains(&ours.rank), "{what}: rank {}", ours.rank);
    }
}

fn same_row(model: &Model, inside: &Inside, ours: &InsideRow, truth: &Truth) {
    let (row, width) = (ours.position, model.config().width);
    let what = |of: &str, layer| format!("{of} of {:?} at {row}, layer {layer}", ours.role);
    let lens = inside.lens.as_ref().unwrap();
    assert_eq!(ours.hidden_states.len(), inside.layers.len() * width);
    assert_eq!(ours.lens.len(), inside.layers.len());
    let states = ours.hidden_states.chunks(width).zip(&ours.lens);
    for (&layer, (state, view)) in inside.layers.iter().zip(states) {
        close(state, &truth.recording.states[layer][row], &what("state", layer));
        let truth = &truth.views[&(layer, row)][usize::from(lens.normed)];
        same_view(view, (truth, lens), &what("lens", layer));
    }
    let blocks = inside.layers.iter().filter(|&&layer| layer > 0);
    let heads = inside.attention.as_ref().unwrap();
    let asked = blocks.flat_map(|&layer| heads.iter().map(move |&head| (layer, head)));
    let mut weights = ours.attention.chunks(row + 1);
    for (layer, head) in asked {
        let truth = &truth.recording.weights[layer - 1][row][head];
        close(weights.next().unwrap(), truth, &what("attention", layer));
    }
    assert!(weights.next().is_none());
}

fn assert_insides(
    model: &Model,
    (truths, inside): (&[Truth], &Inside),
    told: &BTreeMap<usize, Vec<EventKind>>,
) {
    for (number, truth) in truths.iter().enumerate() {
        let rows = told.get(&number).map(|events| insides(events)).unwrap_or_default();
        told.get(&number).into_iter().for_each(|events| assert_order(events));
        let found: Vec<_> = rows.iter().map(|row| (row.role, row.position)).collect();
        assert_eq!(found, truth.expected, "branch {number}");
        rows.iter().for_each(|row| same_row(model, inside, row, truth));
    }
}

/// A row comes after what it feeds was decided, and before what is decided there; none before the prompt is read.
fn assert_order(events: &[EventKind]) {
    let (mut decided, mut is_read) = (None, true);
    for event in events {
        match event {
            EventKind::Admitted(_) => is_read = false,
            EventKind::Prefilled => is_read = true,
            EventKind::Thought(thought) => decided = Some(thought.step),
            EventKind::Inside(row) => {
                assert!(is_read, "{:?} before the end of the prompt", row.role);
                if let (Role::Latent(step), Some(decided)) = (row.role, decided) {
                    assert_eq!(step as usize, decided);
                }
            }
            _ => {}
        }
    }
}

/// Whose answers end by their length.
pub(crate) fn program(fixture: &Fixture) -> Program {
    let program = fixture.program(&fixture.expected.cases[0]);
    Program { latent_steps: 2, max_tokens: 4, stop: StopRule::NEVER, ..program }
}

/// Thoughts, markers, answers, continuations, observations and vectors, and forks at every kind of place.
fn scripts(fixture: &Fixture) -> Vec<Script> {
    let program = program(fixture);
    let some =
        |count: usize| -> Vec<u32> { program.prompt.iter().copied().cycle().take(count).collect() };
    let score = |count: usize| leaf(vec![Act::Score(some(count), ScoredAs::Answer)]);
    let mut observed = ids(&some(20));
    observed.push(Fed::Vector(vector(fixture.model.config().width, 0.1)));
    let observed = leaf(vec![Act::Feed(observed), think(1, vec![]), Act::Feed(ids(&[1, 2]))]);
    vec![
        program.script(Sampling::GREEDY),
        // So many markers that the end of the prompt is computed steps before anything is decided.
        Program { latent_steps: 0, forced: some(40), ..program.clone() }.script(Sampling::GREEDY),
        Program { latent_steps: 0, ..program.clone() }.script(Sampling::GREEDY),
        sweep(&program, 2, &Edits::default()),
        script(&program, vec![], vec![score(1), score(20)]),
        script(&program, vec![Act::Feed(ids(&some(20))), think(1, vec![])], vec![score(2)]),
        script(&program, vec![think(1, vec![])], vec![score(3), observed]),
    ]
}

/// Every script alone and all at once, next to one whole pass over what it fed.
pub(crate) fn looks_inside(fixture: &Fixture, engines: &[Engine]) {
    let (model, scripts) = (&fixture.model, scripts(fixture));
    let truths: Vec<_> = scripts.iter().map(|script| Truth::of_branches(model, script)).collect();
    for (engine, normed) in engines.iter().zip([true, false].into_iter().cycle()) {
        let inside = everything(model, normed);
        let submit = |script: &Script| engine.submit(looking(script, &inside)).unwrap();
        for (script, truths) in scripts.iter().zip(&truths) {
            assert_insides(model, (truths, &inside), &told(submit(script)));
        }
        let others = scripts.iter().map(|script| engine.submit(of(script.clone())).unwrap());
        let _others: Vec<Ticket> = others.collect();
        let tickets: Vec<Ticket> = scripts.iter().map(submit).collect();
        for (truths, ticket) in truths.iter().zip(tickets) {
            assert_insides(model, (truths, &inside), &told(ticket));
        }
    }
}

#[test]
fn what_is_inside_is_what_one_whole_pass_computes() {
    for name in fixtures() {
        let engines = [1, 7, 64].map(|rows| start(Fixture::load(name), crowded(rows)));
        looks_inside(&Fixture::load(name), &engines);
    }
}
