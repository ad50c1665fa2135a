"""What the tasks need beyond YAML: prompts, choices, and each family's rule for what the answer is.

Two things depend on the checkpoint and not on the data set, so they are settings of the environment: COCONUT_PROMPT,
the text around the question (`prompt` in coconut.json), and COCONUT_ANSWER, how the model says an answer.
"""

import os
import re

MARKER = "<|start-latent|>"


def prompt(doc: dict) -> str:
    """The question as the model was taught it: by itself and a line feed, where nothing else is said."""
    form = os.environ.get("COCONUT_PROMPT", "{question}\n").replace("\\n", "\n")
    return form.replace("{question}", doc["question"])


def marked_prompt(doc: dict) -> str:
    """The same, and where the thoughts go: behind it come texts that are scored."""
    return prompt(doc) + MARKER


def candidates(doc: dict) -> list[str]:
    """Both sentences that the last one of a ProsQA question asks about."""
    name, one, other = re.search(r"Is (\w+) an? (\w+) or (\w+)\?$", doc["question"].strip()).groups()
    return [f"{name} is a {kind}." for kind in (one, other)]


def choices(doc: dict) -> list[str]:
    """The same as the model would say them."""
    form = os.environ.get("COCONUT_ANSWER", "### {answer}")
    return [form.replace("{answer}", sentence) for sentence in candidates(doc)]


def right_choice(doc: dict) -> int:
    """Which of them is true."""
    return candidates(doc).index(doc["answer"])


# The rules: each makes of what was said what is compared. A text is compared as a text, a number as a number.


def each(rule):
    """A rule for one text as a filter of the harness."""
    return lambda resps, docs: [[rule(text) for text in texts] for texts in resps]


@each
def after_hash(text: str) -> str:
    """Coconut, SIM-CoT: what follows the last `#`, without commas."""
    return text.rpartition("#")[2].replace(",", "").strip()


@each
def last_number(text: str) -> float | str:
    """CODI: the last number, without commas."""
    found = re.findall(r"-?\d+\.?\d*", text.replace(",", ""))
    return float(found[-1]) if found else ""


@each
def after_answer(text: str) -> float | str:
    """CoLaR: what follows `Answer:`, without commas and a full stop at the end."""
    return number(text.rpartition("Answer:")[2].replace(",", "").strip().removesuffix("."))


@each
def the_answer_is(text: str) -> float | str:
    """CODI on sentences, adaLR: what follows `The answer is:`; where that is missing, the answer is wrong."""
    _, found, rest = text.rpartition("The answer is:")
    return number(rest.replace(",", "").strip()) if found else ""


def number(text: str) -> float | str:
    """A number where it is one."""
    try:
        return float(text)
    except ValueError:
        return text


def right(doc: dict, results: list) -> dict:
    """Whether what a rule made of the answer is the right one."""
    (said,) = results
    expected = doc["answer"].replace(",", "").strip()
    if isinstance(said, float):
        wanted = number(expected)
        return {"exact_match": int(isinstance(wanted, float) and abs(said - wanted) <= 1e-6)}
    return {"exact_match": int(said == expected)}
