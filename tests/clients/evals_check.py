#!/usr/bin/env python3
"""evals/ without a server: published forms are read as `coconut eval` reads them, and each rule is its family's.

evals_check.py COCONUT
"""

import json
import subprocess
import sys
import tempfile
from pathlib import Path

EVALS = Path(__file__).resolve().parents[2] / "evals"
sys.path[:0] = [str(EVALS), str(EVALS / "lm_eval")]
import convert  # noqa: E402
import utils  # noqa: E402

# A row of each published form, and what it comes to.
FORMS = {
    "gsm8k.jsonl": ([{"question": "Q?", "answer": "1+1=<<1+1=2>>2\n#### 1,002"}], "Q?", "1,002"),
    "gsm8k_aug.txt": ("Q?||<<1+1=2>> #### 2\n", "Q?", "2"),
    "gsm_hard.jsonl": ([{"input": "Q?", "code": "def solution()", "target": -9867630.0}], "Q?", "-9867630"),
    "svamp.json": ([{"ID": "1", "Body": "B.", "Question": "Q?", "Answer": 51.0, "Type": "+"}], "B. Q?", "51"),
    "multiarith.json": ([{"iIndex": 1, "sQuestion": "Q?", "lSolutions": [7.5]}], "Q?", "7.5"),
    "multiarith_hub.json": ([{"question": "Q?", "final_ans": "34"}], "Q?", "34"),
    "prosqa.json": (
        [{"question": "Is Tom a b or c?", "answer": "Tom is a b.", "steps": []}],
        "Is Tom a b or c?",
        "Tom is a b.",
    ),
    "prontoqa.json": (
        {"example1": {"test_example": {"question": "C.", "query": "True or false: Q", "answer": "True"}}},
        "C. True or false: Q",
        "True",
    ),
    "rows.json": ({"rows": [{"row_idx": 0, "row": {"question": "Q?", "answer": "#### 3"}}]}, "Q?", "3"),
}


def forms(coconut: str) -> None:
    """The same question, the same answer."""
    with tempfile.TemporaryDirectory() as temporary:
        for name, (content, question, answer) in FORMS.items():
            file, report = Path(temporary) / name, Path(temporary) / "report.json"
            if isinstance(content, str):
                file.write_text(content)
            elif name.endswith("jsonl"):
                file.write_text("".join(json.dumps(row) + "\n" for row in content))
            else:
                file.write_text(json.dumps(content))
            (row,) = [convert.converted(row) for row in convert.rows_of(file.read_text())]
            assert row == {"question": question, "answer": answer}, (name, row)
            words = ["eval", "--data", file, "--strict", "--latent-steps", "0", "--max-tokens", "1", "--json", report]
            subprocess.run([coconut, *words], check=True, capture_output=True)
            (run,) = json.loads(report.read_text())["runs"]
            assert run["answers"][0]["expected"] == answer, (name, run["answers"])


def said(rule: object, text: str) -> object:
    """What a rule makes of a text."""
    return rule([[text]], [{}])[0][0]


def rules() -> None:
    """Right and wrong, by rule."""

    def right(rule: object, text: str, expected: str) -> bool:
        return utils.right({"answer": expected}, [said(rule, text)])["exact_match"] == 1

    assert right(utils.after_hash, "### 70000", "70,000")
    assert right(utils.after_hash, "1+1=2 #### 1,002", "1002")
    assert right(utils.after_hash, "### Tom is a lempus.", "Tom is a lempus.")
    assert not right(utils.after_hash, "### Tom is a lempus", "Tom is a lempus.")
    assert not right(utils.after_hash, "### 18.0", "18"), "texts"
    assert right(utils.last_number, "The answer is: 18.0", "18"), "numbers"
    assert right(utils.last_number, "first 3, then -1,007.50.", "-1007.5")
    assert not right(utils.last_number, "no number", "1")
    assert not right(utils.last_number, "The answer is: 1", "True")
    assert right(utils.after_answer, "Answer:1,234.", "1234.0")
    assert not right(utils.after_answer, "Answer:12 apples", "12")
    assert right(utils.the_answer_is, " The answer is: 3.0000001", "3")
    assert not right(utils.the_answer_is, "3", "3"), "a missing prefix is wrong"
    assert right(utils.the_answer_is, "The answer is: True", "True")


def choices() -> None:
    """Both sentences, and which is true; also with `an`."""
    doc = {"question": "Tom is a x. Is Tom an impus or yumpus?", "answer": "Tom is a yumpus."}
    assert utils.choices(doc) == ["### Tom is a impus.", "### Tom is a yumpus."]
    assert utils.right_choice(doc) == 1
    assert utils.marked_prompt(doc) == doc["question"] + "\n<|start-latent|>"


if __name__ == "__main__":
    forms(sys.argv[1])
    rules()
    choices()
