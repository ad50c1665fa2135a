//! What a request may want to see of the inside of the model, as plain data: at which rows, layers and heads, and through
//! which lens. Knows no numbers that a model computes.

use crate::model::config::Config;

/// What to see of some rows, each as it is fed. Thoughts of earlier requests are not recalled where this is asked for: all
/// is computed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Inside {
    /// Counted as the `hidden_states` of transformers: 0 is what enters the first block (a learned position included), k
    /// what leaves block k. The last is what leaves the last block, before the final norm, where transformers gives what
    /// comes after it.
    pub layers: Vec<usize>,
    /// Which rows.
    pub places: Places,
    /// The hidden states of these layers.
    pub hidden_states: bool,
    /// What the head makes of them.
    pub lens: Option<Lens>,
    /// Query heads whose attention is shown, in the blocks that these layers leave: of layer 0 there is none.
    pub attention: Option<Vec<usize>>,
}

/// Which rows are shown; of rows that branches feed once each, each branch shows its own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Places {
    /// The last position of the prompt, which is what the script's first act feeds: where the first thought comes from.
    pub prompt: bool,
    /// Thoughts.
    pub latent: bool,
    /// Whatever else is known before it is fed: markers, observations.
    pub marker: bool,
    /// Answer tokens and continuations. The last of an answer is never fed.
    pub answer: bool,
}

/// The head, applied to hidden states.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Lens {
    /// This many most likely tokens.
    pub top: usize,
    /// Ids whose places among all others are wanted.
    pub ranked: Vec<u32>,
    /// Whether hidden states pass the final norm before, as those of the last layer do.
    pub normed: bool,
}

/// What a row is fed as.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// The end of the prompt.
    Prompt,
    /// The thought of this number, counted like [`Thought::step`](super::request::Thought::step).
    Latent(u32),
    /// What is known before it is fed, counted from 0 within its act.
    Marker(u32),
    /// An answer token, or an id of a continuation, counted from 0 within its act; ids that end an answer do not count, and
    /// are not shown.
    Answer(u32),
}

/// Sizes that an [`Inside`] must fit.
#[derive(Clone, Copy, Debug)]
pub struct Sizes {
    /// Blocks.
    pub layers: usize,
    /// H
    pub heads: usize,
    /// V
    pub vocab_size: usize,
}

/// What a model does not have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotThere {
    /// A layer.
    #[error("there is no layer {layer}; the last one is {last}")]
    Layer {
        /// Which one.
        layer: usize,
        /// What leaves the last block.
        last: usize,
    },
    /// A head.
    #[error("there is no attention head {head}; the last one is {last}")]
    Head {
        /// Counted from 0.
        head: usize,
        /// Counted from 0.
        last: usize,
    },
    /// A token.
    #[error("token id {id} is outside the model's vocabulary")]
    Id {
        /// The id.
        id: u32,
    },
}

impl Inside {
    /// Says what of it a model does not have.
    ///
    /// # Errors
    /// The first layer, head or id that is not there.
    pub fn check(&self, model: Sizes) -> Result<(), NotThere> {
        let (last, heads) = (model.layers, model.heads);
        if let Some(&layer) = self.layers.iter().find(|&&layer| layer > last) {
            return Err(NotThere::Layer { layer, last });
        }
        if let Some(&head) = self.heads().iter().find(|&&head| head >= heads) {
            return Err(NotThere::Head { head, last: heads - 1 });
        }
        let ranked = self.lens.iter().flat_map(|lens| &lens.ranked);
        match ranked.copied().find(|&id| id as usize >= model.vocab_size) {
            Some(id) => Err(NotThere::Id { id }),
            None => Ok(()),
        }
    }

    /// Query heads whose attention is shown.
    pub(crate) fn heads(&self) -> &[usize] {
        self.attention.as_deref().unwrap_or_default()
    }
}

impl Places {
    /// Every one.
    pub const ALL: Self = Self { prompt: true, latent: true, marker: true, answer: true };

    /// Whether a row is shown that is fed as this.
    pub(crate) fn has(self, role: Role) -> bool {
        match role {
            Role::Prompt => self.prompt,
            Role::Latent(_) => self.latent,
            Role::Marker(_) => self.marker,
            Role::Answer(_) => self.answer,
        }
    }
}

impl From<&Config> for Sizes {
    fn from(config: &Config) -> Self {
        let Config { layers, heads, vocab_size, .. } = *config;
        Self { layers, heads, vocab_size }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_model_does_not_have_is_named() {
        let model = Sizes { layers: 2, heads: 4, vocab_size: 10 };
        let lens = |id| Some(Lens { ranked: vec![9, id], ..Lens::default() });
        let check = |layers: &[usize], heads: &[usize], id| {
            let (layers, attention) = (layers.to_vec(), Some(heads.to_vec()));
            Inside { layers, attention, lens: lens(id), ..Inside::default() }.check(model)
        };
        assert_eq!(check(&[2, 0, 1], &[3, 0], 0), Ok(()));
        assert_eq!(check(&[0, 3], &[], 0), Err(NotThere::Layer { layer: 3, last: 2 }));
        assert_eq!(check(&[], &[0, 4], 0), Err(NotThere::Head { head: 4, last: 3 }));
        assert_eq!(check(&[], &[], 10), Err(NotThere::Id { id: 10 }));
        assert_eq!(Inside::default().check(model), Ok(()));
    }
}
