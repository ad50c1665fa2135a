//! The owner of a served checkpoint: takes questions, gives back replies. Knows no JSON and no status codes.

use crate::engine::request::Failure;
use crate::reason::types::Answer;
use crate::reason::types::AskError;
use crate::reason::types::Part;
use crate::reason::types::Question;

/// A checkpoint with its tokenizer and recipe, and the engine that runs it.
#[derive(Debug)]
pub struct Reasoner {
    card: ModelCard,
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

/// What to load and how to run it.
#[derive(Clone, Debug)]
pub struct ReasonerConfig {
    /// Folder.
    pub model: std::path::PathBuf,
    /// Name.
    pub name: Option<String>,
    /// Engine.
    pub engine: crate::engine::config::EngineConfig,
}

/// Placeholder.
#[derive(Debug, thiserror::Error)]
#[error("placeholder")]
pub struct LoadError;

impl Reasoner {
    /// Placeholder.
    pub fn load(
        config: ReasonerConfig,
        metrics: std::sync::Arc<crate::metrics::Metrics>,
    ) -> Result<Self, LoadError> {
        drop((config, metrics));
        Err(LoadError)
    }

    /// Submits a question. The reply's parts arrive as they are computed; dropping the reply cancels the request.
    pub fn ask(&self, question: &Question) -> Result<Reply, AskError> {
        let _ = question;
        Err(AskError::Rejected(crate::engine::request::Rejected::Dead))
    }

    /// What is being served.
    pub fn card(&self) -> &ModelCard {
        &self.card
    }

    /// The text of one id, for showing thoughts.
    pub fn token_text(&self, id: u32) -> String {
        id.to_string()
    }

    /// Whether questions are accepted.
    pub fn health(&self) -> Health {
        Health::Ready
    }

    /// Takes no new questions from now on; those accepted are finished.
    pub fn drain(&self) {}

    /// Waits until no accepted question is left.
    pub async fn drained(&self) {
        std::future::ready(()).await;
    }

    /// Ends what is still running with [`Failure::Stopped`].
    pub fn abort(&self) {}
}

/// The parts of one answer in the making. Dropping it cancels the request within one engine step.
#[derive(Debug)]
pub struct Reply {
    parts: Vec<Part>,
}

impl Reply {
    /// The next part; `None` after `Done` or `Failed`. Cancel-safe.
    pub async fn next(&mut self) -> Option<Part> {
        std::future::ready(self.parts.pop()).await
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
