//! One question from text to answer: the recipe makes it ids, the engine runs them, the decoder makes the ids text
//! again and watches for stop strings. Knows no JSON and no status codes.

pub mod reasoner;
mod transcript;
pub mod types;
