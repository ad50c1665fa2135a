//! Multiplications as iCoT trains on them (Deng et al., 2024): digits in reverse order with spaces between, partial
//! products and their sums as steps. No question comes twice, in one split or in two. Knows no file.

use crate::data::error::Error;
use crate::data::example::Example;

/// Most digits of a factor: products must fit 128 bits, factors 64.
pub const MAX_DIGITS: u32 = 18;

/// Rounds of the shuffle. Four are enough to look random; two more cost nothing.
const ROUNDS: u64 = 6;

/// A part of all multiplications, the same whatever the seed: 8 of 10 are for training, 1 each for the others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Split {
    /// For training.
    Train,
    /// For choosing among checkpoints.
    Valid,
    /// For the final number.
    Test,
}

/// All multiplications of one split, in an order that the seed gives.
#[derive(Clone, Debug)]
pub struct Multiplications {
    digits: u32,
    split: Split,
    seed: u64,
    /// How many pairs of factors have been looked at.
    next: u128,
}

impl Multiplications {
    /// Of factors with so many digits each.
    ///
    /// # Errors
    /// If that is 0 or more than [`MAX_DIGITS`].
    pub fn new(digits: u32, split: Split, seed: u64) -> Result<Self, Error> {
        match (1..=MAX_DIGITS).contains(&digits) {
            true => Ok(Self { digits, split, seed, next: 0 }),
            false => {
                Err(Error::Impossible(format!("{digits} digits; 1 to {MAX_DIGITS} are possible")))
            }
        }
    }

    /// The number of factors with so many digits, and the first of them.
    fn factors(&self) -> (u64, u64) {
        let first = 10_u64.pow(self.digits - 1);
        (9 * first, first)
    }

    /// A Feistel network over pairs: each round adds to one half what it makes of the other, which can be undone. So
    /// different pairs stay different, and nothing needs to be remembered.
    fn shuffled(&self, index: u128, count: u64) -> (u64, u64) {
        let count = u128::from(count);
        let (mut a, mut b) = (index / count, index % count);
        for round in 0..ROUNDS {
            let mixed = mix(b as u64 ^ mix(self.seed ^ mix(round)));
            (a, b) = (b, (a + u128::from(mixed)) % count);
        }
        (a as u64, b as u64)
    }
}

impl Iterator for Multiplications {
    type Item = Example;

    fn next(&mut self) -> Option<Example> {
        let (count, first) = self.factors();
        while self.next < u128::from(count) * u128::from(count) {
            let (a, b) = self.shuffled(self.next, count);
            self.next += 1;
            if split_of(first + a, first + b) == self.split {
                return Some(example(first + a, first + b, self.digits as usize));
            }
        }
        None
    }
}

fn split_of(a: u64, b: u64) -> Split {
    match mix(a ^ mix(b)) % 10 {
        0 => Split::Valid,
        1 => Split::Test,
        _ => Split::Train,
    }
}

/// The finaliser of `SplitMix64` (Steele et al., 2014): every bit of the input changes half of the output.
fn mix(number: u64) -> u64 {
    let x = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

/// The first product, then each further one with the sum so far in brackets, except the last: that sum is the answer.
fn example(a: u64, b: u64, digits: usize) -> Example {
    let mut sum = 0_u128;
    let mut steps = Vec::with_capacity(digits);
    for place in 0..digits {
        let power = 10_u128.pow(place as u32);
        let product = u128::from(a) * (u128::from(b) / power % 10) * power;
        sum += product;
        let width = digits + 1 + place;
        let product = reversed(product, width);
        steps.push(match place {
            0 => product,
            _ if place + 1 == digits => format!("+ {product}"),
            _ => format!("+ {product} ( {} )", reversed(sum, width)),
        });
    }
    let factor = |number: u64| reversed(u128::from(number), digits);
    let answer = reversed(sum, 2 * digits);
    Example {
        question: format!("{} * {}", factor(a), factor(b)),
        steps,
        answer,
        ..Example::default()
    }
}

/// So many digits, the last one first.
fn reversed(number: u128, width: usize) -> String {
    let digits = (0..width).map(|place| (number / 10_u128.pow(place as u32) % 10).to_string());
    digits.collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::icot;
    use std::collections::HashSet;

    #[test]
    fn an_example_is_written_as_published() {
        let line = "9 1 7 3 * 9 4 3 3||1 7 4 3 3 + 0 6 7 8 4 1 ( 1 3 2 2 8 1 ) + 0 0 7 5 1 1 1 ( 1 3 9 7 9 2 1 ) \
                    + 0 0 0 7 5 1 1 1 #### 1 3 9 4 5 4 2 1";
        let example = example(3719, 3349, 4);
        assert_eq!(icot::format(&example), line);
        assert_eq!(icot::parse(line).unwrap(), example);
    }

    #[test]
    fn splits_are_all_pairs_without_a_repetition() {
        let (mut seen, mut sizes) = (HashSet::new(), Vec::new());
        // Another seed is another order of the same split.
        for (split, seed) in [(Split::Train, 1), (Split::Valid, 2), (Split::Test, 3)] {
            let questions: Vec<String> =
                Multiplications::new(2, split, seed).unwrap().map(|e| e.question).collect();
            sizes.push(questions.len());
            for question in questions {
                assert!(seen.insert(question));
            }
        }
        assert_eq!(seen.len(), 90 * 90);
        assert!(sizes[1] > 700 && sizes[2] > 700, "{sizes:?}");
    }

    #[test]
    fn the_seed_gives_the_order() {
        let first = |seed| Multiplications::new(18, Split::Train, seed).unwrap().take(9).collect();
        let (one, same, other): (Vec<_>, Vec<_>, Vec<_>) = (first(7), first(7), first(8));
        assert!(one == same && one != other);
        assert_eq!(one[0].answer.split(' ').count(), 36);
        assert!(Multiplications::new(19, Split::Train, 0).is_err());
        assert!(Multiplications::new(0, Split::Train, 0).is_err());
    }
}
