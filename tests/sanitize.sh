#!/usr/bin/env bash
# The kernels' tests under AddressSanitizer, with the vector instructions that this machine has: a read or write beside a
# slice fails here, and may pass unseen elsewhere. Needs a nightly toolchain (rustup toolchain install nightly); some ten
# minutes, as all dependencies are compiled for it once.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

target=$(rustc -vV | sed -n 's/^host: //p')
export RUSTFLAGS="-Zsanitizer=address" CARGO_TARGET_DIR="${CARGO_TARGET_DIR:-target/sanitize}"
cargo +nightly test --lib --target "$target" -- model::kernels model::attention "$@"
