"""One call of a client: how long its answer is waited for, and when it is sent again. Does neither itself."""

from dataclasses import replace
from time import monotonic
from typing import Any

import httpx

from .errors import ApiError
from .routes import Ask
from .wire import LONGEST

TIMEOUT = 75.0
"""More than a server's `--request-timeout` of 60 s: so it is the server that says why there is no answer."""

MARGIN = 5.0
"""Seconds beyond a deadline, in which the server's word about it arrives."""

CONNECTIONS = 100
"""As many calls are under way at once; a server answers 32 together, where it is not told otherwise."""

# Not more are kept: httpx looks at each whenever a call begins or ends, which soon takes longer than to open one.
LIMITS = httpx.Limits(max_connections=CONNECTIONS, max_keepalive_connections=20)


class Call:
    """The attempts at one request."""

    def __init__(self, ask: Ask, timeout: float, retries: int) -> None:
        self._ask = ask
        self._timeout = timeout
        self._retries = retries
        self._ends = None if ask.deadline is None else monotonic() + ask.deadline

    def request(self) -> dict[str, Any]:
        """The next attempt, as httpx's `build_request` takes it."""
        ask = self._ask
        return {
            "method": ask.method,
            "url": ask.path,
            "content": ask.content(),
            "headers": ask.headers(),
            "timeout": _patience(self._timeout, ask.deadline),
        }

    def pause(self, refusal: ApiError) -> float:
        """Seconds after which to send it again; raises the refusal where that is of no use."""
        pause = refusal.retry_after
        if pause is None or not self._ask.again or self._retries <= 0:
            raise refusal
        self._retries -= 1
        if self._ends is not None:
            # To the microsecond, as the header says it: what is left must not be 0 there.
            left = round(self._ends - monotonic() - pause, 6)
            if not left > 0:
                raise refusal
            self._ask = replace(self._ask, deadline=left)
        return pause


def _patience(timeout: float, deadline: float | None) -> httpx.Timeout:
    """For a free connection it is waited as long as it takes: nothing has gone wrong with what was not sent yet."""
    read = timeout if deadline is None else max(timeout, deadline + MARGIN)
    return httpx.Timeout(_bounded(timeout), read=_bounded(read), pool=None)


def _bounded(seconds: float) -> float | None:
    """More than a socket can wait is for ever."""
    return seconds if seconds <= LONGEST else None
