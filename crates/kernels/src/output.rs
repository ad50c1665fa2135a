//! One output that several threads write, each its own part. Knows nothing of what is written.
#![expect(unsafe_code, reason = "the borrow checker cannot see that parts are disjoint")]

#[cfg(all(target_arch = "x86_64", not(miri)))]
use std::arch::x86_64::_MM_HINT_T0;
#[cfg(all(target_arch = "x86_64", not(miri)))]
use std::arch::x86_64::_mm_prefetch;
use std::marker::PhantomData;
use std::ops::Range;

/// The output (R, out) that several threads write, each its own rows and columns.
#[derive(Clone, Copy, Debug)]
pub(super) struct Output<'a, T = f32> {
    start: *mut T,
    rows: usize,
    columns: usize,
    borrow: PhantomData<&'a mut [T]>,
}

// SAFETY: the only access is `row_part`, whose callers keep to disjoint parts.
unsafe impl<T: Send> Send for Output<'_, T> {}
// SAFETY: as above.
unsafe impl<T: Send> Sync for Output<'_, T> {}

impl<'a, T> Output<'a, T> {
    pub(super) fn new(out: &'a mut [T], columns: usize) -> Self {
        Self { start: out.as_mut_ptr(), rows: out.len() / columns, columns, borrow: PhantomData }
    }

    /// Asks for the cache lines of these rows and columns, which are stored to soon: stores leave the core in order, so
    /// each that misses all caches would hold up those behind it.
    pub(super) fn prefetch(&self, rows: &Range<usize>, columns: &Range<usize>) {
        #[cfg(all(target_arch = "x86_64", not(miri)))]
        for row in rows.clone() {
            let first = self.start.wrapping_add(row * self.columns + columns.start);
            for line in 0..(columns.len() * size_of::<T>()).div_ceil(64) {
                // SAFETY: SSE is part of x86-64, and prefetching accesses no memory in the language's sense.
                unsafe { _mm_prefetch::<_MM_HINT_T0>(first.wrapping_byte_add(line * 64).cast()) };
            }
        }
        #[cfg(not(all(target_arch = "x86_64", not(miri))))]
        let _ = (rows, columns);
    }

    /// # Safety
    /// No other reference to these columns of this row is alive.
    #[inline(always)]
    pub(super) unsafe fn row_part(&self, row: usize, columns: Range<usize>) -> &'a mut [T] {
        assert!(row < self.rows && columns.end <= self.columns, "a part of the output");
        // SAFETY: the part lies inside the slice that `new` borrowed; the caller promises that it is not shared.
        unsafe {
            let start = self.start.add(row * self.columns + columns.start);
            std::slice::from_raw_parts_mut(start, columns.len())
        }
    }
}
