#!/usr/bin/env bash
# Compares docs/ with the source, then runs what it says: every `sh` block in order, with what each is expected to say.
# tests/docs/run.py says how blocks are marked, tests/docs/facts.py what is compared.
#
#   COCONUT=target/release/coconut bash tests/docs/run.sh                # all of it
#   bash tests/docs/run.sh api research                                  # some pages
#
# Needs python3 (3.11 or newer) and curl; promtool checks the alerts where it is installed. A minute.
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
