//! What an answer says beside what the reasoner returns, and how much of that it shows: its name and time, the model, the
//! places of several answers. Knows no route.

use crate::engine::request::InsideRow;
use crate::engine::request::Thought;
use crate::http::asking::include::Include;
use crate::http::asking::inside::InsideBody;
use crate::http::asking::inside::InsideRowBody;
use crate::http::asking::inside::Seen;
use crate::http::asking::parts::ThoughtBody;
use crate::http::state::unix_seconds;
use crate::http::thinking::Latent;
use crate::http::thinking::Resolved;
use crate::reason::reasoner::Reasoner;
use std::sync::Arc;
use std::time::SystemTime;
use uuid::Uuid;

/// The same for all parts of an answer.
#[derive(Debug)]
pub(in crate::http) struct View {
    pub(in crate::http) id: Uuid,
    pub(in crate::http) created: u64,
    pub(in crate::http) reasoner: Arc<Reasoner>,
    pub(in crate::http) resolved: Option<Resolved>,
    pub(in crate::http) seed: u64,
    include: Vec<Include>,
    /// Of a sweep: where answers stand among those asked for, by number of thoughts.
    places: Option<Vec<usize>>,
    /// Answers after each number of thoughts.
    each: usize,
    seen: Seen,
}

impl View {
    pub(in crate::http) fn new(
        id: Uuid,
        include: Option<&[Include]>,
        (latent, inside, seed): (&Latent, Option<&InsideBody>, u64),
        reasoner: Arc<Reasoner>,
    ) -> Self {
        let card = reasoner.card();
        let seen = Seen::of(inside, (card.layers, card.heads));
        Self {
            seen,
            id,
            created: unix_seconds(SystemTime::now()),
            reasoner,
            resolved: latent.resolved(seed),
            seed,
            include: include.unwrap_or_default().to_vec(),
            places: latent.sweep.as_deref().map(places),
            each: 1,
        }
    }

    /// The same where there are so many answers after each number of thoughts.
    pub(in crate::http) fn with_each(self, each: usize) -> Self {
        Self { each, ..self }
    }

    pub(in crate::http) fn shows(&self, include: Include) -> bool {
        self.include.contains(&include)
    }

    /// Whether an answer was asked for after each of several numbers of thoughts.
    pub(in crate::http) fn is_sweep(&self) -> bool {
        self.places.is_some()
    }

    /// The place of an answer that is the `rank`-th by number of thoughts, among those asked for.
    pub(in crate::http) fn place(&self, rank: usize) -> usize {
        let (stage, within) = (rank / self.each, rank % self.each);
        let stage = self.places.as_ref().and_then(|places| places.get(stage)).unwrap_or(&stage);
        stage * self.each + within
    }

    pub(in crate::http) fn thought(&self, thought: Thought, choice: Option<usize>) -> ThoughtBody {
        ThoughtBody::new(thought, choice, &self.include, |id| self.reasoner.token_text(id))
    }

    pub(in crate::http) fn inside(&self, row: InsideRow, choice: Option<usize>) -> InsideRowBody {
        self.seen.row(row, choice, |id| self.reasoner.token_text(id))
    }

    /// Where it was asked to look inside.
    pub(in crate::http) fn insides(
        &self,
        rows: Vec<(Option<usize>, InsideRow)>,
    ) -> Option<Vec<InsideRowBody>> {
        let asked = [Include::HiddenStates, Include::Lens, Include::Attention];
        let row = |(choice, row): (Option<usize>, InsideRow)| {
            self.inside(row, choice.map(|rank| self.place(rank)))
        };
        let is_asked = asked.into_iter().any(|asked| self.shows(asked));
        is_asked.then(|| rows.into_iter().map(row).collect())
    }

    /// Where thoughts were asked for.
    pub(in crate::http) fn thoughts(&self, thoughts: Vec<Thought>) -> Option<Vec<ThoughtBody>> {
        let asked = [Include::Thoughts, Include::ThoughtVectors, Include::Entropy, Include::Cosine];
        let shown = asked.into_iter().any(|asked| self.shows(asked));
        let body = |thought| self.thought(thought, None);
        shown.then(|| thoughts.into_iter().map(body).collect())
    }
}

/// The places of these numbers, the smallest first.
fn places(sweep: &[usize]) -> Vec<usize> {
    let mut places: Vec<usize> = (0..sweep.len()).collect();
    places.sort_by_key(|&place| sweep[place]);
    places
}
