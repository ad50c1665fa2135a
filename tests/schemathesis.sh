#!/usr/bin/env bash
# Schemathesis against a running server: requests made up from the OpenAPI document, every answer held against it.
#
#   bash tests/schemathesis.sh                       # a debug build with the default checkpoint
#   COCONUT=target/release/coconut bash tests/schemathesis.sh --max-examples 500
#
# Needs python3 and PyPI (or ENVIRONMENT, a virtual environment that has schemathesis). Further words go to schemathesis.
# All its checks run, with its own settings but one: fields that say the opposite of each other, a sweep and a number of latent
# steps, are refused by name (422), which a schema cannot say.
set -euo pipefail
cd "$(dirname "$0")/.."

VERSION=4.32.5
MODEL=${MODEL:-models/prosqa}
ENVIRONMENT=${ENVIRONMENT:-target/schemathesis}

if [[ -z ${COCONUT:-} ]]; then
  cargo build
  COCONUT=target/debug/coconut
fi
if [[ ! -x $ENVIRONMENT/bin/schemathesis ]]; then
  python3 -m venv "$ENVIRONMENT"
  "$ENVIRONMENT/bin/pip" --quiet install "schemathesis==$VERSION"
fi

folder=$(mktemp -d)
"$COCONUT" serve --model "$MODEL" --listen 127.0.0.1:0 --drain-delay 0 > "$folder/log" 2>&1 &
server=$!
trap 'kill $server 2> /dev/null || true; wait $server || true; rm -rf "$folder"' EXIT
for _ in {1..600}; do
  grep --quiet ' ready' "$folder/log" && break
  kill -0 $server || { cat "$folder/log"; exit 1; }
  sleep 0.1
done
address=$(grep --only-matching --max-count 1 '127\.0\.0\.1:[0-9]*' "$folder/log" | head -1)

# Where it leaves its examples and reports: nothing in the checkout.
schemathesis=$(realpath "$ENVIRONMENT")/bin/schemathesis
cd "$folder"
cat > schemathesis.toml <<TOML
[checks.positive_data_acceptance]
expected-statuses = ["2xx", "3xx", 401, 403, 404, 409, 422, 429, "5xx"]

# OpenAI's routes answer 400 where ours answer 422.
[[operations]]
include-path-regex = "^/(v1/completions|v1/chat/completions|v1/responses|tokenize|detokenize)$"
[operations.checks.positive_data_acceptance]
expected-statuses = ["2xx", "3xx", 400, 401, 403, 404, 409, 429, "5xx"]
TOML
"$schemathesis" run "http://$address/openapi.json" --checks all "$@"
