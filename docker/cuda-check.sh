#!/usr/bin/env bash
# Builds the feature `cuda` where there is neither a GPU nor CUDA: compiler, headers and libraries come from PyPI, all of
# one version, and stand in for the driver's library is an empty one whose every function says "no device". Then the binary
# must run, and say so. Needs cargo, gcc, g++ and python3 with venv; 3 GB of disk, and some 20 minutes of two cores.
#
# Seen to work to its end, on a machine without a GPU. What runs on a GPU is benches/gpu.sh's to show.
#
#   FOLDER=...            where the toolkit is put    [target/cuda]
#   CUDA_COMPUTE_CAP=80   the oldest GPU it is for: kernels are compiled as PTX, which newer GPUs take too
#
#   bash docker/cuda-check.sh
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

# The version of docker/Dockerfile.cuda; a test compares them.
CUDA_VERSION=13.0
folder=${FOLDER:-target/cuda}
export CUDA_COMPUTE_CAP=${CUDA_COMPUTE_CAP:-80}

# ===== the toolkit =====

mkdir -p "$folder"
[ -x "$folder/venv/bin/pip" ] || python3 -m venv "$folder/venv"
packages=()
for name in cuda-nvcc cuda-crt nvvm cuda-runtime cuda-cccl cuda-nvrtc cublas; do
    packages+=("nvidia-$name==$CUDA_VERSION.*")
done
# curand counts for itself: 10.4.0 came with CUDA 13.0.
"$folder/venv/bin/pip" install --quiet "${packages[@]}" "nvidia-curand==10.4.0.*"
root=$(cd "$folder"/venv/lib/python3*/site-packages/nvidia/cu13 && pwd)

# The wheels are for running: the linker wants names without a version, and cudaforge looks into lib64.
ln -sfn lib "$root/lib64"
for library in "$root"/lib/lib*.so.*; do
    ln -sf "$(basename "$library")" "${library%.so.*}.so"
done

# What the linker needs of the driver's library, which no wheel has: the functions of cuda.h, CUDA_ERROR_NO_DEVICE (100) each.
mkdir -p "$root/lib/stubs"
gcc -E -I"$root/include" "$root/include/cuda.h" | grep -oE '\bcu[A-Z]\w+ *\(' | tr -d ' (' | sort -u |
    sed 's/.*/int &(void) { return 100; }/' >"$folder/libcuda.c"
gcc -shared -fPIC -w -Wl,-soname,libcuda.so.1 -o "$root/lib/stubs/libcuda.so.1" "$folder/libcuda.c"
ln -sf libcuda.so.1 "$root/lib/stubs/libcuda.so"

# What the kernels do is not looked at here: compiled without optimisation they take minutes, with it an hour.
export CUDA_HOME=$root PATH="$root/bin:$PATH" NVCC_APPEND_FLAGS="--Ofast-compile=max"
nvcc --version | tail -n 2

# ===== the feature =====

cargo clippy --locked --package coconut --package coconut-cuda --features coconut/cuda --all-targets -- -D warnings
cargo build --locked --features cuda --bin coconut
echo "cargo build --features cuda: ok"

said=$(LD_LIBRARY_PATH="$root/lib:$root/lib/stubs" COCONUT_LOG_LEVEL=error \
    "${CARGO_TARGET_DIR:-target}/debug/coconut" serve --model models/prosqa --device cuda --listen 127.0.0.1:0 2>&1) || true
grep --quiet -- "--device" <<<"$said" || { printf 'no clear word without a GPU:\n%s\n' "$said" >&2; exit 1; }
echo "without a GPU it says: $(grep -- --device <<<"$said")"
