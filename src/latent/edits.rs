//! What is done to a thought before it is fed: another in its place, moved, scaled, made noisy. Acts on plain vectors,
//! after the projector and before a position is added; where other vectors come from is known to whoever writes a script.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng as _;
use rand_distr::Distribution as _;
use rand_distr::StandardNormal;
use std::sync::Arc;

/// Edits in the order in which they are made. Steps are counted from 1, from the beginning of the script on.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Edits(pub Vec<(Steps, Edit)>);

/// Which thoughts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Steps {
    /// Every one.
    All,
    /// The one of this number.
    One(usize),
}

/// What is done to a thought.
#[derive(Clone, Debug, PartialEq)]
pub enum Edit {
    /// This vector (D,) is fed in its place.
    Set(Arc<[f32]>),
    /// So many times this vector (D,) is added.
    Add(Arc<[f32]>, f32),
    /// It is multiplied.
    Scale(f32),
    /// Nothing is left of it.
    Zero,
    /// Independent normal numbers are added.
    Noise {
        /// Their standard deviation.
        sigma: f32,
        /// What they and the step follow from.
        seed: u64,
    },
    /// A vector in any direction, as long as it, is fed in its place.
    Random {
        /// What it and the step follow from.
        seed: u64,
    },
    /// What was fed as the thought before is fed again.
    Repeat,
    /// It is not computed, and takes no position.
    Skip,
}

impl Steps {
    fn has(self, step: usize) -> bool {
        match self {
            Self::All => true,
            Self::One(one) => one == step,
        }
    }
}

impl Edits {
    fn at(&self, step: usize) -> impl Iterator<Item = &Edit> {
        self.0.iter().filter(move |(steps, _)| steps.has(step)).map(|(_, edit)| edit)
    }

    /// Whether thought number `step` is left out.
    pub fn skips(&self, step: usize) -> bool {
        self.at(step).any(|edit| *edit == Edit::Skip)
    }

    /// Whether any may be left out.
    pub fn may_skip(&self) -> bool {
        self.0.iter().any(|(_, edit)| *edit == Edit::Skip)
    }

    /// Whether anything is done to thought number `step`.
    pub fn change(&self, step: usize) -> bool {
        self.at(step).next().is_some()
    }

    /// Whether thought number `step` needs one before it.
    pub fn repeats(&self, step: usize) -> bool {
        self.at(step).any(|edit| *edit == Edit::Repeat)
    }

    /// The first step that something is done to.
    pub fn first(&self) -> Option<usize> {
        let first = |steps: &Steps| match steps {
            Steps::All => 1,
            Steps::One(step) => (*step).max(1),
        };
        self.0.iter().map(|(steps, _)| first(steps)).min()
    }

    /// What is fed where `thought` (D,) was computed as number `step`, after `before` was fed.
    pub fn apply(&self, step: usize, thought: &[f32], before: Option<&[f32]>) -> Arc<[f32]> {
        let mut x = thought.to_vec();
        for edit in self.at(step) {
            edit.apply(step, &mut x, before);
        }
        x.into()
    }
}

impl Edit {
    /// The vector that it brings along.
    pub fn vector(&self) -> Option<&[f32]> {
        match self {
            Self::Set(vector) | Self::Add(vector, _) => Some(vector),
            _ => None,
        }
    }

    /// The number that it brings along.
    pub fn number(&self) -> Option<f32> {
        match self {
            Self::Add(_, number) | Self::Scale(number) | Self::Noise { sigma: number, .. } => {
                Some(*number)
            }
            _ => None,
        }
    }

    fn apply(&self, step: usize, x: &mut [f32], before: Option<&[f32]>) {
        match self {
            Self::Set(vector) => x.copy_from_slice(vector),
            Self::Add(vector, alpha) => {
                x.iter_mut().zip(&**vector).for_each(|(x, v)| *x += alpha * v);
            }
            Self::Scale(alpha) => x.iter_mut().for_each(|x| *x *= alpha),
            Self::Zero => x.fill(0.0),
            Self::Noise { sigma, seed } => {
                x.iter_mut().zip(normal(*seed, step)).for_each(|(x, noise)| *x += sigma * noise);
            }
            Self::Random { seed } => {
                let length = length(x);
                x.iter_mut().zip(normal(*seed, step)).for_each(|(x, noise)| *x = noise);
                let scale = (length / self::length(x)) as f32;
                x.iter_mut().for_each(|x| *x *= scale);
            }
            Self::Repeat => {
                x.copy_from_slice(before.expect("a script repeats what was fed, or is refused"));
            }
            Self::Skip => {}
        }
    }
}

