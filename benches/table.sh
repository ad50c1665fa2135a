#!/usr/bin/env bash
# The Coconut paper's table in small: every method from the same start, for as many steps, on graphs of 8 to 12 nodes.
# Trains models/recipes/prosqa-*.toml into runs/ (what is there goes on), asks each 300 questions it has not seen, one at
# a time, and prints the table. About an hour on two cores; ONLY="coconut cot" does less.
#
#   COCONUT=FILE    the program    [built with cargo build --release]
. "$(dirname "${BASH_SOURCE[0]}")/setup.sh"
need_coconut
METHODS="${ONLY:-coconut cot no-cot icot pause no-curriculum no-thought}"

[ -f data/prosqa-small/train.json ] || "$COCONUT" generate-data prosqa --nodes 8..12 --count 6000 --seed 1 --out data/prosqa-small/train.json
[ -f data/prosqa-small/valid.json ] || "$COCONUT" generate-data prosqa --nodes 8..12 --count 300 --seed 2 --out data/prosqa-small/valid.json
[ -f data/prosqa/tokenizer.json ] || "$COCONUT" generate-data tokenizer prosqa --out data/prosqa/tokenizer.json

train() {
    [ -d "runs/$1/checkpoint" ] || "$COCONUT" train --config "models/recipes/$1.toml" --resume
}

train prosqa-base
# Each run computes on one thread: two at a time.
export COCONUT
export -f train
printf 'prosqa-%s\n' $METHODS | xargs --max-procs 2 --replace bash -c 'train {} 2> runs/{}.log'

echo "| method | accuracy | tokens | ms a question |"
echo "|---|---|---|---|"
for method in $METHODS; do
    result="runs/prosqa-$method.json"
    "$COCONUT" eval --model "runs/prosqa-$method/checkpoint" --data data/prosqa-small/valid.json \
        --concurrency 1 --json "$result" > /dev/null 2>&1
    python3 - "$method" "$result" <<'PYTHON'
import json, sys

method, run = sys.argv[1], json.load(open(sys.argv[2]))["runs"][0]
share = run["correct"] / run["questions"]
print(f"| {method} | {share:.1%} | {run['mean_tokens']:.1f} | {1000 * run['mean_seconds']:.1f} |")
PYTHON
done
