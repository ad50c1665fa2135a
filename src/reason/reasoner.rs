//! The owner of a served checkpoint: takes questions, gives back replies. Knows no JSON and no status codes.

use crate::engine::Engine;
use crate::engine::StartError;
use crate::engine::Ticket;
use crate::engine::config::EngineConfig;
use crate::engine::request::Failure;
use crate::engine::request::Request;
use crate::engine::shared::EngineState;
use crate::latent::answer::AnswerRule;
use crate::latent::checkpoint::Checkpoint;
use crate::latent::checkpoint::CheckpointError;
use crate::latent::checkpoint::Location;
use crate::latent::program::Program;
use crate::latent::recipe::Recipe;
use crate::latent::script::StopRule;
use crate::metrics::Metrics;
use crate::model::device::Processor;
use crate::model::load::save::SavedType;
use crate::model::serving::Served;
use crate::reason::transcript::Goes;
use crate::reason::transcript::Prompt;
use crate::reason::transcript::Transcript;
use crate::reason::types::Answer;
use crate::reason::types::AskError;
use crate::reason::types::DEFAULT_MAX_TOKENS;
use crate::reason::types::Part;
use crate::reason::types::Question;
use crate::text::Tokenizer;
use crate::text::encode::Encoded;
use crate::text::encode::Unknown;
use crate::text::encode::Within;
use crate::text::units::LONGEST_WAIT;
use coconut_kernels::attend::layer::KvType;
use coconut_kernels::packed::Format;
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Instant;

/// What to load and how to run it.
#[derive(Clone, Debug)]
pub struct ReasonerConfig {
    /// Where the checkpoint is.
    pub model: Location,
    /// The name that clients use; the published id or the folder's name where `None`.
    pub name: Option<String>,
    /// What it is computed on.
    pub processor: Processor,
    /// The types that are computed in.
    pub precision: Precision,
    /// The engine's settings; its `kv_type` is replaced by that of `precision`.
    pub engine: EngineConfig,
}

/// The types that are computed in; what is `None` follows from the checkpoint.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Precision {
    /// Of the weights. `None`: bf16 if the checkpoint is stored so, else f32.
    pub weights: Option<Format>,
    /// Of the KV memory. `None`: f32 with weights in f32, else bf16.
    pub kv: Option<KvType>,
}

impl Precision {
    /// For a checkpoint.
    fn of(self, checkpoint: &Checkpoint) -> (Format, KvType) {
        let weights = self.weights.unwrap_or(match checkpoint.found.lossless_type() {
            SavedType::BF16 => Format::Bf16,
            SavedType::F32 | SavedType::F16 => Format::F32,
        });
        let kv = self.kv.unwrap_or(match weights {
            Format::F32 => KvType::F32,
            Format::Bf16 | Format::Int8 => KvType::Bf16,
        });
        (weights, kv)
    }
}

/// A checkpoint with its tokenizer and recipe, and the engine that runs it.
#[derive(Debug)]
pub struct Reasoner {
    card: ModelCard,
    tokenizer: Arc<Tokenizer>,
    recipe: Recipe,
    engine: Engine,
}

/// What is being served.
#[derive(Clone, Debug)]
pub struct ModelCard {
    /// The name that clients use.
    pub name: String,
    /// The recipe's family, such as `coconut`.
    pub family: String,
    /// Architecture, such as `gpt2`.
    pub architecture: String,
    /// Number of weights.
    pub parameters: usize,
    /// The longest sequence, in positions.
    pub max_positions: usize,
    /// Latent steps where a question names none.
    pub default_latent_steps: usize,
    /// The most latent steps a question may ask for.
    pub max_latent_steps: usize,
    /// One readable line: what was found and how it is read.
    pub description: String,
}

/// Why a checkpoint cannot be served.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The checkpoint.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// The engine.
    #[error(transparent)]
    Engine(#[from] StartError),
}

/// Whether the engine can take requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Health {
    /// Yes.
    Ready,
    /// It finishes what it has and takes nothing new.
    Draining,
    /// It failed.
    Dead,
}

impl Reasoner {
    /// Loads a checkpoint and starts its engine. Blocks for as long as reading the weights takes.
    pub fn load(config: &ReasonerConfig, metrics: Arc<Metrics>) -> Result<Self, LoadError> {
        Self::load_with(config, |model, engine| Engine::start(model, engine, metrics))
    }

    /// The same, with the engine that `start` makes of the model.
    pub(crate) fn load_with(
        config: &ReasonerConfig,
        start: impl FnOnce(Served, EngineConfig) -> Result<Engine, StartError>,
    ) -> Result<Self, LoadError> {
        let checkpoint = Checkpoint::open(&config.model)?;
        let (weights, kv_type) = config.precision.of(&checkpoint);
        let model = checkpoint.served(config.processor, weights).map_err(CheckpointError::Model)?;
        let name = config.name.clone();
        let name = name.unwrap_or_else(|| default_name(&config.model, &checkpoint));
        let mut card = card(name, &checkpoint);
        let Checkpoint { tokenizer, recipe, .. } = checkpoint;
        let tokenizer = Arc::new(tokenizer);
        let engine = start(model, EngineConfig { kv_type, ..config.engine })?;
        card.max_positions = engine.max_positions();
        Ok(Self { card, tokenizer, recipe, engine })
    }

