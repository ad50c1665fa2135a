# `just` lists the recipes. Each is one line to run by hand where just is not installed.

# list the recipes
default:
    @just --list --unsorted

# everything that must pass before a change lands: formatting, lints, documentation, tests
check:
    bash .ci/run

# format the code
fmt:
    cargo fmt

# serve a checkpoint on http://127.0.0.1:8080: just serve models/default
serve model *flags:
    cargo run --release -- serve --model {{model}} {{flags}}

# write openapi/openapi.json anew from the code
openapi:
    cargo run -- openapi --out openapi/openapi.json

# licences, advisories and sources of the dependencies
deny:
    cargo deny check

# build the container image
image:
    docker build --tag coconut:local .

# the server with Prometheus (127.0.0.1:9090) and Grafana (127.0.0.1:3000)
up:
    docker compose --file docker/compose.yaml up --build

# check Dockerfile, compose, Prometheus, alerts and dashboard with what is installed: just check-docker --model models/default
check-docker *flags:
    bash docker/check.sh {{flags}}
