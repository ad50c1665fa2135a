//! A question with everything that shapes what comes of it, as plain data; and why it may be refused. Knows text and
//! numbers of steps, no ids: what they come to is `shape`'s business.

use crate::engine::request::Rejected;
use crate::engine::request::Report;
use crate::latent::script::Fed;
use crate::latent::script::Sampling;
use crate::model::config::MAX_SIZE;
use crate::reason::inside::Insides;
use crate::reason::scoring::Scoring;
use crate::text::chat::Conversation;
use crate::tools::react::ReactForm;
use crate::tools::set::ToolSet;
use std::sync::Arc;
use std::time::Duration;

/// A question with everything that shapes its answer.
#[derive(Clone, Debug)]
pub struct Question {
    /// What is asked.
    pub asked: Asked,
    /// What is wanted to know of the prompt itself.
    pub echo: Echo,
    /// What happens before anything is said.
    pub thinking: Thinking,
    /// What happens then.
    pub then: Then,
    /// What to report beside the answer; its `inside` is replaced by what `inside` comes to.
    pub report: Report,
    /// What to see of the inside of the model.
    pub inside: Option<Insides>,
    /// What the model may do on its way to the answer, where its recipe knows calls.
    pub acting: Option<Acting>,
    /// Time from now within which the answer must be complete.
    pub timeout: Duration,
}

/// What a model may do.
#[derive(Clone, Debug, Default)]
pub struct Acting {
    /// The tools that it may call.
    pub tools: ToolSet,
    /// What these know of the question.
    pub facts: Option<Arc<str>>,
    /// How calls are written, where a prompt says so and no recipe does.
    pub form: Option<ReactForm>,
    /// Most rounds; the recipe's where `None`.
    pub max_rounds: Option<usize>,
    /// Longest time for one call.
    pub call_timeout: Duration,
}

/// What is asked, as the user wrote it.
#[derive(Clone, Debug)]
pub enum Asked {
    /// A question, which the recipe puts into its prompt.
    Question(String),
    /// A text that is fed as it stands. Thoughts follow it, or stand where it says [`THOUGHTS_HERE`].
    Text(String),
    /// The same in ids. Thoughts stand behind the recipe's start markers, if these are among them.
    Ids(Vec<u32>),
    /// What was fed and said so far, vectors among it, as it stands.
    Inputs(Arc<Inputs>),
    /// A conversation, in the checkpoint's chat template; where it has none, or thinks, the last user message is the question.
    Chat(Conversation),
}

/// What is fed around the thoughts, but for the recipe's markers.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Inputs {
    /// Before the start markers.
    pub before: Vec<Fed>,
    /// Behind the end markers.
    pub after: Vec<u32>,
    /// Whether there are neither markers nor thoughts between them.
    pub is_plain: bool,
}

/// What in a text marks the place of the thoughts, whatever a checkpoint's own markers are.
pub const THOUGHTS_HERE: &str = "<|start-latent|>";

/// What is wanted to know of the prompt itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Echo {
    /// Nothing.
    #[default]
    No,
    /// It is shown again: so it has to say where thoughts go.
    Shown,
    /// The same, and the probability of each of its ids.
    Scored,
}

/// Latent mode, as a question wants it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Thinking {
    /// How many thoughts.
    pub steps: LatentSteps,
    /// What is fed in their places.
    pub feedback: Feedback,
    /// What is done to single ones; only where `feedback` is [`Feedback::Hidden`].
    pub interventions: Vec<Intervention>,
    /// Standard deviation of the noise that is added to each at last; each sample has its own.
    pub noise: Option<f32>,
    /// What everything random follows from; sample i has this number plus i.
    pub seed: u64,
}

/// How many thoughts come before what is said.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum LatentSteps {
    /// The recipe's number.
    #[default]
    Recipe,
    /// So many.
    Exactly(usize),
    /// Each of these, from one prefill; at least one, none twice.
    Sweep(Vec<usize>),
    /// Until one differs from that before by at most `tolerance` of its length.
    Settled {
        /// As a fraction.
        tolerance: f32,
        /// The most; the recipe's maximum where `None`.
        max: Option<usize>,
    },
}

/// What is fed where a thought would be: the controls that tell whether thoughts matter.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Feedback {
    /// The thought.
    #[default]
    Hidden,
    /// The embedding of the model's pause token, as often as there would be thoughts.
    Pause,
    /// A vector in any direction, as long as the thought.
    Random,
    /// The question's own thoughts in another order.
    Shuffle,
    /// The mean thought of this step over a data set.
    Mean,
    /// Nothing: the answer follows the markers at once.
    None,
}

/// Something done to thoughts before they are fed.
#[derive(Clone, Debug, PartialEq)]
pub struct Intervention {
    /// To which.
    pub steps: At,
    /// What.
    pub op: Op,
}

/// Numbers of thoughts, counted from 1.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum At {
    /// Every one.
    All,
    /// These.
    Steps(Vec<usize>),
}

/// What is done to a thought.
#[derive(Clone, Debug, PartialEq)]
pub enum Op {
    /// This vector (D,) is fed in its place.
    Set(Arc<[f32]>),
    /// So many times this vector (D,) is added.
    Add(Arc<[f32]>, f32),
    /// It is multiplied.
    Scale(f32),
    /// Nothing is left of it.
    Zero,
    /// The mean thought of this step is fed in its place.
    Mean,
    /// Normal numbers with this standard deviation are added.
    Noise(f32, Option<u64>),
    /// A vector in any direction, as long as it, is fed in its place.
    Random(Option<u64>),
    /// It is left out.
    Skip,
    /// What was fed before it is fed again.
    Repeat,
    /// A thought from elsewhere is fed in its place.
    Copy(Origin),
}

