//! Whether a request can run at all: what a script must fit into, and what in it cannot be meant. Knows the sizes of model
//! and memory, nothing of what runs.

use crate::engine::inside::Sizes;
use crate::engine::need::below;
use crate::engine::need::own_pages;
use crate::engine::request::Malformed;
use crate::engine::request::Rejected;
use crate::latent::edits::Edits;
use crate::latent::script::Act;
use crate::latent::script::Branch;
use crate::latent::script::Fed;
use crate::latent::script::Length;
use crate::latent::script::Script;
use crate::latent::script::Think;
use crate::model::attention::geometry::PAGE_POSITIONS;

/// The most branches in a row, and the most acts of one: far more than anybody needs, and few enough to go through them by
/// recursion.
const MAX_DEPTH: usize = 256;

/// The most ends of a script: all of them may be computed in one step.
const MAX_BRANCHES: usize = 1024;

/// What a request must fit into.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// Of one sequence.
    pub(crate) positions: usize,
    /// Of the KV memory.
    pub(crate) pages: usize,
    /// V
    pub(crate) vocab_size: usize,
    /// D
    pub(crate) width: usize,
    /// What can be looked into.
    pub(crate) inside: Sizes,
}

impl Limits {
    /// Says why a script cannot run.
    pub(crate) fn check(&self, script: &Script) -> Result<(), Rejected> {
        check_depth(&script.root)?;
        self.check_size(script)?;
        if !matches!(script.root.acts.first(), Some(Act::Feed(inputs)) if !inputs.is_empty()) {
            return Err(Rejected::Empty);
        }
        script.masked.iter().try_for_each(|&id| self.check_id(id))?;
        self.check_branch(&script.root, Trail { steps: 0, is_fed: false })
    }

    fn check_size(&self, script: &Script) -> Result<(), Rejected> {
        let root = &script.root;
        let Length { prompt, latent, answer, total: needed } = script.longest();
        let available = self.positions;
        if needed > available {
            return Err(Rejected::TooLong { prompt, latent, answer, needed, available });
        }
        let branches = root.leaves();
        if branches > MAX_BRANCHES {
            return Err(Rejected::TooManyBranches { branches, available: MAX_BRANCHES });
        }
        let pages = own_pages(root, 0, Some(0)).saturating_add(below(root, 0, Some(0)));
        if pages > self.pages {
            let needed = pages.saturating_mul(PAGE_POSITIONS);
            return Err(Rejected::TooLarge { needed, available: self.pages * PAGE_POSITIONS });
        }
        Ok(())
    }

    fn check_branch(&self, branch: &Branch, mut trail: Trail) -> Result<(), Rejected> {
        for act in &branch.acts {
            match act {
                Act::Feed(inputs) => inputs.iter().try_for_each(|input| match input {
                    Fed::Id(id) => self.check_id(*id),
                    Fed::Vector(vector) => self.check_vector(vector),
                })?,
                Act::Think(think) => {
                    self.check_edits(&think.edits)?;
                    trail.go_through(think)?;
                }
                Act::Say(say) if say.max_tokens == 0 => return Err(Rejected::Empty),
                Act::Say(_) => {}
                Act::Pause(id, _) => self.check_id(*id)?,
                Act::Score(ids, _) if ids.is_empty() => return Err(Rejected::Empty),
                Act::Score(ids, _) => ids.iter().try_for_each(|&id| self.check_id(id))?,
            }
        }
        branch.branches.iter().try_for_each(|branch| self.check_branch(branch, trail))
    }

    fn check_edits(&self, edits: &Edits) -> Result<(), Rejected> {
        for (_, edit) in &edits.0 {
            if edit.number().is_some_and(|number| !number.is_finite()) {
                return Err(Malformed::NotFinite.into());
            }
            edit.vector().map_or(Ok(()), |vector| self.check_vector(vector))?;
        }
        Ok(())
    }

    fn check_id(&self, id: u32) -> Result<(), Rejected> {
        match (id as usize) < self.vocab_size {
            true => Ok(()),
            false => Err(Rejected::UnknownId { id }),
        }
    }

    fn check_vector(&self, vector: &[f32]) -> Result<(), Rejected> {
        if vector.len() != self.width {
            return Err(Malformed::Width { found: vector.len(), width: self.width }.into());
        }
        match vector.iter().all(|x| x.is_finite()) {
            true => Ok(()),
            false => Err(Malformed::NotFinite.into()),
        }
    }
}

fn check_depth(branch: &Branch) -> Result<(), Malformed> {
    fn is_within(branch: &Branch, left: usize) -> bool {
        let below = left.checked_sub(1);
        branch.acts.len() <= MAX_DEPTH
            && below.is_some_and(|left| branch.branches.iter().all(|b| is_within(b, left)))
    }
    match is_within(branch, MAX_DEPTH) {
        true => Ok(()),
        false => Err(Malformed::TooDeep { max: MAX_DEPTH }),
    }
}

/// Thoughts on the way to a place.
#[derive(Clone, Copy)]
struct Trail {
    steps: usize,
    /// Whether one of them was fed.
    is_fed: bool,
}

impl Trail {
    /// Their number is bounded: each counts as a position.
    fn go_through(&mut self, think: &Think) -> Result<(), Malformed> {
        for _ in 0..think.until.most() {
            self.steps += 1;
            if think.edits.skips(self.steps) {
                continue;
            }
            if think.edits.repeats(self.steps) && !self.is_fed {
                return Err(Malformed::NothingToRepeat { step: self.steps });
            }
            self.is_fed = true;
        }
        Ok(())
    }
}
