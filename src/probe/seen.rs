//! What was seen of a question, as plain data. Knows numbers, not where they come from.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde::Deserialize;
use serde::Deserializer;
use serde::Serialize;
use serde::Serializer;
use serde::de::Error as _;

/// What was seen of a question.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Seen {
    /// Its row in the file, from 1.
    pub number: u64,
    /// n of them.
    pub thoughts: Vec<Step>,
    /// What was said after 0, 1 and so on to n thoughts.
    pub answers: Vec<String>,
    /// Whether that was right.
    pub correct: Vec<bool>,
    /// Log-probability of the right answer after as many thoughts, summed over its tokens.
    pub right: Vec<f64>,
    /// Of the other candidate; empty where there is none.
    pub wrong: Vec<f64>,
    /// Of each thought, the probability that the head gives to the nodes that 0, 1 and so on to n hops lead to; empty where the
    /// question is about no graph.
    pub frontiers: Vec<Vec<f32>>,
}

/// A thought.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Step {
    /// (D,)
    #[serde(with = "exact")]
    pub vector: Vec<f32>,
    /// What the head makes of it, in nats.
    pub entropy: f32,
    /// The most likely tokens and their probabilities.
    pub top: Vec<(u32, f32)>,
    /// What the head makes of each layer where it is fed, from what enters the first block on; the final norm applied.
    pub layers: Vec<Layer>,
}

/// What the head makes of a layer.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Layer {
    /// In nats.
    pub entropy: f32,
    /// The most likely tokens and their probabilities.
    pub top: Vec<(u32, f32)>,
}

/// What came of replacing single thoughts of a question.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Edited {
    /// Its row in the file, from 1.
    pub number: u64,
    /// (edits, n): whether the answer was right; `None` where the edit cannot be made.
    pub correct: Vec<Vec<Option<bool>>>,
}

/// Mean thoughts by step, (n, D).
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Means {
    width: usize,
    /// Row by row.
    pub numbers: Vec<f32>,
}

impl Means {
    /// Of so many steps, so wide.
    pub(crate) fn of(seen: &[Seen], (steps, width): (usize, usize)) -> Self {
        let mut sums = vec![0.0_f64; steps * width];
        for one in seen {
            let numbers = one.thoughts.iter().flat_map(|step| &step.vector);
            sums.iter_mut().zip(numbers).for_each(|(sum, &x)| *sum += f64::from(x));
        }
        let count = seen.len().max(1) as f64;
        Self { width, numbers: sums.into_iter().map(|sum| (sum / count) as f32).collect() }
    }

    /// Of thought number `step`, from 1.
    pub(crate) fn at(&self, step: usize) -> Option<&[f32]> {
        self.numbers.chunks_exact(self.width.max(1)).nth(step.checked_sub(1)?)
    }
}

/// Numbers as base64: JSON's decimals would be read back through f64.
mod exact {
    use super::*;

    pub(super) fn serialize<S: Serializer>(numbers: &[f32], to: S) -> Result<S::Ok, S::Error> {
        let bytes: Vec<u8> = numbers.iter().flat_map(|number| number.to_le_bytes()).collect();
        to.serialize_str(&BASE64_STANDARD.encode(bytes))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<f32>, D::Error> {
        let text = String::deserialize(from)?;
        let bytes = BASE64_STANDARD.decode(text).map_err(D::Error::custom)?;
        Ok(bytes.as_chunks().0.iter().map(|&bytes| f32::from_le_bytes(bytes)).collect())
    }
}
