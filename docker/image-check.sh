#!/usr/bin/env bash
# Builds the images and runs them as an orchestrator would, without a Docker engine and without an image registry:
#   apt-get install podman buildah runc netavark debootstrap binutils       (Debian 12; as root)
#   bash docker/image-check.sh
# Bases that are not in the store are made with debootstrap under the names that the Dockerfiles use; the Rust one gets this
# machine's toolchain. Builds reach the network as this machine does: its proxies, certificates and cargo configuration.
# Takes half an hour, most of it cargo. Everything is removed at the end; STORE=FOLDER keeps images and layers there for the
# next run, STORE=podman in podman's own store, which may have the real bases. SKIP_BUILD=1 checks the image that is there.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

for tool in podman debootstrap nsenter curl python3; do
    command -v "$tool" >/dev/null || { echo "$tool is not installed; see the head of $0" >&2; exit 2; }
done

scratch=$(mktemp -d)
case ${STORE:=$scratch/store} in
    podman) where=() ;;
    *) where=(--root "$STORE/root" --runroot "$STORE/run") ;;
esac
name=coconut-check-$$
say() { echo "image-check: $*"; }
of() { sed -n "s/^ARG $1=//p" "$2" | head -n 1; }
rust_version=$(of RUST_VERSION Dockerfile)
release=$(of DEBIAN_RELEASE Dockerfile)
cuda_base="docker.io/nvidia/cuda:$(of CUDA_VERSION docker/Dockerfile.cuda)-devel-ubuntu$(of UBUNTU_RELEASE docker/Dockerfile.cuda)"
rust_base=docker.io/library/rust:$rust_version-slim-$release
slim_base=docker.io/library/debian:$release-slim
prometheus_image=localhost/prometheus:debian
image=localhost/coconut:check

cat >"$scratch/containers.conf" <<CONF
[containers]
default_ulimits = ["nofile=1024:4096", "nproc=4096:4096"]
[network]
network_backend = "netavark"
[engine]
runtime = "runc"
cgroup_manager = "cgroupfs"
events_logger = "file"
CONF
echo 'unqualified-search-registries = ["docker.io"]' >"$scratch/registries.conf"
export CONTAINERS_CONF=$scratch/containers.conf CONTAINERS_REGISTRIES_CONF=$scratch/registries.conf
pod() { podman "${where[@]}" "$@"; }
within() { timeout --foreground "$1" podman "${where[@]}" "${@:2}"; } # SECONDS ARGUMENT...

