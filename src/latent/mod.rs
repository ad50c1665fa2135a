//! The method: recipes, thoughts, and the slow obvious `generate` that is the oracle of the engine. Knows no HTTP and
//! no scheduling.

pub mod generate;
pub mod program;
pub mod recipe;
