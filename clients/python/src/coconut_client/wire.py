"""What both clients do alike: headers, errors out of answers, events out of bytes. Opens no connection."""

import json
from collections.abc import Iterator, Mapping
from typing import Any, TypeVar

from .decode import decode
from .errors import BY_TYPE, ApiError, ErrorDetail, ServerFailed, UnreadableAnswer
from .events import EventReader

E = TypeVar("E")

MOST_SHOWN = 200
"""Letters of an answer that is none of the server's."""


def headers(api_key: str | None) -> dict[str, str]:
    """What every request has."""
    return {} if api_key is None else {"authorization": f"Bearer {api_key}"}


def json_of(content: bytes) -> Any:  # noqa: ANN401 - any JSON value
    """A body as JSON."""
    try:
        return json.loads(content)
    except ValueError as error:
        raise UnreadableAnswer(f"the answer is no JSON: {error}") from error


def error_of(status: int, headers: Mapping[str, str], content: bytes) -> ApiError:
    """Why an answer is no success. What stands between client and server may answer too, in forms of its own."""
    request_id, retry_after = headers.get("x-request-id"), _seconds(headers.get("retry-after"))
    try:
        detail = decode(ErrorDetail, json_of(content)["error"])
    except (UnreadableAnswer, TypeError, KeyError):
        said = content[:MOST_SHOWN].decode(errors="replace")
        detail = ErrorDetail(f"status {status}: {said}", _type_of(status), f"status_{status}")
    kind = BY_TYPE.get(detail.type, ServerFailed)
    return kind(detail, status, retry_after, request_id)


def _type_of(status: int) -> str:
    match status:
        case 401 | 403:
            return "authentication_error"
        case 429:
            return "overloaded_error"
        case 503:
            return "unavailable_error"
        case 504:
            return "timeout_error"
        case _:
            return "invalid_request_error" if 400 <= status < 500 else "server_error"


def _seconds(text: str | None) -> float | None:
    try:
        return None if text is None else max(float(text), 0.0)
    except ValueError:
        return None


class Events:
    """Bytes of a stream to typed events, by the names that events have."""

    def __init__(self, kinds: Mapping[str, type[E]]) -> None:
        self._kinds: Mapping[str, type[Any]] = kinds
        self._reader = EventReader()
        #: Whether the last event has come.
        self.done = False

    def read(self, chunk: bytes) -> Iterator[Any]:
        """The events that this chunk completes; an `error` event is raised."""
        for name, data in self._reader.read(chunk):
            value = json_of(data.encode())
            if name == "error":
                detail = decode(ErrorDetail, value["error"])
                raise BY_TYPE.get(detail.type, ServerFailed)(detail)
            self.done = self.done or name == "done"
            # Events that a newer server has added are skipped.
            if name in self._kinds:
                yield decode(self._kinds[name], value)