/// Normal numbers that follow from seed and step alone: nobody else in a batch moves them.
fn normal(seed: u64, step: usize) -> impl Iterator<Item = f32> {
    let mut numbers = ChaCha8Rng::seed_from_u64(seed);
    numbers.set_stream(step as u64);
    std::iter::from_fn(move || Some(StandardNormal.sample(&mut numbers)))
}

/// Euclidean length, in f64, where the squares of the largest numbers are numbers too.
pub fn length(x: &[f32]) -> f64 {
    x.iter().map(|&x| f64::from(x) * f64::from(x)).sum::<f64>().sqrt()
}

/// Cosine of the angle between two vectors; 0 where one of them has no length.
pub fn cosine(a: &[f32], b: &[f32]) -> f32 {
    let product: f64 = a.iter().zip(b).map(|(&a, &b)| f64::from(a) * f64::from(b)).sum();
    let lengths = length(a) * length(b);
    if lengths > 0.0 { (product / lengths).clamp(-1.0, 1.0) as f32 } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cosine_says_where_vectors_point_and_nothing_of_their_lengths() {
        let cases: [(&[f32], &[f32], f32); 5] = [
            (&[1.0, 0.0], &[3.0, 4.0], 0.6),
            (&[1e30, 2e30], &[-1e-30, -2e-30], -1.0),
            (&[0.1, 0.2, 0.3], &[0.1, 0.2, 0.3], 1.0),
            (&[0.0, 0.0], &[3.0, 4.0], 0.0),
            (&[f32::MAX, 0.0], &[0.0, f32::MAX], 0.0),
        ];
        for (a, b, expected) in cases {
            assert!((cosine(a, b) - expected).abs() < 1e-6, "{a:?} {b:?}");
        }
    }

    const X: [f32; 3] = [1.5, -2.0, 0.25];

    fn apply(edit: Edit, step: usize) -> Vec<f32> {
        Edits(vec![(Steps::All, edit)]).apply(step, &X, Some(&[7.0, 8.0, 9.0])).to_vec()
    }

    #[test]
    fn each_edit_does_what_it_says() {
        let vector: Arc<[f32]> = Arc::new([1.0, 2.0, 4.0]);
        assert_eq!(apply(Edit::Set(Arc::clone(&vector)), 1), [1.0, 2.0, 4.0]);
        assert_eq!(apply(Edit::Add(vector, 0.5), 1), [2.0, -1.0, 2.25]);
        assert_eq!(apply(Edit::Scale(-2.0), 1), [-3.0, 4.0, -0.5]);
        assert_eq!(apply(Edit::Zero, 1), [0.0; 3]);
        assert_eq!(apply(Edit::Repeat, 2), [7.0, 8.0, 9.0]);
        assert_eq!(apply(Edit::Noise { sigma: 0.0, seed: 3 }, 1), X);
    }

    #[test]
    fn edits_are_made_in_their_order_and_only_at_their_steps() {
        let edits = Edits(vec![
            (Steps::One(2), Edit::Set(Arc::new([1.0, 1.0, 1.0]))),
            (Steps::All, Edit::Scale(3.0)),
            (Steps::One(4), Edit::Skip),
        ]);
        assert_eq!(*edits.apply(2, &X, None), [3.0; 3]);
        assert_eq!(*edits.apply(3, &X, None), [4.5, -6.0, 0.75]);
        assert_eq!((edits.first(), edits.skips(3), edits.skips(4)), (Some(1), false, true));
        assert_eq!(Edits::default().first(), None);
    }

    #[test]
    fn chance_follows_from_seed_and_step_alone() {
        let noise = |seed, step| apply(Edit::Noise { sigma: 0.5, seed }, step);
        assert_eq!(noise(3, 1), noise(3, 1));
        assert_ne!(noise(3, 1), noise(3, 2));
        assert_ne!(noise(3, 1), noise(4, 1));
        let many = Edits(vec![(Steps::All, Edit::Noise { sigma: 0.6, seed: 1 })]);
        let many = many.apply(1, &[0.0; 10_000], None);
        let sigma = length(&many) / 100.0;
        assert!((sigma - 0.6).abs() < 0.02, "{sigma}");
        let random = apply(Edit::Random { seed: 3 }, 1);
        assert_ne!(random, apply(Edit::Random { seed: 3 }, 2));
        assert!((length(&random) - length(&X)).abs() < 1e-6);
    }
}
