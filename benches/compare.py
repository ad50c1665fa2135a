"""Our server beside the PyTorch baseline, alternating in one run, on the same questions with the same work.

Run it through compare.sh. Knobs, from the environment:
  COUNT=32            requests of a measurement
  PUBLISHED_COUNT=4   the same for the published loop, which is slow
  ROUNDS=2            how often baseline and server take turns; all rounds count together
  WORKLOADS=gsm8k,prosqa   DTYPES=f32,bf16 (and what serve --dtype knows)   MODES=published,cached,batched   CLIENTS=1,16
  PEER=               weights of the baseline, whatever ours are; f32 is its fastest where no instruction multiplies bf16
  DEVICE=cpu          what both compute on: cuda:0 for a GPU (gpu.sh sets it)
  PEAK_GFLOPS=, MEMORY_GBS=   limits of the machine, instead of what limits.rs (gpu.py of a GPU) measured before the run
Prints a table, writes JSON (argument, or CACHE/compare.json) and appends a section to benches/RESULTS.md.
Exit code 1 if answers in f32 differ from the baseline's.
"""

import concurrent.futures
import json
import os
import pathlib
import statistics
import sys
import tempfile
import time

import common
from common import knob

sys.path.insert(0, str(common.SHARED / "baselines"))
import torch
import torch_coconut

LATENT_STEPS = 6
ANSWER_TOKENS = 12
BATCH = 16
KNOBS = [
    "COUNT", "PUBLISHED_COUNT", "ROUNDS", "WORKLOADS", "DTYPES", "PEER", "MODES", "CLIENTS", "DEVICE", "PEAK_GFLOPS", "MEMORY_GBS",
]
# What the machine can do at most, as measured: 10^9 operations a second in each type of weights, 10^9 bytes a second.
LIMITS = {}
BYTES = {"f32": 4, "bf16": 2, "int8": 1}
DEVICE = knob("DEVICE", "cpu")
# Targets against the published loop.
PUBLISHED = {"gsm8k": 25, "prosqa": 60}


class Baseline:
    """One way to run the model in PyTorch."""

    def __init__(self, model):
        torch.set_num_threads(os.cpu_count())
        # The baseline names no device: what it makes lies where we say.
        torch.set_default_device(DEVICE)
        self.model, self.runners = model, {}

    def runner(self, dtype):
        if dtype not in self.runners:
            self.runners.clear()  # One model in memory at a time.
            kind = torch.float32 if dtype == "f32" else torch.bfloat16
            self.runners[dtype] = torch_coconut.Runner(self.model, kind)
            self.runners[dtype].model.to(DEVICE)
        return self.runners[dtype]

    def run(self, mode, dtype, questions):
        """(answers, seconds of each request, seconds altogether); a request of a batch takes as long as its batch."""
        runner, size = self.runner(dtype), BATCH if mode == "batched" else 1
        answers, latencies = [], []
        with torch.inference_mode():
            self.once(runner, mode, questions[:size])
            start = time.perf_counter()
            for at in range(0, len(questions), size):
                part, before = questions[at : at + size], time.perf_counter()
                answers += self.once(runner, mode, part)
                latencies += [time.perf_counter() - before] * len(part)
            return answers, latencies, time.perf_counter() - start

    @staticmethod
    def once(runner, mode, questions):
        if mode == "published":
            return runner.published(questions, LATENT_STEPS, ANSWER_TOKENS)
        return runner.batched(questions, LATENT_STEPS, ANSWER_TOKENS, len(questions))


class Limits:
    """What no implementation can pass on this machine (shared/design/performance.md)."""

    def __init__(self, model, prompt_tokens):
        config = json.loads((pathlib.Path(model) / "config.json").read_text())
        self.blocks = 12 * config["n_layer"] * config["n_embd"] ** 2
        self.head = config["vocab_size"] * config["n_embd"]
        self.prompt = prompt_tokens

    def peak(self, dtype):
        return knob("PEAK_GFLOPS", float(LIMITS[dtype])) * 1e9

    def requests_per_second(self, dtype):
        positions = self.prompt + LATENT_STEPS + 1 + ANSWER_TOKENS - 1
        return self.peak(dtype) / (2 * self.blocks * positions + 2 * self.head * ANSWER_TOKENS)

    def milliseconds_alone(self, dtype):
        """Computing the prompt, then reading the weights once a step."""
        seconds = 2 * self.blocks * self.prompt / self.peak(dtype) + self.bytes_read(dtype) / self.memory()
        return 1e3 * seconds

    def share_of_memory(self, dtype, milliseconds):
        """Of the memory's bandwidth, what one request alone takes to read the weights once a step."""
        return self.bytes_read(dtype) / (milliseconds / 1e3) / self.memory()

    def bytes_read(self, dtype):
        return BYTES[dtype] * (LATENT_STEPS * self.blocks + ANSWER_TOKENS * (self.blocks + self.head))

    @staticmethod
    def memory():
        return knob("MEMORY_GBS", float(LIMITS["memory_gbs"])) * 1e9


def percentile(values, share):
    return sorted(values)[min(len(values) - 1, int(share * len(values)))]


