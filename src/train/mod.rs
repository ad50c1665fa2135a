//! The weights: methods and their curricula, the warm-ups before them, optimisers, evaluation, checkpoints. Runs the
//! same architecture files as serving. Knows no HTTP and no engine.

pub mod batch;
pub mod breakdown;
pub mod checkpoint;
mod counts;
pub mod curve;
pub mod encoded;
pub mod error;
pub mod evaluate;
pub mod forward;
pub mod generate;
pub mod init;
pub mod journal;
pub mod method;
pub mod optimizer;
pub mod progress;
pub mod react;
pub mod rounds;
pub mod run;
pub mod sequence;
pub mod settings;
pub mod start;
pub mod state;
pub mod task;
pub mod validation;
pub mod variables;
pub mod warmup;
