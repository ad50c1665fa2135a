//! Prompts with shots for any language model: standard prompting, chain of thought, Act and ReAct, from one file of worked
//! questions. What precedes the question is the same for every question, so that it is computed once. Knows no model and no
//! tokenizer, and runs no tool.
//!
//! ```
//! use coconut::prompting::file::Method;
//! use coconut::prompting::file::Prompts;
//! use std::path::Path;
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let prompts = Prompts::read(Path::new("models/prompts/arithmetic.toml"))?;
//! assert_eq!(prompts.tools, ["calculator"]);
//!
//! let prompt = prompts.prompt(Method::React, 2)?;
//! let text = prompt.ask("How many eggs are in 7 boxes of 12?", None);
//! assert!(text.starts_with(prompt.beginning()));
//! assert!(text.ends_with("Question: How many eggs are in 7 boxes of 12?\nThought 1:"));
//!
//! let prompt = prompts.prompt(Method::Standard, 2)?;
//! assert_eq!(prompt.answer(" 84\n"), Some("84"));
//! # Ok(())
//! # }
//! ```

pub mod file;
pub mod render;
