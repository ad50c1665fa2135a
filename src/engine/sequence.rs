//! One request inside the engine, as a state machine over positions. Knows what it wants computed next and what the
//! outcome means; touches no tensor.

use crate::engine::pages::Reservation;
use crate::engine::request::Finish;
use crate::engine::request::Reused;
use crate::latent::program::Program;
use std::sync::Arc;

/// The number of a sequence, unique within an engine.
pub(crate) type SequenceId = u64;

/// A running request.
#[derive(Debug)]
pub(crate) struct Sequence {
    pub(crate) id: SequenceId,
    program: Program,
    /// What is known from the start: the prompt, thoughts of an earlier request and, where none is missing, the forced
    /// ids.
    prefill: Vec<Input>,
    /// How many thoughts are among these.
    known: usize,
    reservation: Reservation,
    phase: Phase,
}

/// Where a sequence is in its program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    /// So many positions of what is known from the start are done.
    Prefill { done: usize },
    /// The thought of this number (from 1) is computed and waits to be fed.
    Latent { step: usize },
    /// The last answer token waits to be fed.
    Answer { last: u32, tokens: usize, eos_seen: usize },
}

/// What is fed at one position.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Input {
    Id(u32),
    /// The thought that the sequence's last segment yielded.
    Thought,
    /// A thought that an earlier request computed, (D,).
    Known(Arc<[f32]>),
}

/// Rows of one sequence in one step.
#[derive(Clone, Debug)]
pub(crate) struct Segment {
    pub(crate) sequence: SequenceId,
    pub(crate) table: Arc<[u32]>,
    /// Position of the first row.
    pub(crate) start: usize,
    /// One a row; at least one.
    pub(crate) inputs: Vec<Input>,
    pub(crate) kind: RowKind,
    pub(crate) yields: Yields,
}

/// What a segment feeds beside its last thought.
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
        self.inputs.len()
    }

    /// Ids among the inputs.
    #[cfg(test)]
    pub(crate) fn ids(&self) -> impl Iterator<Item = u32> {
        self.inputs.iter().filter_map(|input| match input {
            Input::Id(id) => Some(*id),
            Input::Thought | Input::Known(_) => None,
        })
    }

    /// Whether it feeds the thought that the last one yielded.
    pub(crate) fn feeds_thought(&self) -> bool {
        self.inputs.first() == Some(&Input::Thought)
    }
}

impl Sequence {
    /// A request with its memory, and the first of its thoughts where they are known.
    pub(crate) fn new(
        id: SequenceId,
        program: Program,
        known: Vec<Arc<[f32]>>,
        reservation: Reservation,
    ) -> Self {
        let mut prefill: Vec<Input> = program.prompt.iter().copied().map(Input::Id).collect();
        let known_thoughts = known.len();
        prefill.extend(known.into_iter().map(Input::Known));
        if known_thoughts == program.latent_steps {
            prefill.extend(program.forced.iter().copied().map(Input::Id));
        }
        let phase = Phase::Prefill { done: reservation.reused() };
        Self { id, program, prefill, known: known_thoughts, reservation, phase }
    }

    /// Positions that are in KV memory.
    pub(crate) fn filled(&self) -> usize {
        self.reservation.filled()
    }

    pub(crate) fn program(&self) -> &Program {
        &self.program
    }

    /// What of the request came from earlier ones.
    pub(crate) fn reused(&self) -> Reused {
        Reused { positions: self.reservation.reused(), thoughts: self.known }
    }

    pub(crate) fn phase(&self) -> Phase {
        self.phase
    }

    /// The rows to compute next; a prompt is cut to `prefill_rows`, anything else is taken whole.
    pub(crate) fn next_segment(&self, prefill_rows: usize) -> Segment {
        let segment = |inputs, kind, yields| Segment {
            sequence: self.id,
            table: self.reservation.table(),
            start: self.filled(),
            inputs,
            kind,
            yields,
        };
        match self.phase {
            Phase::Prefill { done } => {
                let rest = &self.prefill[done..];
                let inputs = rest[..rest.len().min(prefill_rows)].to_vec();
                let yields = match inputs.len() == rest.len() {
                    false => Yields::Nothing,
                    true if self.program.latent_steps > self.known => Yields::Thought,
                    true => Yields::Token,
                };
                segment(inputs, RowKind::Prefill, yields)
            }
            Phase::Latent { step } if step < self.program.latent_steps => {
                segment(vec![Input::Thought], RowKind::Forced, Yields::Thought)
            }
            Phase::Latent { .. } => {
                let forced = self.program.forced.iter().copied().map(Input::Id);
                let inputs = std::iter::once(Input::Thought).chain(forced).collect();
                segment(inputs, RowKind::Forced, Yields::Token)
            }
            Phase::Answer { last, .. } => {
                segment(vec![Input::Id(last)], RowKind::Answer, Yields::Token)
            }
        }
    }

    /// Takes in what came of `segment`.
    ///
    /// Prefill -> Prefill | Latent | Answer; Latent -> Latent | Answer; Answer -> Answer | ended
    pub(crate) fn advance(&mut self, segment: &Segment, outcome: Outcome) -> Advanced {
        self.reservation.fill(segment.rows());
        match (self.phase, outcome) {
            (Phase::Prefill { done }, Outcome::Nothing) => {
                self.phase = Phase::Prefill { done: done + segment.rows() };
                Advanced::On
            }
            (Phase::Latent { step }, Outcome::Thought) => self.thought(step + 1),
            (_, Outcome::Thought) => self.thought(self.known + 1),
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
