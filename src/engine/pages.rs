//! Who owns which page of KV memory: nobody, one or more sequences, or, after these have ended, the next request that
//! begins like them. A reservation is freed by dropping it, so no path out of a request can leak one. Knows numbers of
//! pages, no tensor.

use crate::engine::reuse::Content;
use crate::engine::reuse::Fed;
use crate::engine::reuse::Node;
use crate::engine::reuse::PageTree;
use crate::engine::reuse::Shareable;
use crate::model::attention::geometry::PAGE_POSITIONS;
use crate::model::attention::rows::PageCopy;
use lru::LruCache;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;

/// All pages of a KV memory.
#[derive(Debug)]
pub(crate) struct PagePool {
    ledger: Arc<Mutex<Ledger>>,
    pages: usize,
}

/// Pages of one sequence, for as long as it lives: first those that it shares and only reads, then its own.
#[derive(Debug)]
pub(crate) struct Reservation {
    table: Arc<[u32]>,
    /// Positions that came with the shared pages.
    reused: usize,
    /// Positions that hold computed keys and values.
    filled: usize,
    /// What will have been fed at the positions of the whole pages that others may read.
    contents: Vec<Content>,
    /// What will have been fed behind these, up to where the next page is whole; nothing where no more is to be shared.
    rest: Option<Vec<Fed>>,
    /// The last page that others may read.
    published: Node,
    ledger: Arc<Mutex<Ledger>>,
}

/// Pages that are held for what goes on from the end of a sequence.
#[derive(Debug)]
pub(crate) struct Reserve {
    pages: Vec<u32>,
    ledger: Arc<Mutex<Ledger>>,
}

/// A page is free, or held, or idle: kept for reuse while no admission needs it. Held and idle pages may be in the tree.
#[derive(Debug)]
struct Ledger {
    free: Vec<u32>,
    /// How many reservations hold each page.
    holders: Vec<u32>,
    tree: PageTree,
    /// Pages of the tree that nobody holds. Whoever holds a page of the tree holds all before it, and lets go of them
    /// later: the least recently used page has none behind it.
    idle: LruCache<u32, ()>,
    /// Positions of held pages that hold computed keys and values.
    used: usize,
}

impl PagePool {
    pub(crate) fn new(pages: usize) -> Self {
        let ledger = Ledger {
            free: (0..pages as u32).rev().collect(),
            holders: vec![0; pages],
            tree: PageTree::default(),
            idle: LruCache::unbounded(),
            used: 0,
        };
        Self { ledger: Arc::new(Mutex::new(ledger)), pages }
    }

    /// A pool of as many pages, all free.
    pub(crate) fn anew(&self) -> Self {
        Self::new(self.pages)
    }

    /// So many pages, and so many for what goes on from there, or `None` while too many are held by others.
    pub(crate) fn reserve(
        &self,
        pages: usize,
        below: usize,
        shareable: Shareable,
    ) -> Option<(Reservation, Reserve)> {
        let mut ledger = lock(&self.ledger);
        let Shareable { contents, skippable, rest } = shareable;
        let shared = ledger.tree.find(&contents[..skippable]);
        let own = pages - shared.len();
        let wakes = shared.iter().filter(|(_, page)| ledger.idle.contains(page)).count();
        if ledger.free.len() + ledger.idle.len() - wakes < own.saturating_add(below) {
            return None;
        }
        let mut table: Vec<u32> = shared.iter().map(|&(_, page)| page).collect();
        for &page in &table {
            ledger.hold(page, PAGE_POSITIONS);
        }
        let mut vacate = || {
            let page = ledger.vacate().expect("so many pages were free or idle above");
            ledger.hold(page, 0);
            page
        };
        table.extend((0..own).map(|_| vacate()));
        let pages = (0..below).map(|_| vacate()).collect();
        let reused = shared.len() * PAGE_POSITIONS;
        let reservation = Reservation {
            table: table.into(),
            reused,
            filled: reused,
            contents,
            rest,
            published: shared.last().map_or(Node::ROOT, |&(node, _)| node),
            ledger: Arc::clone(&self.ledger),
        };
        Some((reservation, Reserve { pages, ledger: Arc::clone(&self.ledger) }))
    }

    /// Lets nobody reuse what is there now.
    pub(crate) fn forget(&self) {
        let mut ledger = lock(&self.ledger);
        ledger.tree.clear();
        while let Some((page, ())) = ledger.idle.pop_lru() {
            ledger.free.push(page);
        }
    }

    /// Positions in all.
    pub(crate) fn capacity(&self) -> usize {
        self.pages * PAGE_POSITIONS
    }

    /// Positions of pages that sequences hold.
    pub(crate) fn reserved(&self) -> usize {
        let ledger = lock(&self.ledger);
        (self.pages - ledger.free.len() - ledger.idle.len()) * PAGE_POSITIONS
    }

    /// Positions of these that hold computed keys and values; shared ones count once.
    pub(crate) fn used(&self) -> usize {
        lock(&self.ledger).used
    }

    /// Positions of pages that nobody holds, kept for reuse.
    pub(crate) fn cached(&self) -> usize {
        lock(&self.ledger).idle.len() * PAGE_POSITIONS
    }
}

