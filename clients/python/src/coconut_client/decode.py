"""JSON values to dataclasses, by their type hints. Knows types, not what they mean.

Fields that a dataclass does not have are skipped: a newer server may say more. What it must have and has not, and what
has another type, is an error: nothing is guessed.
"""

import dataclasses
from functools import cache
from types import NoneType, UnionType
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from .errors import UnreadableAnswer

T = TypeVar("T")


def decode(kind: type[T], value: object) -> T:
    """A JSON value as a dataclass."""
    decoded: T = _any(kind, value, kind.__name__)
    return decoded


def wire_name(name: str) -> str:
    """A field's name on the wire: `from_` is `from`."""
    return name.rstrip("_")


@cache
def _hints(kind: type) -> dict[str, Any]:
    return get_type_hints(kind)


def _any(hint: Any, value: Any, place: str) -> Any:  # noqa: ANN401 - any type hint and any JSON value
    if dataclasses.is_dataclass(hint) and isinstance(hint, type):
        return _fields(hint, value, place)
    origin = get_origin(hint)
    if origin in (Union, UnionType):
        return _first(get_args(hint), value, place)
    if origin is list and isinstance(value, list):
        (item,) = get_args(hint)
        return [_any(item, one, f"{place}[{at}]") for at, one in enumerate(value)]
    if origin is dict and isinstance(value, dict):
        return value
    # A name that a newer server has added is better shown than refused.
    if origin is Literal and isinstance(value, str):
        return value
    if hint is float and type(value) in (int, float):
        return float(value)
    if hint in (str, int, bool) and type(value) is hint:
        return value
    raise UnreadableAnswer(f"{place}: expected {getattr(hint, '__name__', hint)}, got {type(value).__name__}")


def _fields(kind: type, value: Any, place: str) -> Any:  # noqa: ANN401 - as above
    if not isinstance(value, dict):
        raise UnreadableAnswer(f"{place}: expected an object, got {type(value).__name__}")
    found: dict[str, Any] = {}
    for name, hint in _hints(kind).items():
        wire = wire_name(name)
        if wire in value:
            found[name] = _any(hint, value[wire], f"{place}.{wire}")
    try:
        return kind(**found)
    except TypeError as error:
        raise UnreadableAnswer(f"{place}: {error}") from None


def _first(hints: tuple[Any, ...], value: Any, place: str) -> Any:  # noqa: ANN401 - as above
    if value is None and NoneType in hints:
        return None
    reasons = []
    for hint in hints:
        try:
            return _any(hint, value, place)
        except UnreadableAnswer as error:
            reasons.append(str(error))
    raise UnreadableAnswer("; ".join(reasons))
