//! The method: recipes, thoughts, and the slow obvious `generate` that is the oracle of the engine. Knows no HTTP and
//! no scheduling.

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
