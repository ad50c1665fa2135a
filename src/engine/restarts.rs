//! How often a failed engine may start anew: a fault that comes back at once is not mended by it. Knows moments, not what
//! failed.

use std::time::Duration;
use std::time::Instant;

/// So many failures within `WINDOW` are the end.
const TOO_MANY: usize = 3;

/// How long a failure is remembered.
const WINDOW: Duration = Duration::from_secs(60);

/// The failures of late.
#[derive(Debug, Default)]
pub(crate) struct Restarts {
    failures: Vec<Instant>,
}

impl Restarts {
    /// Notes a failure; whether the engine may start anew after it.
    pub(crate) fn allow(&mut self, now: Instant) -> bool {
        self.failures.retain(|&failure| now.saturating_duration_since(failure) < WINDOW);
        self.failures.push(now);
        self.failures.len() < TOO_MANY
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_failures_in_a_minute_are_the_end_and_older_ones_are_forgotten() {
        let start = Instant::now();
        let allowed = |seconds: &[u64]| -> Vec<bool> {
            let mut restarts = Restarts::default();
            seconds.iter().map(|&s| restarts.allow(start + Duration::from_secs(s))).collect()
        };
        assert_eq!(allowed(&[0, 1, 2]), [true, true, false]);
        assert_eq!(allowed(&[0, 59, 60, 119, 120]), [true; 5]);
        assert_eq!(allowed(&[0, 59, 60, 118]), [true, true, true, false]);
        assert_eq!(allowed(&[0, 30, 60, 90, 120]), [true; 5]);
    }
}
