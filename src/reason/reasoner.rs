//! The owner of a served checkpoint: takes questions, gives back replies. Knows no JSON and no status codes.

use crate::engine::Engine;
use crate::engine::StartError;
use crate::engine::config::EngineConfig;
use crate::engine::request::Report;
use crate::engine::request::Request;
use crate::engine::shared::EngineState;
use crate::latent::answer::AnswerRule;
use crate::latent::chat::Chat;
use crate::latent::checkpoint::Checkpoint;
use crate::latent::checkpoint::CheckpointError;
use crate::latent::checkpoint::Location;
use crate::latent::recipe::Recipe;
use crate::latent::script::Fed;
use crate::latent::script::Script;
use crate::metrics::Metrics;
use crate::model::device::Processor;
use crate::model::load::save::SavedType;
use crate::model::serving::Served;
use crate::reason::borrow::Borrowed;
use crate::reason::borrow::Loan;
use crate::reason::card::ModelCard;
use crate::reason::means::MeansError;
use crate::reason::means::ThoughtMeans;
use crate::reason::prompt::Prompt;
use crate::reason::question::AskError;
use crate::reason::question::Asked;
use crate::reason::question::Echo;
use crate::reason::question::Question;
use crate::reason::question::Then;
use crate::reason::reply::Reply;
use crate::reason::reply::Unanswered;
use crate::reason::shape::End;
use crate::reason::shape::Ending;
use crate::reason::shape::Shape;
use crate::reason::shape::Stages;
use crate::reason::thinking::Given;
use crate::reason::transcript::Heading;
use crate::reason::transcript::Transcript;
use crate::reason::types::Answer;
use crate::reason::types::PromptToken;
use crate::text::Tokenizer;
use crate::text::units::LONGEST_WAIT;
use coconut_kernels::attend::layer::KvType;
use coconut_kernels::packed::Format;
use std::path::PathBuf;
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
    /// File with mean thoughts, for questions that ask for them.
    pub thought_means: Option<PathBuf>,
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
    pub(super) tokenizer: Arc<Tokenizer>,
    pub(super) recipe: Recipe,
    pub(super) chat: Chat,
    pub(super) engine: Engine,
    means: Option<ThoughtMeans>,
    /// The id that stands for a pause.
    pause: Option<u32>,
    /// D
    width: usize,
}

/// Tokens that stand for a pause, or for a thought that is not there yet.
const PAUSES: [&str; 3] = ["<|latent|>", "<|pause|>", "<pause>"];

/// So many ids before it are enough to know how a text goes on: those of a character, and one before it.
const LEAD: usize = 8;

const UNMARKED: &str =
    "is to be shown again, and this model thinks: `<|start-latent|>` in it marks where thoughts go";

