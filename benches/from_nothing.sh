#!/usr/bin/env bash
# From a clean clone and an empty target folder: seconds to the first answer with the README's first command, seconds more to
# passed tests with its second, and, once warm, from an edit of one function to runnable tests. Dependencies are downloaded
# before the clock starts.
#
#   bash benches/from_nothing.sh [first|tests|loop]...     default: all three, in this order
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

steps=("$@")
[ ${#steps[@]} -gt 0 ] || steps=(first tests loop)
scratch=$(mktemp -d)
server=""
cleanup() {
    [ -z "$server" ] || kill "$server" 2>/dev/null || true
    rm -rf "$scratch"
}
trap cleanup EXIT

git clone --quiet . "$scratch/coconut"
# Tests look for shared/ beside the checkout and check more where it is.
[ ! -d ../shared ] || ln -s "$(realpath ../shared)" "$scratch/shared"
cd "$scratch/coconut"
cargo fetch --locked --quiet
unset CARGO_TARGET_DIR

# seconds NAME COMMAND...
seconds() {
    local name=$1 started
    shift
    started=$(date +%s%N)
    "$@" >"$scratch/log" 2>&1 || { tail -n 30 "$scratch/log" >&2; exit 1; }
    printf '%-60s %6.1f s\n' "$name" "$((($(date +%s%N) - started) / 1000000))e-3"
}

first_answer() {
    local port question='{"question": "Every rempus is a jelpus. Sam is a chorpus. Is Sam a chorpus or jelpus?"}'
    port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
    cargo run --release --quiet -- serve --listen "127.0.0.1:$port" &
    server=$!
    until curl --fail --silent --header 'content-type: application/json' --data "$question" \
        "http://127.0.0.1:$port/v1/reason"; do
        kill -0 "$server" || return 1
        sleep 0.1
    done
    # cargo run passes no signal on.
    pkill --parent "$server" 2>/dev/null || kill "$server"
    wait "$server" || true
    server=""
}

# An edit that changes code, so that nothing is taken from before.
edit() { sed -i "s/pub(crate) fn is_idle(&self) -> bool {/&\n        std::hint::black_box($1);/" src/engine/scheduler.rs; }

for step in "${steps[@]}"; do
    case $step in
        first) seconds "empty -> first answer (cargo run --release -- serve)" first_answer ;;
        tests) seconds "then -> tests passed (cargo test --release)" cargo test --release ;;
        loop)
            cargo test --no-run --quiet
            edit 1
            seconds "edit in src/engine -> runnable tests (cargo test --no-run)" cargo test --no-run
            edit 2
            seconds "the same once more" cargo test --no-run
            seconds "whole suite, warm (cargo test)" cargo test
            ;;
        *) echo "unknown step $step" >&2; exit 2 ;;
    esac
done
