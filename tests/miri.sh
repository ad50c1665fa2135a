#!/usr/bin/env bash
# The kernels' tests under Miri, which sees undefined behaviour of any kind and runs the plain loops only: vector instructions
# are what tests/sanitize.sh is for. Needs a nightly toolchain with the component (rustup +nightly component add miri rust-src).
# Property tests try two cases each: an hour of them is seconds otherwise.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

if ! cargo +nightly miri --version >/dev/null 2>&1; then
    echo "Miri is not installed: rustup +nightly component add miri rust-src" >&2
    exit 1
fi
export PROPTEST_CASES="${PROPTEST_CASES:-2}" CARGO_TARGET_DIR="${CARGO_TARGET_DIR:-target/miri}"
# Proptest looks for files of earlier failures, and memory maps are zeroed by the system.
export MIRIFLAGS="${MIRIFLAGS:--Zmiri-disable-isolation}"
cargo +nightly miri test --package coconut-kernels --lib -- "$@"
