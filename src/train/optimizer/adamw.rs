//! AdamW (Loshchilov and Hutter, 2019, algorithm 2) on plain slices. Knows one parameter.

use rayon::prelude::*;

/// Elements updated at a time by one thread.
const PART: usize = 1 << 14;

/// The rule with its numbers.
#[derive(Clone, Copy, Debug)]
pub(super) struct AdamW {
    pub(super) lr: f64,
    pub(super) decay: f64,
    pub(super) betas: [f64; 2],
    pub(super) eps: f64,
}

impl AdamW {
    /// The `updates`-th update, counted from 1, of weights with their average gradient and average squared gradient:
    ///
    /// w -= lr decay w;  m += (1 - b1) (g - m);  v += (1 - b2) (g^2 - v);
    /// w -= lr (m / (1 - b1^t)) / (sqrt(v / (1 - b2^t)) + eps)
    pub(super) fn apply(
        self,
        weights: &mut [f32],
        gradient: &[f32],
        (first, second): (&mut [f32], &mut [f32]),
        updates: usize,
    ) {
        let t = i32::try_from(updates).unwrap_or(i32::MAX);
        let [b1, b2] = self.betas;
        let step = (self.lr / (1.0 - b1.powi(t))) as f32;
        let root = (1.0 - b2.powi(t)).sqrt() as f32;
        let keep = (1.0 - self.lr * self.decay) as f32;
        let (b1, b2, eps) = ((1.0 - b1) as f32, (1.0 - b2) as f32, self.eps as f32);
        let averages = first.par_chunks_mut(PART).zip(second.par_chunks_mut(PART));
        let parts = weights.par_chunks_mut(PART).zip(gradient.par_chunks(PART)).zip(averages);
        parts.for_each(|((weights, gradient), (first, second))| {
            let averages = first.iter_mut().zip(second);
            for ((w, &g), (m, v)) in weights.iter_mut().zip(gradient).zip(averages) {
                *m += b1 * (g - *m);
                *v += b2 * (g * g - *v);
                *w = *w * keep - step * *m / (v.sqrt() / root + eps);
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The formula in f64, one element.
    fn formula(rule: AdamW, mut w: f64, gradients: &[f64]) -> f64 {
        let ([b1, b2], mut m, mut v) = (rule.betas, 0.0, 0.0);
        for (index, g) in gradients.iter().enumerate() {
            let t = index as i32 + 1;
            w -= rule.lr * rule.decay * w;
            m = b1 * m + (1.0 - b1) * g;
            v = b2 * v + (1.0 - b2) * g * g;
            w -= rule.lr * (m / (1.0 - b1.powi(t))) / ((v / (1.0 - b2.powi(t))).sqrt() + rule.eps);
        }
        w
    }

    #[test]
    fn updates_follow_the_formula() {
        let rule = AdamW { lr: 0.1, decay: 0.2, betas: [0.9, 0.99], eps: 1e-8 };
        let gradients = [[0.5f32, -2.0], [0.1, 1.0], [-3.0, 1e-4]];
        let (mut weights, mut first, mut second) = ([1.0f32, -0.5], [0.0; 2], [0.0; 2]);
        for (index, gradient) in gradients.iter().enumerate() {
            rule.apply(&mut weights, gradient, (&mut first, &mut second), index + 1);
        }
        for (at, start) in [1.0, -0.5].into_iter().enumerate() {
            let gradients = gradients.map(|gradient| f64::from(gradient[at]));
            let expected = formula(rule, start, &gradients);
            assert!((f64::from(weights[at]) - expected).abs() < 1e-5, "{} {expected}", weights[at]);
        }
    }
}
