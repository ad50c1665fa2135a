"""Right answers by how many hops away they are: questions as `coconut generate-data prosqa` writes them, and what `coconut eval
--json` wrote about them.

    coconut eval --model CHECKPOINT --data data/table/valid.json --latent-steps 0,4 --json run.json
    python3 benches/hops.py data/table/valid.json run.json...
"""

import json
import sys
from collections import defaultdict


def main() -> None:
    questions, *files = sys.argv[1:]
    with open(questions) as opened:
        far = [len(row["steps"]) for row in json.load(opened)]
    counts = sorted(set(far))
    print("| file | thoughts | " + " | ".join(f"{count} hops, of {far.count(count)}" for count in counts) + " |")
    print("|---" * (len(counts) + 2) + "|")
    for file in files:
        with open(file) as opened:
            runs = json.load(opened)["runs"]
        for run in runs:
            right = defaultdict(int)
            for answer in run["answers"]:
                right[far[answer["number"] - 1]] += answer.get("correct", False)  # none without an answer
            shares = " | ".join(f"{100 * right[count] / far.count(count):.1f}" for count in counts)
            print(f"| {file} | {run['latent_steps']} | {shares} |")


main()
