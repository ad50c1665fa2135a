//! Sequences side by side, shifted so that their first thoughts share a column: then one pass computes a thought of every
//! sequence, and everything before it stays cached. What is left over on both sides of a sequence is not computed. Knows
//! ids and columns, no tensor.

use crate::model::gradients::cross_entropy::Target;
use crate::train::sequence::Input;
use crate::train::sequence::Sequence;
use std::ops::Range;

/// Sequences of which each `fan` side by side continue the same prefix.
#[derive(Clone, Debug, Default)]
pub struct Batch {
    /// Ids before the sequences; none at all where sequences share nothing.
    pub prefixes: Vec<Vec<u32>>,
    /// As many for each prefix.
    pub sequences: Vec<Sequence>,
}

/// Columns computed at once: N rows of the B * W that they have.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Pass {
    /// Which columns, W of them.
    pub columns: Range<usize>,
    /// Where each row lies in (B, W), (N,), ascending.
    pub places: Vec<u32>,
    /// What goes in, (N,).
    pub inputs: Vec<Input>,
    /// Its position in its sequence, (N,).
    pub positions: Vec<u32>,
    /// Rows (indices into N) with what they should say.
    pub targets: Vec<(u32, Target)>,
}

/// A batch laid out in columns.
#[derive(Clone, Debug)]
pub struct Layout {
    /// Columns of padding before each sequence, (B,).
    pub padding: Vec<usize>,
    /// In order.
    pub passes: Vec<Pass>,
}

impl Batch {
    /// Sequences that share nothing.
    pub fn of(sequences: Vec<Sequence>) -> Self {
        Self { prefixes: Vec::new(), sequences }
    }

    /// Sequences for each prefix.
    pub fn fan(&self) -> usize {
        self.sequences.len() / self.prefixes.len().max(1)
    }

    /// Positions of the longest sequence, with its prefix.
    pub fn longest(&self) -> usize {
        let fan = self.fan().max(1);
        let before = |index: usize| self.prefixes.get(index / fan).map_or(0, Vec::len);
        let all = self.sequences.iter().enumerate();
        all.map(|(index, sequence)| before(index) + sequence.inputs.len()).max().unwrap_or(0)
    }

    /// Sum of the weights of all targets.
    pub fn weight(&self) -> f32 {
        let targets = self.sequences.iter().flat_map(|sequence| &sequence.targets);
        targets.map(|(_, target)| target.weight).sum()
    }

    /// The batch cut into at most `count` parts of about equal size, none of them without targets.
    pub fn shards(self, count: usize) -> Vec<Self> {
        let (units, fan) = match self.prefixes.is_empty() {
            true => (self.sequences.len(), 1),
            false => (self.prefixes.len(), self.fan().max(1)),
        };
        let size = units.div_ceil(count.max(1)).max(1);
        let mut prefixes = self.prefixes.chunks(size);
        let parts = self.sequences.chunks(size * fan).map(|sequences| Self {
            prefixes: prefixes.next().unwrap_or_default().to_vec(),
            sequences: sequences.to_vec(),
        });
        parts.filter(|part| part.weight() > 0.0).collect()
    }

    /// The prefixes as sequences of one pass.
    pub fn prefix_layout(&self) -> Layout {
        let longest = self.prefixes.iter().map(Vec::len).max().unwrap_or(0);
        let sequences: Vec<Sequence> = self
            .prefixes
            .iter()
            .map(|ids| {
                let mut sequence = Sequence::default();
                sequence.feed(ids);
                sequence
            })
            .collect();
        let padding: Vec<usize> = self.prefixes.iter().map(|ids| longest - ids.len()).collect();
        let pass = pass(&sequences, &padding, &vec![0; padding.len()], 0..longest);
        Layout { padding, passes: vec![pass] }
    }

    /// What follows the prefixes: one pass up to the first thought, one for each thought, the last of which goes on to
    /// the end.
    pub fn layout(&self) -> Layout {
        let thoughts: Vec<_> = self.sequences.iter().map(Sequence::thoughts).collect();
        let first = thoughts.iter().flatten().map(|(first, _)| *first).max();
        let steps = thoughts.iter().flatten().map(|(_, count)| *count).max().unwrap_or(0);
        let padding: Vec<usize> = thoughts
            .iter()
            .map(|thoughts| match (first, thoughts) {
                (Some(first), Some((own, _))) => first - own,
                _ => 0,
            })
            .collect();
        let lengths = self.sequences.iter().zip(&padding);
        let end = lengths.map(|(sequence, pad)| sequence.inputs.len() + pad).max().unwrap_or(0);
        let mut starts = vec![0];
        starts.extend(first.into_iter().flat_map(|first| (0..steps).map(move |step| first + step)));
        // A sequence may begin with a thought only where a prefix gives it.
        starts.dedup();
        let ends = starts.iter().skip(1).copied().chain([end]);
        let offsets: Vec<usize> = match self.prefixes.is_empty() {
            true => vec![0; self.sequences.len()],
            false => {
                let fan = self.fan();
                (0..self.sequences.len()).map(|index| self.prefixes[index / fan].len()).collect()
            }
        };
        let columns = starts.iter().copied().zip(ends).map(|(start, end)| start..end);
        let passes =
            columns.map(|columns| pass(&self.sequences, &padding, &offsets, columns)).collect();
        Layout { padding, passes }
    }
}

