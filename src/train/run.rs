//! A run from its settings to a checkpoint: batch, loss, gradients, update, and now and then a validation and a saved
//! state. Composes the layer; knows no formula.

use crate::latent::recipe::Recipe;
use crate::model::Model;
use crate::text::Tokenizer;
use crate::train::batch::Batch;
use crate::train::breakdown::Breakdown;
use crate::train::checkpoint;
use crate::train::curve;
use crate::train::error::Error;
use crate::train::error::Result;
use crate::train::forward;
use crate::train::journal::Event;
use crate::train::journal::Journal;
use crate::train::optimizer::gradients::Gradients;
use crate::train::optimizer::memory::Memory;
use crate::train::optimizer::update;
use crate::train::progress::Progress;
use crate::train::settings::Phase;
use crate::train::settings::Settings;
use crate::train::settings::Until;
use crate::train::sources;
use crate::train::sources::Sources;
use crate::train::start::MoreLayers;
use crate::train::start::Start;
use crate::train::state;
use crate::train::state::Position;
use crate::train::task::Context;
use crate::train::task::Task;
use crate::train::validation::Validation;
use candle_core::Device;
use candle_core::backprop::GradStore;
use rayon::prelude::*;
use std::path::Path;
use std::path::PathBuf;
use std::time::Duration;
use std::time::Instant;

/// Folder of the checkpoint at the end of a run.
pub const CHECKPOINT: &str = "checkpoint";
/// Folder of the checkpoint with the most right answers at the last stage of the last phase reached.
pub const BEST: &str = "best";

/// Trains as `settings` say, on `device`, into `folder`. With `resume`, goes on from the latest state there.
///
/// # Errors
/// Whatever keeps the run from starting or going on.
pub fn train(settings: &Settings, folder: &Path, resume: bool, device: &Device) -> Result<()> {
    std::fs::create_dir_all(folder).map_err(Error::io(folder))?;
    let latest = state::latest(folder)?;
    if latest.is_some() && !resume {
        return Err(Error::state(
            folder,
            &"holds a run already; go on with --resume, or name another folder",
        ));
    }
    let start = begin(settings, device)?;
    let context = Context {
        seed: settings.seed,
        tokenizer: &start.tokenizer,
        special: start.special,
        eos: &settings.eos,
        max_positions: start.model.config().max_positions,
    };
    let tasks: Vec<Task<'_>> = settings
        .phases
        .iter()
        .enumerate()
        .map(|(index, phase)| Task::new(phase, index, context))
        .collect::<Result<_>>()?;
    let mut run = Run::new(settings, folder, &start, latest.as_deref())?;
    run.total_steps = tasks.iter().map(Task::steps).sum();
    run.progress = Progress::start(run.position.total_step, run.total_steps);
    let parameters = start.model.parameter_count();
    run.progress.say(&format!("{parameters} parameters, {} steps", run.total_steps));
    run.tell_left_out(&tasks)?;
    for (phase, task) in tasks.iter().enumerate().skip(run.position.phase) {
        run.phase(phase, task)?;
    }
    if let Some(task) = tasks.last() {
        checkpoint::write(&folder.join(CHECKPOINT), &start, &task.recipe(task.steps()))?;
    }
    run.progress.finish(&format!("checkpoint: {}", folder.join(CHECKPOINT).display()));
    Ok(())
}

fn begin(settings: &Settings, device: &Device) -> Result<Start> {
    let tokenizer = settings.tokenizer.as_deref().map(Tokenizer::load).transpose()?;
    match (&settings.init, &settings.model, tokenizer) {
        (Some(init), _, tokenizer) => {
            let more = MoreLayers { count: settings.more_layers, seed: settings.seed };
            Start::checkpoint(init, tokenizer, &settings.eos, more, device)
        }
        (None, Some(model), Some(tokenizer)) => {
            let unusable = |error: serde_json::Error| Error::Field {
                field: "model",
                reason: error.to_string(),
            };
            let config = serde_json::to_value(model).map_err(unusable)?;
            Start::random(config, tokenizer, &settings.eos, (settings.seed, device))
        }
        _ => Err(Error::Field { field: "model", reason: "needs a `tokenizer`".to_owned() }),
    }
}

struct Run<'a> {
    settings: &'a Settings,
    folder: PathBuf,
    start: &'a Start,
    /// The same weights without gradients, for generation.
    frozen: Model,
    validation: Option<Validation<'a>>,
    memory: Option<Memory>,
    position: Position,
    journal: Journal,
    progress: Progress,
    total_steps: usize,
    started: Instant,
    /// Time spent before this process, in seconds.
    earlier_seconds: f64,
}

