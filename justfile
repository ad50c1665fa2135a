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

# serve a checkpoint on http://127.0.0.1:8080: just serve models/prosqa
serve model *flags:
    cargo run --release -- serve --model {{model}} {{flags}}

# write openapi/openapi.json anew from the code
openapi:
    cargo run -- openapi --out openapi/openapi.json

# load a running server: just bench --url http://127.0.0.1:8080 --data questions.json --concurrency 16
bench *flags:
    cargo run --release -- bench {{flags}}

# criterion: linear layers, parts of a request, steps of the engine
micro *flags:
    cargo bench --bench linear --bench parts --bench steps -- {{flags}}

# beside the PyTorch baseline; adds a section to benches/RESULTS.md: COUNT=16 ROUNDS=1 just compare
compare:
    bash benches/compare.sh

# training steps beside PyTorch's
training:
    bash benches/training.sh

# every method of the paper's table, trained and asked: an hour on two cores
table:
    bash benches/table.sh

# on a machine with an NVIDIA GPU: golden numbers on it, then beside PyTorch on the same GPU
gpu:
    bash benches/gpu.sh

# throughput and latency against clients, prompt length and latent steps, as pictures in benches/curves/
curves:
    bash benches/curves.sh

# is the server's memory flat under load: MINUTES=60 just soak
soak:
    bash benches/soak.sh

# ten times more clients than the queue holds, hang-ups, slow readers, SIGTERM: just overload models/prosqa
overload model *flags:
    python3 benches/overload.py --model {{model}} {{flags}}

# licences, advisories and sources of the dependencies
deny:
    cargo deny check

# build the container image
image:
    docker build --tag coconut:local .

# build the images and run them without a Docker engine
check-image:
    bash docker/image-check.sh

# the server with Prometheus (127.0.0.1:9090) and Grafana (127.0.0.1:3000)
up:
    docker compose --file docker/compose.yaml up --build

# build the feature `cuda` where neither a GPU nor CUDA is
check-cuda:
    bash docker/cuda-check.sh

# check Dockerfiles, compose, Prometheus, alerts and dashboard with what is installed: just check-docker --model models/prosqa
check-docker *flags:
    bash docker/check.sh {{flags}}

# clients that people have, against the real binary
clients *names:
    bash tests/clients/run.sh {{names}}

# the page in a real browser
playground:
    bash tests/playground/run.sh

# every example of the guide, and what it says of the source
check-docs:
    bash tests/docs/run.sh

# the guide as a book
docs:
    bash tests/docs/build.sh