/// A thought of a question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    /// Which question; `None` is the one that asks.
    pub question: Option<String>,
    /// Counted from 1.
    pub step: usize,
}

/// What comes after the thoughts.
#[derive(Clone, Debug)]
pub enum Then {
    /// Nothing.
    Nothing,
    /// An answer, or several.
    Say(Saying),
    /// The probabilities of given continuations.
    Score(Scoring),
}

/// Language mode.
#[derive(Clone, Debug)]
pub struct Saying {
    /// Most answer tokens, or fewer where the model's positions leave fewer; where `None`, the recipe's number or
    /// [`DEFAULT_MAX_TOKENS`]. More than there are positions are refused.
    pub max_tokens: Option<usize>,
    /// End-of-sequence ids are tokens like others: the answer has exactly its most tokens, unless a stop string ends it.
    pub ignore_eos: bool,
    /// How answer tokens are chosen; sample i has this seed plus i.
    pub sampling: Sampling,
    /// Strings that end an answer.
    pub stop: Vec<String>,
    /// Whether the one that ended it is part of it.
    pub shows_stop: bool,
    /// How many answers, at least 1; more only for one number of thoughts.
    pub samples: usize,
}

impl Default for Saying {
    /// One answer, always the most likely token.
    fn default() -> Self {
        let (max_tokens, stop) = (None, Vec::new());
        Self {
            max_tokens,
            ignore_eos: false,
            sampling: Sampling::GREEDY,
            stop,
            shows_stop: false,
            samples: 1,
        }
    }
}

/// Answer tokens where neither a question nor the recipe names a number.
pub const DEFAULT_MAX_TOKENS: usize = 64;

/// The most answers to one question: as many ends as the engine lets a request have.
pub const MAX_SAMPLES: usize = 1024;

/// The largest standard deviation of noise: far more than leaves anything of a thought.
pub const MAX_SIGMA: f64 = 1e6;

/// The largest temperature.
pub const MAX_TEMPERATURE: f64 = 2.0;

/// The most tokens that are shown of one distribution.
pub const MAX_TOP_TOKENS: usize = 100;

/// The most thoughts or answer tokens that any model has positions for.
pub const MAX_COUNT: usize = MAX_SIZE;

/// Why a question was not accepted; each variant names what the caller can change.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AskError {
    /// The question has no text.
    #[error("must not be empty")]
    EmptyQuestion,
    /// The tokenizer leaves out all that the question says.
    #[error("has nothing in it that this model reads")]
    UnreadQuestion,
    /// More latent steps than the recipe allows.
    #[error("{asked} is more than this model's maximum of {max}")]
    TooManyLatentSteps {
        /// What the question asked for.
        asked: usize,
        /// The recipe's maximum.
        max: usize,
    },
    /// The question's beginning alone has far more tokens than there are positions.
    #[error(
        "its first {bytes} bytes alone are {tokens} tokens, and {available} positions are available for prompt, thoughts \
         and answer"
    )]
    TooLong {
        /// How much was looked at.
        bytes: usize,
        /// What that comes to.
        tokens: usize,
        /// The smaller of the model's limit and the KV memory's.
        available: usize,
    },
    /// The prompt does not say where thoughts go.
    #[error("{0}")]
    Prompt(&'static str),
    /// Tools have no place here.
    #[error("{0}")]
    Acting(&'static str),
    /// There is no prompt for the conversation.
    #[error("{0}")]
    Conversation(String),
    /// The tokenizer cannot encode the question.
    #[error("cannot be tokenized: {0}")]
    Tokenizer(String),
    /// What is to be fed in the place of thoughts is not to be had here.
    #[error("{0}")]
    Feedback(&'static str),
    /// An intervention cannot be made.
    #[error("{reason}")]
    Intervention {
        /// Which, from 0.
        index: usize,
        /// What of it.
        field: &'static str,
        /// Why.
        reason: String,
    },
    /// What is to be seen of the model is not there, or too much.
    #[error("{reason}")]
    Inside {
        /// What of it; nothing for all.
        field: &'static str,
        /// Why.
        reason: String,
    },
    /// A continuation cannot be scored.
    #[error("{reason}")]
    Continuation {
        /// Which, from 0; `None` is what is said before all of them.
        index: Option<usize>,
        /// Why.
        reason: String,
    },
    /// The engine did not accept the request.
    #[error(transparent)]
    Rejected(#[from] Rejected),
}

impl Question {
    /// As the recipe would have it: its number of thoughts, then one answer of the most likely tokens.
    pub fn new(text: &str, timeout: Duration) -> Self {
        Self {
            asked: Asked::Question(text.to_owned()),
            echo: Echo::No,
            thinking: Thinking::default(),
            then: Then::Say(Saying::default()),
            report: Report::default(),
            inside: None,
            acting: None,
            timeout,
        }
    }

    /// What is said, where something is.
    pub fn saying(&self) -> Option<&Saying> {
        match &self.then {
            Then::Say(saying) => Some(saying),
            Then::Nothing | Then::Score(_) => None,
        }
    }
}

impl Asked {
    /// Whether it is fed without markers and thoughts, whatever the recipe says.
    pub fn is_plain(&self) -> bool {
        matches!(self, Self::Inputs(inputs) if inputs.is_plain)
    }

    /// Of text that has to be encoded.
    pub fn bytes(&self) -> usize {
        match self {
            Self::Question(text) | Self::Text(text) => text.len(),
            Self::Ids(_) | Self::Inputs(_) => 0,
            Self::Chat(conversation) => {
                let contents = conversation.messages.iter().map(|message| &message.content);
                contents.flatten().map(String::len).sum()
            }
        }
    }
}
