#!/usr/bin/env python3
"""What one request with many ends costs beside requests with one end each: a sweep beside its longest answer, samples beside as
many separate questions. Nothing is reused between requests; both sides take turns in one run.

    bash benches/shapes.sh                  # GPT-2 small with random weights, ProsQA's questions

Knobs: COUNT=16 (questions)   DTYPES=f32,bf16   SWEEP=8   SAMPLES=16   TOKENS=12 (of each answer)
"""
import json
import statistics
import sys
import time

import common

COUNT, SWEEP = common.knob("COUNT", 16), common.knob("SWEEP", 8)
SAMPLES, TOKENS = common.knob("SAMPLES", 16), common.knob("TOKENS", 12)
FIXED = {"max_tokens": TOKENS, "ignore_eos": True}


def timed(server, question, **fields):
    """(seconds, the answer)"""
    start = time.perf_counter()
    answer = server.ask(question=question, **FIXED, **fields)
    return time.perf_counter() - start, answer


def prefill(answer):
    return answer["timings"]["prefill_ms"] / 1e3


def measure(server, questions):
    """Seconds by what was asked, a list each."""
    noise = {"latent_steps": SWEEP, "latent_noise": {"sigma": 0.6}}
    seconds = {name: [] for name in ("one", "sweep", "samples", "samples' prefill", "separate", "separate prefill")}
    timed(server, questions[0], latent_steps=SWEEP)
    for number, question in enumerate(questions):
        seconds["one"].append(timed(server, question, latent_steps=SWEEP)[0])
        took, swept = timed(server, question, sweep=list(range(SWEEP + 1)))
        assert len(swept["answers"]) == SWEEP + 1
        seconds["sweep"].append(took)
        took, sampled = timed(server, question, n=SAMPLES, seed=number, **noise)
        seconds["samples"].append(took)
        seconds["samples' prefill"].append(prefill(sampled))
        alone = [timed(server, question, seed=number + i, **noise) for i in range(SAMPLES)]
        seconds["separate"].append(sum(took for took, _ in alone))
        seconds["separate prefill"].append(sum(prefill(answer) for _, answer in alone))
    return seconds


def main(model):
    questions = [row["question"] for row in json.loads(common.workload("prosqa").read_text())[:COUNT]]
    for dtype in common.knob("DTYPES", ["f32", "bf16"]):
        with common.Server(model, "--dtype", dtype, "--prefix-cache", "off") as server:
            seconds = {name: statistics.median(all) for name, all in measure(server, questions).items()}
        print(f"{dtype}, {COUNT} questions, medians in ms:", {name: round(1e3 * s, 1) for name, s in seconds.items()})
        sweep = seconds["sweep"] / seconds["one"]
        print(f"  an answer after each of 0..{SWEEP} thoughts costs {sweep:.2f} times the one after {SWEEP} (target: 1.6)")
        shared = seconds["samples' prefill"] / seconds["separate prefill"]
        whole = seconds["samples"] / seconds["separate"]
        print(f"  prefill of {SAMPLES} samples costs {shared:.3f} of separate requests' (target: 0.3); all of it {whole:.3f}")


if __name__ == "__main__":
    main(sys.argv[1])
