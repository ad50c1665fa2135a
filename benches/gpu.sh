#!/usr/bin/env bash
# On a machine with an NVIDIA GPU, in one command: builds for it, checks the golden numbers on it, then measures requests/s
# and latency beside PyTorch on the same GPU, with the share of what its memory and arithmetic can do (measured too).
# Knobs: PARITY=off skips the tests, GPU=N takes another GPU than 0, and those of compare.sh. COCONUT=FILE must be a binary
# built with the feature `cuda`. Needs nvcc, of CUDA 12 or 13, and what setup.sh needs.
#
#   COUNT=64 ROUNDS=3 bash benches/gpu.sh
fail() { echo "benches/gpu.sh: $*" >&2; exit 1; }

gpu=${GPU:-0}
command -v nvidia-smi >/dev/null 2>&1 || fail "there is no nvidia-smi: this machine has no NVIDIA GPU, or not its driver"
about=$(nvidia-smi --id="$gpu" --query-gpu=name,compute_cap,memory.total,driver_version --format=csv,noheader) ||
    fail "nvidia-smi finds no GPU $gpu"
echo "GPU $gpu: $about"
if [ -z "${COCONUT:-}" ] || [ "${PARITY:-on}" != off ]; then
    command -v nvcc >/dev/null 2>&1 ||
        fail "there is no nvcc: install the CUDA toolkit, or name a binary (COCONUT=FILE) and skip the tests (PARITY=off)"
fi

. "$(dirname "${BASH_SOURCE[0]}")/setup.sh"
CUDA_COMPUTE_CAP=${CUDA_COMPUTE_CAP:-$(nvidia-smi --id="$gpu" --query-gpu=compute_cap --format=csv,noheader | tr -d .)}
export CUDA_COMPUTE_CAP
export FEATURES=cuda DEVICE="cuda:$gpu"

need_coconut
need_torch
need_model
"$PYTHON" -c 'import sys, torch; sys.exit(not torch.cuda.is_available())' ||
    fail "PyTorch in $PYTHON sees no GPU: install a build of it for this driver"

if [ "${PARITY:-on}" != off ]; then
    COCONUT_DEVICE=$DEVICE cargo test --release --features cuda --test it device:: -- --nocapture
fi
exec "$PYTHON" benches/compare.py "${1:-$CACHE/gpu.json}"
