//! How sure a share of right answers is. Knows numbers only.

/// Of the normal distribution, for 95 %.
const Z: f64 = 1.959_963_984_540_054;

/// The share of right answers, and the bounds of its 95 % confidence interval after Wilson (1927), which stays within 0
/// and 1 and is right for few questions too.
pub fn share(correct: usize, questions: usize) -> (f64, [f64; 2]) {
    if questions == 0 {
        return (0.0, [0.0, 1.0]);
    }
    let (n, share) = (questions as f64, correct as f64 / questions as f64);
    let weight = 1.0 + Z * Z / n;
    let centre = (share + Z * Z / (2.0 * n)) / weight;
    let half = Z / weight * (share * (1.0 - share) / n + Z * Z / (4.0 * n * n)).sqrt();
    (share, [(centre - half).max(0.0), (centre + half).min(1.0)])
}

/// The chance that at least one of `k` samples is right, drawn without putting back from `samples` of which `correct` are:
/// 1 - C(n - c, k) / C(n, k), the unbiased estimator of Chen et al. (2021), section 2.1, as a product that does not overflow.
pub fn pass_at(k: usize, samples: usize, correct: usize) -> f64 {
    if samples.saturating_sub(correct) < k {
        return 1.0;
    }
    let all_wrong = (samples - correct + 1..=samples).map(|i| 1.0 - k as f64 / i as f64);
    1.0 - all_wrong.product::<f64>()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pass_at_k_is_what_counting_all_choices_gives() {
        // Of 5 samples 2 are right: of 10 pairs 3 have none; of 10 triples 1.
        assert!((pass_at(1, 5, 2) - 0.4).abs() < 1e-12);
        assert!((pass_at(2, 5, 2) - 0.7).abs() < 1e-12);
        assert!((pass_at(3, 5, 2) - 0.9).abs() < 1e-12);
        assert_eq!((pass_at(4, 5, 2), pass_at(5, 5, 5), pass_at(3, 5, 0)), (1.0, 1.0, 0.0));
    }

    #[test]
    fn the_interval_is_wilsons() {
        // Newcombe (1998), table I: 81 of 263 and 15 of 148, and no success in 20.
        for (correct, questions, expected) in
            [(81, 263, [0.2553, 0.3662]), (15, 148, [0.0624, 0.1605]), (0, 20, [0.0, 0.1611])]
        {
            let (_, bounds) = share(correct, questions);
            for (bound, expected) in bounds.into_iter().zip(expected) {
                assert!((bound - expected).abs() < 1e-4, "{correct} of {questions}: {bounds:?}");
            }
        }
        assert_eq!(share(20, 20).1[1], 1.0);
        assert_eq!(share(0, 0), (0.0, [0.0, 1.0]));
    }
}
