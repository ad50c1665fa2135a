//! One branch of a request inside the engine: its place in the script and its memory. Knows which rows it wants computed
//! next and what the outcome means; touches no tensor.

use crate::engine::cursor::Cursor;
use crate::engine::cursor::Doing;
use crate::engine::cursor::Said;
use crate::engine::inside::Role;
use crate::engine::need::below;
use crate::engine::need::own_pages;
use crate::engine::pages::Reservation;
use crate::engine::pages::Reserve;
use crate::engine::plan::Input;
use crate::engine::plan::RowKind;
use crate::engine::plan::Segment;
use crate::engine::plan::SequenceId;
use crate::engine::plan::Yields;
use crate::engine::request::Finish;
use crate::engine::request::Reused;
use crate::latent::script::Branch;
use crate::latent::script::Opening;
use crate::latent::script::Say;
use crate::model::attention::rows::PageCopy;
use std::sync::Arc;

/// A prompt gets at least so many rows of a step, however many thoughts and answers there are: nobody starves. What follows a
/// thought is taken whole up to so many rows, and cut like a prompt beyond.
pub(crate) const MIN_PREFILL_ROWS: usize = 16;

/// A running branch.
#[derive(Debug)]
pub(crate) struct Sequence {
    pub(crate) id: SequenceId,
    /// Its number in the script.
    pub(crate) branch: usize,
    cursor: Cursor,
    /// Of the root: what other requests may have in common with it.
    opening: Opening,
    reused: Reused,
    reservation: Reservation,
    /// Pages for what goes on from its end.
    reserve: Reserve,
}

/// What came of a segment.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Outcome {
    Nothing,
    /// (D,), as it is fed.
    Thought(Arc<[f32]>),
    Token(u32),
    Scores,
}

/// What an outcome did to a sequence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Advanced {
    /// Nothing that anybody is told.
    On,
    /// It has its thought of this number.
    Thought { step: usize },
    /// It has an answer token.
    Token,
}

/// What comes next for a sequence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Next {
    /// Rows.
    Rows,
    /// Its branches, in its place.
    Fork,
    /// Nothing.
    End(Finish),
}

impl Sequence {
    /// A request with its memory, and the first of its thoughts where they are known.
    pub(crate) fn new(
        id: SequenceId,
        root: Branch,
        (opening, known): (Opening, Vec<Arc<[f32]>>),
        (reservation, reserve): (Reservation, Reserve),
    ) -> Self {
        let reused = Reused { positions: reservation.reused(), thoughts: known.len() };
        let mut cursor = Cursor::at_root(root, known);
        cursor.fed(reused.positions);
        Self { id, branch: 0, cursor, opening, reused, reservation, reserve }
    }

    /// Positions that are in KV memory.
    pub(crate) fn filled(&self) -> usize {
        self.reservation.filled()
    }

    /// Page numbers in order of position.
    #[cfg(test)]
    pub(crate) fn table(&self) -> Arc<[u32]> {
        self.reservation.table()
    }

    /// Pages for what goes on from its end.
    #[cfg(test)]
    pub(crate) fn set_aside(&self) -> usize {
        self.reserve.pages()
    }

    /// What other requests may have in common with it.
    pub(crate) fn opening(&self) -> &Opening {
        &self.opening
    }

    /// Whether it is computing thoughts that other requests may have in common with it.
    pub(crate) fn is_opening(&self) -> bool {
        self.branch == 0 && self.cursor.steps() < self.opening.thoughts
    }

    /// What of the request came from earlier ones.
    pub(crate) fn reused(&self) -> Reused {
        self.reused
    }

    /// How many ends it has.
    pub(crate) fn leaves(&self) -> usize {
        self.cursor.branch().leaves()
    }

    /// The answer under way, and how many tokens it has.
    pub(crate) fn answer(&self) -> Option<(&Say, usize)> {
        match (self.cursor.doing(), self.cursor.say()) {
            (Doing::Say { tokens, .. }, Some(say)) => Some((say, tokens)),
            _ => None,
        }
    }

    /// Whether anything is done to the next thought.
    pub(crate) fn is_edited(&self) -> bool {
        self.cursor.is_edited()
    }

    /// What is fed where `computed` (D,) is the next thought.
    pub(crate) fn edited(&self, computed: &[f32]) -> Arc<[f32]> {
        self.cursor.edited(computed)
    }

    /// The last thought that was fed, or waits for it.
    pub(crate) fn before(&self) -> Option<&Arc<[f32]>> {
        self.cursor.before()
    }

    /// What the rows of `segment`, which is under way, are fed as.
    pub(crate) fn roles(&self, segment: &Segment) -> impl Iterator<Item = Option<Role>> {
        self.cursor.queue().range(..segment.rows()).map(|waiting| waiting.role)
    }

