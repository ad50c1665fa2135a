#!/usr/bin/env bash
# OpenAI's routes beside our own, on the same work: requests/s and time to first token, in turns against one server.
#
#   bash benches/openai.sh
#   ROUNDS=9 REQUESTS=600 DATA=FILE COCONUT=path bash benches/openai.sh
#
# Nothing is reused between requests, so that all of them cost the same. Prints the medians and their ratios to /v1/reason.
set -euo pipefail
cd "$(dirname "$0")/.."

COCONUT=${COCONUT:-target/release/coconut}
ROUNDS=${ROUNDS:-7}
REQUESTS=${REQUESTS:-400}
CONCURRENCY=${CONCURRENCY:-16}
TOKENS=${TOKENS:-32}
[[ -x $COCONUT ]] || cargo build --release

folder=$(mktemp -d)
DATA=${DATA:-$folder/questions.json}
[[ -f $DATA ]] || "$COCONUT" generate-data prosqa --count 100 --seed 7 --out "$DATA"
"$COCONUT" serve --model models/prosqa --prefix-cache off --listen 127.0.0.1:0 --drain-delay 0 --log-level info > "$folder/log" 2>&1 &
server=$!
trap 'kill $server 2> /dev/null || true; wait $server || true; rm -rf "$folder"' EXIT
for _ in {1..600}; do
  grep --quiet ' ready' "$folder/log" && break
  kill -0 $server || { cat "$folder/log"; exit 1; }
  sleep 0.1
done
url=http://$(grep --only-matching --max-count 1 '127\.0\.0\.1:[0-9]*' "$folder/log" | head -1)

for round in $(seq "$ROUNDS"); do
  for route in reason completions chat; do
    "$COCONUT" bench --url "$url" --route "$route" --data "$DATA" --stream --ignore-eos --latent-steps 6 \
      --max-tokens "$TOKENS" --concurrency "$CONCURRENCY" --requests "$REQUESTS" --warmup 32 \
      --json "$folder/$route.$round.json" > /dev/null
  done
done
python3 - "$folder" "$ROUNDS" <<'PY'
import json, statistics, sys
folder, rounds = sys.argv[1], int(sys.argv[2])
def median(route, pick):
    return statistics.median(pick(json.load(open(f"{folder}/{route}.{n}.json"))) for n in range(1, rounds + 1))
rate = lambda run: run["answered"] / run["seconds"]
first = lambda run: run["first_token_ms"]["p50"]
base = (median("reason", rate), median("reason", first))
print("route         requests/s  ratio   first token p50  ratio")
for route in ["reason", "completions", "chat"]:
    a, b = median(route, rate), median(route, first)
    print(f"{route:12}  {a:10.1f}  {a / base[0]:.3f}  {b:12.2f} ms  {b / base[1]:.3f}")
PY
