"""Reads what `coconut probe` writes, without numpy: how alike the thoughts of different questions are, step by step.

    python3 docs/research/read_probe.py run.safetensors

Thoughts of a step have a large part in common (their mean). What is left after the mean is taken off is what can differ between
questions; the table tells how long both are, and how alike two questions' thoughts are with and without the mean.
"""

import json
import math
import struct
import sys
from array import array
from pathlib import Path

from asking import table

KINDS = {"F32": ("f", 4), "I64": ("q", 8), "U8": ("B", 1)}


def tensors(path):
    """All tensors of a safetensors file, flat, with their shapes: a header in JSON, then the numbers."""
    data = Path(path).read_bytes()
    (length,) = struct.unpack_from("<Q", data)
    found = {}
    for name, about in json.loads(data[8 : 8 + length]).items():
        if name == "__metadata__":
            continue
        kind, _ = KINDS[about["dtype"]]
        begin, end = (8 + length + offset for offset in about["data_offsets"])
        numbers = array(kind)
        numbers.frombytes(data[begin:end])
        if sys.byteorder == "big":
            numbers.byteswap()
        found[name] = about["shape"], numbers
    return found


def norm(vector):
    return math.sqrt(sum(x * x for x in vector))


def mean_cosine(vectors):
    """Over neighbouring pairs: enough for a picture, and quick."""
    pairs = zip(vectors, vectors[1:])
    cosines = [sum(a * b for a, b in zip(x, y)) / (norm(x) * norm(y) or 1.0) for x, y in pairs]
    return sum(cosines) / len(cosines)


def main():
    path = sys.argv[1]
    found = tensors(path)
    (questions, steps, width), numbers = found["thoughts"]
    _, means = found["thought_means"]
    lines = []
    for step in range(steps):
        mean = means[step * width : (step + 1) * width]
        thoughts = [numbers[(q * steps + step) * width : (q * steps + step + 1) * width] for q in range(questions)]
        rest = [[x - m for x, m in zip(thought, mean)] for thought in thoughts]
        length = lambda vectors: sum(norm(vector) for vector in vectors) / questions
        lines.append([step + 1, f"{norm(mean):.1f}", f"{length(thoughts):.1f}", f"{length(rest):.1f}",
                      f"{mean_cosine(thoughts):.2f}", f"{mean_cosine(rest):.2f}"])
    about = json.loads(Path(path).with_suffix(".json").read_text())
    print(f"{about['run']['model']}, {questions} questions, vectors of {width} numbers")
    table(["step", "length of the mean", "of thoughts", "without the mean", "cosine", "without the mean"], lines)


if __name__ == "__main__":
    main()
