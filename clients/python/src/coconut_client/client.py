"""The client for ordinary programs: one call, one answer. Its twin for asyncio is in `aio.py`."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from threading import Semaphore
from time import sleep
from types import TracebackType
from typing import Any, Self, Unpack
from urllib.parse import quote

import httpx

from .answers import Answer, Health, Model, ModelList, ReasonEvent, ScoreEvent, Scores
from .calls import CONNECTIONS, LIMITS, TIMEOUT, Call
from .decode import decode
from .questions import Continuation, ReasonOptions, ScoreOptions
from .routes import REASON_EVENTS, SCORE_EVENTS, Ask
from .wire import Events, connection_error, error_of, headers, json_of


class Client:
    """A server that answers questions.

    `retries`: how often a request that the server refused as overloaded, loading or stopping is sent again, each time
    after as long as it says; `ready` and `live` ask once. `timeout`: seconds without a byte after which a connection is
    given up, or more where a `deadline` is longer; less than the server's own limit, and the server cannot say that an
    answer took too long. A hundred calls are under way at once, more wait for their turn until their `deadline`.
    """

    def __init__(
        self,
        url: str = "http://127.0.0.1:8080",
        *,
        api_key: str | None = None,
        timeout: float = TIMEOUT,
        retries: int = 2,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        self._http = httpx.Client(base_url=url, headers=headers(api_key), limits=LIMITS, transport=transport)
        self._timeout = timeout
        self._retries = retries
        self._turns = Semaphore(CONNECTIONS)

    def reason(self, question: str, *, deadline: float | None = None, **options: Unpack[ReasonOptions]) -> Answer:
        """An answer. `deadline`: seconds to wait for it, asking again included; at most the server's own limit."""
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
        return decode(ModelList, self._json(Ask.model("/v1/models"))).data

    def model(self, name: str) -> Model:
        """One by its name; raises `InvalidRequest` where another is served."""
        return decode(Model, self._json(Ask.model(f"/v1/models/{quote(name)}")))

    def ready(self) -> Health:
        """Whether questions are answered; raises `Unavailable` where not."""
        return decode(Health, self._json(Ask.health("/health/ready")))

    def live(self) -> Health:
        """Whether the process works; raises `Unavailable` where it has to be started anew."""
        return decode(Health, self._json(Ask.health("/health/live")))

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
            return json_of(_content(ask, response))

    @contextmanager
    def _stream(self, ask: Ask, kinds: Mapping[str, type[Any]]) -> Iterator[Iterator[Any]]:
        with self._answered(ask.streamed()) as response:
            yield _events(response, kinds)

    @contextmanager
    def _answered(self, ask: Ask) -> Iterator[httpx.Response]:
        call = Call(ask, self._timeout, self._retries)
        while True:
            with self._turn(call):
                try:
                    response = self._http.send(self._http.build_request(**call.request()), stream=True)
                except httpx.RequestError as error:
                    raise connection_error(ask.path, error) from error
                try:
                    if response.is_success:
                        yield response
                        return
                    refusal = error_of(response.status_code, response.headers, _content(ask, response))
                finally:
                    response.close()
            sleep(call.pause(refusal))

    @contextmanager
    def _turn(self, call: Call) -> Iterator[None]:
        if not self._turns.acquire(timeout=call.turn()):
            raise call.no_turn()
        try:
            yield
        finally:
            self._turns.release()


def _content(ask: Ask, response: httpx.Response) -> bytes:
    try:
        return response.read()
    except httpx.RequestError as error:
        raise connection_error(ask.path, error) from error


def _events(response: httpx.Response, kinds: Mapping[str, type[Any]]) -> Iterator[Any]:
    events = Events(kinds, response.headers)
    try:
        for chunk in response.iter_bytes():
            yield from events.read(chunk)
    except httpx.RequestError as error:
        events.end(error)
    else:
        events.end()
