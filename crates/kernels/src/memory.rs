//! Memory for weights, keys and values: zeroed, and in huge pages where the system gives them. Knows nothing of what lies
//! there.
//!
//! A step of one row reads all weights once. With pages of 4 KiB that is 60,000 translations, and the processor's own
//! prefetching stops at the end of each. Matrices are smaller than a page of 2 MiB, so they share regions, in the order in
//! which they are packed, which is the order in which they are read.
#![expect(unsafe_code, reason = "hands out disjoint parts of a shared region")]

use crate::lines::Line;
use memmap2::MmapMut;
use memmap2::MmapRaw;
use std::io::ErrorKind;
use std::io::Result;
use std::marker::PhantomData;
use std::ops::Deref;
use std::ops::DerefMut;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::Weak;

/// Bytes of a region that is shared. What is not handed out is never touched, and so takes no memory.
const REGION_BYTES: usize = 64 * UNIT;
/// What is at least so large has a region of its own.
const MIN_OWN_BYTES: usize = 16 * UNIT;
/// A megabyte; less where each byte takes a microsecond.
const UNIT: usize = if cfg!(miri) { 1 << 10 } else { 1 << 20 };

/// What zeroed memory is valid for.
///
/// # Safety
/// Zero bits are a value, nothing is done on drop, and the alignment is at most a cache line's.
pub unsafe trait Plain: Copy {}
// SAFETY: numbers.
unsafe impl Plain for f32 {}
// SAFETY: numbers.
unsafe impl Plain for u16 {}
// SAFETY: 16 numbers, aligned to a cache line.
unsafe impl Plain for Line {}

/// A slice that nobody else holds; zero at first.
#[derive(Debug)]
pub struct Zeroed<T> {
    region: Arc<MmapRaw>,
    /// Bytes from the region's start.
    start: usize,
    count: usize,
    item: PhantomData<T>,
}

/// The region that is handed out at present, for as long as somebody holds a part of it, and how many bytes are gone.
static OPEN: Mutex<(Weak<MmapRaw>, usize)> = Mutex::new((Weak::new(), 0));

impl<T: Plain> Zeroed<T> {
    /// # Errors
    /// If the system has no more memory, or no machine has so much.
    pub fn try_new(count: usize) -> Result<Self> {
        let bytes = count.checked_mul(size_of::<T>());
        let bytes = bytes.and_then(|bytes| bytes.checked_next_multiple_of(size_of::<Line>()));
        let bytes = bytes.filter(|&bytes| isize::try_from(bytes).is_ok());
        let (region, start) = match bytes.ok_or(ErrorKind::OutOfMemory)? {
            bytes @ ..MIN_OWN_BYTES => part_of_open(bytes)?,
            bytes => (Arc::new(new_region(bytes)?), 0),
        };
        Ok(Self { region, start, count, item: PhantomData })
    }
}

/// Where the next so many bytes are.
fn part_of_open(bytes: usize) -> Result<(Arc<MmapRaw>, usize)> {
    let mut open = OPEN.lock().unwrap_or_else(PoisonError::into_inner);
    let (region, start) = match (open.0.upgrade(), open.1) {
        (Some(region), start) if start + bytes <= region.len() => (region, start),
        _ => (Arc::new(new_region(REGION_BYTES)?), 0),
    };
    *open = (Arc::downgrade(&region), start + bytes);
    Ok((region, start))
}

fn new_region(bytes: usize) -> Result<MmapRaw> {
    let region = MmapMut::map_anon(bytes)?;
    // A system without huge pages refuses, and only time is lost.
    #[cfg(all(target_os = "linux", not(miri)))]
    let _ = region.advise(memmap2::Advice::HugePage);
    Ok(region.into())
}

impl<T> Zeroed<T> {
    fn first(&self) -> *mut T {
        self.region.as_mut_ptr().wrapping_add(self.start).cast()
    }
}

impl<T> Deref for Zeroed<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        // SAFETY: `try_new` found room in the region, which lives as long as `self`, begins at a page and was zero, which is a
        // value; parts begin at cache lines, and none is handed out twice.
        unsafe { std::slice::from_raw_parts(self.first(), self.count) }
    }
}

impl<T> DerefMut for Zeroed<T> {
    fn deref_mut(&mut self) -> &mut [T] {
        // SAFETY: as in `deref`; the borrow of `self` is exclusive.
        unsafe { std::slice::from_raw_parts_mut(self.first(), self.count) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg_attr(miri, ignore = "Miri ends where a system would refuse")]
    fn what_no_machine_has_is_refused() {
        for count in [usize::MAX, usize::MAX / 4, 1 << 62, 1 << 60] {
            assert!(Zeroed::<f32>::try_new(count).is_err(), "{count}");
        }
    }

    #[test]
    fn parts_are_zero_disjoint_and_outlive_each_other() {
        let sizes = [0, 1, 7, 1000, REGION_BYTES / 3, MIN_OWN_BYTES / 2, MIN_OWN_BYTES / 2 - 1, 3];
        let mut parts: Vec<Zeroed<u16>> =
            sizes.iter().map(|&count| Zeroed::try_new(count).unwrap()).collect();
        for (mark, part) in parts.iter_mut().enumerate() {
            assert!(part.iter().all(|&x| x == 0), "zero at first");
            part.fill(mark as u16 + 1);
        }
        parts.remove(1);
        for (part, mark) in parts.iter().zip([1, 3, 4, 5, 6, 7, 8]) {
            assert!(part.iter().all(|&x| x == mark), "only its holder writes it");
        }
    }
}
