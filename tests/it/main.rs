//! The one integration-test binary: everything a user relies on, on small checkpoints in `tests/data` and, where they
//! lie beside the checkout, on the trained checkpoint and the published questions in `../shared`. No network, no fixed
//! port; one binary, because each further one would link the whole tree again.

#![expect(clippy::unwrap_used, reason = "a test may panic")]
#![expect(unreachable_pub, reason = "the modules share fixtures; nobody else sees them")]

mod attention;
mod cli;
mod http_answers;
mod http_rules;
mod openapi;
mod packaging;
mod parity;
mod serve;
mod support;
mod text;
mod tidy;
mod wire;
