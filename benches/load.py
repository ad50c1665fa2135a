#!/usr/bin/env python3
"""How long a server takes from its start to ready, beside the time of reading its weights from the system's memory once.

    python3 benches/large_model.py FOLDER
    cargo build --release
    python3 benches/load.py --model FOLDER [--binary target/release/coconut] [--runs 5] [--dtype bf16 --dtype int8]

Prints the least of all runs, and the processor's time beside it: on a machine that others use, it is what stays the same.
The file is read once before, so that it is in memory; with threads, as loading does.
"""
import argparse
import concurrent.futures
import mmap
import os
import pathlib
import resource
import socket
import subprocess
import time
import urllib.request

PIECE = 16 << 20


def read_once(path, threads):
    """Seconds for all bytes of a file, copied to where each thread keeps a piece."""
    size = path.stat().st_size
    file = os.open(path, os.O_RDONLY)

    def read(thread):
        # Whole pages that are touched beforehand: what is measured is the copy.
        kept = mmap.mmap(-1, PIECE)
        kept.write(bytes(PIECE))
        for offset in range(thread * PIECE, size, threads * PIECE):
            os.preadv(file, [kept], offset)

    with concurrent.futures.ThreadPoolExecutor(threads) as pool:
        start = time.perf_counter()
        list(pool.map(read, range(threads)))
        taken = time.perf_counter() - start
    os.close(file)
    return taken


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def is_ready(port):
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/health/ready", timeout=5) as answer:
            return answer.status == 200
    except OSError:
        return False


def serve_once(binary, model, dtype):
    """Seconds to ready, and of processor time."""
    port = free_port()
    command = [binary, "serve", "--model", model, "--listen", f"127.0.0.1:{port}", "--dtype", dtype, "--log-level", "error"]
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    start = time.perf_counter()
    server = subprocess.Popen(command)
    try:
        while not is_ready(port):
            if server.poll() is not None:
                raise SystemExit(f"{' '.join(command)}: ended with {server.returncode}")
            time.sleep(0.01)
        taken = time.perf_counter() - start
    finally:
        server.terminate()
        server.wait()
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return taken, after.ru_utime + after.ru_stime - used.ru_utime - used.ru_stime


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", required=True)
    parser.add_argument("--binary", default="target/release/coconut")
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--dtype", action="append")
    args = parser.parse_args()
    weights = pathlib.Path(args.model) / "model.safetensors"
    threads = os.cpu_count()
    read_once(weights, threads)
    reads, serves = [], {dtype: [] for dtype in args.dtype or ["bf16", "int8"]}
    for _ in range(args.runs):
        reads.append(read_once(weights, threads))
        for dtype, taken in serves.items():
            taken.append(serve_once(args.binary, args.model, dtype))
    print(f"{weights.stat().st_size / 1e9:.2f} GB, {threads} threads; least of {args.runs} runs")
    print(f"reading the file from memory   {min(reads):6.2f} s")
    for dtype, taken in serves.items():
        wall, used = (min(column) for column in zip(*taken))
        print(f"start to ready, {dtype:14} {wall:6.2f} s, {used:6.2f} s of processor time")


main()
