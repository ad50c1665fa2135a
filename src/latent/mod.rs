//! The method: recipes, thoughts, and the slow obvious `generate` that is the oracle of the engine. Knows no HTTP and
//! no scheduling.
//!
//! ```
//! use candle_core::DType;
//! use candle_core::Device;
//! use coconut::latent::checkpoint::Checkpoint;
//! use coconut::latent::checkpoint::Location;
//! use coconut::latent::generate::generate;
//! use coconut::latent::program::Program;
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let Checkpoint { found, tokenizer, recipe, .. } =
//!     Checkpoint::open(&Location::folder("models/prosqa"))?;
//! let question = "Every rempus is a jelpus. Sam is a chorpus. Every chorpus is a yimpus. \
//!                 Is Sam a yimpus or jelpus?";
//! let mut prompt = tokenizer.encode(&recipe.render(question), recipe.add_special_tokens)?;
//! prompt.extend(&recipe.start);
//! let program = Program {
//!     prompt,
//!     latent_steps: recipe.latent_steps.default,
//!     forced: recipe.end.clone(),
//!     max_tokens: 16,
//!     stop: recipe.stop_rule(),
//!     masked: recipe.masked.clone(),
//! };
//!
//! let model = found.model(&Device::Cpu, DType::F32)?;
//! let generated = generate(&model, &program)?;
//! assert_eq!(generated.thoughts.len(), 6);
//! assert_eq!(recipe.answer.extract(&tokenizer.decode(&generated.ids)), "Sam is a yimpus.");
//! # Ok(())
//! # }
//! ```

mod added;
pub mod answer;
pub mod built_in;
pub mod chat;
pub mod checkpoint;
pub mod convert;
pub mod detect;
pub mod edits;
pub mod ends;
pub mod families;
pub mod generate;
pub mod inspect;
pub mod locate;
pub mod program;
pub mod published;
pub mod recipe;
pub mod script;
