//! The one integration-test binary: everything a user relies on, on small checkpoints in `tests/data` and, where they
//! lie beside the checkout, on the trained checkpoint and the published questions in `../shared`. No network, no fixed
//! port; one binary, because each further one would link the whole tree again.

#![expect(clippy::unwrap_used, reason = "a test may panic")]
#![expect(unreachable_pub, reason = "modules share freely within the one binary")]

mod adapters;
mod added;
mod advice;
mod attention;
mod bench;
mod cli;
mod configs;
mod convert;
mod device;
mod encode;
mod ending;
mod ends;
mod errors;
mod eval;
mod eval_remote;
mod fake_hub;
mod generate_data;
mod golden_insides;
mod host;
mod hostile;
mod http_answers;
mod http_rules;
mod hub;
mod hub_hosts;
mod insides;
mod layouts;
mod looking;
mod marks;
#[cfg(feature = "mcp")]
mod mcp;
mod numbers;
mod numbers_flags;
mod numbers_in_files;
mod openai;
mod openapi;
mod packaging;
mod parity;
mod playground;
mod precision;
mod probe;
mod process;
mod prompts;
mod questions;
mod react;
mod reason_command;
mod reuse;
mod scripts;
mod serve;
mod support;
mod text;
mod tidy;
mod tools;
mod trainers;
mod training;
mod training_ends;
mod training_runs;
mod training_side;
mod transformers;
mod weight_files;
mod wire;
mod wire_parity;
mod wire_thoughts;
