#!/usr/bin/env bash
# The page at `/` in a real browser against the real server: ask, stream, stop, refusals, keys, sweeps, interventions,
# samples, keyboard, narrow screens, accessibility by axe, size, and that nothing is asked of another host. api.test.mjs needs
# neither browser nor server: node --test tests/playground/api.test.mjs
#
#   bash tests/playground/run.sh                                     # a debug build
#   COCONUT=target/release/coconut bash tests/playground/run.sh
#   PICTURES=docs/images bash tests/playground/run.sh                # takes the README's pictures anew (shrink them: pngquant 64)
#
# Needs node 20, npm's registry (or MODULES, a folder with its node_modules), python3, curl and a Chromium (CHROMIUM, or one on
# the path; Debian: apt-get install chromium). Further words go to node's test runner, such as --test-name-pattern.
set -euo pipefail
cd "$(dirname "$0")/../.."

MODULES=${MODULES:-target/playground}
for name in chromium chromium-browser google-chrome; do
  CHROMIUM=${CHROMIUM:-$(command -v "$name" || true)}
done
if [[ -z $CHROMIUM ]]; then
  echo "no Chromium found: install one, or say where it is with CHROMIUM" >&2
  exit 1
fi
if [[ -z ${COCONUT:-} ]]; then
  cargo build
  COCONUT=target/debug/coconut
fi
mkdir -p "$MODULES"
if [[ ! -d $MODULES/node_modules/playwright-core || ! -d $MODULES/node_modules/@axe-core/playwright ]]; then
  [[ -f $MODULES/package.json ]] || echo '{ "private": true }' > "$MODULES/package.json"
  npm --prefix "$MODULES" install --no-save --no-audit --no-fund --loglevel=error \
    playwright-core@1.65.1 @axe-core/playwright@4.14.0 axe-core@4.14.1
fi

export CHROMIUM
COCONUT=$(realpath "$COCONUT") MODULES=$(realpath "$MODULES") \
  node --test --test-concurrency=1 --test-timeout=600000 "$@" tests/playground/*.test.mjs
