#!/usr/bin/env bash
# A sweep beside its longest answer, samples beside separate questions: see shapes.py.
. "$(dirname "${BASH_SOURCE[0]}")/setup.sh"
need_coconut
need_model
exec python3 benches/shapes.py "$MODEL"
