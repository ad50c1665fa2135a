"""The client for asyncio; its twin for ordinary programs, which says more, is in `client.py`."""

from asyncio import Semaphore, sleep, timeout
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
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


class AsyncClient:
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
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self._http = httpx.AsyncClient(base_url=url, headers=headers(api_key), limits=LIMITS, transport=transport)
        self._timeout = timeout
        self._retries = retries
        self._turns = Semaphore(CONNECTIONS)

    async def reason(self, question: str, *, deadline: float | None = None, **options: Unpack[ReasonOptions]) -> Answer:
        """An answer. `deadline`: seconds to wait for it, asking again included; at most the server's own limit."""
        return decode(Answer, await self._json(Ask.reason(question, options, deadline)))

    def reason_stream(
        self, question: str, *, deadline: float | None = None, **options: Unpack[ReasonOptions]
    ) -> AbstractAsyncContextManager[AsyncIterator[ReasonEvent]]:
        """Thoughts and tokens as they are computed, and at last the answer.

        `async with client.reason_stream(question) as events`, and then `async for event in events`.

        Leaving the block early ends the work in the server too.
        """
        return self._stream(Ask.reason(question, options, deadline), REASON_EVENTS)

    async def score(
        self,
        question: str,
        continuations: Sequence[Continuation],
        *,
        deadline: float | None = None,
        **options: Unpack[ScoreOptions],
    ) -> Scores:
        """How probable each continuation is."""
        return decode(Scores, await self._json(Ask.score(question, continuations, options, deadline)))

    def score_stream(
        self,
        question: str,
        continuations: Sequence[Continuation],
        *,
        deadline: float | None = None,
        **options: Unpack[ScoreOptions],
    ) -> AbstractAsyncContextManager[AsyncIterator[ScoreEvent]]:
        """Thoughts and scores as they are computed, and at last all scores."""
        return self._stream(Ask.score(question, continuations, options, deadline), SCORE_EVENTS)

    async def models(self) -> list[Model]:
        """The served models: always one."""
        return decode(ModelList, await self._json(Ask.model("/v1/models"))).data

    async def model(self, name: str) -> Model:
        """One by its name; raises `InvalidRequest` where another is served."""
        return decode(Model, await self._json(Ask.model(f"/v1/models/{quote(name)}")))

    async def ready(self) -> Health:
        """Whether questions are answered; raises `Unavailable` where not."""
        return decode(Health, await self._json(Ask.health("/health/ready")))

    async def live(self) -> Health:
        """Whether the process works; raises `Unavailable` where it has to be started anew."""
        return decode(Health, await self._json(Ask.health("/health/live")))

    async def close(self) -> None:
        """Close all connections."""
        await self._http.aclose()

    async def __aenter__(self) -> Self:
        """Itself: its connections are closed at the end of the block."""
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        """Close all connections."""
        await self.close()

    async def _json(self, ask: Ask) -> Any:  # noqa: ANN401 - any JSON value
        async with self._answered(ask) as response:
            return json_of(await _content(ask, response))

    @asynccontextmanager
    async def _stream(self, ask: Ask, kinds: Mapping[str, type[Any]]) -> AsyncIterator[AsyncIterator[Any]]:
        async with self._answered(ask.streamed()) as response:
            yield _events(response, kinds)

    @asynccontextmanager
    async def _answered(self, ask: Ask) -> AsyncIterator[httpx.Response]:
        call = Call(ask, self._timeout, self._retries)
        while True:
            async with self._turn(call):
                try:
                    response = await self._http.send(self._http.build_request(**call.request()), stream=True)
                except httpx.RequestError as error:
                    raise connection_error(ask.path, error) from error
                try:
                    if response.is_success:
                        yield response
                        return
                    refusal = error_of(response.status_code, response.headers, await _content(ask, response))
                finally:
                    await response.aclose()
            await sleep(call.pause(refusal))

    @asynccontextmanager
    async def _turn(self, call: Call) -> AsyncIterator[None]:
        try:
            async with timeout(call.turn()):
                await self._turns.acquire()
        except TimeoutError:
            raise call.no_turn() from None
        try:
            yield
        finally:
            self._turns.release()


async def _content(ask: Ask, response: httpx.Response) -> bytes:
    try:
        return await response.aread()
    except httpx.RequestError as error:
        raise connection_error(ask.path, error) from error


async def _events(response: httpx.Response, kinds: Mapping[str, type[Any]]) -> AsyncIterator[Any]:
    events = Events(kinds, response.headers)
    try:
        async for chunk in response.aiter_bytes():
            for event in events.read(chunk):
                yield event
    except httpx.RequestError as error:
        events.end(error)
    else:
        events.end()
