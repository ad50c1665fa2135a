#!/usr/bin/env python3
"""Questions in their published forms, as the JSON lines that the tasks in lm_eval/ read: question and answer.

    python3 evals/convert.py data/prosqa/valid.json data/evals/prosqa.jsonl

Reads a JSON list, JSON lines, one JSON object with rows (by name as ProntoQA, or in a list) and iCoT's text lines.
A row without a question or an answer is an error: a figure over fewer questions would be another figure. It takes
what `coconut eval --data` takes of these sets, and the same of it.
"""

import json
import sys
from pathlib import Path

# What stands before a question (SVAMP), the question itself, what is asked about it (ProntoQA).
BEFORE = ["body", "context"]
QUESTION = ["question", "squestion", "problem", "input"]
ANSWER = ["answer", "final_ans", "lsolutions", "target"]
LISTS = ["rows", "data", "examples"]


def rows_of(text: str) -> list:
    """All rows of a file."""
    if not text.lstrip().startswith(("[", "{")):
        return [icot(line) for line in text.splitlines() if line.strip()]
    try:
        whole = json.loads(text)
    except json.JSONDecodeError:
        # Line feeds alone end lines: a text may hold what `splitlines` takes for an end, too.
        return [json.loads(line) for line in text.split("\n") if line.strip()]
    if isinstance(whole, list):
        return whole
    for name in LISTS:
        if isinstance(whole.get(name), list):
            return whole[name]
    by_name = list(whole.values())
    return by_name if by_name and all(isinstance(row, dict) for row in by_name) else [whole]


def icot(line: str) -> dict:
    """A line `question||steps #### answer`."""
    question, _, rest = line.partition("||")
    return {"question": question.strip(), "answer": rest}


def converted(row: dict) -> dict:
    """A row as question and answer."""
    for inner in ("row", "test_example"):
        row = row[inner] if isinstance(row.get(inner), dict) else row
    fields = {name.lower(): value for name, value in row.items()}

    def first(names: list) -> str | None:
        found = next((fields[name] for name in names if name in fields), None)
        return scalar(found) if found is not None else None

    parts = [first(BEFORE), first(QUESTION), first(["query"])]
    question = " ".join(part for part in parts if part)
    answer = first(ANSWER)
    if not question or not answer:
        raise ValueError(f"no question or no answer in a row with {', '.join(row)}")
    return {"question": question, "answer": whole_number(answer.rpartition("####")[2].strip())}


def scalar(value: object) -> str:
    """A text, a number, or the only one of a list (`lSolutions`)."""
    if isinstance(value, list) and len(value) == 1:
        (value,) = value
    if not isinstance(value, str | int | float):
        raise ValueError(f"neither a text nor a number: {value!r}")
    return str(value).strip()


def whole_number(answer: str) -> str:
    """`51.0` is 51, as SVAMP, MultiArith and GSM-Hard mean it."""
    whole = answer.removesuffix(".0")
    return whole if whole.removeprefix("-").isdigit() else answer


def main() -> None:
    """Read one file and write another."""
    if len(sys.argv) != 3:
        sys.exit(f"usage: {sys.argv[0]} FROM TO")
    rows = [converted(row) for row in rows_of(Path(sys.argv[1]).read_text(encoding="utf-8-sig"))]
    target = Path(sys.argv[2])
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
    print(f"{len(rows)} questions in {target}")


if __name__ == "__main__":
    main()
