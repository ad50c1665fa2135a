"""The table of benches/table.sh from what `coconut eval` and `coconut train` wrote: means over seeds, with the interval that
seeds and questions leave (95 %: Wilson's of all questions, and Student's t over seeds where that is wider)."""

import json
import math
import sys
import tomllib
from pathlib import Path

RECIPES = Path(__file__).parent.parent / "models/recipes/table"

STUDENT = {2: 12.706, 3: 4.303, 4: 3.182, 5: 2.776, 6: 2.571, 7: 2.447, 8: 2.365, 9: 2.306, 10: 2.262}


def wilson(share: float, questions: int) -> tuple[float, float]:
    z = 1.96
    middle = (share + z * z / (2 * questions)) / (1 + z * z / questions)
    half = z * math.sqrt(share * (1 - share) / questions + z * z / (4 * questions**2)) / (1 + z * z / questions)
    return middle - half, middle + half


def interval(shares: list[float], questions: int) -> tuple[float, float]:
    """Of the mean of some seeds, each asked so many questions. Seeds that agree by chance do not narrow it: the questions
    are no more than they are."""
    mean = sum(shares) / len(shares)
    low, high = wilson(mean, questions * len(shares))
    if len(shares) > 1:
        deviation = math.sqrt(sum((share - mean) ** 2 for share in shares) / (len(shares) - 1))
        half = STUDENT.get(len(shares), 2.262) * deviation / math.sqrt(len(shares))
        low, high = min(low, mean - half), max(high, mean + half)
    return max(0.0, low), min(1.0, high)


def lessons(name: str) -> list[tuple[int, float]]:
    """Steps and questions a step of every phase of the row's own recipe: what is learnt behind its start. Graphs without
    questions count none; the short batch that ends an epoch counts as a whole one."""
    return [lesson(phase) for phase in tomllib.loads((RECIPES / f"{name}.toml").read_text())["phases"]]


def lesson(phase: dict) -> tuple[int, float]:
    match phase["objective"]:
        case {"graphs": {"learn": {"method": asked} | {"questions": asked}, "graphs": graphs, "steps": steps}}:
            return steps, asked["per_graph"] * graphs
        case {"graphs": {"steps": steps}}:
            return steps, 0
        case {"questions": work}:
            part = len(questions_of(Path(work["train"]))) // work.get("parts", 1)
            batch = work["batch_size"] * phase.get("accumulate", 1)
            steps = work["epochs"] * -(-part // batch)
            return min(steps, phase.get("max_steps", steps)), min(batch, part)
        case other:
            raise ValueError(f"{other}: what a step of it is asked is not known here")


def questions_seen(name: str, step: int | None = None) -> int:
    """Up to a step, or in all."""
    seen = 0
    for steps, questions in lessons(name):
        done = steps if step is None else min(step, steps)
        seen += done * questions
        step = None if step is None else step - done
    return seen


def questions_of(path: Path) -> list:
    text = path.read_text()
    return text.splitlines() if path.suffix == ".jsonl" else json.loads(text)


def row(folder: Path, name: str) -> str | None:
    seeds = sorted(path for path in folder.glob(f"{name}-*.json") if path.stem.removeprefix(f"{name}-").isdigit())
    runs = [json.loads(path.read_text())["runs"][0] for path in seeds]
    if not runs:
        return None
    shares = [run["correct"] / run["questions"] for run in runs]
    low, high = interval(shares, runs[0]["questions"])

    def mean(field: str, form: str) -> str:
        values = [run[field] for run in runs if run.get(field) is not None]
        return form.format(sum(values) / len(values)) if values else "-"

    each = ", ".join(f"{100 * share:.1f}" for share in shares)
    milliseconds = 1000 * runs[0]["mean_seconds"]
    return (
        f"| {name} | {100 * sum(shares) / len(shares):.1f} | {100 * low:.1f} - {100 * high:.1f} | {each} | {questions_seen(name):,} | "
        f"{mean('mean_tokens', '{:.1f}')} | {mean('mean_thoughts', '{:.1f}')} | {mean('mean_tool_calls', '{:.1f}')} | "
        f"{mean('mean_positions', '{:.0f}')} | {milliseconds:.1f} |"
    )


def main() -> None:
    folder, names = Path(sys.argv[1]), sys.argv[2:]
    print("| row | right, % | 95 % interval | by seed | questions seen | tokens | thoughts | tool calls | forward rows | ms a question |")
    print("|---|---|---|---|---|---|---|---|---|---|")
    for name in names:
        line = row(folder, name)
        if line:
            print(line)


if __name__ == "__main__":
    main()
