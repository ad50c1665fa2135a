//! Threads that share one piece of work at a time, handed over in well under a microsecond while work keeps coming.
//! Knows nothing of what the work is.
//!
//! A forward pass hands over some hundred times, a few microseconds apart, so helpers wait for the next piece by
//! spinning shortly before they sleep. The caller works too, and never waits for a helper that has not begun: a
//! helper that the system scheduled away costs nothing but its help.
#![expect(
    unsafe_code,
    reason = "helpers borrow the caller's closure for as long as the caller waits"
)]

use std::any::Any;
use std::num::NonZeroUsize;
use std::panic::AssertUnwindSafe;
use std::panic::catch_unwind;
use std::panic::resume_unwind;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::OnceLock;
use std::sync::PoisonError;
use std::sync::TryLockError;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::AtomicPtr;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering;
use std::thread::Thread;

/// How often a helper looks for work before it sleeps: some tens of microseconds.
const SPINS: u32 = 4_000;
/// Low bits of the state: helpers at work. The bit above: work is open. The rest: a number that each piece of work has.
const ACTIVE: u64 = 0xffff;
const OPEN: u64 = 0x1_0000;
const NEXT: u64 = 0x2_0000;

/// The most threads that are of any use, and far fewer than there are bits for.
pub const MAX_THREADS: usize = 1024;

type Work<'a> = &'a (dyn Fn(usize) + Sync);

type Panic = Box<dyn Any + Send>;

#[derive(Debug)]
struct Shared {
    state: AtomicU64,
    /// Points at a `Work` on the caller's stack; read only between joining (`state`) and leaving.
    work: AtomicPtr<()>,
    parts: AtomicUsize,
    next_part: AtomicUsize,
    /// Whether there is something in `panic`.
    failed: AtomicBool,
    /// What a helper panicked with, on its way to the caller.
    panic: Mutex<Option<Panic>>,
    sleeping: AtomicUsize,
}

/// The threads of a process that compute.
#[derive(Debug)]
pub struct Team {
    shared: Arc<Shared>,
    helpers: Vec<Thread>,
    /// Held by the caller whose work is open.
    in_use: Mutex<()>,
}

static TEAM: OnceLock<Team> = OnceLock::new();

