//! What a question says about its thoughts, made certain: how many, and every edit with its vector and seed. Knows the
//! recipe's bounds and what there is to feed; no prompt and no script.

use crate::latent::edits::Edit;
use crate::latent::edits::Edits;
use crate::latent::edits::Steps;
use crate::latent::recipe::LatentSteps as Bounds;
use crate::reason::borrow::Borrowed;
use crate::reason::means::ThoughtMeans;
use crate::reason::question::AskError;
use crate::reason::question::At;
use crate::reason::question::Feedback;
use crate::reason::question::LatentSteps;
use crate::reason::question::Op;
use crate::reason::question::Origin;
use crate::reason::question::Thinking;
use crate::reason::shape::Filling;
use crate::reason::shape::Stages;
use rand::seq::SliceRandom as _;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng as _;
use std::sync::Arc;

/// What a model has to think with.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Given<'a> {
    /// The id that stands for a pause.
    pub(crate) pause: Option<u32>,
    pub(crate) means: Option<&'a ThoughtMeans>,
    /// D
    pub(crate) width: usize,
    pub(crate) borrowed: &'a Borrowed,
}

const NO_PAUSE: &str = "this model's tokenizer has no pause token (`<|latent|>`, `<|pause|>`, `<pause>`), nor does its coconut.json name one (`pause`)";
const NO_MEANS: &str = "the server was started without --thought-means";
const NEVER_SETTLES: &str = "what is fed does not settle: name a number of latent_steps";

impl Thinking {
    /// How many thoughts come before what is said.
    pub(crate) fn stages(&self, bounds: Bounds) -> Result<Stages, AskError> {
        let within = |asked: usize| match asked <= bounds.max {
            true => Ok(asked),
            false => Err(AskError::TooManyLatentSteps { asked, max: bounds.max }),
        };
        Ok(match &self.steps {
            LatentSteps::Recipe => Stages::Fixed(vec![bounds.default]),
            LatentSteps::Exactly(steps) => Stages::Fixed(vec![within(*steps)?]),
            LatentSteps::Sweep(steps) => {
                let mut steps = steps.clone();
                steps.iter().try_for_each(|&steps| within(steps).map(drop))?;
                steps.sort_unstable();
                Stages::Fixed(steps)
            }
            LatentSteps::Settled { tolerance, max } => {
                let max = within(max.unwrap_or(bounds.max))?;
                Stages::Settled { tolerance: *tolerance, max }
            }
        })
    }

    /// What is fed for them: of each sample, where anything is drawn for it; else what all have in common. Sample i draws
    /// with the question's seed plus i.
    pub(crate) fn fillings(
        &self,
        samples: usize,
        stages: &Stages,
        with: Given<'_>,
    ) -> Result<Vec<Filling>, AskError> {
        let sample = |sample: usize| {
            let seed = self.seed.wrapping_add(sample as u64);
            let mut filling = self.filling(seed, stages, with)?;
            if let (Filling::Thoughts(Edits(edits)), Some(sigma)) = (&mut filling, self.noise) {
                edits.push((Steps::All, Edit::Noise { sigma, seed }));
            }
            Ok(filling)
        };
        (0..if self.draws() { samples } else { 1 }).map(sample).collect()
    }

    /// Whether anything follows from the question's seed.
    fn draws(&self) -> bool {
        let is_drawn = matches!(self.feedback, Feedback::Random | Feedback::Shuffle);
        let has_none = |op: &Op| matches!(op, Op::Noise(_, None) | Op::Random(None));
        let mut ops = self.interventions.iter().map(|intervention| &intervention.op);
        is_drawn || self.noise.is_some() || ops.any(has_none)
    }

    fn filling(&self, seed: u64, stages: &Stages, with: Given<'_>) -> Result<Filling, AskError> {
        let most = stages.most();
        let all = |edit| Ok(Filling::Thoughts(Edits(vec![(Steps::All, edit)])));
        let settles = matches!(stages, Stages::Settled { .. });
        if settles && !matches!(self.feedback, Feedback::Hidden | Feedback::None) {
            return Err(AskError::Feedback(NEVER_SETTLES));
        }
        match self.feedback {
            Feedback::Hidden => Ok(Filling::Thoughts(self.edits(seed, most, with)?)),
            Feedback::None => all(Edit::Skip),
            Feedback::Random => all(Edit::Random { seed }),
            Feedback::Pause => with.pause.map(Filling::Pause).ok_or(AskError::Feedback(NO_PAUSE)),
            Feedback::Shuffle => Ok(in_place(&shuffled(with.borrowed.of(&None), most, seed))),
            Feedback::Mean => {
                let means = with.means.ok_or(AskError::Feedback(NO_MEANS))?;
                let means: Option<Vec<_>> =
                    (1..=most).map(|step| means.at(step).cloned()).collect();
                let fewer = "the file of --thought-means has fewer steps than are asked for";
                Ok(in_place(&means.ok_or(AskError::Feedback(fewer))?))
            }
        }
    }

