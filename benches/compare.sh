#!/usr/bin/env bash
# Side by side with what a user would run in PyTorch, in one run: requests/s, latency, ratio, share of the machine's limit.
# Knobs: COUNT, PUBLISHED_COUNT, ROUNDS, WORKLOADS, DTYPES, PEER, MODES, CLIENTS (see compare.py) and those of setup.sh.
#
#   COUNT=16 ROUNDS=1 WORKLOADS=gsm8k bash benches/compare.sh      # some minutes
. "$(dirname "${BASH_SOURCE[0]}")/setup.sh"
need_coconut
need_torch
need_model
need_limits
exec "$PYTHON" benches/compare.py "$@"
