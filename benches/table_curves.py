"""Right answers while the rows of benches/table.sh learn: a line a row, the mean of its seeds, and how far they are apart.

    python benches/table_curves.py LOGS OUT.svg ROW...     LOGS: runs/table, or models/runs/table (what was committed)
"""

import json
import sys
from collections import defaultdict
from pathlib import Path

import matplotlib
from table import questions_seen

matplotlib.use("svg")
matplotlib.rcParams["svg.hashsalt"] = "coconut"
from matplotlib import pyplot  # noqa: E402  (what draws is chosen first)


def logs(folder: Path, name: str) -> list[Path]:
    """One of each seed, beside the runs or in their folders."""
    found = [*folder.glob(f"{name}-*.jsonl"), *(path / "metrics.jsonl" for path in folder.glob(f"{name}-*"))]
    return [path for path in found if path.is_file() and seed_of(path, name).isdigit()]


def seed_of(path: Path, name: str) -> str:
    run = path.parent.name if path.name == "metrics.jsonl" else path.stem
    return run.removeprefix(f"{name}-")


def right_by_step(paths: list[Path]) -> dict[int, list[float]]:
    by_step = defaultdict(dict)
    for path in paths:
        for event in map(json.loads, path.read_text().splitlines()):
            if event["event"] == "validate":
                # A run that went on from a state says some steps twice: the last counts.
                by_step[event["step"]][path] = 100 * event["right"] / event["questions"]
    return {step: list(right.values()) for step, right in sorted(by_step.items())}


def main() -> None:
    folder, out, names = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3:]
    _, axes = pyplot.subplots(figsize=(10, 6))
    for name in names:
        paths = logs(folder, name)
        right = right_by_step(paths)
        if not right:
            continue
        seen = [questions_seen(name, step) / 1000 for step in right]
        means = [sum(shares) / len(shares) for shares in right.values()]
        (line,) = axes.plot(seen, means, marker=".", label=f"{name} ({len(paths)})")
        axes.fill_between(seen, [min(s) for s in right.values()], [max(s) for s in right.values()], color=line.get_color(), alpha=0.15)
    axes.set(xlabel="questions seen behind the start, thousands", ylabel="right answers, %", ylim=(0, 101))
    axes.grid(alpha=0.3)
    axes.legend(title="row (seeds)", loc="lower right")
    pyplot.savefig(out, bbox_inches="tight", metadata={"Date": None})


main()
