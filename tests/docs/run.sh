#!/usr/bin/env bash
# Runs what docs/ says: every `sh` block in order, with what each is expected to say; then compares the documents with the
# program and its source. tests/docs/run.py says how blocks are marked.
#
#   COCONUT=target/release/coconut bash tests/docs/run.sh                # all of it
#   bash tests/docs/run.sh api research                                  # some pages
#
# Needs python3 (3.11 or newer) and curl; promtool checks the alerts where it is installed. Minutes, most of them training.
set -euo pipefail
cd "$(dirname "$0")/../.."

COCONUT=$(realpath "${COCONUT:-target/release/coconut}")
export COCONUT PYTHONDONTWRITEBYTECODE=1
[[ -x $COCONUT ]] || { echo "no program at $COCONUT: build one, or set COCONUT" >&2; exit 1; }

python3 tests/docs/facts.py
if command -v promtool > /dev/null; then
  (cd docs/operations && promtool test rules alerts.test.yml)
else
  echo "skipped: promtool is not installed (docs/operations/alerts.yml)"
fi
python3 tests/docs/run.py "$@"
