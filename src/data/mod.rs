//! The questions that training and evaluation read: what one is, how files of them are read, and how they are made. Knows
//! text only: no tokenizer, no model.

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
