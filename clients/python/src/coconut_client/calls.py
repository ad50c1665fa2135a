"""One call of a client: how long turn and answer are waited for, and when it is sent again. Does none of it itself."""

from dataclasses import replace
from time import monotonic
from typing import Any

import httpx

from .errors import ApiError, DeadlinePassed, ErrorDetail
from .routes import Ask
from .wire import LONGEST

TIMEOUT = 75.0
"""More than a server's `--request-timeout` of 60 s: so it is the server that says why there is no answer."""

MARGIN = 5.0
"""Seconds beyond a deadline, in which the server's word about it arrives."""

CONNECTIONS = 100
"""As many calls are under way at once; a server answers 32 together, where it is not told otherwise."""

# More calls wait for their turn in the client, and not more connections are kept: httpx looks at each whenever a call
# begins or ends, which soon takes longer than to open one.
LIMITS = httpx.Limits(max_connections=CONNECTIONS, max_keepalive_connections=20)


class Call:
    """The attempts at one request."""

    def __init__(self, ask: Ask, timeout: float, retries: int) -> None:
        self._ask = ask
        self._timeout = timeout
        self._retries = retries
        # What is no time at all is for the server to refuse.
        self._ends = monotonic() + ask.deadline if ask.deadline is not None and ask.deadline > 0 else None

    def turn(self) -> float | None:
        """Seconds to wait for a turn; none where it may take as long as it takes."""
        return None if self._ends is None else _bounded(max(self._ends - monotonic(), 0.0))

    def no_turn(self) -> DeadlinePassed:
        """Why it was not sent at all."""
        said = f"{self._ask.path}: {CONNECTIONS} other calls of this client were under way until the deadline"
        return DeadlinePassed(ErrorDetail(said, "timeout_error", "deadline_exceeded"))

    def request(self) -> dict[str, Any]:
        """The next attempt, as httpx's `build_request` takes it: the server has what is left until the deadline."""
        ask = self._ask
        if self._ends is not None:
            # To the microsecond, as the header says it, and not 0 there.
            ask = replace(ask, deadline=max(round(self._ends - monotonic(), 6), 1e-6))
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
        if self._ends is not None and not round(self._ends - monotonic() - pause, 6) > 0:
            raise refusal
        return pause


def _patience(timeout: float, deadline: float | None) -> httpx.Timeout:
    """Calls have had their turn: a free connection is there, or will be."""
    read = timeout if deadline is None else max(timeout, deadline + MARGIN)
    return httpx.Timeout(_bounded(timeout), read=_bounded(read), pool=None)


def _bounded(seconds: float) -> float | None:
    """More than a socket can wait is for ever."""
    return seconds if seconds <= LONGEST else None
