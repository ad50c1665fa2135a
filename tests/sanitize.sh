#!/usr/bin/env bash
# The kernels' tests under AddressSanitizer, with the vector instructions that this machine has: a read or write beside a
# slice fails here, and may pass unseen elsewhere. The flag is unstable, and the variable lets the pinned toolchain take it.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

target=$(rustc -vV | sed -n 's/^host: //p')
export RUSTC_BOOTSTRAP=1 RUSTFLAGS="-Zsanitizer=address" CARGO_TARGET_DIR="${CARGO_TARGET_DIR:-target/sanitize}"
cargo test --package coconut-kernels --lib --target "$target" -- "$@"
