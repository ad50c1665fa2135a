"""What both clients do alike: headers, errors out of answers, events out of bytes. Opens no connection."""

import json
from collections.abc import Iterator, Mapping
from typing import Any, TypeVar

import httpx

from .decode import decode
from .errors import (
    BY_TYPE,
    ApiError,
    CoconutError,
    ConnectionFailed,
    ErrorBody,
    ErrorDetail,
    ServerFailed,
    StreamCut,
    UnreadableAnswer,
)
from .events import EventReader

E = TypeVar("E")

MOST_SHOWN = 200
"""Letters of an answer that is none of the server's."""

LONGEST = 1_000_000.0
"""Seconds: eleven days, about as long as sockets can wait."""


def headers(api_key: str | None) -> dict[str, str]:
    """What every request has."""
    return {} if api_key is None else {"authorization": f"Bearer {api_key}"}


def connection_error(path: str, error: httpx.RequestError) -> CoconutError:
    """Why there is no whole answer, where it is not the server that says so."""
    if isinstance(error, httpx.DecodingError):
        return UnreadableAnswer(f"{path}: {_said(error)}")
    return ConnectionFailed(f"{path}: {_said(error)}")


def _said(error: Exception) -> str:
    """Timeouts have no text of their own."""
    return str(error) or type(error).__name__


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
        detail = decode(ErrorBody, json_of(content)).error
    except UnreadableAnswer:
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
        seconds = None if text is None else float(text)
    except ValueError:
        return None
    # Of no use as well: what is no number (`nan`), and what nobody can wait for.
    return max(seconds, 0.0) if seconds is not None and abs(seconds) <= LONGEST else None


class Events:
    """Bytes of a stream to typed events, by the names that events have."""

    def __init__(self, kinds: Mapping[str, type[E]], headers: Mapping[str, str]) -> None:
        self._kinds: Mapping[str, type[Any]] = kinds
        self._request_id = headers.get("x-request-id")
        self._reader = EventReader()
        self._is_done = False

    def read(self, chunk: bytes) -> Iterator[Any]:
        """The events that this chunk completes, up to the last one; an `error` event is raised."""
        for name, data in self._reader.read(chunk):
            if self._is_done:
                return
            value = json_of(data)
            if name == "error":
                raise self._error(value)
            self._is_done = name == "done"
            # Events that a newer server has added are skipped.
            if name in self._kinds:
                yield decode(self._kinds[name], value)

    def end(self, error: httpx.RequestError | None = None) -> None:
        """Nothing more will come; raises an error unless all of it is there.

        A connection that breaks behind the last event has lost nothing. It is read up to its end nevertheless, since
        only then it can be used again.
        """
        if self._is_done:
            return
        if isinstance(error, httpx.DecodingError):
            raise UnreadableAnswer(_said(error)) from error
        raise StreamCut(_said(error) if error else "the stream ended before its last event") from error

    def _error(self, value: Any) -> ApiError:  # noqa: ANN401 - any JSON value
        detail = decode(ErrorBody, value).error
        return BY_TYPE.get(detail.type, ServerFailed)(detail, request_id=self._request_id)
