//! What a question becomes at a stage of training: the paper's method, its rivals and its ablations. Knows ids and
//! stages, no tensor and no optimiser.

use crate::data::example::Example;
use crate::latent::families;
use crate::latent::recipe::Recipe;
use crate::model::gradients::cross_entropy::Distribution;
use crate::text::TextError;
use crate::text::Tokenizer;
use crate::tools::react::ReactForm;
use crate::train::curriculum::Curriculum;
use crate::train::curriculum::Rest;
use crate::train::encoded::Encoded;
use crate::train::encoded::Special;
use crate::train::react;
use crate::train::sequence::Sequence;
use rand::Rng;
use serde::Deserialize;
use serde::Serialize;

/// How a model is taught to reason.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Method {
    /// Coconut: one step of the chain after the other gives way to thoughts (Coconut paper, section 3).
    Coconut(Curriculum),
    /// The chain of thought in words, then the answer.
    Cot,
    /// The answer alone.
    NoCot,
    /// Thoughts, actions and observations of a dialogue with tools; observations are not learnt (Yao et al., 2022).
    React,
    /// The same without thoughts.
    Act,
    /// Stepwise internalisation: one token of the chain after the other is left out (Deng et al., 2024).
    Icot(Removal),
}

/// iCoT's schedule of removal, from the left of the chain.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Removal {
    /// Tokens removed in an epoch.
    pub remove_per_epoch: f64,
    /// Each example has o more tokens removed, with a probability that falls as e^(-lambda o).
    pub smoothing_lambda: f64,
    /// Everything is removed once so many tokens would be; never where absent.
    #[serde(default)]
    pub remove_all_beyond: Option<usize>,
    /// Whether the optimiser forgets whenever one more token is removed, as in the authors' code.
    #[serde(default = "yes")]
    pub reset_optimizer: bool,
}

fn yes() -> bool {
    true
}

/// Where a run is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Moment {
    /// From 0.
    pub epoch: usize,
    /// Optimiser steps done in all epochs of the phase.
    pub step: usize,
    /// Optimiser steps in an epoch.
    pub epoch_steps: usize,
}

impl Method {
    /// Says which field cannot be used.
    ///
    /// # Errors
    /// The field, and what is wrong with it.
    pub fn check(&self) -> Result<(), (&'static str, String)> {
        match self {
            Self::Coconut(curriculum) => {
                if curriculum.epochs_per_stage == 0 {
                    return Err(("epochs_per_stage", "is 0".to_owned()));
                }
                if !(0.0..=1.0).contains(&curriculum.uniform_prob) {
                    return Err(("uniform_prob", "is no probability".to_owned()));
                }
                if curriculum.max_latent_stage * curriculum.c_thought > 512 {
                    return Err((
                        "max_latent_stage",
                        "times `c_thought` is more than 512 thoughts".to_owned(),
                    ));
                }
                Ok(())
            }
            Self::Icot(removal) => {
                if removal.remove_per_epoch <= 0.0 || removal.remove_per_epoch.is_nan() {
                    return Err(("remove_per_epoch", "is not above 0".to_owned()));
                }
                if removal.smoothing_lambda <= 0.0 || removal.smoothing_lambda.is_nan() {
                    return Err(("smoothing_lambda", "is not above 0".to_owned()));
                }
                Ok(())
            }
            Self::Cot | Self::NoCot | Self::React | Self::Act => Ok(()),
        }
    }

    /// Whether it takes nodes of a graph, which no file names.
    pub fn learns_nodes(&self) -> bool {
        matches!(self, Self::Coconut(Curriculum { rest: Rest::NextNode, .. }))
    }

    /// How dialogues with tools are written, where they are what is taught.
    pub fn form(&self) -> Option<ReactForm> {
        match self {
            Self::React => Some(ReactForm::react()),
            Self::Act => Some(ReactForm::act()),
            Self::Coconut(_) | Self::Cot | Self::NoCot | Self::Icot(_) => None,
        }
    }

    /// A question in ids: question, steps and answer separately, as the paper's code does; iCoT's in one line.
    ///
    /// # Errors
    /// What the tokenizer refuses.
    pub fn encode(
        &self,
        example: &Example,
        tokenizer: &Tokenizer,
        eos_text: &str,
    ) -> Result<Encoded, TextError> {
        if let Some(form) = self.form() {
            return react::encode(&form, example, tokenizer);
        }
        let icot = matches!(self, Self::Icot(_));
        let question = match icot {
            true => format!(" {} {eos_text}", example.question),
            false => format!("{}\n", example.question),
        };
        let step = |step: &String| match icot {
            true => tokenizer.encode(&format!(" {step}"), false),
            false => tokenizer.encode(&format!("{step}\n"), false),
        };
        let answer = if icot { " ### " } else { "### " };
        Ok(Encoded {
            question: tokenizer.encode(&question, true)?,
            steps: example.steps.iter().map(step).collect::<Result<_, _>>()?,
            observed: Vec::new(),
            nodes: Vec::new(),
            answer: tokenizer.encode(&format!("{answer}{}", example.answer), false)?,
        })
    }

