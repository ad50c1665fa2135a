//! From logits to a token. One sampler a request, with random numbers of its own, so that an answer does not depend on
//! what else is in the batch. Knows no device.

use crate::engine::request::Scored;
use crate::engine::request::TopToken;
use crate::latent::script::Sampling;
use coconut_kernels::vocabulary::most_likely;
use rand::SeedableRng as _;
use rand::distr::Distribution as _;
use rand::distr::weighted::WeightedIndex;
use rand::rngs::StdRng;
use std::sync::Arc;

/// Chooses the answer tokens of one request.
pub(crate) struct Sampler {
    masked: Arc<[u32]>,
    /// `None` takes the most likely token.
    random: Option<Random>,
}

/// A choice by chance: what is left of the distribution, and where the numbers come from.
struct Random {
    sampling: Sampling,
    numbers: StdRng,
}

impl Sampler {
    pub(crate) fn new(sampling: &Sampling, masked: impl Into<Arc<[u32]>>) -> Self {
        let random = (sampling.temperature > 0.0).then(|| Random {
            sampling: sampling.clone(),
            numbers: StdRng::seed_from_u64(sampling.seed),
        });
        Self { masked: masked.into(), random }
    }

    /// Finite logits (V,) -> an id that is not masked
    pub(crate) fn choose(&mut self, logits: &[f32]) -> u32 {
        let drawn = self.random.as_mut().and_then(|random| random.draw(logits, &self.masked));
        drawn.unwrap_or_else(|| most_likely(logits, &self.masked))
    }

    /// The natural logarithm of the probability of `id` at temperature 1.
    pub(crate) fn logprob(&self, logits: &[f32], id: u32) -> f32 {
        LogProbabilities::of(logits, &self.masked).of_id(logits, id)
    }

    /// The `count` most likely ids, most likely first.
    pub(crate) fn top(&self, logits: &[f32], count: usize) -> Vec<Scored> {
        top_scored(logits, count, &self.masked)
    }
}

impl Random {
    /// The largest logits, at most `top_k`; of these the fewest that hold `top_p` of the probability; one by chance.
    /// `None` where nothing is left to choose from.
    fn draw(&mut self, logits: &[f32], masked: &[u32]) -> Option<u32> {
        let mut ids: Vec<u32> = (0..logits.len() as u32).collect();
        ids.retain(|id| !masked.contains(id));
        let by_logit =
            |a: &u32, b: &u32| logits[*b as usize].total_cmp(&logits[*a as usize]).then(a.cmp(b));
        if let Some(k) = self.sampling.top_k.filter(|&k| k < ids.len()) {
            ids.select_nth_unstable_by(k, by_logit);
            ids.truncate(k);
        }
        let max = ids.iter().map(|&id| logits[id as usize]).max_by(f32::total_cmp)?;
        // Differences first: whatever the temperature, the largest weight is e^0.
        let weight =
            |id: &u32| (f64::from(logits[*id as usize] - max) / self.sampling.temperature).exp();
        if let Some(p) = self.sampling.top_p.filter(|&p| p < 1.0) {
            ids.sort_unstable_by(by_logit);
            let enough = p * ids.iter().map(weight).sum::<f64>();
            let mut held = 0.0;
            let kept = ids.iter().take_while(|id| {
                let wanted = held < enough;
                held += weight(id);
                wanted
            });
            let kept = kept.count().max(1);
            ids.truncate(kept);
        }
        let place = WeightedIndex::new(ids.iter().map(weight)).ok()?.sample(&mut self.numbers);
        Some(ids[place])
    }
}

/// What finite logits (V,) say of `id`, with nothing masked.
pub(crate) fn score(logits: &[f32], id: u32) -> Scored {
    LogProbabilities::of(logits, &[]).score(logits, id)
}

/// The same of several.
pub(crate) fn scores(logits: &[f32], ids: &[u32]) -> Vec<Scored> {
    let all = LogProbabilities::of(logits, &[]);
    ids.iter().map(|&id| all.score(logits, id)).collect()
}

/// What finite logits (V,) say of the `count` most likely ids that are not masked, most likely first.
pub(crate) fn top_scored(logits: &[f32], count: usize, masked: &[u32]) -> Vec<Scored> {
    if count == 0 {
        return Vec::new();
    }
    let all = LogProbabilities::of(logits, masked);
    let ids = largest(logits, count, masked).into_iter().enumerate();
    ids.map(|(rank, id)| Scored { id, logprob: all.of_id(logits, id), rank }).collect()
}

