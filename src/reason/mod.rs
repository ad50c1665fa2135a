//! One question from text to answer: the recipe makes it ids, the engine runs them, the decoder makes the ids text
//! again and watches for stop strings. Knows no JSON and no status codes.

pub mod acting;
#[cfg(test)]
mod acting_tests;
pub mod borrow;
pub mod card;
mod dialogue;
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
