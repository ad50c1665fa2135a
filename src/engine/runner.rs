//! The only one that touches the device: turns a plan into one forward pass. Knows rows and thoughts, no requests, no
//! sampling.

use crate::engine::sequence::Input;
use crate::engine::sequence::Segment;
use crate::engine::sequence::SequenceId;
use crate::engine::sequence::Yields;
use crate::model::attention::paged::KvMemory;
use crate::model::attention::rows::PagedRows;
use crate::model::attention::rows::Place;
use crate::model::config::Config;
use crate::model::pass::Output;
use crate::model::pass::Pass;
use crate::model::pass::Wanted;
use crate::model::serving::Served;
use candle_core::Result;
use std::collections::HashMap;
use std::sync::Arc;

/// Computes the rows of one step.
pub(crate) trait Run: Send {
    /// `shown[i]` asks for the head's view of the thought that `segments[i]` yields. Every thought that one call
    /// yields is fed in the next, or its sequence has ended. `output` is overwritten; its memory is used again.
    fn run(&mut self, segments: &[Segment], shown: &[bool], output: &mut StepOutput) -> Result<()>;

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
    Thought { thought: usize, logits: Option<usize> },
    Token { logits: usize },
}

/// Runs steps on a model.
#[derive(Debug)]
pub(crate) struct ModelRunner {
    model: Served,
    memory: KvMemory,
    /// Thoughts of the previous step (rows, D), and whose each row is.
    thoughts: Vec<f32>,
    thought_rows: HashMap<SequenceId, u32>,
    /// Those of them that this step feeds, in the order of its rows.
    fed: Vec<f32>,
}

impl ModelRunner {
    pub(crate) fn new(model: Served, memory: KvMemory) -> Self {
        Self { model, memory, thoughts: Vec::new(), thought_rows: HashMap::new(), fed: Vec::new() }
    }
}

impl Run for ModelRunner {
    fn run(&mut self, segments: &[Segment], shown: &[bool], output: &mut StepOutput) -> Result<()> {
        let Config { width, vocab_size, .. } = *self.model.config();
        let batch = Batch::new(segments, &self.thought_rows)?;
        self.fed.clear();
        for thought in &batch.thoughts {
            self.fed.extend_from_slice(match thought {
                Fed::Row(row) => &self.thoughts[*row as usize * width..][..width],
                Fed::Known(vector) => vector,
            });
        }
        let mut noted = Noted::default();
        output.yielded.clear();
        for ((segment, &shown), &row) in segments.iter().zip(shown).zip(&batch.last_rows) {
            output.yielded.push(noted.note(segment, shown, row));
        }
        // Logits of shown thoughts stand behind those of tokens.
        for yielded in &mut output.yielded {
            if let Yielded::Thought { logits: Some(row), .. } = yielded {
                *row += noted.tokens.len();
            }
        }
        let wanted =
            Wanted { thoughts: &noted.thoughts, tokens: &noted.tokens, shown: &noted.shown };
        let pass = Pass { ids: &batch.ids, thoughts: &self.fed, rows: &batch.rows, wanted };
        self.model.pass(&pass, &mut self.memory, &mut output.numbers)?;
        (output.width, output.vocab_size) = (width, vocab_size);
        self.thought_rows = noted.thought_of.iter().zip(0..).map(|(&id, row)| (id, row)).collect();
        self.thoughts.clone_from(&output.numbers.thoughts);
        Ok(())
    }

    fn reset(&mut self) {
        self.thoughts.clear();
        self.thought_rows.clear();
        self.fed.clear();
        self.model.reset();
    }
}

/// The flat batch of one step: rows of ids first, rows of thoughts behind them.
struct Batch<'a> {
    ids: Vec<u32>,
    /// The thoughts that are fed.
    thoughts: Vec<Fed<'a>>,
    rows: PagedRows,
    /// For each segment, its last row.
    last_rows: Vec<u32>,
}

/// A thought that is fed.
enum Fed<'a> {
    /// Its row among the previous step's thoughts.
    Row(u32),
    /// (D,)
    Known(&'a [f32]),
}

impl<'a> Batch<'a> {
    fn new(segments: &'a [Segment], thought_rows: &HashMap<SequenceId, u32>) -> Result<Self> {
        let inputs = segments.iter().flat_map(|segment| &segment.inputs);
        let id_rows = inputs.filter(|input| matches!(input, Input::Id(_))).count();
        let mut batch = Self {
            ids: Vec::with_capacity(id_rows),
            thoughts: Vec::new(),
            rows: PagedRows::default(),
            last_rows: Vec::with_capacity(segments.len()),
        };
        let mut thought_places = Vec::new();
        for (table, segment) in segments.iter().enumerate() {
            batch.rows.tables.push(Arc::clone(&segment.table));
            let mut last_row = 0;
            for (input, position) in segment.inputs.iter().zip(segment.start..) {
                let thought = match input {
                    Input::Id(id) => {
                        last_row = batch.ids.len();
                        batch.ids.push(*id);
                        batch.rows.places.push(Place { table, position });
                        continue;
                    }
                    Input::Thought => Fed::Row(last_thought(segment, thought_rows)?),
                    Input::Known(vector) => Fed::Known(vector),
                };
                last_row = id_rows + batch.thoughts.len();
                batch.thoughts.push(thought);
                thought_places.push(Place { table, position });
            }
            batch.last_rows.push(last_row as u32);
        }
        batch.rows.places.extend(thought_places);
        Ok(batch)
    }
}

/// The row of the thought that the sequence's last segment yielded.
fn last_thought(segment: &Segment, thought_rows: &HashMap<SequenceId, u32>) -> Result<u32> {
    let id = segment.sequence;
    match thought_rows.get(&id) {
        Some(&row) => Ok(row),
        None => candle_core::bail!("sequence {id} feeds a thought that it does not have"),
    }
}

/// What the segments of a step want of its rows.
#[derive(Default)]
struct Noted {
    /// Rows that become thoughts, and of whom.
    thoughts: Vec<u32>,
    thought_of: Vec<SequenceId>,
    /// Rows that answer tokens come from.
    tokens: Vec<u32>,
    /// Which of the thoughts the head is applied to.
    shown: Vec<u32>,
}

impl Noted {
    fn note(&mut self, segment: &Segment, shown: bool, row: u32) -> Yielded {
        match segment.yields {
            Yields::Nothing => Yielded::Nothing,
            Yields::Token => {
                self.tokens.push(row);
                Yielded::Token { logits: self.tokens.len() - 1 }
            }
            Yields::Thought => {
                let thought = self.thoughts.len();
                self.thoughts.push(row);
                self.thought_of.push(segment.sequence);
                let logits = shown.then(|| {
                    self.shown.push(thought as u32);
                    self.shown.len() - 1
                });
                Yielded::Thought { thought, logits }
            }
        }
    }
}