def of_latencies(system, dtype, clients, latencies, seconds):
    ms = [1e3 * latency for latency in latencies]
    return {
        "system": system, "dtype": dtype, "clients": clients, "requests": len(ms),
        "requests_per_second": len(ms) / seconds, "p50": statistics.median(ms), "p90": percentile(ms, 0.9),
        "p99": percentile(ms, 0.99),
    }


def of_rounds(system, dtype, clients, reports):
    """Reports of the load generator as one row: rates add up, of percentiles the median of the rounds is taken."""
    spread = lambda which: statistics.median(report["latency_ms"][which] for report in reports)
    requests = sum(report["answered"] for report in reports)
    return {
        "system": system, "dtype": dtype, "clients": clients, "requests": requests,
        "requests_per_second": requests / sum(report["seconds"] for report in reports),
        "p50": spread("p50"), "p90": spread("p90"), "p99": spread("p99"),
        "errors": {kind: count for report in reports for kind, count in report["errors"].items()},
    }


def our_answers(server, questions):
    """Token ids of the answers, all asked at once, so that they are batched."""
    def ids(question):
        fields = {"latent_steps": LATENT_STEPS, "max_tokens": ANSWER_TOKENS, "ignore_eos": True}
        answer = server.ask(question=question.removesuffix("\n"), include=["logprobs"], **fields)
        return [token["id"] for token in answer["logprobs"]]

    with concurrent.futures.ThreadPoolExecutor(BATCH) as pool:
        return list(pool.map(ids, questions))


def write_questions(questions, path):
    """As the load generator reads them: exactly what the baseline is asked."""
    lines = ({"question": question.removesuffix("\n"), "steps": [], "answer": "-"} for question in questions)
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))


def measure(baseline, model, name, dtype, folder):
    """All rows of one workload in one type of weights, and how many answers agree."""
    questions = torch_coconut.workload(name, knob("COUNT", 32))
    data = folder / f"{name}.jsonl"
    write_questions(questions, data)
    told = common.serves_dtypes()
    # A server that cannot be told runs in f32, whatever it is compared with.
    ours, theirs = dtype if told else "f32", knob("PEER", "f32" if dtype == "f32" else "bf16")
    load = ["--latent-steps", LATENT_STEPS, "--max-tokens", ANSWER_TOKENS, "--ignore-eos"]
    modes, clients = knob("MODES", ["published", "cached", "batched"]), knob("CLIENTS", [1, BATCH])
    runs, reports = {mode: ([], [], 0.0) for mode in modes}, {count: [] for count in clients}
    # Rounds ask the same questions again, and each time the work is to be done, as the baseline does it.
    os.environ["COCONUT_PREFIX_CACHE"] = "off"
    flags = ["--prefix-cache", "off", *(["--dtype", dtype] if told else []), *common.on(DEVICE)]
    with common.Server(model, *flags) as server:
        for _ in range(knob("ROUNDS", 2)):
            for mode in modes:
                few = questions[: knob("PUBLISHED_COUNT", 4)] if mode == "published" else questions
                answers, latencies, seconds = baseline.run(mode, theirs, few)
                runs[mode] = (answers, runs[mode][1] + latencies, runs[mode][2] + seconds)
            for count in clients:
                flags = ["--requests", len(questions), "--concurrency", count, "--warmup", count]
                reports[count].append(common.bench(server.url, data, *load, *flags))
        agreement = agree(our_answers(server, questions), runs)
    rows = [
        of_latencies(f"PyTorch {mode}", theirs, BATCH if mode == "batched" else 1, *runs[mode][1:]) for mode in modes
    ] + [of_rounds("coconut", ours, count, reports[count]) for count in clients]
    prompt = reports[clients[0]][0]["prompt_tokens"]
    return [{"workload": name, "prompt_tokens": prompt, **row} for row in rows], agreement


def agree(ours, runs):
    """(answers that are the baseline's, answers compared), with the baseline mode that answered most questions."""
    answers = max((answers for answers, _, _ in runs.values()), key=len, default=[])
    return sum(mine == theirs for mine, theirs in zip(ours, answers)), len(answers)


def judge(rows, model):
    """Adds ratios to the baseline of the same rows, and the share of the limit."""
    of = {row["system"]: row for row in rows}
    for row in (row for row in rows if row["system"] == "coconut"):
        limits = Limits(model, row["prompt_tokens"])
        for mode in ("published", "cached", "batched"):
            if baseline := of.get(f"PyTorch {mode}"):
                row[f"vs_{mode}"] = row["requests_per_second"] / baseline["requests_per_second"]
        row["share_of_limit"] = (
            limits.milliseconds_alone(row["dtype"]) / row["p50"] if row["clients"] == 1
            else row["requests_per_second"] / limits.requests_per_second(row["dtype"])
        )
        if row["clients"] == 1:
            row["share_of_memory"] = limits.share_of_memory(row["dtype"], row["p50"])
    return rows


