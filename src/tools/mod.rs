//! What actions do, and how calls of them are written in text. Knows no model, no engine and no route: who says the calls,
//! and who is told what came of them, is the caller's business.

pub mod calculator;
pub mod call;
pub mod facts;
pub mod fetch;
pub mod form;
pub mod graph;
pub mod lookup;
#[cfg(feature = "mcp")]
pub mod mcp;
pub mod react;
pub mod set;
#[cfg(test)]
mod set_tests;
pub mod tool;
