//! What a phase trains on, step by step. A batch is a function of the seed and the step alone: there is no state of data
//! order or random numbers to save. Knows no weights.

use crate::data::fields::Steps;
use crate::data::fields::Wanted;
use crate::data::questions::Questions;
use crate::data::questions::Reading;
use crate::latent::families;
use crate::latent::families::Markers;
use crate::latent::recipe::LatentSteps;
use crate::latent::recipe::Recipe;
use crate::text::Tokenizer;
use crate::tools::react::ReactForm;
use crate::train::batch::Batch;
use crate::train::encoded::Encoded;
use crate::train::encoded::Special;
use crate::train::error::Error;
use crate::train::error::Result;
use crate::train::graph_work::GraphWork;
use crate::train::graph_work::Learn;
use crate::train::init::stream;
use crate::train::method::Method;
use crate::train::method::Moment;
use crate::train::settings::Objective;
use crate::train::settings::Phase;
use crate::train::settings::QuestionWork;
use crate::train::told::Words;
use crate::train::unknown;
use rand::seq::SliceRandom as _;
use std::ops::Range;

/// Everything that tasks need to know of a run.
#[derive(Clone, Copy, Debug)]
pub struct Context<'a> {
    /// The run's seed.
    pub seed: u64,
    /// With the markers.
    pub tokenizer: &'a Tokenizer,
    /// The ids that are no text.
    pub special: Special,
    /// The text of the end-of-sequence token.
    pub eos: &'a str,
    /// The model's limit.
    pub max_positions: usize,
}

/// A phase ready to be trained.
#[derive(Debug)]
pub struct Task<'a> {
    context: Context<'a>,
    /// What its random numbers follow from, besides the seed.
    name: String,
    accumulate: usize,
    max_steps: usize,
    kind: Kind,
    /// What of the data is not trained on, in words.
    pub left_out: Vec<String>,
}

#[derive(Debug)]
enum Kind {
    Questions { work: QuestionWork, encoded: Vec<Encoded> },
    Graphs(GraphWork),
}

impl<'a> Task<'a> {
    /// Reads and encodes the data.
    ///
    /// # Errors
    /// What cannot be read, and questions without a place in the model.
    pub fn new(phase: &Phase, index: usize, context: Context<'a>) -> Result<Self> {
        let mut left_out = Vec::new();
        let kind = match &phase.objective {
            Objective::Graphs(work) => Kind::Graphs(work.clone()),
            Objective::Questions(work) => {
                let encoded = encode(work, context, &mut left_out)?;
                Kind::Questions { encoded, work: work.clone() }
            }
        };
        let task = Self {
            context,
            name: format!("phase {index}"),
            accumulate: phase.accumulate,
            max_steps: phase.max_steps.unwrap_or(usize::MAX),
            kind,
            left_out,
        };
        task.try_graphs()?;
        Ok(task)
    }

    /// Makes a batch of each size of graphs, so that what cannot be learnt is refused before anything is computed.
    fn try_graphs(&self) -> Result<()> {
        let Kind::Graphs(work) = &self.kind else { return Ok(()) };
        let sizes = work.nodes.len().max(1);
        let mut first_steps = (0..sizes).map(|index| index * self.steps() / sizes);
        first_steps.try_for_each(|step| self.batches(step).map(drop))
    }

    /// A step's number in its round.
    pub fn within_round(&self, step: usize) -> usize {
        step % self.steps().max(1)
    }

    /// Updates of a round; most phases have one.
    pub fn steps(&self) -> usize {
        let steps = match &self.kind {
            Kind::Questions { work, .. } => work.epochs * self.epoch_steps(),
            Kind::Graphs(work) => work.steps,
        };
        steps.min(self.max_steps)
    }

    fn epoch_steps(&self) -> usize {
        match &self.kind {
            Kind::Questions { work, encoded } => {
                part(encoded.len(), work.parts, 0).len().div_ceil(work.batch_size * self.accumulate)
            }
            Kind::Graphs(work) => work.steps.div_ceil(work.epochs()).max(1),
        }
    }

    /// What questions are taught by, where they are as in a file.
    fn method(&self) -> Option<&Method> {
        match &self.kind {
            Kind::Questions { work, .. } => Some(&work.method),
            Kind::Graphs(work) => work.method(),
        }
    }

    /// Where a curriculum is. It begins again in each round.
    fn moment(&self, step: usize) -> Moment {
        let (step, epoch_steps) = (self.within_round(step), self.epoch_steps());
        Moment { epoch: step / epoch_steps, step, epoch_steps }
    }

    /// The stage of the curriculum.
    pub fn stage(&self, step: usize) -> usize {
        self.method().map_or(0, |method| method.stage(self.moment(step)))
    }

    /// Whether the optimiser forgets before a step.
    pub fn resets_optimizer(&self, step: usize) -> bool {
        let resets = |method: &Method| method.resets_optimizer(self.moment(step));
        self.within_round(step) == 0 || self.method().is_some_and(resets)
    }