def table(rows):
    """Markdown."""
    ratio = lambda row, mode: f"{row[f'vs_{mode}']:.1f}x" if f"vs_{mode}" in row else ""
    lines = [
        "| workload | system | weights | clients | requests/s | p50 ms | p90 ms | p99 ms | published | cached | batched | of limit |",
        "|---|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        share = f"{row['share_of_limit']:.0%}" if "share_of_limit" in row else ""
        cells = [
            row["workload"], row["system"], row["dtype"], row["clients"], f"{row['requests_per_second']:.2f}",
            *(f"{row[which]:.0f}" for which in ("p50", "p90", "p99")),
            *(ratio(row, mode) for mode in ("published", "cached", "batched")), share,
        ]
        lines.append("| " + " | ".join(map(str, cells)) + " |")
    return "\n".join(lines)


def targets(rows):
    """Lines that say how far the targets of shared/design/performance.md are met, across types of weights."""
    best = knob("PEER", "bf16")
    find = lambda **wanted: next((row for row in rows if all(row[key] == value for key, value in wanted.items())), None)
    for name in dict.fromkeys(row["workload"] for row in rows):
        ours = {
            clients: find(workload=name, system="coconut", clients=clients, dtype="bf16")
            or find(workload=name, system="coconut", clients=clients) for clients in (1, BATCH)
        }
        peer = lambda mode, dtype: find(workload=name, system=f"PyTorch {mode}", dtype=dtype)
        for what, mine, theirs, of, target in [
            (f"throughput against batched {best}", ours[BATCH], peer("batched", best), rate_ratio, 4),
            (f"latency alone against cached {best}", ours[1], peer("cached", best), latency_ratio, 3),
            ("throughput against published f32", ours[BATCH], peer("published", "f32"), rate_ratio, PUBLISHED[name]),
        ]:
            if mine and theirs:
                ratio = of(mine, theirs)
                verdict = "met" if ratio >= target else "missed"
                yield f"- {name}, {what}: {ratio:.1f}x with {mine['dtype']}, target {target}x: {verdict}"
        for what, row, target in [("throughput", ours[BATCH], 0.6), ("latency alone", ours[1], 0.8)]:
            if row:
                verdict = "met" if row["share_of_limit"] >= target else "missed"
                yield f"- {name}, {what}: {row['share_of_limit']:.0%} of the {row['dtype']} limit, target {target:.0%}: {verdict}"
        if alone := ours[1]:
            yield f"- {name}, alone: {alone['share_of_memory']:.0%} of the memory's bandwidth with {alone['dtype']}"


def rate_ratio(mine, theirs):
    return mine["requests_per_second"] / theirs["requests_per_second"]


def latency_ratio(mine, theirs):
    return theirs["p50"] / mine["p50"]


def on_this_machine():
    """One line, with the limits, which are measured first."""
    name = common.machine()
    if DEVICE == "cpu":
        LIMITS.update(json.loads(pathlib.Path(os.environ["LIMITS"]).read_text()))
    else:
        import gpu

        name = f"{gpu.name(DEVICE)}; {name}"
        kinds = {"f32": torch.float32, "bf16": torch.bfloat16}
        LIMITS.update({dtype: gpu.peak_gflops(DEVICE, kind) for dtype, kind in kinds.items()})
        LIMITS["memory_gbs"] = gpu.memory_gbs(DEVICE)
    peaks = ", ".join(f"{dtype} {LIMITS[dtype]:.0f}" for dtype in BYTES if dtype in LIMITS)
    return f"{name} (at most, measured: {peaks} GFLOP/s; {LIMITS['memory_gbs']:.1f} GB/s)"


def section(rows, agreements, machine):
    said = [f"{name} {dtype}: {same} of {count}" for (name, dtype), (same, count) in agreements.items()]
    return (
        f"\n## {time.strftime('%Y-%m-%d')}, {common.commit()}\n\n{machine}; PyTorch {torch.__version__}\n\n"
        f"    {common.command_line('benches/compare.sh', KNOBS)}\n\n{table(rows)}\n\n"
        + "".join(f"{line}\n" for line in targets(rows)) + "\n"
        + f"Answers that are the baseline's: {'; '.join(said)}.\n"
    )


def main():
    model = os.environ["MODEL"]
    machine = on_this_machine()
    baseline, rows, agreements = Baseline(model), [], {}
    with tempfile.TemporaryDirectory() as folder:
        for dtype in knob("DTYPES", ["f32", "bf16"]):
            for name in knob("WORKLOADS", ["gsm8k", "prosqa"]):
                some, agreements[name, dtype] = measure(baseline, model, name, dtype, pathlib.Path(folder))
                rows += judge(some, model)
                print(table(some) + "\n", flush=True)
    text = section(rows, agreements, machine)
    print(text)
    out = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else f"{os.environ.get('CACHE', '.')}/compare.json")
    out.write_text(json.dumps({"commit": common.commit(), "machine": machine, "rows": rows}, indent=1) + "\n")
    with open(common.ROOT / "benches/RESULTS.md", "a") as results:
        results.write(text)
    wrong = [place for place, (same, count) in agreements.items() if place[1] == "f32" and same < count]
    if wrong:
        raise SystemExit(f"answers in f32 differ from the baseline's: {wrong}")


if __name__ == "__main__":
    main()
