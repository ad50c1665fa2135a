#!/usr/bin/env bash
# requests/s and latency against the number of clients, the length of the prompt and the number of latent steps: SVG and
# JSON in benches/curves/. Knobs: see curves.py and setup.sh.
. "$(dirname "${BASH_SOURCE[0]}")/setup.sh"
need_coconut
need_model
exec "${PYTHON:-python3}" benches/curves.py "$@"
