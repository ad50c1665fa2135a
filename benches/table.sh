#!/usr/bin/env bash
# The Coconut paper's table in small: every method of the line on the same graphs of 8 to 12 nodes, by the recipe that was found
# to serve it best, with three seeds from the first weight on. Trains models/recipes/table/*.toml into runs/table (what is
# there goes on), asks each 500 questions that it has not seen, prints the table and draws the curves. Seven hours on two
# cores.
#
#   SEEDS="0 1 2"       added to that of the start and of each row: a row that goes on from another one has a seed of its
#                       own, since the same seed draws the same graphs
#   ONLY="coconut cot"  only these rows: any recipe there is. Those with `-full` in their names are asked the questions in
#                       data/prosqa/valid.json, on graphs as published: the authors' where somebody put them there, 300 of
#                       our own otherwise
#   DEVICE=cuda         what trains; all rows of a seed go side by side     [cpu: two at a time]
#   ASKING=N            rows that are asked side by side, where nobody looks at the milliseconds    [1]
#   COCONUT=FILE        the program    [built with cargo build --release]
#   PICTURES=FILE       a Python that has matplotlib    [a virtual environment in CACHE]
. "$(dirname "${BASH_SOURCE[0]}")/setup.sh"
need_coconut
DEVICE=${DEVICE:-cpu}
SEEDS=${SEEDS:-0 1 2}
ROWS=${ONLY:-standard-nodes standard-nodes-longer cot-two-hops act-nodes react-nodes react-told-nodes icot-two-hops coconut-nodes
    no-curriculum-nodes no-thought-nodes pause-nodes taught-nodes}
DATA=data/table
OUT=runs/table
mkdir -p "$DATA" data/prosqa "$OUT/recipes"

# ===== data, once =====

made() { [ -s "$DATA/$1" ] || "$COCONUT" generate-data "${@:2}" --out "$DATA/$1"; }
made train.json prosqa --nodes 8..12 --count 12800 --seed 1
made valid.json prosqa --nodes 8..12 --count 500 --seed 2
case " $ROWS " in *" cot-fresh "* | *" cot-longer "*) made fresh.json prosqa --nodes 8..12 --count 102400 --seed 3 ;; esac
made tool.jsonl react --from "$DATA/train.json" --jsonl
made told.jsonl react --from "$DATA/train.json" --facts question --jsonl
made tool-valid.json react --from "$DATA/valid.json"
made told-valid.json react --from "$DATA/valid.json" --facts question
made tokenizer.json tokenizer prosqa-react
case "$ROWS" in *-full*) made ../prosqa/valid.json prosqa --count 300 --seed 2 ;; esac

# ===== training =====

# The run that a recipe goes on from, without its seed; nothing where it begins with random weights.
start_of() { sed -n 's#^init = "runs/table/\(.*\)-0/checkpoint"#\1#p' "models/recipes/table/$1.toml"; }

# Runs NAME-SEED, side by side, and before them what they start from; those that are complete are not begun again.
train() {
    local run start starts=() runs=() flags=()
    for run in "$@"; do
        start=$(start_of "${run%-*}")
        [ -d "$OUT/$run/checkpoint" ] || [ -z "$start" ] || starts+=("$start-${run##*-}")
    done
    if [ ${#starts[@]} -gt 0 ]; then
        mapfile -t starts < <(printf '%s\n' "${starts[@]}" | sort -u)
        train "${starts[@]}"
    fi
    for run in "$@"; do
        [ ! -d "$OUT/$run/checkpoint" ] || continue
        local seed=${run##*-} name=${run%-*} own
        own=$(sed -n 's/^seed = //p' "models/recipes/table/$name.toml")
        sed "s/^seed = .*/seed = $((own + seed))/; s#-0/checkpoint#-$seed/checkpoint#" "models/recipes/table/$name.toml" \
            >"$OUT/recipes/$run.toml"
        runs+=("$run")
        flags+=(--config "$OUT/recipes/$run.toml")
    done
    case $DEVICE/${#runs[@]} in
        */0) ;;
        # Side by side each computes on one thread.
        cpu/[2-9]* | cpu/1?*) printf '%s\n' "${runs[@]}" | xargs --max-procs 2 --replace "$COCONUT" train --resume \
            --threads 1 --config "$OUT/recipes/{}.toml" --out "$OUT/{}" ;;
        */1) "$COCONUT" train --resume --device "$DEVICE" "${flags[@]}" --out "$OUT/${runs[0]}" ;;
        *) "$COCONUT" train --resume --device "$DEVICE" --threads 1 "${flags[@]}" --out "$OUT" ;;
    esac
}

rows=()
for seed in $SEEDS; do
    for row in $ROWS; do rows+=("$row-$seed"); done
done
for seed in $SEEDS; do
    mapfile -t side < <(printf '%s\n' "${rows[@]}" | grep -e "-$seed\$")
    train "${side[@]}" 2>"$OUT/rows-$seed.log"
done

# ===== questions, and the table =====

ask() {
    local data=valid.json tools=()
    case $1 in
        *-full-*) data=../prosqa/valid.json ;;
        react-told-*) data=told-valid.json tools=(--tools graph --facts both) ;;
        act-* | react-*) data=tool-valid.json tools=(--tools graph) ;;
    esac
    [ -s "$OUT/$1.json" ] || "$COCONUT" eval --model "$OUT/$1/checkpoint" --data "$DATA/$data" "${tools[@]}" \
        --concurrency 1 --prefix-cache off --max-tokens 128 --json "$OUT/$1.json" >/dev/null 2>"$OUT/$1.log"
}
export COCONUT DATA OUT
export -f ask
printf '%s\n' "${rows[@]}" | xargs --max-procs "${ASKING:-1}" --replace bash -c 'ask {}'
python3 benches/table.py "$OUT" $ROWS
need_pictures
PYTHONPATH=benches "$PICTURES" benches/table_curves.py "$OUT" "$OUT/curves.svg" $ROWS