impl<'a> Run<'a> {
    fn new(
        settings: &'a Settings,
        folder: &Path,
        start: &'a Start,
        latest: Option<&Path>,
    ) -> Result<Self> {
        let digest = sources::text(&format!("{settings:?}"));
        let now = Sources::of(settings, &start.tokenizer)?;
        let (position, memory) = match latest {
            Some(path) => {
                let (mut position, memory) = state::load(path, &start.variables)?;
                if position.settings != digest {
                    return Err(Error::state(path, &"was trained with other settings"));
                }
                if let Some(name) = position.sources.changed(&now) {
                    let reason = format!("was trained with another content of {name}");
                    return Err(Error::state(path, &reason));
                }
                position.sources = now;
                let memory = Some(memory).filter(|_| position.step > 0);
                (position, memory)
            }
            None => (Position { settings: digest, sources: now, ..Position::default() }, None),
        };
        let validation = settings.validate.as_ref();
        let validation =
            validation.map(|validate| Validation::read(validate, &start.tokenizer)).transpose()?;
        Ok(Self {
            settings,
            folder: folder.to_owned(),
            start,
            frozen: start.variables.frozen(start.model.config().clone())?,
            validation,
            memory,
            journal: Journal::open(folder, position.total_step, position.validated)?,
            earlier_seconds: position.seconds,
            position,
            progress: Progress::start(0, 0),
            total_steps: 0,
            started: Instant::now(),
        })
    }

    fn phase(&mut self, index: usize, task: &Task<'_>) -> Result<()> {
        let phase = &self.settings.phases[index];
        if self.position.step > 0 {
            // The state may be from right before a validation.
            self.validate_if_due(index, task)?;
        }
        while !self.is_over(index, task) {
            if task.resets_optimizer(self.position.step) {
                self.memory = None;
            }
            self.step(phase, task)?;
            let round = self.position.step.is_multiple_of(task.steps());
            if self.position.total_step.is_multiple_of(self.settings.log_every) || round {
                self.log(phase, task);
            }
            self.validate_if_due(index, task)?;
            let over = self.is_over(index, task);
            if self.position.total_step.is_multiple_of(self.settings.save_every) && !over {
                self.save()?;
            }
        }
        if let Some(until) = phase.until.filter(|_| !self.position.learnt) {
            let (name, loss) = (&phase.name, until.loss);
            self.progress.say(&format!("{name}: no loss of {loss} in {} rounds", until.rounds));
        }
        let next = (index + 1, 0, false);
        (self.position.phase, self.position.step, self.position.learnt) = next;
        self.save()?;
        self.memory = None;
        Ok(())
    }

    /// Whether a phase's last update is done.
    fn is_over(&self, index: usize, task: &Task<'_>) -> bool {
        let rounds = self.settings.phases[index].rounds();
        self.position.learnt || self.position.step >= rounds * task.steps()
    }

    /// One update.
    fn step(&mut self, phase: &Phase, task: &Task<'_>) -> Result<()> {
        let began = Instant::now();
        let variables = &self.start.variables;
        let batches = task.batches(self.position.step)?;
        let (mut sum, mut loss) = (Gradients::new(variables), 0.0);
        let share = 1.0 / batches.len() as f32;
        for batch in batches {
            self.position.window.sequences += batch.sequences.len();
            for part in shards(&self.start.model, batch, self.settings.shards)? {
                loss += share * part.loss;
                self.position.window.breakdown.add(&part.breakdown);
                sum.add(&part.gradients, variables, share)?;
            }
        }
        if !loss.is_finite() {
            return Err(self.diverged("loss", loss.into()));
        }
        let lr = self.lr(phase, task.within_round(self.position.step), task.steps());
        let optimizer = &self.settings.optimizer;
        let mut memory = match self.memory.take() {
            Some(memory) => memory,
            None => Memory::new(optimizer, variables)?,
        };
        let norm = update(optimizer, &mut memory, variables, sum, lr)?;
        self.memory = Some(memory);
        if !norm.is_finite() {
            return Err(self.diverged("gradient's norm", norm));
        }
        let window = &mut self.position.window;
        window.norm += norm;
        window.loss += f64::from(loss);
        window.updates += 1;
        window.seconds += began.elapsed().as_secs_f64();
        self.position.step += 1;
        self.position.total_step += 1;
        self.progress.advance(self.position.total_step);
        Ok(())
    }

    fn diverged(&self, what: &'static str, value: f64) -> Error {
        Error::Diverged { step: self.position.total_step, what, value }
    }

    /// The learning rate of a phase's step.
    fn lr(&self, phase: &Phase, step: usize, steps: usize) -> f64 {
        let schedule = phase.schedule.unwrap_or(self.settings.schedule);
        phase.lr.unwrap_or(self.settings.optimizer.lr) * schedule.factor(step, steps)
    }