/// The entropy of what finite logits (V,) say, in nats, with nothing masked; no number where one of them is none.
pub(crate) fn entropy(logits: &[f32]) -> f32 {
    let max = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let (mut total, mut weighted) = (0.0f64, 0.0f64);
    for &logit in logits {
        let below = f64::from(logit) - f64::from(max);
        let weight = below.exp();
        (total, weighted) = (total + weight, weighted + weight * below);
    }
    (total.ln() - weighted / total) as f32
}

/// What turns a logit into a log-probability.
struct LogProbabilities {
    max: f64,
    log_total: f64,
}

impl LogProbabilities {
    fn of(logits: &[f32], masked: &[u32]) -> Self {
        // Masked ones are left out rather than taken away from a sum in which they may be all that counts.
        let allowed = || {
            let all = (0..).zip(logits).filter(|(id, _)| !masked.contains(id));
            all.map(|(_, &logit)| f64::from(logit))
        };
        let max = allowed().fold(f64::NEG_INFINITY, f64::max);
        let total: f64 = allowed().map(|logit| (logit - max).exp()).sum();
        Self { max, log_total: total.ln() }
    }

    fn score(&self, logits: &[f32], id: u32) -> Scored {
        let rank = logits.iter().filter(|&&logit| logit > logits[id as usize]).count();
        Scored { id, logprob: self.of_id(logits, id), rank }
    }

    fn of_id(&self, logits: &[f32], id: u32) -> f32 {
        (f64::from(logits[id as usize]) - self.max - self.log_total) as f32
    }
}

/// The `count` most likely tokens, most likely first.
pub(crate) fn top_tokens(logits: &[f32], count: usize) -> Vec<TopToken> {
    let max = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let total: f64 = logits.iter().map(|&logit| f64::from(logit - max).exp()).sum();
    let probability = |id: u32| (f64::from(logits[id as usize] - max).exp() / total) as f32;
    let ids = largest(logits, count, &[]).into_iter();
    ids.map(|id| TopToken { id, probability: probability(id) }).collect()
}

/// The ids of the `count` largest logits that are not masked, the largest first.
fn largest(logits: &[f32], count: usize, masked: &[u32]) -> Vec<u32> {
    let mut ids: Vec<u32> = (0..logits.len() as u32).collect();
    ids.retain(|id| !masked.contains(id));
    let by_logit =
        |a: &u32, b: &u32| logits[*b as usize].total_cmp(&logits[*a as usize]).then(a.cmp(b));
    if count < ids.len() {
        ids.select_nth_unstable_by(count, by_logit);
        ids.truncate(count);
    }
    ids.sort_unstable_by(by_logit);
    ids
}

#[cfg(test)]
mod tests {
    use super::Sampler;
    use super::entropy;
    use super::top_tokens;
    use crate::latent::generate;
    use crate::latent::script::Sampling;
    use coconut_kernels::vocabulary::all_finite;
    use coconut_kernels::vocabulary::most_likely;
    use proptest::prelude::*;

    proptest! {
        /// Few different values, so that many are equal: the first of them counts.
        #[test]
        fn the_fast_choice_is_the_plain_one(
            logits in prop::collection::vec((-20..20i8).prop_map(f32::from), 1..900),
            masked in prop::collection::vec(0..900u32, 0..20),
        ) {
            prop_assert_eq!(most_likely(&logits, &masked), generate::most_likely(&logits, &masked));
        }
    }

    #[test]
    fn a_masked_token_is_never_chosen() {
        let logits = [0.0, 5.0, 1.0];
        assert_eq!(Sampler::new(&Sampling::GREEDY, vec![1]).choose(&logits), 2);
        let hot = Sampling { temperature: 1.0, top_p: None, top_k: None, seed: 7 };
        let mut sampler = Sampler::new(&hot, vec![1]);
        assert!((0..200).all(|_| sampler.choose(&logits) != 1));
        let total =
            (0..3).filter(|&id| id != 1).map(|id| sampler.logprob(&logits, id).exp()).sum::<f32>();
        assert!((total - 1.0).abs() < 1e-6);
    }

    #[test]
    fn a_log_probability_is_a_number_whatever_the_logits() {
        for logits in [[0.0, 900.0, 1.0], [f32::MAX, -f32::MAX, 0.0], [-3e38, 3e38, -3e38]] {
            let mut sampler = Sampler::new(&Sampling::GREEDY, vec![1]);
            let chosen = sampler.choose(&logits);
            let logprob = sampler.logprob(&logits, chosen);
            assert!(chosen != 1 && (-1.0..=0.0).contains(&logprob), "{logits:?}: {logprob}");
        }
    }

