//! Keys and values in pages of 16 positions, who sees which of them, and the vectors that go in. Knows no sequence and no
//! layer, and computes nothing.

/// Positions of a page.
pub const PAGE: usize = 16;

/// Vectors of some heads of each row, inside wider rows: those of row r and head h begin at r * stride + h * E.
#[derive(Clone, Copy, Debug)]
pub struct Heads<'a> {
    /// From the first head of the first row on.
    pub data: &'a [f32],
    /// Floats from row to row.
    pub stride: usize,
    /// Heads of a row.
    pub count: usize,
}

impl<'a> Heads<'a> {
    /// data (R, heads, E) without anything between.
    pub fn whole(data: &'a [f32], count: usize, head_size: usize) -> Self {
        Self { data, stride: count * head_size, count }
    }

    #[inline(always)]
    pub(crate) fn vector(&self, row: usize, head: usize, size: usize) -> &'a [f32] {
        &self.data[row * self.stride + head * size..][..size]
    }
}

/// Keys and values of one layer.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pages<'a, T> {
    /// (pages, G, E, 16)
    pub keys: &'a [T],
    /// (pages, G, 16, E)
    pub values: &'a [T],
    /// G
    pub kv_heads: usize,
    /// E
    pub head_size: usize,
}

/// Keys and values of one layer, to be written.
#[derive(Debug)]
pub(crate) struct PagesMut<'a, T> {
    /// (pages, G, E, 16)
    pub keys: &'a mut [T],
    /// (pages, G, 16, E)
    pub values: &'a mut [T],
    /// G
    pub kv_heads: usize,
    /// E
    pub head_size: usize,
}

/// What a row sees: its own position and all before it, in the pages of its sequence. Rows that follow each other and
/// name the very same table are computed together.
#[derive(Clone, Copy, Debug)]
pub struct View<'a> {
    /// Page numbers in order of position.
    pub table: &'a [u32],
    /// The last position that is seen.
    pub position: usize,
}

impl View<'_> {
    /// Where a position stands: page number times 16 plus the place within the page.
    ///
    /// # Panics
    /// If the table has no page for it.
    #[inline]
    pub fn slot(&self, position: usize) -> usize {
        self.table[position / PAGE] as usize * PAGE + position % PAGE
    }
}
