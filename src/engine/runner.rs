//! The only one that touches the device: turns a plan into one forward pass and its results into plain numbers. Knows
//! rows and thoughts, no requests, no sampling.

use crate::engine::sequence::Segment;
use crate::engine::sequence::SequenceId;
use crate::engine::sequence::Yields;
use crate::model::Model;
use crate::model::attention::paged::KvMemory;
use crate::model::attention::paged::Paged;
use crate::model::attention::paged::PagedRows;
use crate::model::attention::paged::Place;
use crate::model::ops::Kernels;
use candle_core::DType;
use candle_core::Result;
use candle_core::Tensor;
use std::collections::HashMap;
use std::sync::Arc;

/// Computes the rows of one step.
pub(crate) trait Run: Send {
    /// `shown[i]` asks for the head's view of the thought that `segments[i]` yields. Every thought that one call
    /// yields is fed in the next, or its sequence has ended.
    fn run(&mut self, segments: &[Segment], shown: &[bool]) -> Result<StepOutput>;
}

/// What one step gives, on the host.
#[derive(Debug, Default)]
pub(crate) struct StepOutput {
    /// One entry a segment.
    pub(crate) yielded: Vec<Yielded>,
    /// Thoughts (rows, D).
    pub(crate) thoughts: Rows,
    /// Logits (rows, V).
    pub(crate) logits: Rows,
}

/// What a segment gave, as row numbers into the step's thoughts and logits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Yielded {
    Nothing,
    Thought { thought: usize, logits: Option<usize> },
    Token { logits: usize },
}

/// A matrix on the host.
#[derive(Debug, Default)]
pub(crate) struct Rows {
    data: Vec<f32>,
    width: usize,
}

impl Rows {
    /// `data` cut into rows of `width`.
    pub(crate) fn new(data: Vec<f32>, width: usize) -> Self {
        Self { data, width }
    }

    pub(crate) fn row(&self, row: usize) -> &[f32] {
        &self.data[row * self.width..][..self.width]
    }

    /// x (rows, width), or no rows at all.
    fn read(x: Option<&Tensor>) -> Result<Self> {
        let Some(x) = x else { return Ok(Self::default()) };
        let (_, width) = x.dims2()?;
        Ok(Self::new(x.to_dtype(DType::F32)?.flatten_all()?.to_vec1()?, width))
    }
}

/// Runs steps on a model.
#[derive(Debug)]
pub(crate) struct ModelRunner {
    model: Model,
    memory: KvMemory,
    /// Thoughts of the previous step (rows, D), and whose each row is.
    thoughts: Option<Tensor>,
    thought_rows: HashMap<SequenceId, u32>,
}

impl ModelRunner {
    pub(crate) fn new(model: Model, memory: KvMemory) -> Self {
        Self { model, memory, thoughts: None, thought_rows: HashMap::new() }
    }

    /// The input rows: embeddings of all ids, then all thoughts that are fed. Order within a step is free, because
    /// every row carries its own place.
    fn input(&self, batch: &Batch) -> Result<Tensor> {
        let mut parts = Vec::with_capacity(2);
        if !batch.ids.is_empty() {
            parts.push(self.model.embed(&batch.ids)?);
        }
        if let (Some(thoughts), false) = (&self.thoughts, batch.thoughts.is_empty()) {
            let all_in_order = batch.thoughts.iter().copied().eq(0..thoughts.dim(0)? as u32);
            parts.push(match all_in_order {
                true => thoughts.clone(),
                false => select(thoughts, &batch.thoughts)?,
            });
        }
        match &parts[..] {
            [one] => Ok(one.clone()),
            parts => Tensor::cat(parts, 0),
        }
    }