    fn edits(&self, seed: u64, most: usize, with: Given<'_>) -> Result<Edits, AskError> {
        let mut edits = Vec::new();
        for (index, intervention) in self.interventions.iter().enumerate() {
            let refused = |(field, reason)| AskError::Intervention { index, field, reason };
            let steps = named(&intervention.steps, most).map_err(refused)?;
            for steps in steps {
                let each = match (&intervention.op, steps) {
                    // A mean is another vector at each step.
                    (Op::Mean, Steps::All) => (1..=most).map(Steps::One).collect(),
                    _ => vec![steps],
                };
                for steps in each {
                    let edit = edit(&intervention.op, seed, steps, with).map_err(refused)?;
                    edits.push((steps, edit));
                }
            }
        }
        Ok(Edits(edits))
    }
}

/// What an intervention comes to at these steps.
fn edit(
    op: &Op,
    drawn: u64,
    steps: Steps,
    with: Given<'_>,
) -> Result<Edit, (&'static str, String)> {
    let vector = |vector: &Arc<[f32]>| match vector.len() == with.width {
        true => Ok(Arc::clone(vector)),
        false => {
            let (found, width) = (vector.len(), with.width);
            Err(("vector", format!("has {found} numbers; this model's thoughts have {width}")))
        }
    };
    Ok(match op {
        Op::Set(x) => Edit::Set(vector(x)?),
        Op::Add(x, alpha) => Edit::Add(vector(x)?, *alpha),
        Op::Scale(alpha) => Edit::Scale(*alpha),
        Op::Zero => Edit::Zero,
        Op::Noise(sigma, seed) => Edit::Noise { sigma: *sigma, seed: seed.unwrap_or(drawn) },
        Op::Random(seed) => Edit::Random { seed: seed.unwrap_or(drawn) },
        Op::Skip => Edit::Skip,
        Op::Repeat => Edit::Repeat,
        Op::Mean => Edit::Set(mean(steps, with)?),
        Op::Copy(origin) => Edit::Set(copied(origin, with)?),
    })
}

impl Stages {
    /// The most thoughts.
    pub(crate) fn most(&self) -> usize {
        match self {
            Self::Fixed(stages) => stages.last().copied().unwrap_or(0),
            Self::Settled { max, .. } => *max,
        }
    }
}

/// The thoughts of these numbers, of `most`.
fn named(at: &At, most: usize) -> Result<Vec<Steps>, (&'static str, String)> {
    match at {
        At::All => Ok(vec![Steps::All]),
        At::Steps(steps) => match steps.iter().find(|&&step| step == 0 || step > most) {
            Some(step) => Err(("step", format!("there is no thought {step} among {most}"))),
            None => Ok(steps.iter().copied().map(Steps::One).collect()),
        },
    }
}

fn mean(steps: Steps, with: Given<'_>) -> Result<Arc<[f32]>, (&'static str, String)> {
    let means = with.means.ok_or_else(|| ("op", NO_MEANS.to_owned()))?;
    let Steps::One(step) = steps else { return Err(("step", "must be a number".to_owned())) };
    let fewer = || ("step", format!("the file of --thought-means has {} steps", means.steps()));
    means.at(step).cloned().ok_or_else(fewer)
}

fn copied(origin: &Origin, with: Given<'_>) -> Result<Arc<[f32]>, (&'static str, String)> {
    let thoughts = with.borrowed.of(&origin.question);
    let found = origin.step.checked_sub(1).and_then(|at| thoughts.get(at)).cloned();
    found.ok_or_else(|| ("from", format!("there is no thought {}", origin.step)))
}

/// Each in the place of the thought with its number.
fn in_place(vectors: &[Arc<[f32]>]) -> Filling {
    let set =
        |(step, vector): (usize, &Arc<[f32]>)| (Steps::One(step), Edit::Set(Arc::clone(vector)));
    Filling::Thoughts(Edits((1..).zip(vectors).map(set).collect()))
}

/// The first `most` of them in another order, which follows from the seed; never their own where there are two.
fn shuffled(thoughts: &[Arc<[f32]>], most: usize, seed: u64) -> Vec<Arc<[f32]>> {
    let mut order: Vec<usize> = (0..most.min(thoughts.len())).collect();
    order.shuffle(&mut ChaCha8Rng::seed_from_u64(seed));
    if order.is_sorted() && !order.is_empty() {
        order.rotate_left(1);
    }
    order.into_iter().map(|at| Arc::clone(&thoughts[at])).collect()
}
