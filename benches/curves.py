"""One server, three sweeps: clients, prompt length up to the model's limit, latent steps. Run it through curves.sh.

Knobs, from the environment:
  SECONDS_A_POINT=20        time after which no more requests begin
  CLIENTS=1,2,4,...,256     LATENT_STEPS=0,1,2,...,16     LENGTHS=0.05,0.1,...,1 (shares of the longest prompt)
  WORKLOAD=prosqa           or gsm8k, or a file with questions
  SERVE_FLAGS=              further flags of `coconut serve`
  OUT=benches/curves        SETTING.svg, and all of them in curves.json
"""

import json
import os
import pathlib
import shlex
import time

import common
from common import knob

LATENT_STEPS = 6
ANSWER_TOKENS = 12
# Questions are cut by words, and some words have more tokens than the average.
SPARE_POSITIONS = 0.1


def lengths(server, data):
    """Numbers of words whose prompts are these shares of the longest one."""
    shares = knob("LENGTHS", [0.05, 0.1, 0.2, 0.4, 0.6, 0.8, 1.0])
    positions = json.loads(server.get("/v1/models")[1])["data"][0]["coconut"]["max_positions"]
    longest = (positions - LATENT_STEPS - ANSWER_TOKENS) * (1 - SPARE_POSITIONS)
    words = 16
    asked = common.bench(server.url, data, "--requests", 8, "--max-tokens", 1, "--sweep", f"words={words}")
    tokens_a_word = asked["points"][0]["prompt_tokens"] / words
    return sorted({max(1, int(share * longest / tokens_a_word)) for share in shares})


def main():
    # Sweeps ask the same questions again and again, and each time the work is to be done.
    os.environ.setdefault("COCONUT_PREFIX_CACHE", "off")
    out = pathlib.Path(os.environ.get("OUT", common.ROOT / "benches/curves"))
    out.mkdir(parents=True, exist_ok=True)
    data, curves = common.workload(knob("WORKLOAD", "prosqa")), {}
    clients = knob("CLIENTS", [1, 2, 4, 8, 16, 32, 64, 128, 256])
    flags = ["--request-timeout", 600, "--max-queued", 2 * max(clients), *shlex.split(os.environ.get("SERVE_FLAGS", ""))]
    load = ["--duration", knob("SECONDS_A_POINT", 20.0), "--warmup", 2, "--timeout", 600]
    load += ["--latent-steps", LATENT_STEPS, "--max-tokens", ANSWER_TOKENS, "--ignore-eos"]
    with common.Server(os.environ["MODEL"], *flags) as server:
        steps = knob("LATENT_STEPS", list(range(17)))
        for setting, values in [("clients", clients), ("words", lengths(server, data)), ("latent-steps", steps)]:
            values = f"{setting}={','.join(map(str, values))}"
            swept = common.bench(server.url, data, *load, "--sweep", values, "--picture", out / f"{setting}.svg")
            curves[setting] = swept["points"]
            for point in swept["points"]:
                p99 = point["latency_ms"]["p99"] if point["latency_ms"] else float("nan")
                rate, errors = point["requests_per_second"], point["errors"] or ""
                print(f"{setting} {point['value']}: {rate:.2f} requests/s, p99 {p99:.0f} ms {errors}", flush=True)
    about = {"date": time.strftime("%Y-%m-%d"), "commit": common.commit(), "machine": common.machine(), "curves": curves}
    (out / "curves.json").write_text(json.dumps(about, indent=1) + "\n")
    print(f"written: {out}/curves.json and a picture for each setting")


if __name__ == "__main__":
    main()
