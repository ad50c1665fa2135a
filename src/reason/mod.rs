//! One question from text to answer: the recipe makes it ids, the engine runs them, the decoder makes the ids text
//! again and watches for stop strings. Knows no JSON and no status codes.

pub mod borrow;
pub mod card;
pub mod inside;
pub mod means;
pub(crate) mod prompt;
pub mod question;
pub mod reasoner;
pub mod reply;
mod shape;
mod thinking;
mod transcript;
pub mod types;
mod voice;
mod words;
