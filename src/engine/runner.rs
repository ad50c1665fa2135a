//! The only one that touches the device: turns a plan into one forward pass. Knows rows and vectors, no requests, no
//! sampling; what is made of rows that are looked into is said elsewhere.

use crate::engine::peek::Wish;
use crate::engine::peek::peeked;
use crate::engine::plan::Input;
use crate::engine::plan::Plan;
use crate::engine::plan::Segment;
use crate::engine::plan::Yields;
use crate::engine::request::InsideRow;
use crate::model::attention::paged::KvMemory;
use crate::model::attention::rows::PagedRows;
use crate::model::attention::rows::Place;
use crate::model::config::Config;
use crate::model::look::Look;
use crate::model::pass::Output;
use crate::model::pass::Pass;
use crate::model::pass::Wanted;
use crate::model::serving::Served;
use candle_core::Result;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Computes the rows of one step.
pub(crate) trait Run: Send {
    /// `wishes[i]` is what is wanted of the plan's segment i beside what it yields. `output` is overwritten; its memory is
    /// used again.
    fn run(&mut self, plan: &Plan, wishes: &[Wish], output: &mut StepOutput) -> Result<()>;

    /// Forgets what earlier calls left behind: one of them ended midway. What is in KV memory stays, and is not read by
    /// sequences that begin later.
    fn reset(&mut self);
}

/// What one step gives.
#[derive(Debug, Default)]
pub(crate) struct StepOutput {
    /// One entry a segment.
    pub(crate) yielded: Vec<Yielded>,
    /// Thoughts and logits, row by row.
    pub(crate) numbers: Output,
    /// By number of segment, in order of positions; of most there is nothing.
    pub(crate) insides: BTreeMap<usize, Vec<InsideRow>>,
    /// D
    pub(crate) width: usize,
    /// V
    pub(crate) vocab_size: usize,
}

impl StepOutput {
    /// A thought (D,)
    pub(crate) fn thought(&self, row: usize) -> &[f32] {
        &self.numbers.thoughts[row * self.width..][..self.width]
    }

    /// Logits (V,)
    pub(crate) fn logits(&self, row: usize) -> &[f32] {
        &self.numbers.logits[row * self.vocab_size..][..self.vocab_size]
    }
}

/// What a segment gave, as row numbers into the step's thoughts and logits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Yielded {
    Nothing,
    Thought {
        thought: usize,
        logits: Option<usize>,
    },
    Token {
        logits: usize,
    },
    /// So many rows of logits, from this one on.
    Scores {
        logits: usize,
        count: usize,
    },
}

/// Runs steps on a model.
#[derive(Debug)]
pub(crate) struct ModelRunner {
    model: Served,
    memory: KvMemory,
    /// Vectors that a step feeds, in the order of its rows; kept for its memory.
    fed: Vec<f32>,
}

impl ModelRunner {
    pub(crate) fn new(model: Served, memory: KvMemory) -> Self {
        Self { model, memory, fed: Vec::new() }
    }
}

impl Run for ModelRunner {
    fn run(&mut self, plan: &Plan, wishes: &[Wish], output: &mut StepOutput) -> Result<()> {
        let Config { width, vocab_size, .. } = *self.model.config();
        self.memory.copy(&plan.copies)?;
        let batch = Batch::new(&plan.segments);
        self.fed.clear();
        batch.vectors.iter().for_each(|vector| self.fed.extend_from_slice(vector));
        let mut noted = Noted::default();
        output.yielded.clear();
        let mut rows = &batch.last_rows[..];
        for (segment, wish) in plan.segments.iter().zip(wishes) {
            let (last, others) = rows.split_at(last_rows(segment));
            output.yielded.push(noted.note(segment.yields, wish.shown, last));
            rows = others;
        }
        // Logits of shown thoughts stand behind those of tokens.
        for yielded in &mut output.yielded {
            if let Yielded::Thought { logits: Some(row), .. } = yielded {
                *row += noted.tokens.len();
            }
        }
        let peeked = peeked(&plan.segments, wishes, &batch.rows.places);
        let looks: Vec<Look<'_>> = peeked.iter().map(|peeked| peeked.look).collect();
        let Noted { thoughts, tokens, shown } = &noted;
        let wanted = Wanted { thoughts, tokens, shown, looks: &looks };
        let pass = Pass { ids: &batch.ids, thoughts: &self.fed, rows: &batch.rows, wanted };
        self.model.pass(&pass, &mut self.memory, &mut output.numbers)?;
        (output.width, output.vocab_size) = (width, vocab_size);
        output.insides.clear();
        for (peeked, seen) in peeked.iter().zip(output.numbers.seen.drain(..)) {
            let row = peeked.told(seen, |states, normed| self.model.lens(states, normed))?;
            output.insides.entry(peeked.segment).or_default().push(row);
        }
        Ok(())
    }

