"""The client for asyncio; its twin for ordinary programs, which says more, is in `client.py`."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
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


class AsyncClient:
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
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self._http = httpx.AsyncClient(base_url=url, headers=headers(api_key), timeout=timeout, transport=transport)
        self._retries = retries

    async def reason(self, question: str, *, deadline: float | None = None, **options: Unpack[ReasonOptions]) -> Answer:
        """An answer. `deadline`: seconds to wait for it, at most the server's own limit."""
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
        return decode(ModelList, await self._json(Ask.get("/v1/models"))).data

    async def model(self, name: str) -> Model:
        """One by its name; raises `InvalidRequest` where another is served."""
        return decode(Model, await self._json(Ask.get(f"/v1/models/{quote(name)}")))

    async def ready(self) -> Health:
        """Whether questions are answered; raises `Unavailable` where not."""
        return decode(Health, await self._json(Ask.get("/health/ready")))

    async def live(self) -> Health:
        """Whether the process works; raises `Unavailable` where it has to be started anew."""
        return decode(Health, await self._json(Ask.get("/health/live")))

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
            try:
                content = await response.aread()
            except httpx.TransportError as error:
                raise ConnectionFailed(f"{ask.path}: {error or type(error).__name__}") from error
        return json_of(content)

    @asynccontextmanager
    async def _stream(self, ask: Ask, kinds: Mapping[str, type[Any]]) -> AsyncIterator[AsyncIterator[Any]]:
        async with self._answered(ask.streamed()) as response:
            yield _events(response, kinds)

    @asynccontextmanager
    async def _answered(self, ask: Ask) -> AsyncIterator[httpx.Response]:
        for attempt in range(self._retries + 1):
            request = self._http.build_request(ask.method, ask.path, content=ask.content(), headers=ask.headers())
            try:
                response = await self._http.send(request, stream=True)
                content = b"" if response.is_success else await response.aread()
            except httpx.TransportError as error:
                raise ConnectionFailed(f"{ask.path}: {error or type(error).__name__}") from error
            if response.is_success:
                try:
                    yield response
                finally:
                    await response.aclose()
                return
            refusal = error_of(response.status_code, response.headers, content)
            if refusal.retry_after is None or not ask.again or attempt == self._retries:
                raise refusal
            await asyncio.sleep(refusal.retry_after)


async def _events(response: httpx.Response, kinds: Mapping[str, type[Any]]) -> AsyncIterator[Any]:
    events = Events(kinds)
    try:
        async for chunk in response.aiter_bytes():
            for event in events.read(chunk):
                yield event
    except httpx.TransportError as error:
        raise StreamCut(str(error) or type(error).__name__) from error
    if not events.done:
        raise StreamCut("the stream ended before its last event")
