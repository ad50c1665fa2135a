//! Work that keeps a processor busy, away from the threads that answer connections: a health check must not wait for
//! somebody's megabyte of text. Does not know what the work is.

use crate::http::error::ApiError;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::thread::available_parallelism;
use std::time::Duration;
use tokio::sync::Semaphore;
use tokio::task::spawn_blocking;
use tokio::time::Instant;
use tokio::time::timeout_at;

/// Work that is done sooner is done where it is: handing it over would take as long.
const SHORT: Duration = Duration::from_millis(1);

/// When to come back to a server where more is waiting.
const RETRY_FULL: Duration = Duration::from_secs(1);

/// Something to do for so many bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Work {
    /// Text to ids: a few MB a second.
    Tokenize(usize),
    /// JSON to values.
    Parse(usize),
    /// Values to JSON, vectors to base64.
    Write(usize),
}

impl Work {
    /// How long that takes, roughly.
    fn takes(self) -> Duration {
        let (bytes, nanos) = match self {
            Self::Tokenize(bytes) => (bytes, 250),
            Self::Parse(bytes) => (bytes, 10),
            Self::Write(bytes) => (bytes, 4),
        };
        Duration::from_nanos((bytes as u64).saturating_mul(nanos))
    }
}

/// Where such work is done: so much at the same time, so much waiting, and each no longer than its deadline.
#[derive(Debug)]
pub(super) struct Desk {
    seats: Arc<Semaphore>,
    waiting: Semaphore,
}

impl Desk {
    /// For half of the processors, so that the other half is left for answers; `most_waiting` may wait for them.
    pub(super) fn new(most_waiting: usize) -> Self {
        let processors = available_parallelism().map_or(1, NonZeroUsize::get);
        Self {
            seats: Arc::new(Semaphore::new((processors / 2).max(1))),
            waiting: Semaphore::new(most_waiting),
        }
    }

    /// What `todo` comes to, which is such work.
    pub(super) async fn run<T: Send + 'static>(
        &self,
        work: Work,
        deadline: Instant,
        todo: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, ApiError> {
        if work.takes() <= SHORT {
            return Ok(todo());
        }
        let full = |_| ApiError::QueueFull { retry_after: RETRY_FULL };
        let _waiting = self.waiting.try_acquire().map_err(full)?;
        let late = |_| ApiError::Deadline;
        let seat = timeout_at(deadline, Arc::clone(&self.seats).acquire_owned()).await;
        let seat = seat.map_err(late)?;
        let working = spawn_blocking(move || {
            // Taken along: work that outlives its deadline keeps its seat.
            let _seat = seat;
            todo()
        });
        timeout_at(deadline, working).await.map_err(late)?.map_err(|_panic| ApiError::Internal)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc::channel;
    use std::thread;

    const LONG: Work = Work::Tokenize(usize::MAX);

    fn later() -> Instant {
        Instant::now() + Duration::from_secs(60)
    }

    #[tokio::test]
    async fn large_work_leaves_the_thread_and_small_work_stays() {
        let (desk, here) = (Desk::new(1), thread::current().id());
        let there = |work| desk.run(work, later(), || thread::current().id());
        for (size, work) in
            [(4_000, Work::Tokenize as fn(_) -> _), (100_000, Work::Parse), (250_000, Work::Write)]
        {
            assert_eq!(there(work(size)).await.unwrap(), here, "{size}");
            assert_ne!(there(work(2 * size)).await.unwrap(), here, "{size}");
        }
    }

    #[tokio::test]
    async fn work_beyond_the_seats_waits_until_its_deadline_and_beyond_the_places_not_at_all() {
        let desk = Desk { seats: Arc::new(Semaphore::new(1)), waiting: Semaphore::new(2) };
        let (go, wait) = channel::<()>();
        let soon = Instant::now() + Duration::from_millis(20);
        let (seated, late, turned_away) = tokio::join!(
            desk.run(LONG, later(), move || wait.recv().unwrap()),
            async {
                let late = desk.run(LONG, soon, || ()).await;
                go.send(()).unwrap();
                late
            },
            desk.run(LONG, later(), || ()),
        );
        assert_eq!(seated, Ok(()));
        assert_eq!(late, Err(ApiError::Deadline));
        assert_eq!(turned_away, Err(ApiError::QueueFull { retry_after: RETRY_FULL }));
        assert_eq!(desk.run(LONG, later(), || 7).await, Ok(7), "nothing is left taken");
    }

    #[tokio::test]
    async fn a_panic_is_an_error_and_frees_the_seat() {
        let desk = Desk { seats: Arc::new(Semaphore::new(1)), waiting: Semaphore::new(1) };
        let panics = desk.run(LONG, later(), || panic!("for the test")).await;
        assert_eq!(panics, Err::<(), _>(ApiError::Internal));
        assert_eq!(desk.run(LONG, later(), || 7).await, Ok(7));
    }
}