    /// The ids that the rows of `segment` give the scores of.
    pub(crate) fn to_score(&self, segment: &Segment) -> &[u32] {
        match segment.yields {
            Yields::Scores(count) => self.cursor.to_score(count),
            Yields::Nothing | Yields::Thought | Yields::Token => &[],
        }
    }

    /// Whether what waits to be fed may be cut.
    pub(crate) fn is_prefill(&self) -> bool {
        let queue = self.cursor.queue();
        match self.cursor.doing() {
            Doing::Score { .. } => true,
            Doing::Say { tokens, .. } if tokens > 0 => false,
            Doing::Say { .. } | Doing::Think { .. } | Doing::Over => {
                let front = queue.front().map(|waiting| &waiting.input);
                !matches!(front, Some(Input::Thought(_))) || queue.len() > MIN_PREFILL_ROWS
            }
        }
    }

    /// Rows that can be computed now.
    fn waiting_rows(&self) -> usize {
        let queue = self.cursor.queue().len();
        match self.cursor.doing() {
            // The last input is fed by those that go on from here.
            Doing::Over => queue.saturating_sub(1),
            Doing::Think { .. } | Doing::Say { .. } | Doing::Score { .. } => queue,
        }
    }

    pub(crate) fn next(&self) -> Next {
        match self.cursor.doing() {
            Doing::Over if self.cursor.branch().branches.is_empty() => {
                Next::End(self.cursor.finish())
            }
            Doing::Over if self.waiting_rows() == 0 => Next::Fork,
            _ => Next::Rows,
        }
    }

    /// The rows to compute next; what may be cut is cut to `prefill_rows`.
    pub(crate) fn next_segment(&self, prefill_rows: usize) -> Segment {
        let waiting = self.waiting_rows();
        let is_prefill = self.is_prefill();
        let rows = if is_prefill { waiting.min(prefill_rows) } else { waiting };
        let is_whole = rows == waiting;
        let yields = match self.cursor.doing() {
            Doing::Think { .. } if is_whole => Yields::Thought,
            Doing::Say { .. } if is_whole => Yields::Token,
            Doing::Score { left } if rows + left > waiting => Yields::Scores(rows + left - waiting),
            _ => Yields::Nothing,
        };
        let kind = match self.cursor.doing() {
            _ if is_prefill => RowKind::Prefill,
            Doing::Say { tokens, .. } if tokens > 0 => RowKind::Answer,
            _ => RowKind::Forced,
        };
        Segment {
            sequence: self.id,
            branch: self.branch,
            table: self.reservation.table(),
            start: self.filled(),
            inputs: self
                .cursor
                .queue()
                .range(..rows)
                .map(|waiting| waiting.input.clone())
                .collect(),
            kind,
            yields,
        }
    }

    /// Takes in what came of `segment`.
    pub(crate) fn advance(&mut self, segment: &Segment, outcome: Outcome) -> Advanced {
        for (position, input) in (segment.start..).zip(&segment.inputs) {
            if let Input::Id(id) = input {
                self.reservation.feed(position, *id);
            }
        }
        self.reservation.fill(segment.rows());
        self.cursor.fed(segment.rows());
        match (outcome, segment.yields) {
            (Outcome::Thought(vector), _) => self.thought(vector),
            (Outcome::Token(id), _) => match self.cursor.token(id) {
                Said::Token => Advanced::Token,
                Said::Eos => Advanced::On,
            },
            (Outcome::Scores, Yields::Scores(count)) => {
                self.cursor.scored(count);
                Advanced::On
            }
            (Outcome::Nothing | Outcome::Scores, _) => Advanced::On,
        }
    }

    fn thought(&mut self, vector: Arc<[f32]>) -> Advanced {
        let is_opening = self.is_opening();
        let step = self.cursor.thought(vector);
        if is_opening && !matches!(self.cursor.doing(), Doing::Think { .. }) {
            // It may have settled before its time: then what follows is no thought.
            if step < self.opening.thoughts {
                self.opening.thoughts = step;
                self.reservation.share_up_to(self.opening.prompt.len() + step);
            }
        }
        Advanced::Thought { step }
    }

    /// Those that go on from its end, in its place, and what is copied for them.
    pub(crate) fn fork(self, next_id: &mut SequenceId) -> (Vec<Self>, Vec<PageCopy>) {
        let Self { branch, cursor, reservation, mut reserve, .. } = self;
        let start = Some(reservation.filled());
        let mut copies = Vec::new();
        let sequences = cursor.fork(branch).into_iter().map(|(branch, cursor)| {
            *next_id += 1;
            let own = reserve.split(own_pages(cursor.branch(), 1, start));
            let reserve = reserve.split(below(cursor.branch(), 1, start));
            let (reservation, copy) = reservation.fork(own);
            copies.extend(copy);
            let (opening, reused) = (Opening::default(), Reused::default());
            Self { id: *next_id, branch, cursor, opening, reused, reservation, reserve }
        });
        let sequences = sequences.collect();
        (sequences, copies)
    }
}