    /// Submits a question. The reply's parts arrive as they are computed; dropping the reply cancels the request.
    ///
    /// Tokenizing is done here and now, and takes as long as the text is long.
    pub fn ask(&self, question: &Question) -> Result<Reply, AskError> {
        let (program, unknown) = self.program(question)?;
        let prompt = Prompt { tokens: program.prompt.len(), unknown };
        let ticket = self.engine.submit(Request {
            script: program.script(question.sampling.clone()),
            report: question.report.clone(),
            deadline: Instant::now() + question.timeout.min(LONGEST_WAIT),
        })?;
        let reading = (Arc::clone(&self.tokenizer), self.recipe.answer);
        let transcript =
            Transcript::new(reading, question.stop.clone(), prompt, ticket.submitted());
        Ok(Reply { ticket: Some(ticket), transcript, ready: VecDeque::new() })
    }

    fn program(&self, question: &Question) -> Result<(Program, Unknown), AskError> {
        if question.text.trim().is_empty() {
            return Err(AskError::EmptyQuestion);
        }
        let steps = self.recipe.latent_steps;
        let latent_steps = question.latent_steps.unwrap_or(steps.default);
        if latent_steps > steps.max {
            return Err(AskError::TooManyLatentSteps { asked: latent_steps, max: steps.max });
        }
        let Encoded { ids: mut prompt, unknown } = self.encode(&question.text)?;
        prompt.extend(&self.recipe.start);
        let stop = match question.ignore_eos {
            true => StopRule::NEVER,
            false => self.recipe.stop_rule(),
        };
        let (forced, masked) = (self.recipe.end.clone(), self.recipe.masked.clone());
        let mut program = Program { prompt, latent_steps, forced, max_tokens: 1, stop, masked };
        let most = self.recipe.max_tokens.unwrap_or(DEFAULT_MAX_TOKENS);
        let positions = self.engine.max_positions();
        program.max_tokens = match question.max_tokens {
            // No question leaves room for so many: the engine says so.
            Some(most) if most > positions => most,
            asked => asked.unwrap_or(most).min(program.room(positions)),
        };
        Ok((program, unknown))
    }

    fn encode(&self, question: &str) -> Result<Encoded, AskError> {
        let (text, available) = (self.recipe.render(question), self.engine.max_positions());
        let encoded =
            self.tokenizer.encode_within(&text, self.recipe.add_special_tokens, available);
        match encoded.map_err(|error| AskError::Tokenizer(error.to_string()))? {
            Within::Whole(encoded) => Ok(encoded),
            Within::TooLong { bytes, tokens } => {
                Err(AskError::TooLong { bytes, tokens, available })
            }
        }
    }

    /// What is being served.
    pub fn card(&self) -> &ModelCard {
        &self.card
    }

    /// What part of a text is the answer.
    pub fn answer_rule(&self) -> AnswerRule {
        self.recipe.answer
    }

    /// The text of one id, for showing thoughts.
    pub fn token_text(&self, id: u32) -> String {
        self.tokenizer.token_text(id)
    }

    /// Whether questions are accepted.
    pub fn health(&self) -> Health {
        match self.engine.state() {
            EngineState::Ready => Health::Ready,
            EngineState::Draining => Health::Draining,
            EngineState::Dead => Health::Dead,
        }
    }

    /// Takes no new questions from now on; those accepted are finished.
    pub fn drain(&self) {
        self.engine.drain();
    }

    /// Waits until no accepted question is left.
    pub async fn drained(&self) {
        self.engine.drained().await;
    }

    /// Ends what is still running with [`Failure::Stopped`].
    pub fn abort(&self) {
        self.engine.abort();
    }
}

/// The parts of one answer in the making. Dropping it cancels the request within one engine step.
#[derive(Debug)]
pub struct Reply {
    /// `None` once the last part is ready.
    ticket: Option<Ticket>,
    transcript: Transcript,
    ready: VecDeque<Part>,
}

impl Reply {
    /// The next part; `None` after `Done` or `Failed`. Cancel-safe.
    pub async fn next(&mut self) -> Option<Part> {
        loop {
            if let Some(part) = self.ready.pop_front() {
                return Some(part);
            }
            let Some(event) = self.ticket.as_mut()?.next().await else {
                self.ticket = None;
                Transcript::lost(&mut self.ready);
                continue;
            };
            if self.transcript.take(event, &mut self.ready) == Goes::Over
                && let Some(ticket) = self.ticket.take()
            {
                ticket.satisfied();
            }
        }
    }

    /// Waits for the complete answer.
    pub async fn complete(mut self) -> Result<Answer, Failure> {
        while let Some(part) = self.next().await {
            match part {
                Part::Done(answer) => return Ok(*answer),
                Part::Failed(failure) => return Err(failure),
                Part::Thought(_) | Part::Token(_) => {}
            }
        }
        Err(Failure::Engine)
    }
}

/// The id it was published under, or the name of its folder, also where a file in it is given.
fn default_name(location: &Location, checkpoint: &Checkpoint) -> String {
    let published = checkpoint.published.map(|published| published.id.to_owned());
    if let Some(id) = location.id.clone().or(published) {
        return id;
    }
    let folder = &checkpoint.found.files.folder;
    let name = folder.canonicalize().ok();
    let name = name.as_deref().unwrap_or(folder).file_name();
    name.map_or_else(|| "model".to_owned(), |name| name.to_string_lossy().into_owned())
}

fn card(name: String, checkpoint: &Checkpoint) -> ModelCard {
    let (config, recipe) = (&checkpoint.found.config, &checkpoint.recipe);
    ModelCard {
        name,
        family: recipe.family.clone(),
        architecture: config.architecture.name().to_owned(),
        parameters: config.parameter_count(),
        max_positions: config.max_positions,
        default_latent_steps: recipe.latent_steps.default,
        max_latent_steps: recipe.latent_steps.max,
        description: checkpoint.description(),
    }
}
