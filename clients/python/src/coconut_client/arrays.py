"""Vectors as the wire has them: base64 of little-endian f32. Knows numbers only."""

import base64
import sys
from array import array
from collections.abc import Iterable


def floats(text: str) -> list[float]:
    """The numbers in a text of the wire."""
    numbers = array("f", base64.b64decode(text, validate=True))
    if sys.byteorder == "big":
        numbers.byteswap()
    return numbers.tolist()


def encoded(numbers: Iterable[float]) -> str:
    """Numbers as the wire has them, for `vector` of an intervention."""
    values = array("f", numbers)
    if sys.byteorder == "big":
        values.byteswap()
    return base64.b64encode(values.tobytes()).decode()
