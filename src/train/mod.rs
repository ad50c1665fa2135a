//! The weights: methods and their curricula, the warm-ups before them, optimisers, evaluation, checkpoints. Runs the
//! same architecture files as serving. Knows no HTTP and no engine.

pub mod batch;
pub mod error;
pub mod forward;
pub mod generate;
pub mod init;
pub mod method;
pub mod sequence;
pub mod start;
pub mod variables;