    /// How the model is asked after `step` updates.
    pub fn recipe(&self, step: usize) -> Recipe {
        let Context { special, eos, .. } = self.context;
        if let Some(method) = self.method() {
            return method.recipe(self.stage(step.saturating_sub(1)), special, eos);
        }
        let markers = Markers { start: special.start, end: special.end };
        let recipe = families::coconut(markers, vec![special.eos]);
        let thoughts = match &self.kind {
            Kind::Graphs(GraphWork { learn: Learn::Questions(questions), .. }) => {
                questions.latent_steps
            }
            _ => recipe.latent_steps.default,
        };
        let max = recipe.latent_steps.max.max(thoughts);
        Recipe { latent_steps: LatentSteps { default: thoughts, max }, ..recipe }
    }

    /// How dialogues with tools are written, where the model is taught them.
    pub fn form(&self) -> Option<ReactForm> {
        self.method().and_then(Method::form)
    }

    /// The batches whose gradients make one update.
    ///
    /// # Errors
    /// If graphs cannot be made.
    pub fn batches(&self, step: usize) -> Result<Vec<Batch>> {
        let Context { seed, tokenizer, special, eos, .. } = self.context;
        match &self.kind {
            Kind::Questions { work, encoded } => {
                let chosen = self.chosen(step, work, encoded.len());
                let mut random = stream(seed, &format!("{} step {step}", self.name));
                let stage = self.stage(step);
                let mut sequence = |&index: &usize| {
                    work.method.sequence(&encoded[index], stage, special, &mut random)
                };
                let batches = chosen.chunks(work.batch_size);
                Ok(batches
                    .map(|batch| Batch::of(batch.iter().map(&mut sequence).collect()))
                    .collect())
            }
            Kind::Graphs(work) => (0..self.accumulate)
                .map(|part| {
                    let purpose = format!("{} step {step} part {part}", self.name);
                    let words = Words { tokenizer, special, eos };
                    let mut random = stream(seed, &purpose);
                    let batch =
                        work.batch(self.within_round(step), self.stage(step), &words, &mut random)?;
                    self.check_length(&batch)?;
                    Ok(batch)
                })
                .collect(),
        }
    }

    /// Graphs are as long as chance makes them.
    fn check_length(&self, batch: &Batch) -> Result<()> {
        let (longest, most) = (batch.longest(), self.context.max_positions);
        if longest <= most {
            return Ok(());
        }
        let reason = format!("make a question of {longest} positions; the model has {most}");
        Err(Error::Field { field: "objective.graphs.nodes", reason })
    }

    /// The questions of a step: each epoch goes through all of its part in an order of its own.
    fn chosen(&self, step: usize, work: &QuestionWork, questions: usize) -> Vec<usize> {
        let epoch_steps = self.epoch_steps();
        let epoch = step / epoch_steps;
        let mut order: Vec<usize> = part(questions, work.parts, epoch % work.parts).collect();
        let purpose = format!("{} epoch {epoch}", self.name);
        order.shuffle(&mut stream(self.context.seed, &purpose));
        let size = work.batch_size * self.accumulate;
        order.chunks(size).nth(step % epoch_steps).unwrap_or_default().to_vec()
    }
}

/// The questions of one part. All parts are as long; fewer than there are parts are left over.
fn part(questions: usize, parts: usize, index: usize) -> Range<usize> {
    let size = questions / parts;
    index * size..(index + 1) * size
}

fn encode(
    work: &QuestionWork,
    context: Context<'_>,
    left_out: &mut Vec<String>,
) -> Result<Vec<Encoded>> {
    let limit = work.max_positions.unwrap_or(context.max_positions).min(context.max_positions);
    let steps = match work.method.form() {
        Some(_) => Steps::Trajectory,
        None => Steps::Read,
    };
    let wanted = Wanted { fields: work.fields.clone(), steps };
    let reading = Reading { wanted, strict: work.strict, limit: None };
    let read = Questions::read(&work.train, &reading)?;
    let file = work.train.display();
    if read.skipped.count > 0 {
        left_out.push(format!("{file}: {}", read.skipped));
    }
    let all = read.rows.len();
    let examples = read.examples();
    let unknown = unknown::say(&examples, context.tokenizer)?;
    left_out.extend(unknown.map(|unknown| format!("{file}: {unknown}")));
    let mut encoded = Vec::new();
    for example in examples {
        let example = work.method.encode(&example, context.tokenizer, context.eos)?;
        if work.method.longest(&example) <= limit {
            encoded.push(example);
        }
    }
    if encoded.len() < all {
        let longer = all - encoded.len();
        left_out.push(format!("{file}: {longer} of {all} are longer than {limit} positions"));
    }
    if encoded.is_empty() {
        let reason = format!("is {limit}, too few for any question");
        return Err(Error::Field { field: "max_positions", reason });
    }
    if encoded.len() < work.parts {
        let reason = format!("are {}, of {} questions", work.parts, encoded.len());
        return Err(Error::Field { field: "parts", reason });
    }
    Ok(encoded)
}
