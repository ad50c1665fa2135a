//! The questions that training and evaluation read: what one is, how files of them are read, and how they are made. Knows
//! text only: no tokenizer, no model.
//!
//! ```
//! use coconut::data::multiplication::Multiplications;
//! use coconut::data::multiplication::Split;
//! use coconut::data::questions::Questions;
//! use coconut::data::questions::Reading;
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let folder = tempfile::tempdir()?;
//! let path = folder.path().join("questions.jsonl");
//! let rows = [r#"{"question": "3 * 4?", "answer": "12"}"#, r#"{"question": "5 * 6?"}"#];
//! std::fs::write(&path, rows.join("\n"))?;
//!
//! // A row that is no question is counted and left out.
//! let questions = Questions::read(&path, &Reading::default())?;
//! assert_eq!(questions.rows.len(), 1);
//! assert_eq!(questions.rows[0].example.answer, "12");
//! assert_eq!(questions.skipped.count, 1);
//!
//! // Questions that are made: the same seed, the same ones.
//! let first = |seed| Multiplications::new(2, Split::Train, seed).map(|mut made| made.next());
//! assert_eq!(first(7)?, first(7)?);
//! # Ok(())
//! # }
//! ```

mod choices;
mod containers;
pub mod error;
pub mod example;
pub mod fields;
pub mod icot;
pub mod multiplication;
pub mod prosqa;
pub mod questions;
pub mod react;
pub mod read;
mod source;
mod values;
pub mod write;