    fn log(&mut self, phase: &Phase, task: &Task<'_>) {
        let window = std::mem::take(&mut self.position.window);
        let step = self.position.step - 1;
        let enough = |until: Until| window.mean_loss() <= until.loss;
        let round = self.position.step.is_multiple_of(task.steps());
        self.position.learnt = round && phase.until.is_some_and(enough);
        let event = Event::Train {
            step: self.position.total_step,
            phase: phase.name.clone(),
            stage: task.stage(step),
            loss: window.mean_loss(),
            token_loss: window.breakdown.tokens(),
            thought_losses: window.breakdown.thoughts(),
            gradient_norm: window.mean_norm(),
            lr: self.lr(phase, task.within_round(step), task.steps()),
            examples_per_second: window.speed(),
            seconds: self.seconds(),
        };
        self.note(event);
    }

    /// Validates after the last step of a phase, and now and then before. Whatever comes of it, the training up to here is
    /// saved first.
    fn validate_if_due(&mut self, index: usize, task: &Task<'_>) -> Result<()> {
        let Some(validation) = &self.validation else { return Ok(()) };
        let Position { total_step, validated, .. } = self.position;
        let due = self.is_over(index, task) || validation.is_due(total_step);
        if !due || validated == Some(total_step) {
            return Ok(());
        }
        self.save()?;
        self.validate(index, task)
    }

    fn validate(&mut self, index: usize, task: &Task<'_>) -> Result<()> {
        let Some(validation) = &self.validation else { return Ok(()) };
        let recipe = task.recipe(self.position.step);
        let latent_steps = recipe.latent_steps.default;
        let score = validation.ask(&self.frozen, &recipe, task.form().as_ref())?;
        let stage = task.stage(self.position.step - 1);
        let event = Event::Validate {
            step: self.position.total_step,
            phase: self.settings.phases[index].name.clone(),
            stage,
            latent_steps,
            right: score.right,
            questions: score.questions,
            answer_tokens: score.answer_tokens as f64 / score.questions.max(1) as f64,
            seconds: self.seconds(),
        };
        self.note(event);
        self.position.validated = Some(self.position.total_step);
        let reached = (index, stage, score.right as f64 / score.questions.max(1) as f64);
        if self.position.best.is_none_or(|best| reached >= best) {
            self.position.best = Some(reached);
            checkpoint::write(&self.folder.join(BEST), self.start, &recipe)?;
        }
        Ok(())
    }

    /// Says which questions are not trained on, and which cannot be asked.
    fn tell_left_out(&self, tasks: &[Task<'_>]) -> Result<()> {
        let say = |text: &String| self.progress.say(text);
        tasks.iter().flat_map(|task| &task.left_out).for_each(say);
        let Some(validation) = &self.validation else { return Ok(()) };
        let recipes: Vec<Recipe> = tasks.iter().map(|task| task.recipe(task.steps())).collect();
        validation.left_out(&self.frozen, &recipes)?.iter().for_each(say);
        Ok(())
    }

    /// Notes and shows an event. A run goes on where it cannot be written or drawn: what counts is in the saved state.
    fn note(&mut self, event: Event) {
        let done = self.position.total_step.max(1);
        let left = self.seconds() / done as f64 * (self.total_steps.saturating_sub(done)) as f64;
        self.progress.show(&event, Duration::from_secs_f64(left));
        let noted = self.journal.note(event);
        let drawn = curve::draw(self.journal.events(), &self.folder);
        for error in [noted, drawn].into_iter().filter_map(Result::err) {
            self.progress.say(&format!("the run goes on without it: {error}"));
        }
    }

    fn save(&mut self) -> Result<()> {
        self.position.seconds = self.seconds();
        // Between two phases there is nothing to remember: the next one starts fresh.
        let between = Memory::default();
        let memory = self.memory.as_ref().filter(|_| self.position.step > 0).unwrap_or(&between);
        self.position.updates = memory.updates;
        state::save(&self.folder, &self.position, &self.start.variables, memory)
    }

    fn seconds(&self) -> f64 {
        self.earlier_seconds + self.started.elapsed().as_secs_f64()
    }
}

/// A part of a batch, computed.
struct Part {
    loss: f32,
    breakdown: Breakdown,
    gradients: GradStore,
}

/// A batch's parts, in order, computed side by side. A GPU has work enough in one.
fn shards(model: &Model, batch: Batch, count: usize) -> Result<Vec<Part>> {
    let count = if model.device().is_cpu() { count } else { 1 };
    let total = batch.weight();
    let compute = |part: &Batch| {
        let (loss, breakdown) = forward::loss_of_part(model, part, total)?;
        Ok(Part { loss: loss.to_scalar()?, breakdown, gradients: loss.backward()? })
    };
    match count {
        // On this thread: runs beside this one have the others.
        1 => batch.shards(1).iter().map(compute).collect(),
        _ => batch.shards(count).par_iter().map(compute).collect(),
    }
}
