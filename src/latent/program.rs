//! The one shape that every fixed-length family has for one question: ids in, thoughts, ids out. Knows ids only: the
//! recipe and the tokenizer have done their work before. What is run is the script that it makes.

use crate::latent::script::Act;
use crate::latent::script::Branch;
use crate::latent::script::Sampling;
use crate::latent::script::Say;
use crate::latent::script::Script;
use crate::latent::script::StopRule;
use crate::latent::script::Think;
use crate::latent::script::ids;

/// What to run for one question.
///
/// The prompt is prefilled; its last position gives the first thought. Each of `latent_steps` thoughts takes a
/// position. The forced ids follow; the first answer token comes from the logits at the last of them (at the last
/// position before them where there are none).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Program {
    /// Prompt and start markers; at least one id.
    pub prompt: Vec<u32>,
    /// n: how many thoughts are computed and fed back.
    pub latent_steps: usize,
    /// End markers, fed whatever the model would have said.
    pub forced: Vec<u32>,
    /// Most answer tokens, at least 1.
    pub max_tokens: usize,
    /// When the answer ends.
    pub stop: StopRule,
    /// Ids that are never chosen.
    pub masked: Vec<u32>,
}

impl Program {
    /// The same as acts.
    pub fn script(&self, sampling: Sampling) -> Script {
        let say = Say { max_tokens: self.max_tokens, stop: self.stop.clone(), sampling };
        let acts = vec![
            Act::Feed(ids(&self.prompt)),
            Act::Think(Think::steps(self.latent_steps)),
            Act::Feed(ids(&self.forced)),
            Act::Say(say),
        ];
        let root = Branch { acts, branches: Vec::new() };
        Script { root, masked: self.masked.clone() }
    }

    /// The most answer tokens that so many positions leave; there is always room for one, which is never fed.
    pub fn room(&self, positions: usize) -> usize {
        let latent = self.latent_steps.saturating_add(self.forced.len());
        room(positions, self.prompt.len().saturating_add(latent))
    }
}

/// The most answer tokens that so many positions leave behind `taken` of them; there is always room for one, which is never
/// fed.
pub fn room(positions: usize, taken: usize) -> usize {
    positions.saturating_sub(taken).saturating_add(1)
}