cleanup() {
    status=$?
    # Prometheus first: it lives in the other one's network.
    for one in "$name-prometheus" "$name"; do
        [ $status -eq 0 ] || pod logs --tail 20 "$one" >"$scratch/$one.log" 2>&1 || true
        pod rm --force --time 1 "$one" >/dev/null 2>&1 || true
    done
    [ $status -eq 0 ] || tail -n 20 "$scratch"/*.log >&2 || true
    # Its layers are a mount of their own.
    umount "$scratch/store/root/overlay" >/dev/null 2>&1 || true
    rm -rf --one-file-system "$scratch"
}
trap cleanup EXIT

# until_true SECONDS COMMAND...: repeats the command until it succeeds.
until_true() {
    local deadline=$((SECONDS + $1))
    shift
    until "$@" >/dev/null 2>&1; do
        [ $SECONDS -lt $deadline ] || { echo "gave up waiting for: $*" >&2; return 1; }
        sleep 0.2
    done
}

# ===== bases =====

# debian FOLDER PACKAGE...: a root file system without what slim images leave out.
debian() {
    local folder=$1 certificates=${SSL_CERT_FILE:-/etc/ssl/certs/ca-certificates.crt}
    shift
    timeout 1200 debootstrap --variant=minbase ${1:+--include="$(IFS=,; echo "$*")"} "$release" "$folder" >"$scratch/debootstrap.log"
    rm -rf "${folder:?}"/usr/share/{doc,man,info,locale,lintian,linda}/* "$folder"/var/cache/apt/* "$folder"/var/lib/apt/lists/* \
        "${folder:?}"/var/log/* "${folder:?}"/dev/*
    if [ $# -gt 0 ] && [ -f "$certificates" ]; then
        install -D --mode=644 "$certificates" "$folder/etc/ssl/certs/ca-certificates.crt"
    fi
}

import() { # FOLDER NAME CHANGE...
    local folder=$1 into=$2 changes=()
    shift 2
    for change in "$@"; do changes+=(--change "$change"); done
    tar --directory "$folder" --create . | pod import "${changes[@]}" - "$into" >"$scratch/import.log" 2>&1
    rm -rf --one-file-system "$folder"
    say "made $into"
}

make_bases() {
    pod image exists "$slim_base" || { debian "$scratch/slim"; import "$scratch/slim" "$slim_base" 'CMD ["bash"]'; }
    pod image exists "$rust_base" && return
    local toolchain
    toolchain=$(rustc "+$rust_version" --print sysroot)
    debian "$scratch/rust" gcc libc6-dev ca-certificates
    mkdir -p "$scratch/rust/usr/local/rustup" "$scratch/rust/usr/local/cargo"
    # The toolchain by itself: without rustup in front of it, nothing looks for another one.
    cp --archive "$toolchain/bin" "$scratch/rust/usr/local/cargo/bin"
    mkdir -p "$scratch/rust/usr/local/cargo/lib"
    cp --archive "$toolchain/lib/." "$scratch/rust/usr/local/cargo/lib"
    import "$scratch/rust" "$rust_base" 'ENV PATH=/usr/local/cargo/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin' \
        'ENV CARGO_HOME=/usr/local/cargo' 'ENV RUSTUP_HOME=/usr/local/rustup'
}

# ===== images =====

# The build goes where this machine's cargo goes: through its proxies (podman's own doing), by its certificates and settings.
build() { # SECONDS LOG ARGUMENT...
    local limit=$1 log=$scratch/$2.log flags=() config=${CARGO_HOME:-$HOME/.cargo}/config.toml
    shift 2
    [ ! -f "$config" ] || flags+=(--volume "$config:/usr/local/cargo/config.toml:ro")
    [ ! -f "${SSL_CERT_FILE:-}" ] || flags+=(--volume "$SSL_CERT_FILE:/etc/ssl/certs/ca-certificates.crt:ro")
    within "$limit" build --pull=never --layers --network host "${flags[@]}" "$@" . >"$log" 2>&1
}

bytes() { pod image inspect --format '{{.Size}}' "$1"; }

build_images() {
    build 7200 build --file Dockerfile --tag "$image"
    say "Dockerfile: $(bytes "$image") bytes, its base $(bytes "$slim_base")"
    if pod image exists "$cuda_base"; then
        build 7200 cuda --file docker/Dockerfile.cuda
        say "docker/Dockerfile.cuda: ok"
    else
        build 600 cuda --file docker/Dockerfile.cuda --target rust
        say "docker/Dockerfile.cuda: as far as its Rust; skipped: what needs $cuda_base, which is not in the store"
    fi
}

# ===== containers =====

# start NAME IMAGE [FLAG...] -- [ARGUMENT...]: hardened as compose.yaml has it, in a network of its own or one that is named.
start() {
    local as=$1 what=$2 flags=()
    shift 2
    while [ "$1" != -- ]; do flags+=("$1"); shift; done
    shift
    pod run --detach --name "$as" --pull=never --read-only --read-only-tmpfs=false --cap-drop all \
        --security-opt no-new-privileges --pids-limit 256 "${flags[@]}" "$what" "$@" >/dev/null
}
pid() { pod inspect --format '{{.State.Pid}}' "$name"; }
# Its network has no way out, and no port here is taken: requests are sent from inside of it.
inside() { nsenter --target "$(pid)" --net "$@"; }
fetch() { inside curl --fail --silent --show-error --max-time 60 "$@"; }
question='Every sterpus is a boompus. Oliver is a sterpus. Is Oliver a boompus or impus?'
ask() { # true|false: streamed or whole
    fetch --no-buffer --header 'Content-Type: application/json' --data "{\"question\": \"$question\", \"stream\": $1}" \
        http://127.0.0.1:8080/v1/reason
}
expect() { # WORDS TEXT
    case $2 in *"$1"*) ;; *) echo "expected \`$1\` in: $2" >&2; return 1 ;; esac
}

check_container() {
    start "$name" "$image" --network none --
    until_true 60 fetch http://127.0.0.1:8080/health/ready
    say "ready; user $(grep '^Uid' "/proc/$(pid)/status" | cut -f 2), capabilities $(grep CapBnd "/proc/$(pid)/status" | cut -f 2)"
    expect 65532 "$(grep '^Uid' "/proc/$(pid)/status")"
    expect 0000000000000000 "$(grep CapBnd "/proc/$(pid)/status")"
    expect '"answer"' "$(ask false)"
    expect 'event: ' "$(ask true)"
    expect coconut_http_requests_total "$(fetch http://127.0.0.1:8080/metrics)"
    pod exec "$name" coconut healthcheck
    say "a question, a stream, metrics, healthcheck: ok"
}

# Under load: what was accepted is answered, later requests are refused, and the exit code is 0.
check_sigterm() {
    local clients=() one code cut
    for one in $(seq 8); do
        (
            code=0
            while [ $code = 0 ]; do ask false >>"$scratch/$one.answers" 2>/dev/null || code=$?; done
            echo $code >"$scratch/$one.code"
        ) &
        clients+=($!)
    done
    until_true 60 answers_at_least 40
    pod kill --signal TERM "$name" >/dev/null
    code=$(within 60 wait "$name")
    for one in "${clients[@]}"; do wait "$one" || true; done
    [ "$code" = 0 ] || { echo "exit code $code" >&2; return 1; }
    # 7: nobody listens any more; 1: the network went with the container.
    cut=$(cat "$scratch"/*.code | grep -cvE '^(1|7)$' || true)
    say "SIGTERM under load: exit 0 after $(cat "$scratch"/*.answers | grep -o '"answer"' | wc -l) answers; $cut of 8 clients were cut off"
    pod rm --force "$name" >/dev/null
}
answers_at_least() { [ "$(cat "$scratch"/*.answers | grep -o '"answer"' | wc -l)" -ge "$1" ]; }

# ===== the services of compose.yaml together =====

make_prometheus() {
    pod image exists "$prometheus_image" && return
    debian "$scratch/prometheus" prometheus
    import "$scratch/prometheus" "$prometheus_image" 'ENTRYPOINT ["prometheus"]' 'USER 65534'
}

value() { # of an instant query; nothing where it has no series
    fetch --get http://127.0.0.1:9090/api/v1/query --data-urlencode "query=$1" |
        python3 -c 'import json, sys; r = json.load(sys.stdin)["data"]["result"]; print(r[0]["value"][1] if r else "")'
}
at_least() { python3 -c 'import sys; sys.exit(not (sys.argv[1] and float(sys.argv[1]) >= float(sys.argv[2])))' "$(value "$1")" "$2"; }

check_services() {
    start "$name" "$image" --network none --volume "$PWD/models:/models:ro" --env COCONUT_MODEL=/models/prosqa --env HF_TOKEN= \
        --
    until_true 60 pod exec "$name" coconut healthcheck
    # As compose names the server in the other containers.
    echo '127.0.0.1 localhost coconut' >"$scratch/hosts"
    start "$name-prometheus" "$prometheus_image" --network "container:$name" --volume "$scratch/hosts:/etc/hosts:ro" \
        --volume "$PWD/docker/prometheus.yml:/etc/prometheus/prometheus.yml:ro" \
        --volume "$PWD/docker/alerts.yml:/etc/prometheus/alerts.yml:ro" --tmpfs /prometheus:mode=1777 \
        -- --config.file=/etc/prometheus/prometheus.yml --storage.tsdb.path=/prometheus
    until_true 60 at_least 'up{job="coconut"}' 1
    ask false >/dev/null
    until_true 60 at_least 'sum(coconut_http_requests_total{route="/v1/reason"})' 1
    say "compose.yaml: Prometheus scrapes the server and counts its question; skipped: grafana, which Debian does not have"
}

if [ -z "${SKIP_BUILD:-}" ]; then
    make_bases
    build_images
fi
check_container
check_sigterm
make_prometheus
check_services
say "done"
