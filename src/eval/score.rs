//! Whether an answer is the expected one, and how sure a share of right answers is. Knows no engine.

use crate::latent::answer::AnswerRule;

/// Of the normal distribution, for 95 %.
const Z: f64 = 1.959_963_984_540_054;

/// Whether the answer that the recipe extracted is the expected one, compared as the family's own code does: texts without
/// commas (`run.py` of Coconut), numbers as numbers (`test.py` of CODI).
pub fn is_right(rule: AnswerRule, answer: &str, expected: &str) -> bool {
    let expected = rule.extract(expected);
    let number = |text: &str| text.parse::<f64>().ok();
    match (rule, number(answer), number(&expected)) {
        (AnswerRule::LastNumber, Some(answer), Some(expected)) => answer == expected,
        _ => answer == expected,
    }
}

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_compared_as_their_family_does() {
        let (hash, last) = (AnswerRule::AfterHash, AnswerRule::LastNumber);
        assert!(is_right(hash, "70000", "70,000"));
        assert!(is_right(hash, "18", "#### 18"));
        assert!(!is_right(hash, "18.0", "18"), "texts");
        assert!(is_right(last, "18.0", "18"), "numbers");
        assert!(is_right(last, "1007.5", "$1,007.50"));
        assert!(is_right(last, "True", "True"));
        assert!(!is_right(last, "True", "1"));
        assert!(is_right(AnswerRule::Choice, "B", "B"));
        assert!(is_right(AnswerRule::Whole, "17", " 17 "));
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
