#!/usr/bin/env bash
# aiperf, as it comes, with requests that it gives up in the middle; afterwards nothing is left in the server.
#
#   aiperf.sh PATH-OF-AIPERF http://127.0.0.1:8080
set -euo pipefail
checkout=$(realpath "$(dirname "$0")/../..")
aiperf=$(realpath "$1") url=$2
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
PYTHONPATH="$checkout/tests/clients" python3 - > questions.jsonl << 'PY'
import json
from common import PROMPT
for _ in range(20):
    print(json.dumps({"text": PROMPT}))
PY

# Looks for a name on the hub only if it is told to; the tokenizer is the checkpoint's.
unset HF_HUB_OFFLINE
load() {
  "$aiperf" profile --model prosqa --url "$url" --streaming --tokenizer "$checkout/models/prosqa" --ui none \
    --input-file questions.jsonl --custom-dataset-type single_turn --no-gpu-telemetry --no-server-metrics \
    --concurrency 4 --workers-max 2 --random-seed 1 --artifact-dir "$1" "${@:2}" > "$1.log" 2>&1 ||
    { cat "$1.log" >&2; exit 1; }
}
report() { python3 -c "import json, sys; r = json.load(open('$1/profile_export_aiperf.json')); print($2)"; }

load whole --endpoint-type chat --request-count 40 --extra-inputs latent_steps:6
test "$(report whole 'int(r["request_count"]["avg"])')" = 40
test "$(report whole 'int(r.get("error_request_count", {}).get("avg", 0))')" = 0

cancelled() {
  curl --silent --fail "$url/metrics" | awk '$1 ~ /^coconut_cancelled_total/ { sum += $2 } END { print sum + 0 }'
}
before=$(cancelled)
# Answers are short, so each is made to take as long as the model has positions for.
load given_up --endpoint-type completions --request-count 60 --request-cancellation-rate 50 \
  --request-cancellation-delay 0.02 --extra-inputs ignore_eos:true --extra-inputs max_tokens:400
after=$(cancelled)
echo "  $((after - before)) of 60 requests were seen to be given up"
((after > before))
PYTHONPATH="$checkout/tests/clients" python3 -c "from common import wait_until_idle; wait_until_idle('$url')"
