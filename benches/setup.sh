# Sourced by the scripts beside it: finds what they need, or makes it in a folder that git ignores.
#
#   SHARED=FOLDER   baselines and questions          [../shared]
#   CACHE=FOLDER    model and virtual environment    [target/benches]
#   COCONUT=FILE    the server                       [built with cargo build --release --features "$FEATURES"]
#   PYTHON=FILE     a Python that has torch, transformers, tokenizers and safetensors  [a virtual environment in CACHE]
#   MODEL=FOLDER    the checkpoint                   [GPT-2 small with seeded random weights, made in CACHE]
#   PICTURES=FILE   a Python that has matplotlib     [a virtual environment in CACHE]
#   LIMITS=FILE     what this machine can do at most, as JSON    [measured now by limits.rs]

set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

export SHARED="${SHARED:-../shared}"
export CACHE="${CACHE:-target/benches}"
mkdir -p "$CACHE"

need_coconut() {
    if [ -z "${COCONUT:-}" ]; then
        cargo build --release --features "${FEATURES:-}"
        COCONUT="${CARGO_TARGET_DIR:-target}/release/coconut"
    fi
    export COCONUT
}

# FOLDER MODULES PACKAGES...: the Python of a virtual environment in CACHE that has them.
python_with() {
    local python="$CACHE/$1/bin/python"
    [ -x "$python" ] || python3 -m venv "$CACHE/$1"
    "$python" -c "import $2" 2>/dev/null || "$python" -m pip install --quiet "${@:3}" >&2
    echo "$python"
}

need_torch() {
    [ -n "${PYTHON:-}" ] ||
        PYTHON=$(python_with venv 'torch, transformers, tokenizers, safetensors' torch transformers tokenizers safetensors numpy)
    export PYTHON
}

need_pictures() {
    [ -n "${PICTURES:-}" ] || PICTURES=$(python_with pictures matplotlib matplotlib)
    export PICTURES
}

need_limits() {
    if [ -z "${LIMITS:-}" ]; then
        rustc -O --edition 2024 -o "$CACHE/limits" benches/limits.rs
        "$CACHE/limits" >"$CACHE/limits.json"
        LIMITS="$CACHE/limits.json"
    fi
    export LIMITS
}

need_model() {
    if [ -z "${MODEL:-}" ]; then
        MODEL="$CACHE/gpt2-small"
        if [ ! -f "$MODEL/model.safetensors" ]; then
            need_torch
            # Under its name only once it is whole.
            rm -rf "$MODEL.part"
            "$PYTHON" "$SHARED/baselines/torch_coconut.py" make-model "$MODEL.part"
            mv "$MODEL.part" "$MODEL"
        fi
    fi
    export MODEL
}
