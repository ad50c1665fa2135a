"""Loads a server for a while and looks at its memory. Run it through soak.sh.

Knobs, from the environment: MINUTES=10, CLIENTS=32, WORKLOAD=gsm8k, SERVE_FLAGS=, GROWTH_MIB=8 (what counts as flat).
Memory is flat if its mean over the last quarter is at most GROWTH_MIB above that over the second quarter: buffers grow to
their size in the first one.
"""

import os
import shlex
import statistics
import subprocess
import time

import common
from common import knob

SAMPLES = 120


def load(server, minutes):
    """Half of the clients read streams, half whole answers."""
    flags = ["--url", server.url, "--data", str(common.workload(knob("WORKLOAD", "gsm8k")))]
    flags += ["--duration", str(60 * minutes), "--concurrency", str(max(1, knob("CLIENTS", 32) // 2)), "--timeout", "600"]
    command = [common.COCONUT, "bench", *flags, "--max-tokens", "12", "--respect-retry-after"]
    return [
        subprocess.Popen([*command, *kind], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        for kind in ([], ["--stream"])
    ]


def main():
    minutes = knob("MINUTES", 10.0)
    with common.Server(os.environ["MODEL"], *shlex.split(os.environ.get("SERVE_FLAGS", ""))) as server:
        print(f"{server.rss_mib():.0f} MiB before any request")
        clients, samples = load(server, minutes), []
        try:
            for number in range(SAMPLES):
                time.sleep(60 * minutes / SAMPLES)
                samples.append(server.rss_mib())
                if number % (SAMPLES // 10) == 0:
                    print(f"{samples[-1]:.0f} MiB", flush=True)
        finally:
            for client in clients:
                print(client.communicate()[0])
    if any(client.returncode for client in clients):
        raise SystemExit("FAILED: nothing was answered")
    quarter = SAMPLES // 4
    before, after = statistics.mean(samples[quarter : 2 * quarter]), statistics.mean(samples[-quarter:])
    flat = after - before <= knob("GROWTH_MIB", 8.0)
    print(f"{'flat' if flat else 'NOT FLAT'}: {before:.1f} MiB, later {after:.1f} MiB, at most {max(samples):.1f} MiB")
    raise SystemExit(not flat)


if __name__ == "__main__":
    main()
