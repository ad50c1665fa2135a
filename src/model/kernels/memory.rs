//! Memory for weights: zeroed cache lines out of large regions, which the system backs with huge pages where it can.
//! Knows nothing of what lies there.
//!
//! A step of one row reads all weights once. With pages of 4 KiB that is 60,000 translations, and the processor's own
//! prefetching stops at the end of each; with pages of 2 MiB it reads a sixth faster. Matrices are smaller than that,
//! so they share regions, in the order in which they are packed, which is the order in which they are read.
#![expect(unsafe_code, reason = "hands out disjoint parts of a shared region")]

use crate::model::kernels::lines::Line;
use memmap2::MmapMut;
use memmap2::MmapRaw;
use std::ops::Deref;
use std::ops::DerefMut;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::Weak;

/// Bytes of a region, unless more are asked for at once. What is not handed out is never touched, and so takes no memory.
const REGION_BYTES: usize = 64 << 20;

/// Lines that nobody else holds; zero at first.
#[derive(Debug)]
pub(super) struct Lines {
    region: Arc<MmapRaw>,
    /// In lines from the region's start.
    first: usize,
    count: usize,
}

/// The region that is handed out at present, for as long as somebody holds a part of it, and how many lines are gone.
static OPEN: Mutex<(Weak<MmapRaw>, usize)> = Mutex::new((Weak::new(), 0));

impl Lines {
    /// # Panics
    /// If the system has no more memory.
    pub(super) fn zeroed(count: usize) -> Self {
        let bytes = |lines: usize| lines * size_of::<Line>();
        let mut open = OPEN.lock().unwrap_or_else(PoisonError::into_inner);
        let (region, first) = match (open.0.upgrade(), open.1) {
            (Some(region), first) if bytes(first + count) <= region.len() => (region, first),
            _ => (Arc::new(new_region(bytes(count).max(REGION_BYTES))), 0),
        };
        *open = (Arc::downgrade(&region), first + count);
        Self { region, first, count }
    }

    fn start(&self) -> *mut Line {
        self.region.as_mut_ptr().cast::<Line>().wrapping_add(self.first)
    }
}

fn new_region(bytes: usize) -> MmapRaw {
    let region = MmapMut::map_anon(bytes).expect("memory for weights");
    // A system without huge pages refuses, and only time is lost.
    #[cfg(all(target_os = "linux", not(miri)))]
    let _ = region.advise(memmap2::Advice::HugePage);
    region.into()
}

impl Deref for Lines {
    type Target = [Line];

    fn deref(&self) -> &[Line] {
        // SAFETY: `zeroed` found room for these lines in the region, which lives as long as `self`, is aligned to a page
        // and was zero; it hands out no line twice.
        unsafe { std::slice::from_raw_parts(self.start(), self.count) }
    }
}

impl DerefMut for Lines {
    fn deref_mut(&mut self) -> &mut [Line] {
        // SAFETY: as in `deref`; the borrow of `self` is exclusive.
        unsafe { std::slice::from_raw_parts_mut(self.start(), self.count) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_zero_disjoint_and_outlive_each_other() {
        let sizes = [0, 1, 7, 1000, REGION_BYTES / 64 + 1, 3];
        let mut parts: Vec<Lines> = sizes.iter().map(|&count| Lines::zeroed(count)).collect();
        for (mark, part) in parts.iter_mut().enumerate() {
            assert!(part.iter().all(|line| line.0 == [0; 16]), "zero at first");
            part.fill(Line([mark as u32 + 1; 16]));
        }
        parts.remove(1);
        for (part, mark) in parts.iter().zip([1, 3, 4, 5, 6]) {
            assert!(part.iter().all(|line| line.0 == [mark; 16]), "only its holder writes it");
        }
    }
}
