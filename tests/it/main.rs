//! The one integration-test binary: everything a user relies on, on small checkpoints in `tests/data` and, where they
//! lie beside the checkout, on the trained checkpoint and the published questions in `../shared`.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod parity;
mod support;
