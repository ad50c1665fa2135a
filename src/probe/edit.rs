//! What single thoughts are replaced with. Knows names, no numbers.

use crate::probe::seen::Means;
use crate::reason::question::At;
use crate::reason::question::Intervention;
use crate::reason::question::Op;

/// What stands in the place of one thought.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EditKind {
    /// Zeros.
    Zero,
    /// The mean thought of its step over the data set.
    Mean,
    /// A random vector of its length.
    Random,
    /// What was fed before it.
    Repeat,
    /// Nothing: it is left out.
    Skip,
}

impl EditKind {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Zero, Self::Mean, Self::Random, Self::Repeat, Self::Skip];

    /// As files and flags call it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Zero => "zero",
            Self::Mean => "mean",
            Self::Random => "random",
            Self::Repeat => "repeat",
            Self::Skip => "skip",
        }
    }

    /// What it does to thought number `step`; `None` where it cannot be done.
    pub(crate) fn at(self, step: usize, means: &Means) -> Option<Intervention> {
        let op = match self {
            Self::Zero => Op::Zero,
            Self::Mean => Op::Set(means.at(step)?.into()),
            Self::Random => Op::Random(None),
            // There is nothing before the first.
            Self::Repeat if step == 1 => return None,
            Self::Repeat => Op::Repeat,
            Self::Skip => Op::Skip,
        };
        Some(Intervention { steps: At::Steps(vec![step]), op })
    }
}
