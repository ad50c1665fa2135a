//! What must become of a script where the model is a hash: KV memory is one number a position, which stands for everything
//! that was fed up to there, and a thought is two floats of it. The obvious walk that the books hold a scheduler against.

use crate::latent::script::Act;
use crate::latent::script::Branch;
use crate::latent::script::Fed;
use crate::latent::script::Say;
use crate::latent::script::Think;
use std::hash::DefaultHasher;
use std::hash::Hasher as _;
use std::sync::Arc;

pub(crate) const EOS: u32 = 1;
pub(crate) const WORD: u32 = 0;

/// One branch.
#[derive(Clone, Debug, Default)]
pub(crate) struct Expected {
    /// What must stand in memory once it is over, position by position, from the beginning of the script on.
    pub(crate) memory: Vec<u64>,
    pub(crate) thoughts: usize,
    pub(crate) tokens: usize,
    pub(crate) scores: usize,
    /// Whether none goes on from it.
    pub(crate) is_leaf: bool,
}

/// What stands in memory after `id` was fed where `before` stood.
pub(crate) fn after_id(before: u64, id: u32) -> u64 {
    hash((before, id))
}

/// The same for a vector.
pub(crate) fn after_vector(before: u64, vector: &[f32]) -> u64 {
    hash((before, vector.iter().map(|x| x.to_bits()).collect::<Vec<u32>>()))
}

fn hash(of: impl std::hash::Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    of.hash(&mut hasher);
    hasher.finish()
}

/// What a position becomes as a thought.
pub(crate) fn thought(memory: u64) -> [f32; 2] {
    [(memory >> 40) as f32, (memory & 0xff_ffff) as f32]
}

/// The token that is chosen after so many.
pub(crate) fn token(tokens: usize, eos_after: usize) -> u32 {
    if tokens >= eos_after { EOS } else { WORD }
}

/// All branches in the order of their numbers, where end of sequence is said after so many tokens.
pub(crate) fn expected(root: &Branch, eos_after: usize) -> Vec<Expected> {
    let mut all = Vec::new();
    Walk { eos_after, inputs: Vec::new(), steps: 0, before: None, fed: 0 }.follow(root, &mut all);
    all
}

#[derive(Clone)]
struct Walk {
    eos_after: usize,
    /// What stands behind every input so far, fed or not.
    inputs: Vec<u64>,
    steps: usize,
    before: Option<Arc<[f32]>>,
    /// How many of the inputs had to be fed.
    fed: usize,
}

impl Walk {
    fn follow(mut self, branch: &Branch, all: &mut Vec<Expected>) {
        let number = all.len();
        all.push(Expected { is_leaf: branch.branches.is_empty(), ..Expected::default() });
        branch.acts.iter().for_each(|act| self.perform(act, &mut all[number]));
        if !branch.branches.is_empty() {
            self.fed = self.inputs.len() - 1;
        }
        all[number].memory = self.inputs[..self.fed].to_vec();
        for branch in &branch.branches {
            self.clone().follow(branch, all);
        }
    }

    fn perform(&mut self, act: &Act, expected: &mut Expected) {
        match act {
            Act::Feed(inputs) => inputs.iter().for_each(|input| match input {
                Fed::Id(id) => self.id(*id),
                Fed::Vector(vector) => self.vector(vector),
            }),
            Act::Think(think) => self.think(think, expected),
            Act::Say(say) => self.say(say, expected),
            Act::Pause(id, steps) => {
                self.steps += steps;
                (0..*steps).for_each(|_| self.id(*id));
            }
            Act::Score(ids, _) => {
                for &id in ids {
                    self.decide();
                    expected.scores += 1;
                    self.id(id);
                }
            }
        }
    }

    fn think(&mut self, think: &Think, expected: &mut Expected) {
        for _ in 0..think.until.most() {
            self.steps += 1;
            if think.edits.skips(self.steps) {
                continue;
            }
            let computed = thought(self.decide());
            expected.thoughts += 1;
            let vector = think.edits.apply(self.steps, &computed, self.before.as_deref());
            let is_settled = think.until.is_settled(self.before.as_deref(), &vector);
            self.vector(&vector);
            self.before = Some(vector);
            if is_settled {
                return;
            }
        }
    }

    fn say(&mut self, say: &Say, expected: &mut Expected) {
        let mut eos_seen = 0;
        for tokens in 0..say.max_tokens {
            self.decide();
            let id = token(tokens, self.eos_after);
            self.id(id);
            match id == EOS {
                true => eos_seen += 1,
                false => expected.tokens += 1,
            }
            if eos_seen == say.stop.eos_count {
                return;
            }
        }
    }

    /// Something follows from the last input, so it has to be fed.
    fn decide(&mut self) -> u64 {
        self.fed = self.inputs.len();
        self.last()
    }

    fn last(&self) -> u64 {
        self.inputs.last().copied().unwrap_or(0)
    }

    fn id(&mut self, id: u32) {
        self.inputs.push(after_id(self.last(), id));
    }

    fn vector(&mut self, vector: &[f32]) {
        self.inputs.push(after_vector(self.last(), vector));
    }
}