/// Why a checkpoint cannot be served.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The checkpoint.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// The engine.
    #[error(transparent)]
    Engine(#[from] StartError),
    /// The mean thoughts.
    #[error("--thought-means: {0}")]
    Means(MeansError),
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
        let mut card = ModelCard::of(name, &checkpoint);
        let sizes = &checkpoint.found.config;
        let (width, vocabulary) = (sizes.width, sizes.vocab_size);
        let means = config.thought_means.as_deref().map(|path| ThoughtMeans::load(path, width));
        let means = means.transpose().map_err(LoadError::Means)?;
        let Checkpoint { tokenizer, recipe, chat, .. } = checkpoint;
        let tokenizer = Arc::new(tokenizer);
        let pause = recipe.pause.or_else(|| PAUSES.iter().find_map(|token| tokenizer.id(token)));
        let pause = pause.filter(|&id| (id as usize) < vocabulary);
        let engine = start(model, EngineConfig { kv_type, ..config.engine })?;
        card.max_positions = engine.max_positions();
        Ok(Self { card, tokenizer, recipe, chat, engine, means, pause, width })
    }

    /// What has to be computed before a question can be asked; for most questions nothing.
    ///
    /// # Errors
    /// Where it asks for more thoughts than the recipe allows.
    pub fn loans(&self, question: &Question) -> Result<Vec<Loan>, AskError> {
        let bounds = self.recipe.latent_steps;
        let loans = question.loans(question.thinking.stages(bounds)?.most());
        match loans.iter().find(|loan| loan.steps > bounds.max) {
            Some(loan) => Err(AskError::Intervention {
                index: loan.intervention.unwrap_or(0),
                field: "from.step",
                reason: format!(
                    "{} is more than this model's maximum of {}",
                    loan.steps, bounds.max
                ),
            }),
            None => Ok(loans),
        }
    }

    /// Asks a question, after those whose thoughts it takes, and waits for all of it.
    ///
    /// # Errors
    /// Where one of them is refused or fails.
    pub async fn answer(&self, question: &Question) -> Result<Answer, Unanswered> {
        let mut borrowed = Borrowed::default();
        for loan in self.loans(question)? {
            let lending = question.lending(&loan, question.timeout);
            let reply = self.ask_with(&lending, &Borrowed::default())?;
            borrowed.take(&loan, reply.complete().await?.thoughts);
        }
        Ok(self.ask_with(question, &borrowed)?.complete().await?)
    }

    /// Submits a question, with the thoughts that it takes from elsewhere. The reply's parts arrive as they are computed;
    /// dropping the reply cancels the request.
    ///
    /// Tokenizing is done here and now, and takes as long as the text is long.
    pub fn ask_with(&self, question: &Question, borrowed: &Borrowed) -> Result<Reply, AskError> {
        self.ask_by(question, borrowed, Instant::now() + question.timeout.min(LONGEST_WAIT))
    }

    /// The same, with this deadline in the place of the question's timeout: questions that are asked one after the other may
    /// have one together.
    pub fn ask_by(
        &self,
        question: &Question,
        borrowed: &Borrowed,
        deadline: Instant,
    ) -> Result<Reply, AskError> {
        let (script, ends, prompt) = self.script(question, borrowed)?;
        let model = (self.engine.sizes(), self.width);
        let inside = question.inside.as_ref();
        let inside = inside.map(|inside| inside.of(model, &self.tokenizer, &script)).transpose();
        let inside = inside.map_err(|(field, reason)| AskError::Inside { field, reason })?;
        let ticket = self.engine.submit(Request {
            script,
            report: Report { inside: inside.map(Arc::new), ..question.report.clone() },
            deadline,
        })?;
        let reading = (Arc::clone(&self.tokenizer), self.recipe.answer);
        let saying = question.saying();
        let stop = saying.map_or((&[][..], false), |saying| (&saying.stop, saying.shows_stop));
        let transcript = Transcript::new(reading, stop, ends, prompt, ticket.submitted());
        Ok(Reply::new(ticket, transcript))
    }

    fn script(
        &self,
        question: &Question,
        borrowed: &Borrowed,
    ) -> Result<(Script, Vec<End>, Heading), AskError> {
        let (bounds, thinking) = (self.recipe.latent_steps, &question.thinking);
        let is_plain = question.asked.is_plain();
        let stages = match is_plain {
            true => Stages::Fixed(vec![0]),
            false => thinking.stages(bounds)?,
        };
        let (pause, means, width) = (self.pause, self.means.as_ref(), self.width);
        let samples = question.saying().map_or(1, |saying| saying.samples);
        let given = Given { pause, means, width, borrowed };
        let fillings = thinking.fillings(samples, &stages, given)?;
        let Prompt { before, after, mut unknown, is_marked, has_written_end } =
            self.reader().read(&question.asked)?;
        if question.echo != Echo::No && self.recipe.thinks() && !is_marked {
            return Err(AskError::Prompt(UNMARKED));
        }
        let is_scored = question.echo == Echo::Scored;
        let tokens = before.len() + after.len();
        let is_text = matches!(question.asked, Asked::Text(_) | Asked::Ids(_));
        let lead = match (is_text, self.recipe.thinks()) {
            (false, _) => Vec::new(),
            (true, false) => {
                before[before.len().saturating_sub(LEAD)..].iter().filter_map(Fed::id).collect()
            }
            (true, true) => after[after.len().saturating_sub(LEAD)..].to_vec(),
        };
        let end = self.recipe.end.iter().filter(|_| has_written_end);
        let prompt = before.iter().filter_map(Fed::id).chain(end.chain(&after).copied());
        let prompt = prompt.filter(|_| is_scored);
        let echoed = prompt.map(|id| PromptToken { id, logprob: None, top: Vec::new() }).collect();
        let ending = match &question.then {
            Then::Nothing => Ending::Nothing,
            Then::Say(saying) => self.said(saying),
            Then::Score(scoring) => self.scored(scoring, &mut unknown)?,
        };
        let shape = Shape {
            before,
            after,
            is_scored,
            has_written_end,
            stages,
            fillings,
            forced: if is_plain { Vec::new() } else { self.recipe.end.clone() },
            masked: self.recipe.masked.clone(),
            ending,
        };
        let (script, ends) = shape.script();
        Ok((script, ends, Heading { tokens, unknown, lead, echoed }))
    }

    /// What is being served.
    pub fn card(&self) -> &ModelCard {
        &self.card
    }

    /// What part of a text is the answer.
    pub fn answer_rule(&self) -> AnswerRule {
        self.recipe.answer
    }

    /// D: how many numbers a thought has.
    pub fn width(&self) -> usize {
        self.width
    }

    /// Whether questions are accepted.
    pub fn health(&self) -> Health {
        match self.engine.state() {
            EngineState::Ready => Health::Ready,
            EngineState::Draining => Health::Draining,
            EngineState::Dead => Health::Dead,
        }
    }

    /// How many questions that belong together may be on their way at a time.
    pub fn share(&self) -> usize {
        self.engine.share()
    }

    /// Takes no new questions from now on; those accepted are finished.
    pub fn drain(&self) {
        self.engine.drain();
    }

    /// Waits until no accepted question is left.
    pub async fn drained(&self) {
        self.engine.drained().await;
    }

    /// Ends what is still running with [`crate::engine::request::Failure::Stopped`].
    pub fn abort(&self) {
        self.engine.abort();
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
