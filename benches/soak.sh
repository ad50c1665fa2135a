#!/usr/bin/env bash
# Memory of a server over MINUTES of load; exit code 1 if it grows. Knobs: see soak.py and setup.sh.
. "$(dirname "${BASH_SOURCE[0]}")/setup.sh"
need_coconut
need_model
exec "${PYTHON:-python3}" benches/soak.py "$@"
