"""What a server says, made by hand, and both clients that hear it. No socket."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import httpx

from coconut_client import Answer, AsyncClient, Client, Model, ReasonEvent

FULL = {"message": "the queue is full", "type": "overloaded_error", "param": None, "code": "queue_full"}
LOADING = {"message": "the model is being loaded", "type": "unavailable_error", "param": None, "code": "loading"}
ANSWER = {
    "id": "reason-1",
    "object": "reason",
    "created": 1,
    "model": "m",
    "answer": "a",
    "text": "a",
    "finish_reason": "stop",
    "usage": dict.fromkeys(
        (
            "prompt_tokens",
            "latent_steps",
            "completion_tokens",
            "total_tokens",
            "cached_positions",
            "cached_thoughts",
            "unknown_tokens",
        ),
        1,
    ),
    "timings": dict.fromkeys(("queue_ms", "prefill_ms", "latent_ms", "decode_ms", "total_ms"), 1),
}

Handle = Callable[[httpx.Request], httpx.Response]


class Bytes(httpx.SyncByteStream, httpx.AsyncByteStream):
    """A body that arrives in pieces, and may break off."""

    def __init__(self, *pieces: bytes | httpx.TransportError) -> None:
        self.pieces = pieces

    def __iter__(self) -> Iterator[bytes]:
        """Piece by piece."""
        for piece in self.pieces:
            if isinstance(piece, httpx.TransportError):
                raise piece
            yield piece

    async def __aiter__(self) -> AsyncIterator[bytes]:
        """The same."""
        for piece in self:
            yield piece


def full(retry_after: str = "0") -> httpx.Response:
    """A refusal as the server writes it."""
    return httpx.Response(429, json={"error": FULL}, headers={"retry-after": retry_after, "x-request-id": "r"})


class Plain:
    """What an ordinary program does."""

    def __init__(self, handle: Handle, **settings: Any) -> None:
        self.client = Client("http://test", transport=httpx.MockTransport(handle), **settings)

    def reason(self, deadline: float | None = None) -> Answer:
        """One answer."""
        return self.client.reason("q", deadline=deadline)

    def streamed(self, deadline: float | None = None) -> list[ReasonEvent]:
        """All events of one answer."""
        with self.client.reason_stream("q", deadline=deadline) as events:
            return list(events)

    def models(self) -> list[Model]:
        """What is served."""
        return self.client.models()


class WithAsyncio:
    """The same with asyncio."""

    def __init__(self, handle: Handle, **settings: Any) -> None:
        self.client = AsyncClient("http://test", transport=httpx.MockTransport(handle), **settings)

    def reason(self, deadline: float | None = None) -> Answer:
        """One answer."""
        return asyncio.run(self.client.reason("q", deadline=deadline))

    def streamed(self, deadline: float | None = None) -> list[ReasonEvent]:
        """All events of one answer."""

        async def events() -> list[ReasonEvent]:
            async with self.client.reason_stream("q", deadline=deadline) as events:
                return [event async for event in events]

        return asyncio.run(events())

    def models(self) -> list[Model]:
        """What is served."""
        return asyncio.run(self.client.models())


Kind = type[Plain] | type[WithAsyncio]