    /// The stage of a moment: steps left out (Coconut), tokens removed (iCoT).
    pub fn stage(&self, moment: Moment) -> usize {
        match self {
            Self::Coconut(curriculum) => curriculum.stage(moment.epoch),
            Self::Icot(removal) => removal.stage(moment),
            Self::Cot | Self::NoCot | Self::React | Self::Act => 0,
        }
    }

    /// Whether the optimiser forgets before this step.
    pub fn resets_optimizer(&self, moment: Moment) -> bool {
        if moment.step == 0 {
            return false;
        }
        match self {
            Self::Coconut(curriculum) => {
                curriculum.reset_optimizer && moment.step.is_multiple_of(moment.epoch_steps)
            }
            Self::Icot(removal) => {
                let before = Moment { step: moment.step - 1, ..moment };
                let stage = removal.stage(before);
                removal.reset_optimizer
                    && removal.stage(moment) != stage
                    && !removal.removes_all(stage)
            }
            Self::Cot | Self::NoCot | Self::React | Self::Act => false,
        }
    }

    /// The training sequence of a question at a stage.
    pub fn sequence(
        &self,
        encoded: &Encoded,
        stage: usize,
        special: Special,
        random: &mut impl Rng,
    ) -> Sequence {
        let mut sequence = Sequence::default();
        sequence.feed(&encoded.question);
        let rest = match self {
            Self::Coconut(curriculum) => {
                let stage = curriculum.drawn_stage(stage, encoded.steps.len(), random);
                let (skipped, thoughts) = curriculum.place(stage, encoded.steps.len());
                curriculum.thought.begin(&mut sequence, thoughts, special);
                if let (Rest::NextNode, Some(&node)) = (curriculum.rest, encoded.nodes.get(skipped))
                {
                    sequence.expect(Distribution::Token(node), 1.0);
                    return sequence;
                }
                curriculum.thought.end(&mut sequence, special);
                encoded.steps.get(skipped..).unwrap_or_default().concat()
            }
            Self::Cot => encoded.steps.concat(),
            Self::NoCot => Vec::new(),
            Self::React | Self::Act => return react::sequence(encoded, special.eos),
            Self::Icot(removal) => {
                let mut chain = encoded.steps.concat();
                chain.drain(..removal.removed(stage, random).min(chain.len()));
                chain.push(special.eos);
                chain
            }
        };
        sequence.learn(&[&rest[..], &encoded.answer, &[special.eos]].concat());
        sequence
    }

    /// Positions that a question can take at any stage.
    pub fn longest(&self, encoded: &Encoded) -> usize {
        let extra = match self {
            Self::Coconut(curriculum) => 2 + curriculum.max_latent_stage * curriculum.c_thought,
            Self::Cot | Self::NoCot | Self::React | Self::Act | Self::Icot(_) => 1,
        };
        encoded.positions() + extra + 1
    }

    /// How a model trained to this stage is asked.
    pub fn recipe(&self, stage: usize, special: Special, eos_text: &str) -> Recipe {
        let eos = vec![special.eos];
        match self {
            Self::Coconut(curriculum) => {
                let stage = stage.min(curriculum.max_latent_stage);
                curriculum.recipe(curriculum.c_thought * stage, special)
            }
            Self::Cot => families::chain_of_thought(eos),
            Self::React => react::recipe(&ReactForm::react(), eos),
            Self::Act => react::recipe(&ReactForm::act(), eos),
            Self::NoCot => families::language_model("no-cot", eos),
            Self::Icot(_) => families::internalized(eos, eos_text),
        }
    }
}

impl Removal {
    /// Tokens removed so far: one more every `epoch_steps / remove_per_epoch` steps, rounded.
    fn stage(&self, moment: Moment) -> usize {
        let every = (moment.epoch_steps as f64 / self.remove_per_epoch).round().max(1.0);
        moment.step / every as usize
    }

    fn removes_all(&self, stage: usize) -> bool {
        self.remove_all_beyond.is_some_and(|beyond| stage >= beyond)
    }

    /// Tokens removed from one example.
    fn removed(&self, stage: usize, random: &mut impl Rng) -> usize {
        if self.removes_all(stage) {
            return usize::MAX;
        }
        // P(o) = (1 - e^-lambda) e^(-lambda o), so o is the whole part of an exponential variable.
        let uniform: f64 = random.random();
        let offset = (-(1.0 - uniform).ln() / self.smoothing_lambda).floor();
        stage + offset.min(99.0) as usize
    }
}