impl Team {
    /// The team of this process: one thread for each processor, the caller counted, unless `start` said otherwise.
    pub fn shared() -> &'static Self {
        TEAM.get_or_init(|| {
            Self::new(std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN))
        })
    }

    /// Starts the team of this process with `threads` threads, the caller counted, [`MAX_THREADS`] at most; false if it
    /// had been started.
    pub fn start(threads: NonZeroUsize) -> bool {
        let mut started = false;
        TEAM.get_or_init(|| {
            started = true;
            Self::new(threads)
        });
        started
    }

    fn new(threads: NonZeroUsize) -> Self {
        let shared = Arc::new(Shared {
            state: AtomicU64::new(0),
            work: AtomicPtr::new(std::ptr::null_mut()),
            parts: AtomicUsize::new(0),
            next_part: AtomicUsize::new(0),
            failed: AtomicBool::new(false),
            panic: Mutex::new(None),
            sleeping: AtomicUsize::new(0),
        });
        // Fewer helpers than asked for only make work slower.
        let wanted = 1..threads.get().min(MAX_THREADS);
        let helpers = wanted.map_while(|index| start_helper(index, &shared)).collect();
        Self { shared, helpers, in_use: Mutex::new(()) }
    }

    /// Threads, the caller counted.
    pub fn threads(&self) -> usize {
        self.helpers.len() + 1
    }

    /// Calls `work(part)` once for each part, on any of the threads, and returns when all are done.
    ///
    /// If the team is at work for somebody else, the caller does everything itself.
    ///
    /// # Panics
    /// If `work` does.
    pub fn run(&self, parts: usize, work: impl Fn(usize) + Sync) {
        if parts <= 1 || self.helpers.is_empty() {
            return (0..parts).for_each(work);
        }
        let in_use = match self.in_use.try_lock() {
            Ok(guard) => guard,
            // Somebody's work panicked; there is no data behind the lock that could be broken.
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            Err(TryLockError::WouldBlock) => return (0..parts).for_each(work),
        };
        self.run_together(parts, &work);
        drop(in_use);
    }

    /// Calls `work` once for each item; on this thread alone unless `shared`.
    ///
    /// # Panics
    /// If `work` does.
    pub fn share<T>(
        &self,
        shared: bool,
        items: impl Iterator<Item = T> + Send,
        work: impl Fn(T) + Sync,
    ) {
        if !shared || self.helpers.is_empty() {
            return items.for_each(work);
        }
        let items = Mutex::new(items);
        // Its own statement, so that the lock is free again while the item is worked on.
        let next = || items.lock().unwrap_or_else(PoisonError::into_inner).next();
        self.run(self.threads(), |_| {
            while let Some(item) = next() {
                work(item);
            }
        });
    }

    fn run_together(&self, parts: usize, work: Work<'_>) {
        let shared = &*self.shared;
        let mut slot = work;
        shared.work.store(std::ptr::from_mut(&mut slot).cast(), Ordering::Relaxed);
        shared.parts.store(parts, Ordering::Relaxed);
        shared.next_part.store(0, Ordering::Relaxed);
        shared.failed.store(false, Ordering::Relaxed);
        let number = shared.state.load(Ordering::Relaxed) & !(ACTIVE | OPEN);
        shared.state.store(number.wrapping_add(NEXT) | OPEN, Ordering::SeqCst);
        // Closes and waits even if `work` panics below: helpers still look at `slot`.
        let open = Open(shared);
        if shared.sleeping.load(Ordering::SeqCst) > 0 {
            self.helpers.iter().for_each(Thread::unpark);
        }
        shared.take_parts(work);
        drop(open);
        if shared.failed.load(Ordering::Relaxed) {
            let panic = shared.panic.lock().unwrap_or_else(PoisonError::into_inner).take();
            resume_unwind(panic.expect("a helper leaves it there before it says so"));
        }
    }
}

/// Work that helpers may join, until dropped.
struct Open<'a>(&'a Shared);

impl Drop for Open<'_> {
    fn drop(&mut self) {
        self.0.state.fetch_and(!OPEN, Ordering::AcqRel);
        let mut spins = 0u32;
        while self.0.state.load(Ordering::Acquire) & ACTIVE != 0 {
            spins += 1;
            if spins.is_multiple_of(1024) {
                std::thread::yield_now();
            } else {
                std::hint::spin_loop();
            }
        }
    }
}

impl Shared {
    fn take_parts(&self, work: Work<'_>) {
        let parts = self.parts.load(Ordering::Relaxed);
        loop {
            let part = self.next_part.fetch_add(1, Ordering::Relaxed);
            if part >= parts {
                return;
            }
            work(part);
        }
    }

    /// Waits for work other than `last` and joins it; returns the state it had.
    fn join(&self, last: u64) -> u64 {
        let mut spins = 0;
        loop {
            let state = self.state.load(Ordering::Acquire);
            if state & OPEN != 0 && state & !(ACTIVE | OPEN) != last {
                let joined = self.state.compare_exchange_weak(
                    state,
                    state + 1,
                    Ordering::AcqRel,
                    Ordering::Relaxed,
                );
                if joined.is_ok() {
                    return state & !(ACTIVE | OPEN);
                }
            } else if spins < SPINS {
                spins += 1;
                std::hint::spin_loop();
            } else {
                spins = 0;
                self.sleep(last);
            }
        }
    }

