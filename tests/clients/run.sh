#!/usr/bin/env bash
# Clients that people have already, unmodified, against the real binary.
#
#   COCONUT=target/release/coconut bash tests/clients/run.sh                # all of them
#   bash tests/clients/run.sh openai litellm                                # some
#   FULL=1 bash tests/clients/run.sh lm_eval                                # all 300 questions, not 40
#
# Needs python3 (3.11 or newer), node 20, npm, curl, PyPI and npm's registry; 3 GB in target/clients, at first a few
# minutes. Ends with a line for each client; the exit code says whether all passed.
set -euo pipefail
cd "$(dirname "$0")/../.."

COCONUT=$(realpath "${COCONUT:-target/release/coconut}")
HERE=tests/clients
ENVIRONMENTS=$PWD/target/clients
ALL=(curl openai langchain huggingface litellm compatcanary evals lm_eval aiperf coconut_client schemathesis)
COMPATCANARY=0.2.2
KEY=key-of-the-test
export PYTHONDONTWRITEBYTECODE=1

[[ -x $COCONUT ]] || { echo "no server at $COCONUT: build one, or set COCONUT" >&2; exit 1; }
mkdir -p "$ENVIRONMENTS"
folder=$(mktemp -d)
servers=()
finish() {
  ((${#servers[@]} == 0)) || kill "${servers[@]}" 2> /dev/null || true
  wait
  rm -rf "$folder"
}
trap finish EXIT

# serve NAME MODEL FLAGS...: a server on a port of its own; its address is then in `address`.
serve() {
  local log=$folder/$1.log
  : > "$log"
  "$COCONUT" serve --model "$2" --listen 127.0.0.1:0 --drain-delay 0 "${@:3}" > "$log" 2>&1 &
  servers+=($!)
  for _ in {1..600}; do
    grep --quiet ' ready' "$log" && break
    kill -0 $! 2> /dev/null || { cat "$log" >&2; exit 1; }
    sleep 0.1
  done
  address=http://$(grep --only-matching '127\.0\.0\.1:[0-9]*' "$log" | head -n 1)
}

# environment NAME PACKAGES...: a virtual environment that has what pip is told, made anew when that changes.
environment() {
  local place=$ENVIRONMENTS/$1 wanted
  wanted=$(printf '%s\n' "${@:2}"; for word in "${@:2}"; do [[ ! -f $word ]] || cat "$word"; done)
  [[ -f $place/installed && $(cat "$place/installed") == "$wanted" ]] && return
  rm -rf "$place"
  python3 -m venv "$place"
  "$place/bin/pip" --quiet --disable-pip-version-check install "${@:2}"
  printf '%s' "$wanted" > "$place/installed"
}

python_client() {
  environment "$1" -r "$HERE/requirements/$1.txt"
  "$ENVIRONMENTS/$1/bin/python" "$HERE/$1_client.py" "$url" "${@:2}"
}
version_of() { "$ENVIRONMENTS/$1/bin/pip" list 2> /dev/null | awk -v name="$2" 'tolower($1) == name { print $2 }'; }

run_curl() { bash $HERE/curl.sh "$url"; }
run_openai() { python_client openai --small "$small" --locked "$locked" --key "$KEY" --acting "$acting"; }
run_langchain() { python_client langchain --acting "$acting"; }
run_huggingface() { unset HF_HUB_OFFLINE; python_client huggingface --acting "$acting"; }
run_litellm() { LITELLM_LOCAL_MODEL_COST_MAP=True python_client litellm --locked "$locked" --key "$KEY" --acting "$acting"; }
run_compatcanary() {
  npm install --silent --no-audit --no-fund --prefix "$ENVIRONMENTS/compatcanary" "compatcanary@$COMPATCANARY"
  node $HERE/compatcanary.mjs "$ENVIRONMENTS/compatcanary/node_modules/compatcanary/src/cli.js" "$ending"
}
run_evals() { python3 $HERE/evals_check.py "$COCONUT"; }
run_lm_eval() {
  local limit=40
  [[ -z ${FULL:-} ]] || limit=300
  python_client lm_eval "$COCONUT" --limit "$limit"
}
run_aiperf() {
  environment aiperf -r $HERE/requirements/aiperf.txt
  bash $HERE/aiperf.sh "$ENVIRONMENTS/aiperf/bin/aiperf" "$url"
}
run_coconut_client() {
  # Installed as users do, and so anew when one of its files has changed.
  local state
  state=$(find clients/python -type f -exec sha256sum {} + | sort | sha256sum | cut -d ' ' -f 1)
  if [[ $(cat "$ENVIRONMENTS/coconut_client/state" 2> /dev/null) != "$state" ]]; then
    rm -rf "$ENVIRONMENTS/coconut_client"
    environment coconut_client './clients/python[test]'
    echo "$state" > "$ENVIRONMENTS/coconut_client/state"
  fi
  local bin=$ENVIRONMENTS/coconut_client/bin
  cd clients/python
  "$bin/ruff" format --no-cache --check --quiet
  "$bin/ruff" check --no-cache --quiet
  "$bin/mypy" --cache-dir "$folder/mypy" --python-executable "$bin/python"
  COCONUT_URL=$url COCONUT_ACTING_URL=$acting "$bin/pytest" --quiet
}
run_schemathesis() { COCONUT=$COCONUT bash tests/schemathesis.sh --max-examples "${EXAMPLES:-20}"; }

version() {
  case $1 in
    curl) curl --version | awk 'NR == 1 { print $2 }' ;;
    langchain) version_of langchain langchain-openai ;;
    huggingface) version_of huggingface huggingface_hub ;;
    compatcanary) echo "$COMPATCANARY" ;;
    evals) "$COCONUT" --version | awk '{ print $2 }' ;;
    coconut_client) version_of coconut_client coconut-client ;;
    schemathesis) sed -n 's/^VERSION=//p' tests/schemathesis.sh ;;
    *) version_of "$1" "$1" ;;
  esac
}

serve plain models/prosqa
url=$address
serve small models/prosqa --max-running 1 --max-queued 1
small=$address
serve locked models/prosqa --api-keys "$KEY"
locked=$address
serve acting models/prosqa-react --tools graph
acting=$address
# CompatCanary says words that the default checkpoint does not know, and what that answers has no end of its own; with this
# recipe it ends at the token of ` is a`, so that a stream can be completed.
sed 's/"eos": \[/"eos": [8,/' models/prosqa/coconut.json > "$folder/coconut.json"
serve ending models/prosqa --recipe "$folder/coconut.json"
ending=$address

wanted=("$@")
((${#wanted[@]})) || wanted=("${ALL[@]}")
failed=0 lines=()
for name in "${wanted[@]}"; do
  declare -F "run_$name" > /dev/null || { echo "no client $name; there are: ${ALL[*]}" >&2; exit 1; }
  echo "== $name"
  # In a shell of its own, not in a condition: there `set -e` would be off.
  set +e
  (set -e; "run_$name") 2>&1
  status=$?
  set -e
  result=passed
  ((status == 0)) || { result=FAILED failed=1; }
  lines+=("$(printf '%-16s %-10s %s' "$name" "$(version "$name")" "$result")")
done
printf '\n%s\n\n' "$("$COCONUT" --version), $(python3 --version), node $(node --version)"
printf '%s\n' "${lines[@]}"
exit $failed
