//! Where the rows of a forward pass belong: to which sequence, at which position. A sequence is a table of page numbers;
//! which page belongs to whom is decided elsewhere.

use coconut_kernels::attend::pages::View;
use std::sync::Arc;

/// What stands in one page, put into another before a pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PageCopy {
    /// Page number.
    pub from: u32,
    /// Page number.
    pub to: u32,
}

/// Where one row of a forward pass belongs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// Index into the page tables of the batch.
    pub table: usize,
    /// Position within the sequence.
    pub position: usize,
}

/// The places of all rows of a forward pass. A row attends to all positions of its own sequence up to its own; keys
/// and values of all rows are written before any is read, so rows of one sequence may come in any order.
#[derive(Clone, Debug, Default)]
pub struct PagedRows {
    /// Page numbers of each sequence, in order of position.
    pub tables: Vec<Arc<[u32]>>,
    /// One entry a row.
    pub places: Vec<Place>,
}

impl PagedRows {
    /// The slot of a position: page number times page size plus offset.
    pub(crate) fn slot(&self, table: usize, position: usize) -> usize {
        View { table: &self.tables[table], position }.slot(position)
    }

    /// The slot of each row.
    pub(crate) fn slots(&self) -> impl Iterator<Item = usize> {
        self.places.iter().map(|place| self.slot(place.table, place.position))
    }

    /// What a row sees.
    pub(crate) fn view(&self, row: usize) -> View<'_> {
        let Place { table, position } = self.places[row];
        View { table: &self.tables[table], position }
    }
}
