//! The one integration-test binary: a module per concern, each needing nothing but this checkout (no network, no fixed
//! port, no weights beyond `tests/data`). One binary, because each further one would link the whole tree again.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod packaging;
mod tidy;