    /// Sleeps unless there is work other than `last`. A caller that opens work either finds the sleeper counted, or
    /// was early enough for the sleeper to see the work: both sides write, then read, in one total order.
    fn sleep(&self, last: u64) {
        self.sleeping.fetch_add(1, Ordering::SeqCst);
        let state = self.state.load(Ordering::SeqCst);
        if state & OPEN == 0 || state & !(ACTIVE | OPEN) == last {
            std::thread::park();
        }
        self.sleeping.fetch_sub(1, Ordering::SeqCst);
    }
}

fn start_helper(index: usize, shared: &Arc<Shared>) -> Option<Thread> {
    let shared = Arc::clone(shared);
    let helper =
        std::thread::Builder::new().name(format!("compute-{index}")).spawn(move || help(&shared));
    helper.ok().map(|handle| handle.thread().clone())
}

fn help(shared: &Shared) {
    let mut last = 0;
    loop {
        last = shared.join(last);
        // SAFETY: `join` counted this helper as active while the work was open, and the caller, on whose stack the
        // pointer's target lives, waits until no helper is active. The store of the pointer came before opening.
        let work = unsafe { *shared.work.load(Ordering::Relaxed).cast::<Work<'_>>() };
        if let Err(panic) = catch_unwind(AssertUnwindSafe(|| shared.take_parts(work))) {
            *shared.panic.lock().unwrap_or_else(PoisonError::into_inner) = Some(panic);
            shared.failed.store(true, Ordering::Relaxed);
        }
        shared.state.fetch_sub(1, Ordering::Release);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;
    use std::time::Instant;

    fn team(threads: usize) -> Team {
        Team::new(NonZeroUsize::new(threads).unwrap())
    }

    #[test]
    fn every_part_is_done_once() {
        let team = team(3);
        for parts in (0..200).chain([crate::tests::usual_or(10_000, 300)]) {
            let done: Vec<AtomicUsize> = (0..parts).map(|_| AtomicUsize::new(0)).collect();
            team.run(parts, |part| {
                done[part].fetch_add(1, Ordering::Relaxed);
            });
            assert!(done.iter().all(|count| count.load(Ordering::Relaxed) == 1));
        }
    }

    #[test]
    fn work_inside_work_and_beside_it_is_done() {
        let team = team(2);
        let count = AtomicUsize::new(0);
        let twice = || {
            team.run(4, |_| {
                team.run(4, |_| {
                    count.fetch_add(1, Ordering::Relaxed);
                });
            });
        };
        std::thread::scope(|scope| {
            scope.spawn(twice);
            scope.spawn(twice);
        });
        assert_eq!(count.into_inner(), 32);
    }

    #[test]
    fn a_panic_reaches_the_caller_and_the_team_goes_on() {
        let team = team(2);
        for bad in 0..8 {
            let run = AssertUnwindSafe(|| team.run(8, |part| assert_ne!(part, bad, "on purpose")));
            assert!(catch_unwind(run).is_err());
        }
        all_parts_are_done(&team);
    }

    /// The caller does its part only once a helper is about to panic, so that it is always a helper that does.
    #[test]
    fn a_panic_of_a_helper_reaches_the_caller_with_its_message() {
        let team = team(3);
        let caller = std::thread::current().id();
        let deadline = Instant::now() + Duration::from_secs(60);
        for _ in 0..3 {
            let helped = AtomicBool::new(false);
            let work = |_| {
                if std::thread::current().id() != caller {
                    helped.store(true, Ordering::Relaxed);
                    panic!("the helper's own words");
                }
                while !helped.load(Ordering::Relaxed) && Instant::now() < deadline {
                    std::thread::yield_now();
                }
            };
            let run = AssertUnwindSafe(|| team.run(4, work));
            let panic = catch_unwind(run).unwrap_err();
            assert_eq!(panic.downcast_ref(), Some(&"the helper's own words"));
            all_parts_are_done(&team);
        }
    }

    fn all_parts_are_done(team: &Team) {
        let count = AtomicUsize::new(0);
        team.run(8, |_| {
            count.fetch_add(1, Ordering::Relaxed);
        });
        assert_eq!(count.into_inner(), 8);
    }
}
