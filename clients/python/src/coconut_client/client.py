"""The client for ordinary programs: one call, one answer. Its twin for asyncio is in `aio.py`."""

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from types import TracebackType
from typing import Any, Self, Unpack
from urllib.parse import quote

import httpx

from .answers import Answer, Health, Model, ModelList, ReasonEvent, ScoreEvent, Scores
from .decode import decode
from .errors import ConnectionFailed, StreamCut
from .questions import Continuation, ReasonOptions, ScoreOptions
from .routes import REASON_EVENTS, SCORE_EVENTS, Ask
from .wire import Events, error_of, headers, json_of


class Client:
    """A server that answers questions.

    `retries`: how often a request that the server refused as overloaded, loading or stopping is sent again, each time
    after as long as it says. `timeout`: seconds without a byte after which a connection is given up.
    """

    def __init__(
        self,
        url: str = "http://127.0.0.1:8080",
        *,
        api_key: str | None = None,
        timeout: float = 60.0,
        retries: int = 2,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        self._http = httpx.Client(base_url=url, headers=headers(api_key), timeout=timeout, transport=transport)
        self._retries = retries

    def reason(self, question: str, *, deadline: float | None = None, **options: Unpack[ReasonOptions]) -> Answer:
        """An answer. `deadline`: seconds to wait for it, at most the server's own limit."""
        return decode(Answer, self._json(Ask.reason(question, options, deadline)))

    def reason_stream(
        self, question: str, *, deadline: float | None = None, **options: Unpack[ReasonOptions]
    ) -> AbstractContextManager[Iterator[ReasonEvent]]:
        """Thoughts and tokens as they are computed, and at last the answer: `with client.reason_stream(q) as events`.

        Leaving the block early ends the work in the server too.
        """
        return self._stream(Ask.reason(question, options, deadline), REASON_EVENTS)

    def score(
        self,
        question: str,
        continuations: Sequence[Continuation],
        *,
        deadline: float | None = None,
        **options: Unpack[ScoreOptions],
    ) -> Scores:
        """How probable each continuation is."""
        return decode(Scores, self._json(Ask.score(question, continuations, options, deadline)))

    def score_stream(
        self,
        question: str,
        continuations: Sequence[Continuation],
        *,
        deadline: float | None = None,
        **options: Unpack[ScoreOptions],
    ) -> AbstractContextManager[Iterator[ScoreEvent]]:
        """Thoughts and scores as they are computed, and at last all scores."""
        return self._stream(Ask.score(question, continuations, options, deadline), SCORE_EVENTS)

    def models(self) -> list[Model]:
        """The served models: always one."""
        return decode(ModelList, self._json(Ask.get("/v1/models"))).data

    def model(self, name: str) -> Model:
        """One by its name; raises `InvalidRequest` where another is served."""
        return decode(Model, self._json(Ask.get(f"/v1/models/{quote(name)}")))

    def ready(self) -> Health:
        """Whether questions are answered; raises `Unavailable` where not."""
        return decode(Health, self._json(Ask.get("/health/ready")))

    def live(self) -> Health:
        """Whether the process works; raises `Unavailable` where it has to be started anew."""
        return decode(Health, self._json(Ask.get("/health/live")))

    def close(self) -> None:
        """Close all connections."""
        self._http.close()

    def __enter__(self) -> Self:
        """Itself: its connections are closed at the end of the block."""
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        """Close all connections."""
        self.close()

    def _json(self, ask: Ask) -> Any:  # noqa: ANN401 - any JSON value
        with self._answered(ask) as response:
            try:
                content = response.read()
            except httpx.TransportError as error:
                raise ConnectionFailed(f"{ask.path}: {error or type(error).__name__}") from error
        return json_of(content)

    @contextmanager
    def _stream(self, ask: Ask, kinds: Mapping[str, type[Any]]) -> Iterator[Iterator[Any]]:
        with self._answered(ask.streamed()) as response:
            yield _events(response, kinds)

    @contextmanager
    def _answered(self, ask: Ask) -> Iterator[httpx.Response]:
        for attempt in range(self._retries + 1):
            request = self._http.build_request(ask.method, ask.path, content=ask.content(), headers=ask.headers())
            try:
                response = self._http.send(request, stream=True)
                content = b"" if response.is_success else response.read()
            except httpx.TransportError as error:
                raise ConnectionFailed(f"{ask.path}: {error or type(error).__name__}") from error
            if response.is_success:
                try:
                    yield response
                finally:
                    response.close()
                return
            refusal = error_of(response.status_code, response.headers, content)
            if refusal.retry_after is None or not ask.again or attempt == self._retries:
                raise refusal
            time.sleep(refusal.retry_after)


def _events(response: httpx.Response, kinds: Mapping[str, type[Any]]) -> Iterator[Any]:
    events = Events(kinds)
    try:
        for chunk in response.iter_bytes():
            yield from events.read(chunk)
    except httpx.TransportError as error:
        raise StreamCut(str(error) or type(error).__name__) from error
    if not events.done:
        raise StreamCut("the stream ended before its last event")