/// Some columns of all sequences; positions count from each one's offset.
fn pass(
    sequences: &[Sequence],
    padding: &[usize],
    offsets: &[usize],
    columns: Range<usize>,
) -> Pass {
    let mut pass = Pass { columns, ..Pass::default() };
    for (index, sequence) in sequences.iter().enumerate() {
        let places = pass.add(index, &sequence.inputs, padding[index], offsets[index]);
        let first = pass.inputs.len() - places.len();
        let targets = sequence.targets.iter().filter(|(place, _)| places.contains(place));
        pass.targets.extend(
            targets.map(|(place, target)| ((first + place - places.start) as u32, target.clone())),
        );
    }
    pass
}

impl Pass {
    /// Adds what of a sequence, which begins behind so many columns of padding, lies in these columns: which of its places.
    pub fn add(
        &mut self,
        sequence: usize,
        inputs: &[Input],
        padding: usize,
        offset: usize,
    ) -> Range<usize> {
        let Range { start, end } = self.columns;
        let places = start.saturating_sub(padding)..end.saturating_sub(padding).min(inputs.len());
        let places = places.start.min(places.end)..places.end;
        let row = sequence * self.columns.len();
        self.places.extend(places.clone().map(|place| (row + place + padding - start) as u32));
        self.inputs.extend(&inputs[places.clone()]);
        self.positions.extend(places.clone().map(|place| (offset + place) as u32));
        places
    }

    /// The sequence of every row.
    pub fn sequences(&self) -> impl Iterator<Item = usize> {
        self.places.iter().map(|&place| place as usize / self.columns.len())
    }

    /// The row in the last column of each of so many sequences, where it has one.
    pub fn last_rows(&self, sequences: usize) -> Vec<Option<u32>> {
        let (width, mut last) = (self.columns.len(), vec![None; sequences]);
        for (row, sequence) in self.sequences().enumerate() {
            if self.places[row] as usize % width == width - 1 {
                last[sequence] = Some(row as u32);
            }
        }
        last
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sequence(before: &[u32], thoughts: usize, after: &[u32]) -> Sequence {
        let mut sequence = Sequence::default();
        sequence.feed(before);
        sequence.think(thoughts);
        sequence.learn(after);
        sequence
    }

    #[test]
    fn first_thoughts_share_a_column() {
        let batch = Batch::of(vec![
            sequence(&[5, 6, 7], 2, &[8]),
            sequence(&[5], 1, &[8, 9]),
            sequence(&[5, 6], 0, &[9]),
        ]);
        let layout = batch.layout();
        assert_eq!(layout.padding, [0, 2, 0]);
        let columns: Vec<_> = layout.passes.iter().map(|pass| pass.columns.clone()).collect();
        assert_eq!(columns, [0..3, 3..4, 4..6]);
        let (Input::Thought, token) = (Input::Thought, Input::Token) else { unreachable!() };
        assert_eq!(layout.passes[0].places, [0, 1, 2, 5, 6, 7, 8]);
        assert_eq!(layout.passes[0].positions, [0, 1, 2, 0, 0, 1, 2]);
        assert_eq!(layout.passes[1].inputs, [Input::Thought, Input::Thought]);
        assert_eq!(layout.passes[1].positions, [3, 1]);
        assert_eq!(layout.passes[1].last_rows(3), [Some(0), Some(1), None]);
        let last = &layout.passes[2];
        assert_eq!(last.inputs, [Input::Thought, token(8), token(8), token(9)]);
        assert_eq!(last.positions, [4, 5, 2, 3]);
        assert_eq!(last.places, [0, 1, 2, 3], "the third sequence is at its end");
        let rows: Vec<u32> = last.targets.iter().map(|(row, _)| *row).collect();
        assert_eq!(rows, [0, 2]);
        // The second sequence's first answer token is predicted at its only thought, the third one's without any.
        assert_eq!(layout.passes[1].targets.len(), 1);
        assert_eq!(layout.passes[0].targets.len(), 1);
    }

    #[test]
    fn shards_hold_everything_once() {
        let sequences: Vec<Sequence> = (0..6).map(|id| sequence(&[id], 1, &[7])).collect();
        let prefixes = vec![vec![1], vec![2], vec![3]];
        for batch in [
            Batch::of(sequences.clone()),
            Batch { prefixes: prefixes.clone(), sequences: sequences.clone() },
        ] {
            for count in 1..8 {
                let shards = batch.clone().shards(count);
                assert!(shards.len() <= count);
                assert!(shards.iter().all(|shard| shard.prefixes.is_empty() || shard.fan() == 2));
                let joined: Vec<_> =
                    shards.iter().flat_map(|shard| shard.sequences.clone()).collect();
                assert_eq!(format!("{joined:?}"), format!("{sequences:?}"));
                let weight: f32 = shards.iter().map(Batch::weight).sum();
                assert_eq!(weight, batch.weight());
            }
        }
        let silent = Batch::of(vec![sequence(&[1], 1, &[]), sequence(&[1], 1, &[2])]);
        assert_eq!(silent.shards(2).len(), 1, "a part without targets teaches nothing");
    }

    #[test]
    fn positions_go_on_after_the_prefix() {
        let batch = Batch {
            prefixes: vec![vec![1, 2, 3], vec![1]],
            sequences: (0..4).map(|_| sequence(&[5], 1, &[])).collect(),
        };
        assert_eq!(batch.fan(), 2);
        let prefix = batch.prefix_layout();
        assert_eq!(prefix.padding, [0, 2]);
        assert_eq!(prefix.passes[0].positions, [0, 1, 2, 0]);
        assert_eq!(prefix.passes[0].places, [0, 1, 2, 5]);
        let layout = batch.layout();
        assert_eq!(layout.passes[0].positions, [3, 3, 1, 1]);
        assert_eq!(layout.passes[1].positions, [4, 4, 2, 2]);
    }
}
