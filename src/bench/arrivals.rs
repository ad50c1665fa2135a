//! The times at which requests begin. Knows clocks and chance, no requests.

use crate::bench::plan::Arrivals;
use crate::bench::plan::End;
use futures::Stream;
use futures::stream;
use rand::SeedableRng as _;
use rand_chacha::ChaCha8Rng;
use rand_distr::Distribution as _;
use rand_distr::Exp;
use std::time::Duration;
use tokio::time::Instant;
use tokio::time::sleep_until;

/// One request that begins.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Arrival {
    /// From 0.
    pub(crate) number: usize,
    /// When it should begin; it may begin later.
    pub(crate) intended: Instant,
}

/// Gaps between arrivals of a Poisson process.
#[derive(Debug)]
struct Gaps {
    seconds: Exp<f64>,
    random: ChaCha8Rng,
}

/// How the next time is found.
#[derive(Debug)]
enum Clock {
    /// As soon as somebody is free to ask.
    Now,
    /// After a gap, whoever is free.
    Schedule { next: Instant, gaps: Box<Gaps> },
}

impl Gaps {
    fn new(rate: f64, seed: u64) -> Self {
        let seconds = Exp::new(rate).expect("the command line takes rates above 0 only");
        Self { seconds, random: ChaCha8Rng::seed_from_u64(seed) }
    }

    fn next(&mut self) -> Duration {
        Duration::from_secs_f64(self.seconds.sample(&mut self.random))
    }
}

impl Clock {
    fn new(arrivals: Arrivals, start: Instant) -> Self {
        match arrivals {
            Arrivals::Closed { .. } => Self::Now,
            Arrivals::Open { rate, seed, .. } => {
                Self::Schedule { next: start, gaps: Box::new(Gaps::new(rate, seed)) }
            }
        }
    }

    fn next(&mut self) -> Instant {
        match self {
            Self::Now => Instant::now(),
            Self::Schedule { next, gaps } => {
                let due = *next + gaps.next();
                std::mem::replace(next, due)
            }
        }
    }
}

/// Requests as they should begin, until the end. In an open loop each is given out at its time, or when the stream is
/// polled again after it.
pub(crate) fn arrivals(arrivals: Arrivals, end: End) -> impl Stream<Item = Arrival> {
    let start = Instant::now();
    let clock = Clock::new(arrivals, start);
    stream::unfold((clock, 0), move |(mut clock, number)| async move {
        let intended = clock.next();
        let enough = end.requests.is_some_and(|requests| number >= requests);
        let late = end.duration.is_some_and(|duration| intended >= start + duration);
        if enough || late {
            return None;
        }
        sleep_until(intended).await;
        Some((Arrival { number, intended }, (clock, number + 1)))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::StreamExt as _;

    fn open(rate: f64, seed: u64) -> Arrivals {
        Arrivals::Open { rate, seed, most_in_flight: 8 }
    }

    async fn times(of: Arrivals, end: End) -> Vec<Duration> {
        let start = Instant::now();
        arrivals(of, end).map(|arrival| arrival.intended - start).collect().await
    }

    #[tokio::test]
    async fn a_number_of_requests_is_exact() {
        let end = End { requests: Some(17), duration: None };
        for of in [Arrivals::Closed { clients: 3 }, open(1e5, 1)] {
            let numbers: Vec<usize> =
                arrivals(of, end).map(|arrival| arrival.number).collect().await;
            assert_eq!(numbers, (0..17).collect::<Vec<_>>());
        }
    }

    #[tokio::test]
    async fn none_begins_after_the_duration() {
        let end = End { requests: None, duration: Some(Duration::from_millis(20)) };
        assert!(times(open(1e4, 1), end).await.iter().all(|&at| at < Duration::from_millis(21)));
        let none = End { requests: None, duration: Some(Duration::ZERO) };
        assert!(times(Arrivals::Closed { clients: 1 }, none).await.is_empty());
    }

    #[test]
    fn gaps_have_the_mean_and_spread_of_a_poisson_process() {
        let mut gaps = Gaps::new(50.0, 7);
        let seconds: Vec<f64> = (0..20_000).map(|_| gaps.next().as_secs_f64()).collect();
        let mean = seconds.iter().sum::<f64>() / seconds.len() as f64;
        let variance =
            seconds.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / seconds.len() as f64;
        assert!((mean * 50.0 - 1.0).abs() < 0.03, "{mean}");
        assert!((variance.sqrt() / mean - 1.0).abs() < 0.05, "{variance}");
    }

    #[test]
    fn a_seed_makes_the_times_repeatable() {
        let all = |seed| {
            let mut gaps = Gaps::new(1.0, seed);
            [gaps.next(), gaps.next(), gaps.next()]
        };
        assert_eq!(all(3), all(3));
        assert_ne!(all(3), all(4));
    }

    /// However long the requests before it take: the times are those of the gaps alone.
    #[tokio::test]
    async fn the_intended_time_does_not_wait_for_whoever_asks() {
        let end = End { requests: Some(6), duration: None };
        let mut intended = Vec::new();
        let mut stream = std::pin::pin!(arrivals(open(1e4, 1), end));
        while let Some(arrival) = stream.next().await {
            intended.push(arrival.intended);
            // As if it took a while: until after the next one should have begun.
            sleep_until(arrival.intended + Duration::from_millis(2)).await;
        }
        let mut gaps = Gaps::new(1e4, 1);
        for pair in intended.windows(2) {
            assert_eq!(pair[1] - pair[0], gaps.next());
        }
    }
}
