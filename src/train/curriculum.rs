//! Coconut's curriculum, stage by stage, and its ablations: how many steps are left out, what takes their place, what is learnt
//! behind it. Knows no text and no other method.

use crate::latent::families;
use crate::latent::families::Markers;
use crate::latent::recipe::LatentSteps;
use crate::latent::recipe::Recipe;
use crate::train::encoded::Special;
use crate::train::sequence::Sequence;
use rand::Rng;
use serde::Deserialize;
use serde::Serialize;

/// Coconut's curriculum. Stages count from 0, where the whole chain is still there in words.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Curriculum {
    /// What takes the place of a step.
    #[serde(default)]
    pub thought: Thought,
    /// Thoughts for each step that is left out.
    pub c_thought: usize,
    /// Epochs of each stage.
    #[serde(default = "one")]
    pub epochs_per_stage: usize,
    /// Steps beyond this are left out all at once, without thoughts for them.
    pub max_latent_stage: usize,
    /// The last stage has thoughts for `max_latent_stage` steps even where a question has fewer. Validation, and who asks
    /// the checkpoint, knows no steps: they have that many thoughts whatever this says.
    #[serde(default = "yes")]
    pub pad_latent_to_max: bool,
    /// How often the stage of a question is drawn from all it could have.
    #[serde(default)]
    pub uniform_prob: f64,
    /// The stage of the first epoch (3 with `epochs_per_stage` 3 is `resume: 9` in the paper's code).
    #[serde(default)]
    pub first_stage: usize,
    /// False for the ablation in which the last stage is all there is.
    #[serde(default = "yes")]
    pub stages: bool,
    /// Whether the optimiser forgets at every epoch, as in the paper's code.
    #[serde(default)]
    pub reset_optimizer: bool,
    /// What is learnt of the steps that are left.
    #[serde(default)]
    pub rest: Rest,
}

/// What is learnt behind the thoughts of a stage, where steps are left.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Rest {
    /// All of them and the answer, as in the Coconut paper.
    #[default]
    Chain,
    /// The node that so many hops lead to on the way to the answer, said by the last thought itself, and nothing behind it
    /// (Zhu et al. 2025, section 5); the answer where the way is at its end. Of graphs that are made on the way.
    NextNode,
}

/// What takes the place of a step in words.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Thought {
    /// Hidden states, fed back.
    #[default]
    Hidden,
    /// The marker `<|latent|>`: time to compute, and nothing fed back.
    Pause,
    /// Nothing.
    None,
}

fn one() -> usize {
    1
}

fn yes() -> bool {
    true
}

impl Curriculum {
    pub(super) fn stage(&self, epoch: usize) -> usize {
        match self.stages {
            true => self.first_stage + epoch / self.epochs_per_stage,
            false => self.max_latent_stage + 1,
        }
    }

    pub(super) fn drawn_stage(&self, stage: usize, steps: usize, random: &mut impl Rng) -> usize {
        match self.uniform_prob > 0.0 && random.random_bool(self.uniform_prob) {
            true => random.random_range(0..=steps),
            false => stage,
        }
    }

    /// Steps left out at a stage, and thoughts in their place (the paper's `get_cot_latent_dataset`).
    pub(super) fn place(&self, stage: usize, steps: usize) -> (usize, usize) {
        let max = self.max_latent_stage;
        let (skipped, replaced) = match (stage <= max, self.pad_latent_to_max) {
            (true, _) => (stage, stage),
            (false, true) => (usize::MAX, max),
            (false, false) => (usize::MAX, steps.min(max)),
        };
        (skipped, replaced * self.c_thought)
    }

    pub(super) fn recipe(&self, thoughts: usize, special: Special) -> Recipe {
        let markers = Markers { start: special.start, end: special.end };
        let eos = vec![special.eos];
        match self.thought {
            Thought::Hidden => {
                let recipe = families::coconut(markers, eos);
                let max = recipe.latent_steps.max.max(thoughts);
                Recipe { latent_steps: LatentSteps { default: thoughts, max }, ..recipe }
            }
            Thought::Pause => {
                let mut end = vec![special.latent; thoughts];
                end.push(special.end);
                let recipe = families::language_model("pause", eos);
                Recipe { start: vec![special.start], end, ..recipe }
            }
            Thought::None => families::language_model("no-thought", eos),
        }
    }
}

impl Thought {
    /// Start marker and thoughts.
    pub(super) fn begin(self, sequence: &mut Sequence, thoughts: usize, special: Special) {
        match self {
            Self::Hidden => {
                sequence.feed(&[special.start]);
                sequence.think(thoughts);
            }
            Self::Pause => {
                sequence.feed(&[special.start]);
                sequence.feed(&vec![special.latent; thoughts]);
            }
            Self::None => {}
        }
    }

    /// The end marker.
    pub(super) fn end(self, sequence: &mut Sequence, special: Special) {
        if self != Self::None {
            sequence.feed(&[special.end]);
        }
    }
}
