//! One question from text to answer: the recipe makes it ids, the engine runs them, the decoder makes the ids text
//! again and watches for stop strings. Knows no JSON and no status codes.
//!
//! ```
//! # use coconut::engine::config::EngineConfig;
//! # use coconut::engine::request::Report;
//! # use coconut::latent::checkpoint::Location;
//! # use coconut::metrics::Metrics;
//! # use coconut::model::device::Processor;
//! # use coconut::reason::reasoner::Precision;
//! # use std::sync::Arc;
//! # use std::time::Duration;
//! use coconut::reason::question::Asked;
//! use coconut::reason::question::Echo;
//! use coconut::reason::question::LatentSteps;
//! use coconut::reason::question::Question;
//! use coconut::reason::question::Saying;
//! use coconut::reason::question::Then;
//! use coconut::reason::question::Thinking;
//! use coconut::reason::reasoner::Reasoner;
//! use coconut::reason::reasoner::ReasonerConfig;
//!
//! # #[tokio::main]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let config = ReasonerConfig {
//!     model: Location::folder("models/prosqa"),
//!     name: None,
//!     processor: Processor::Cpu,
//!     precision: Precision::default(),
//!     engine: EngineConfig::default(),
//!     thought_means: None,
//! };
//! let reasoner = Reasoner::load(&config, Arc::new(Metrics::new()))?;
//! let question = "Every rempus is a jelpus. Sam is a chorpus. Every chorpus is a yimpus. \
//!                 Is Sam a yimpus or jelpus?";
//!
//! let answer = reasoner
//!     .answer(&Question {
//!         asked: Asked::Question(question.to_owned()),
//!         echo: Echo::No,
//!         thinking: Thinking { steps: LatentSteps::Exactly(6), ..Thinking::default() },
//!         then: Then::Say(Saying::default()),
//!         report: Report::default(),
//!         inside: None,
//!         acting: None,
//!         timeout: Duration::from_secs(60),
//!     })
//!     .await?;
//! assert_eq!(answer.choices[0].answer, "Sam is a yimpus.");
//! assert_eq!(answer.usage.latent_steps, 6);
//! # Ok(())
//! # }
//! ```

pub mod acting;
#[cfg(test)]
mod acting_tests;
pub mod borrow;
pub mod card;
#[cfg(test)]
pub(crate) mod committed;
mod dialogue;
mod ending;
pub mod inside;
pub mod local;
pub mod means;
pub(crate) mod prompt;
pub mod question;
pub mod reasoner;
pub mod reply;
pub mod scoring;
mod shape;
mod thinking;
mod transcript;
pub mod types;
mod voice;
mod words;
