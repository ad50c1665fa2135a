//! Who owns which page of KV memory. A reservation is freed by dropping it, so no path out of a request can leak one.
//! Knows numbers of pages, no tensor.

use crate::model::attention::paged::PAGE_POSITIONS;
use crate::model::attention::paged::pages_for;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::PoisonError;

/// All pages of a KV memory.
#[derive(Debug)]
pub(crate) struct PagePool {
    free: Arc<Mutex<Vec<u32>>>,
    pages: usize,
}

/// Pages of one sequence, for as long as it lives.
#[derive(Debug)]
pub(crate) struct Reservation {
    pages: Arc<[u32]>,
    free: Arc<Mutex<Vec<u32>>>,
}

impl PagePool {
    pub(crate) fn new(pages: usize) -> Self {
        let free = (0..pages as u32).rev().collect();
        Self { free: Arc::new(Mutex::new(free)), pages }
    }

    /// Pages for so many positions, or `None` while too few are free.
    pub(crate) fn reserve(&self, positions: usize) -> Option<Reservation> {
        let wanted = pages_for(positions);
        let mut free = self.free.lock().unwrap_or_else(PoisonError::into_inner);
        let left = free.len().checked_sub(wanted)?;
        let pages = free.drain(left..).collect();
        Some(Reservation { pages, free: Arc::clone(&self.free) })
    }

    /// Positions in all.
    pub(crate) fn capacity(&self) -> usize {
        self.pages * PAGE_POSITIONS
    }

    /// Positions that are reserved now.
    pub(crate) fn reserved(&self) -> usize {
        let free = self.free.lock().unwrap_or_else(PoisonError::into_inner).len();
        (self.pages - free) * PAGE_POSITIONS
    }
}

impl Reservation {
    /// Page numbers in order of position.
    pub(crate) fn table(&self) -> Arc<[u32]> {
        Arc::clone(&self.pages)
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        self.free.lock().unwrap_or_else(PoisonError::into_inner).extend(self.pages.iter());
    }
}
