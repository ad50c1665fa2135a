//! ProsQA: is somebody a this or a that, given who is what (Coconut paper, appendix A.2). Questions are walks in graphs.
//! Knows graphs and the words they are told in; of files only that they hold them.

pub mod file;
pub mod generate;
pub mod graph;
pub mod record;
pub mod stats;
pub mod words;

#[cfg(test)]
mod tests;