    fn step(&mut self, segments: &[Segment], shown: &[bool]) -> Result<StepOutput> {
        let batch = Batch::new(segments, &self.thought_rows)?;
        let x = self.input(&batch)?;
        let positions: Vec<u32> =
            batch.rows.places.iter().map(|place| place.position as u32).collect();
        let mut attention = Paged { memory: &mut self.memory, rows: &batch.rows };
        let hidden = self.model.forward(&x, &positions, &mut attention, Kernels::Fused)?;

        let mut wanted = Wanted::default();
        let yielded = segments
            .iter()
            .zip(shown)
            .zip(&batch.last_rows)
            .map(|((segment, &shown), &row)| wanted.note(segment, shown, row))
            .collect();
        self.thought_rows = wanted.thought_of.iter().zip(0..).map(|(&id, row)| (id, row)).collect();
        self.thoughts = match wanted.thoughts.is_empty() {
            true => None,
            false => {
                let hidden = select(&hidden, &wanted.thoughts)?;
                Some(self.model.thought(&hidden, Kernels::Fused)?)
            }
        };
        let heads = [
            match wanted.tokens.is_empty() {
                true => None,
                false => Some(select(&hidden, &wanted.tokens)?),
            },
            match (&self.thoughts, wanted.shown.is_empty()) {
                (Some(thoughts), false) => Some(select(thoughts, &wanted.shown)?),
                _ => None,
            },
        ];
        let heads: Vec<Tensor> = heads.into_iter().flatten().collect();
        let logits = match heads.is_empty() {
            true => None,
            false => Some(self.model.logits(&Tensor::cat(&heads, 0)?)?),
        };
        let mut output = StepOutput {
            yielded,
            thoughts: Rows::read(self.thoughts.as_ref())?,
            logits: Rows::read(logits.as_ref())?,
        };
        // Logits of shown thoughts stand behind those of tokens.
        for yielded in &mut output.yielded {
            if let Yielded::Thought { logits: Some(row), .. } = yielded {
                *row += wanted.tokens.len();
            }
        }
        Ok(output)
    }
}

impl Run for ModelRunner {
    fn run(&mut self, segments: &[Segment], shown: &[bool]) -> Result<StepOutput> {
        // Keeps candle's worker threads awake from one operation to the next.
        let device = self.model.device().clone();
        device.with_context(|| self.step(segments, shown))
    }
}

/// The flat batch of one step: rows of ids first, rows of thoughts behind them.
struct Batch {
    ids: Vec<u32>,
    /// For each thought that is fed, its row among the previous step's thoughts.
    thoughts: Vec<u32>,
    rows: PagedRows,
    /// For each segment, its last row.
    last_rows: Vec<u32>,
}

impl Batch {
    fn new(segments: &[Segment], thought_rows: &HashMap<SequenceId, u32>) -> Result<Self> {
        let id_rows: usize = segments.iter().map(|segment| segment.ids.len()).sum();
        let mut batch = Self {
            ids: Vec::with_capacity(id_rows),
            thoughts: Vec::new(),
            rows: PagedRows::default(),
            last_rows: Vec::with_capacity(segments.len()),
        };
        let mut thought_places = Vec::new();
        for (table, segment) in segments.iter().enumerate() {
            batch.rows.tables.push(Arc::clone(&segment.table));
            let mut position = segment.start;
            if segment.feeds_thought {
                let Some(&row) = thought_rows.get(&segment.sequence) else {
                    candle_core::bail!(
                        "sequence {} feeds a thought that it does not have",
                        segment.sequence
                    );
                };
                batch.last_rows.push((id_rows + batch.thoughts.len()) as u32);
                batch.thoughts.push(row);
                thought_places.push(Place { table, position });
                position += 1;
            }
            for &id in &segment.ids {
                batch.ids.push(id);
                batch.rows.places.push(Place { table, position });
                position += 1;
            }
            match (segment.feeds_thought, segment.ids.is_empty()) {
                (true, true) => {}
                (true, false) => batch.last_rows[table] = batch.ids.len() as u32 - 1,
                (false, _) => batch.last_rows.push(batch.ids.len() as u32 - 1),
            }
        }
        batch.rows.places.extend(thought_places);
        Ok(batch)
    }
}

/// Rows of the hidden states that are needed on the host or fed back.
#[derive(Default)]
struct Wanted {
    /// Rows that become thoughts, and of whom.
    thoughts: Vec<u32>,
    thought_of: Vec<SequenceId>,
    /// Rows that answer tokens come from.
    tokens: Vec<u32>,
    /// Which of the thoughts the head is applied to.
    shown: Vec<u32>,
}

impl Wanted {
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

/// x (R, D) -> those of its rows (rows, D)
fn select(x: &Tensor, rows: &[u32]) -> Result<Tensor> {
    x.index_select(&Tensor::new(rows, x.device())?, 0)
}
