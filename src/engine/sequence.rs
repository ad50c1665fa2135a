//! One request inside the engine, as a state machine over positions. Knows what it wants computed next and what the
//! outcome means; touches no tensor.

use crate::engine::pages::Reservation;
use crate::engine::request::Finish;
use crate::latent::program::Program;
use std::sync::Arc;

/// The number of a sequence, unique within an engine.
pub(crate) type SequenceId = u64;

/// A running request.
#[derive(Debug)]
pub(crate) struct Sequence {
    pub(crate) id: SequenceId,
    program: Program,
    /// Ids that are prefilled: the prompt, and the forced ids too where there are no thoughts between.
    prefill: Vec<u32>,
    reservation: Reservation,
    /// Positions that are in KV memory.
    filled: usize,
    phase: Phase,
}

/// Where a sequence is in its program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    /// So many prompt positions are done.
    Prefill { done: usize },
    /// The thought of this number (from 1) is computed and waits to be fed.
    Latent { step: usize },
    /// The last answer token waits to be fed.
    Answer { last: u32, tokens: usize, eos_seen: usize },
}

/// Rows of one sequence in one step: its thought if it has one to feed, then ids.
#[derive(Clone, Debug)]
pub(crate) struct Segment {
    pub(crate) sequence: SequenceId,
    pub(crate) table: Arc<[u32]>,
    /// Position of the first row.
    pub(crate) start: usize,
    /// The first row is the sequence's thought.
    pub(crate) feeds_thought: bool,
    pub(crate) ids: Vec<u32>,
    pub(crate) kind: RowKind,
    pub(crate) yields: Yields,
}

/// What the ids of a segment are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RowKind {
    Prefill,
    Forced,
    Answer,
}

/// What the last row of a segment is good for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Yields {
    /// More of the prompt follows.
    Nothing,
    /// The next thought.
    Thought,
    /// An answer token.
    Token,
}

/// What came of a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    Nothing,
    Thought,
    Token(u32),
}

/// What an outcome did to a sequence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Advanced {
    /// It goes on without news.
    On,
    /// It has its thought of this number.
    Thought { step: usize },
    /// It has an answer token.
    Token,
    /// It has its last answer token.
    LastToken(Finish),
    /// It ended without another token.
    Ended(Finish),
}

impl Segment {
    /// Number of rows.
    pub(crate) fn rows(&self) -> usize {
        usize::from(self.feeds_thought) + self.ids.len()
    }
}

impl Sequence {
    pub(crate) fn new(id: SequenceId, program: Program, reservation: Reservation) -> Self {
        let mut prefill = program.prompt.clone();
        if program.latent_steps == 0 {
            prefill.extend(&program.forced);
        }
        Self { id, program, prefill, reservation, filled: 0, phase: Phase::Prefill { done: 0 } }
    }

    /// Positions that are in KV memory.
    pub(crate) fn filled(&self) -> usize {
        self.filled
    }

    pub(crate) fn phase(&self) -> Phase {
        self.phase
    }

    /// The rows to compute next; a prompt is cut to `prefill_rows`, anything else is taken whole.
    pub(crate) fn next_segment(&self, prefill_rows: usize) -> Segment {
        let segment = |feeds_thought, ids, kind, yields| Segment {
            sequence: self.id,
            table: self.reservation.table(),
            start: self.filled,
            feeds_thought,
            ids,
            kind,
            yields,
        };
        match self.phase {
            Phase::Prefill { done } => {
                let rest = &self.prefill[done..];
                let ids = rest[..rest.len().min(prefill_rows)].to_vec();
                let yields = match ids.len() == rest.len() {
                    false => Yields::Nothing,
                    true if self.program.latent_steps > 0 => Yields::Thought,
                    true => Yields::Token,
                };
                segment(false, ids, RowKind::Prefill, yields)
            }
            Phase::Latent { step } if step < self.program.latent_steps => {
                segment(true, Vec::new(), RowKind::Forced, Yields::Thought)
            }
            Phase::Latent { .. } => {
                segment(true, self.program.forced.clone(), RowKind::Forced, Yields::Token)
            }
            Phase::Answer { last, .. } => {
                segment(false, vec![last], RowKind::Answer, Yields::Token)
            }
        }
    }

    /// Takes in what came of `segment`.
    ///
    /// Prefill -> Prefill | Latent | Answer; Latent -> Latent | Answer; Answer -> Answer | ended
    pub(crate) fn advance(&mut self, segment: &Segment, outcome: Outcome) -> Advanced {
        self.filled += segment.rows();
        match (self.phase, outcome) {
            (Phase::Prefill { done }, Outcome::Nothing) => {
                self.phase = Phase::Prefill { done: done + segment.ids.len() };
                Advanced::On
            }
            (Phase::Latent { step }, Outcome::Thought) => self.thought(step + 1),
            (_, Outcome::Thought) => self.thought(1),
            (Phase::Answer { tokens, eos_seen, .. }, Outcome::Token(id)) => {
                self.token(id, tokens, eos_seen)
            }
            (_, Outcome::Token(id)) => self.token(id, 0, 0),
            (_, Outcome::Nothing) => Advanced::On,
        }
    }

    fn thought(&mut self, step: usize) -> Advanced {
        self.phase = Phase::Latent { step };
        Advanced::Thought { step }
    }

    fn token(&mut self, id: u32, tokens: usize, eos_seen: usize) -> Advanced {
        let tokens = tokens + 1;
        let is_eos = self.program.stop.eos.contains(&id);
        let eos_seen = eos_seen + usize::from(is_eos);
        self.phase = Phase::Answer { last: id, tokens, eos_seen };
        if is_eos && eos_seen >= self.program.stop.eos_count {
            return Advanced::Ended(Finish::Stop);
        }
        match (is_eos, tokens == self.program.max_tokens) {
            (true, true) => Advanced::Ended(Finish::Length),
            (true, false) => Advanced::On,
            (false, true) => Advanced::LastToken(Finish::Length),
            (false, false) => Advanced::Token,
        }
    }
}