    fn reset(&mut self) {
        self.fed.clear();
        self.model.reset();
    }
}

/// How many rows at its end something may be wanted of.
fn last_rows(segment: &Segment) -> usize {
    match segment.yields {
        Yields::Scores(count) => count,
        Yields::Nothing | Yields::Thought | Yields::Token => 1,
    }
}

/// The flat batch of one step: rows of ids first, rows of vectors behind them.
struct Batch<'a> {
    ids: Vec<u32>,
    /// The vectors that are fed, each (D,).
    vectors: Vec<&'a [f32]>,
    rows: PagedRows,
    /// Segment by segment, its last rows, as many as `last_rows` says.
    last_rows: Vec<u32>,
}

impl<'a> Batch<'a> {
    fn new(segments: &'a [Segment]) -> Self {
        let inputs = segments.iter().flat_map(|segment| &segment.inputs);
        let id_rows = inputs.filter(|input| matches!(input, Input::Id(_))).count();
        let mut batch = Self {
            ids: Vec::with_capacity(id_rows),
            vectors: Vec::new(),
            rows: PagedRows::default(),
            last_rows: Vec::with_capacity(segments.len()),
        };
        let mut vector_places = Vec::new();
        for (table, segment) in segments.iter().enumerate() {
            batch.rows.tables.push(Arc::clone(&segment.table));
            let first_wanted = segment.rows() - last_rows(segment);
            for (index, input) in segment.inputs.iter().enumerate() {
                let place = Place { table, position: segment.start + index };
                let row = match input {
                    Input::Id(id) => {
                        batch.ids.push(*id);
                        batch.rows.places.push(place);
                        batch.ids.len() - 1
                    }
                    Input::Thought(vector) | Input::Known(vector) => {
                        batch.vectors.push(vector);
                        vector_places.push(place);
                        id_rows + batch.vectors.len() - 1
                    }
                };
                if index >= first_wanted {
                    batch.last_rows.push(row as u32);
                }
            }
        }
        batch.rows.places.extend(vector_places);
        batch
    }
}

/// What the segments of a step want of its rows.
#[derive(Default)]
struct Noted {
    /// Rows that become thoughts.
    thoughts: Vec<u32>,
    /// Rows that answer tokens and scores come from.
    tokens: Vec<u32>,
    /// Which of the thoughts the head is applied to.
    shown: Vec<u32>,
}

impl Noted {
    fn note(&mut self, yields: Yields, shown: bool, rows: &[u32]) -> Yielded {
        let (thought, token) = (self.thoughts.len(), self.tokens.len());
        match yields {
            Yields::Nothing => Yielded::Nothing,
            Yields::Token => {
                self.tokens.extend(rows);
                Yielded::Token { logits: token }
            }
            Yields::Scores(count) => {
                self.tokens.extend(rows);
                Yielded::Scores { logits: token, count }
            }
            Yields::Thought => {
                self.thoughts.extend(rows);
                let logits = shown.then(|| {
                    self.shown.push(thought as u32);
                    self.shown.len() - 1
                });
                Yielded::Thought { thought, logits }
            }
        }
    }
}
