#!/usr/bin/env bash
# Training steps next to the same steps in PyTorch f32, in one run: examples/s of Coconut's last stage at the shapes of
# models/recipes, and the ratio. Knobs: BATCH, STEPS, ROUNDS, NODES (see training.py) and those of setup.sh.
#
#   STEPS=8 ROUNDS=2 bash benches/training.sh
. "$(dirname "${BASH_SOURCE[0]}")/setup.sh"
need_coconut
need_torch
exec "$PYTHON" benches/training.py "$@"
