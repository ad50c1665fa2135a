#!/usr/bin/env python3
"""lm-evaluation-harness, as it comes, on ProsQA: its figures are those of `coconut eval`, answer by answer.

    lm_eval_client.py http://127.0.0.1:8080 COCONUT [--limit N]

As generation with ids and with texts, through the chat route, and as multiple choice by log-likelihood. The questions
are the paper's validation set where it lies beside the checkout, else others made by `generate-data`.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[2]
PUBLISHED = CHECKOUT / "../shared/data/prosqa_valid.json"
HARNESS = Path(sys.executable).parent / "lm_eval"
THOUGHTS = 6


def run(*words: str, folder: Path, **settings: str) -> None:
    """A command that has to succeed, quiet unless it does not."""
    env = {**os.environ, **settings}
    done = subprocess.run(
        words, cwd=folder, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
    )
    assert done.returncode == 0, f"{' '.join(words)}\n{done.stdout}"


def questions(coconut: str, folder: Path) -> Path:
    """The published questions or made ones, and as the tasks read them."""
    data = folder / "prosqa.json"
    if PUBLISHED.exists():
        data = PUBLISHED.resolve()
    else:
        run(coconut, "generate-data", "prosqa", "--count", "300", "--seed", "2", "--out", str(data), folder=folder)
    run(sys.executable, str(CHECKOUT / "evals/convert.py"), str(data), "data/evals/prosqa.jsonl", folder=folder)
    return data


def evaluated(coconut: str, data: Path, limit: int, folder: Path) -> list[dict]:
    """What `coconut eval` makes of them."""
    words = ["--data", str(data), "--limit", str(limit), "--latent-steps", str(THOUGHTS), "--json", "eval.json"]
    run(coconut, "eval", *words, folder=folder)
    (only,) = json.loads((folder / "eval.json").read_text())["runs"]
    return only["answers"]


def harness(name: str, route: str, settings: dict, words: list[str], folder: Path) -> list[dict]:
    """What the harness makes of them: its samples, in the order of the questions, and its own figure."""
    joined = ",".join(f"{key}={value}" for key, value in settings.items())
    # A chat is the question alone: the server puts the recipe's own prompt around it.
    prompt = "{question}" if route == "local-chat-completions" else "{question}\\n"
    include = ["--include_path", str(CHECKOUT / "evals/lm_eval"), "--log_samples", "--output_path", name]
    run(
        str(HARNESS),
        "run",
        "--model",
        route,
        "--model_args",
        joined,
        *include,
        *words,
        folder=folder,
        COCONUT_PROMPT=prompt,
    )
    (file,) = (folder / name).rglob("samples_*.jsonl")
    samples = [json.loads(line) for line in file.read_text().split("\n") if line]
    (results,) = (folder / name).rglob("results_*.json")
    figures = json.loads(results.read_text())["results"]
    print(f"  {name}: {figures}")
    samples = [sample for sample in samples if sample["filter"] in ("after-hash", "none")]
    return sorted(samples, key=lambda sample: sample["doc_id"])


def choice(sample: dict) -> str:
    """The sentence that the log-likelihoods prefer."""
    likelihoods = [float(one[0]) for one in sample["filtered_resps"]]
    said = sample["arguments"][f"gen_args_{likelihoods.index(max(likelihoods))}"]["arg_1"]
    return said.rpartition("#")[2].strip()


def compare(name: str, answers: list[str], rights: list[bool], expected: list[dict]) -> None:
    """Answer by answer."""
    assert len(answers) == len(expected), (name, len(answers), len(expected))
    for at, (answer, right, one) in enumerate(zip(answers, rights, expected, strict=True)):
        assert answer == one["answer"], f"{name}, question {at + 1}: {answer} here, {one['answer']} by eval"
        assert right == one["correct"], f"{name}, question {at + 1}: right {right} here, {one['correct']} by eval"
    print(f"  {name}: {sum(rights)} of {len(rights)} right, the same answers as `coconut eval`")


def main() -> None:
    """All ways to ask."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("url")
    parser.add_argument("coconut")
    parser.add_argument("--limit", type=int, default=300)
    given = parser.parse_args()
    os.environ["HF_DATASETS_OFFLINE"] = "1"
    coconut = str(Path(given.coconut).resolve())
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        os.environ["HF_DATASETS_CACHE"] = str(folder / "cache")
        data = questions(coconut, folder)
        expected = evaluated(coconut, data, given.limit, folder)
        completions = {
            "base_url": f"{given.url}/v1/completions",
            "model": "prosqa",
            "tokenizer_backend": "remote",
            "num_concurrent": 8,
            "max_retries": 1,
        }
        chats = {**completions, "base_url": f"{given.url}/v1/chat/completions", "tokenizer_backend": "None"}
        limit = ["--limit", str(given.limit)]
        generate = ["--tasks", "coconut_prosqa", "--gen_kwargs", f"latent_steps={THOUGHTS}", *limit]
        ways = {
            "ids": ("local-completions", completions, generate),
            "texts": ("local-completions", {**completions, "tokenized_requests": False}, generate),
            "batches": ("local-completions", {**completions, "num_concurrent": 1}, [*generate, "--batch_size", "16"]),
            "chats": ("local-chat-completions", chats, [*generate, "--apply_chat_template"]),
        }
        for name, (route, settings, words) in ways.items():
            samples = harness(name, route, settings, words, folder)
            said = [sample["filtered_resps"][0] for sample in samples]
            compare(name, said, [sample["exact_match"] == 1 for sample in samples], expected)
        words = ["--tasks", "coconut_prosqa_choice", *limit]
        samples = harness("choices", "local-completions", completions, words, folder)
        rights = [sample["acc"] == 1 for sample in samples]
        compare("choices", [choice(sample) for sample in samples], rights, expected)


if __name__ == "__main__":
    main()