    #[test]
    fn a_seed_makes_the_same_choices_again() {
        let logits: Vec<f32> = (0..50).map(|i| (i as f32 * 0.7).sin()).collect();
        let sampling = Sampling { temperature: 0.8, top_p: Some(0.9), top_k: Some(20), seed: 3 };
        let choices = |sampling: &Sampling| {
            let mut sampler = Sampler::new(sampling, Vec::new());
            (0..20).map(|_| sampler.choose(&logits)).collect::<Vec<_>>()
        };
        assert_eq!(choices(&sampling), choices(&sampling));
        assert_ne!(choices(&sampling), choices(&Sampling { seed: 4, ..sampling.clone() }));
    }

    #[test]
    fn a_temperature_near_zero_is_greedy() {
        let logits = [0.0, 5.0, 1.0, 4.999];
        for temperature in [1e-6, 1e-37, f64::MIN_POSITIVE, 5e-324] {
            for (top_p, top_k) in
                [(None, None), (Some(0.5), None), (None, Some(3)), (Some(1e-300), Some(2))]
            {
                let sampling = Sampling { temperature, top_p, top_k, seed: 3 };
                let mut sampler = Sampler::new(&sampling, Vec::new());
                assert!((0..50).all(|_| sampler.choose(&logits) == 1), "{sampling:?}");
            }
        }
    }

    #[test]
    fn draws_follow_what_is_left_of_the_distribution() {
        let logits: Vec<f32> = [0.4f32, 0.3, 0.2, 0.1].iter().map(|p| p.ln()).collect();
        let shares = |top_p, top_k| {
            let sampling = Sampling { temperature: 1.0, top_p, top_k, seed: 5 };
            let mut sampler = Sampler::new(&sampling, Vec::new());
            let mut counts = [0.0; 4];
            (0..20_000).for_each(|_| counts[sampler.choose(&logits) as usize] += 1.0 / 20_000.0);
            counts
        };
        let near = |found: [f64; 4], expected: [f64; 4]| {
            let off = found.iter().zip(expected).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
            assert!(off < 0.02, "{found:?}, expected {expected:?}");
        };
        near(shares(None, None), [0.4, 0.3, 0.2, 0.1]);
        near(shares(None, Some(2)), [4.0 / 7.0, 3.0 / 7.0, 0.0, 0.0]);
        near(shares(Some(0.65), None), [4.0 / 7.0, 3.0 / 7.0, 0.0, 0.0]);
        // Half of what two hold is less than what the first holds.
        near(shares(Some(0.5), Some(2)), [1.0, 0.0, 0.0, 0.0]);
    }

    #[test]
    fn an_entropy_is_that_of_the_probabilities() {
        let logits = [0.5f32, 0.25, 0.125, 0.125].map(f32::ln);
        assert!((f64::from(entropy(&logits)) - 1.75 * std::f64::consts::LN_2).abs() < 1e-6);
        let moved = logits.map(|logit| logit + 300.0);
        assert!((entropy(&moved) - entropy(&logits)).abs() < 1e-4);
        assert!((entropy(&[0.3; 1000]) - 1000.0f32.ln()).abs() < 1e-6);
        assert_eq!(entropy(&[f32::MAX, -f32::MAX, 0.0]), 0.0);
        for odd in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            assert!(entropy(&[1.0, odd, 2.0]).is_nan(), "{odd}");
        }
    }

    #[test]
    fn top_tokens_come_in_order_with_their_probabilities() {
        let logits = [1.0f32.ln(), 4.0f32.ln(), 3.0f32.ln(), 2.0f32.ln()];
        let top = top_tokens(&logits, 2);
        assert_eq!(top.iter().map(|top| top.id).collect::<Vec<_>>(), [1, 2]);
        assert!((top[0].probability - 0.4).abs() < 1e-6 && (top[1].probability - 0.3).abs() < 1e-6);
        assert_eq!(top_tokens(&logits, 9).len(), 4);
    }

    #[test]
    fn huge_numbers_are_finite_and_nan_is_not() {
        assert!(all_finite(&[f32::MAX, f32::MAX, -f32::MAX]));
        assert!(!all_finite(&[0.0, f32::NAN]));
        assert!(!all_finite(&[f32::NEG_INFINITY]));
    }
}
