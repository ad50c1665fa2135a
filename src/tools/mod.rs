//! What actions do, and how calls are written in text. Knows no model, no engine and no route.

pub mod graph;
pub mod react;
#[cfg(test)]
mod react_tests;