impl Ledger {
    /// A page that nobody holds: a free one, or the one whose reuse is least likely.
    fn vacate(&mut self) -> Option<u32> {
        self.free.pop().or_else(|| {
            let (page, ()) = self.idle.pop_lru()?;
            self.tree.remove(page);
            Some(page)
        })
    }

    /// Counts a holder of a page with so many computed positions.
    fn hold(&mut self, page: u32, filled: usize) {
        let holders = &mut self.holders[page as usize];
        *holders += 1;
        if *holders == 1 {
            self.idle.pop(&page);
            self.used += filled;
        }
    }

    /// The reverse of `hold`.
    fn release(&mut self, page: u32, filled: usize) {
        let holders = &mut self.holders[page as usize];
        *holders -= 1;
        if *holders > 0 {
            return;
        }
        self.used -= filled;
        match self.tree.contains(page) {
            true => drop(self.idle.put(page, ())),
            false => self.free.push(page),
        }
    }
}

impl Reservation {
    /// Page numbers in order of position.
    pub(crate) fn table(&self) -> Arc<[u32]> {
        Arc::clone(&self.table)
    }

    /// Positions that were in KV memory at admission.
    pub(crate) fn reused(&self) -> usize {
        self.reused
    }

    /// Positions that are in KV memory.
    pub(crate) fn filled(&self) -> usize {
        self.filled
    }

    /// Lets others read no page that ends behind so many positions.
    pub(crate) fn share_up_to(&mut self, positions: usize) {
        self.contents.truncate(positions / PAGE_POSITIONS);
        self.rest = None;
    }

    /// Notes that `id` is fed at this position, so that others may read the page that it becomes part of.
    pub(crate) fn feed(&mut self, position: usize, id: u32) {
        let Some(rest) = &mut self.rest else { return };
        if position != self.contents.len() * PAGE_POSITIONS + rest.len() {
            return;
        }
        rest.push(Fed::Id(id));
        if let Ok(content) = Content::try_from(&rest[..]) {
            self.contents.push(content);
            rest.clear();
        }
    }

    /// What goes on from the end of this one: it shares the whole pages, and has `own` for a copy of the one that is not
    /// whole and all that it will fill. Nobody else will read these.
    pub(crate) fn fork(&self, own: Reserve) -> (Self, Option<PageCopy>) {
        let whole = self.filled / PAGE_POSITIONS;
        let mut table = self.table[..whole].to_vec();
        let mut ledger = lock(&self.ledger);
        for &page in &table {
            ledger.hold(page, PAGE_POSITIONS);
        }
        let own = own.into_pages();
        let left = self.filled % PAGE_POSITIONS;
        let copy = own.first().filter(|_| left > 0);
        let copy = copy.map(|&to| PageCopy { from: self.table[whole], to });
        if copy.is_some() {
            ledger.used += left;
        }
        table.extend(own);
        let branch = Self {
            table: table.into(),
            reused: 0,
            filled: self.filled,
            contents: Vec::new(),
            rest: None,
            published: Node::ROOT,
            ledger: Arc::clone(&self.ledger),
        };
        (branch, copy)
    }

    /// Notes that more positions are in KV memory. From now on others may read the pages that became whole; where one
    /// like it is there already, computed at the same time, the sequence reads that one and gives its own back.
    pub(crate) fn fill(&mut self, positions: usize) {
        let mut ledger = lock(&self.ledger);
        let whole_before = self.filled / PAGE_POSITIONS;
        self.filled += positions;
        ledger.used += positions;
        let whole = (self.filled / PAGE_POSITIONS).min(self.contents.len());
        for index in whole_before..whole {
            let own = self.table[index];
            let (node, page) =
                ledger.tree.find_or_insert(self.published, self.contents[index], own);
            self.published = node;
            if page != own {
                ledger.hold(page, PAGE_POSITIONS);
                ledger.release(own, PAGE_POSITIONS);
                Arc::make_mut(&mut self.table)[index] = page;
            }
        }
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        let mut ledger = lock(&self.ledger);
        // From the end, so that a page becomes idle before those that it builds on.
        for (index, &page) in self.table.iter().enumerate().rev() {
            let filled = self.filled.saturating_sub(index * PAGE_POSITIONS).min(PAGE_POSITIONS);
            ledger.release(page, filled);
        }
    }
}

impl Reserve {
    /// So many of its pages.
    ///
    /// # Panics
    /// If it has fewer: more would be taken than was counted at admission.
    pub(crate) fn split(&mut self, pages: usize) -> Self {
        let pages = self.pages.split_off(self.pages.len() - pages);
        Self { pages, ledger: Arc::clone(&self.ledger) }
    }

    /// How many it has.
    #[cfg(test)]
    pub(crate) fn pages(&self) -> usize {
        self.pages.len()
    }

    /// The pages, still held.
    fn into_pages(mut self) -> Vec<u32> {
        std::mem::take(&mut self.pages)
    }
}

impl Drop for Reserve {
    fn drop(&mut self) {
        if self.pages.is_empty() {
            return;
        }
        let mut ledger = lock(&self.ledger);
        self.pages.iter().for_each(|&page| ledger.release(page, 0));
    }
}

fn lock(ledger: &Mutex<Ledger>) -> MutexGuard<'_, Ledger> {
    ledger.lock().unwrap_or_else(PoisonError::into_inner)
}
