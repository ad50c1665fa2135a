"""How long a call lasts, when it asks again, what it makes of what breaks: alike in both clients. The clock is ours."""

import asyncio
import json
import threading
from typing import Any

import httpx
import pytest
from replies import ANSWER, FULL, LOADING, Bytes, Kind, Plain, WithAsyncio, full

from coconut_client import (
    Answer,
    ApiError,
    AsyncClient,
    Client,
    ConnectionFailed,
    DeadlinePassed,
    Overloaded,
    StreamCut,
    Unavailable,
    UnreadableAnswer,
)

DONE = b"event: done\ndata: " + json.dumps(ANSWER).encode() + b"\n\n"
both = pytest.mark.parametrize("kind", [Plain, WithAsyncio])


class Clock:
    """Time that goes on when somebody sleeps."""

    def __init__(self) -> None:
        self.now = 100.0
        self.slept: list[float] = []

    def monotonic(self) -> float:
        """The time."""
        return self.now

    def sleep(self, seconds: float) -> None:
        """No time at all, by other clocks."""
        self.slept.append(seconds)
        self.now += seconds

    async def sleep_with_asyncio(self, seconds: float) -> None:
        """The same."""
        self.sleep(seconds)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """That of both clients."""
    clock = Clock()
    monkeypatch.setattr("coconut_client.calls.monotonic", clock.monotonic)
    monkeypatch.setattr("coconut_client.client.sleep", clock.sleep)
    monkeypatch.setattr("coconut_client.aio.sleep", clock.sleep_with_asyncio)
    return clock


class Server:
    """Answers with these, in order, and keeps what it was asked; each takes `took` seconds."""

    def __init__(self, *replies: httpx.Response, clock: Clock | None = None, took: float = 0.0) -> None:
        self.replies = list(replies)
        self.asked: list[httpx.Request] = []
        self.clock, self.took = clock, took

    def __call__(self, request: httpx.Request) -> httpx.Response:
        """The next reply."""
        self.asked.append(request)
        if self.clock:
            self.clock.now += self.took
        return self.replies.pop(0)

    def deadlines(self) -> list[str | None]:
        """The header of each request."""
        return [request.headers.get("x-request-timeout") for request in self.asked]

    def timeouts(self) -> list[dict[str, Any]]:
        """How long each request would have been waited for."""
        return [request.extensions["timeout"] for request in self.asked]


def answer() -> httpx.Response:
    """Of a server that has one."""
    return httpx.Response(200, json=ANSWER)


@both
def test_it_asks_again_after_as_long_as_the_server_says(kind: Kind, clock: Clock) -> None:
    """And not once more than it may."""
    server = Server(full("3"), full("4"), answer())
    assert kind(server).reason().answer == "a"
    assert (clock.slept, server.deadlines()) == ([3, 4], [None] * 3)
    with pytest.raises(Overloaded):
        kind(Server(full("3"), full("4"), full("5"))).reason()
    assert clock.slept == [3, 4, 3, 4]


@both
def test_a_deadline_bounds_the_call_and_not_each_attempt(kind: Kind, clock: Clock) -> None:
    """What is left is all that the server is given; where nothing would be left, nobody waits."""
    server = Server(full("3"), full("3"), answer(), clock=clock, took=0.5)
    assert kind(server).reason(deadline=10).answer == "a"
    assert server.deadlines() == ["10", "6.5", "3"]
    assert [timeout["read"] for timeout in server.timeouts()] == [75] * 3
    clock.slept.clear()
    server = Server(full("3"), full("3"), clock=clock, took=0.5)
    with pytest.raises(Overloaded) as refused:
        kind(server).reason(deadline=7)
    assert (refused.value.retry_after, clock.slept, server.deadlines()) == (3, [3], ["7", "3.5"])
    for deadline in (3, 3.5, 1, 0.1):
        with pytest.raises(Overloaded):
            kind(Server(full("3"), clock=clock, took=0.5)).streamed(deadline=deadline)
    assert clock.slept == [3]


@both
@pytest.mark.parametrize("said", ["nan", "inf", "-inf", "1e12", "soon"])
def test_what_is_no_time_to_wait_is_not_waited_for(kind: Kind, clock: Clock, said: str) -> None:
    """The refusal is there at once."""
    with pytest.raises(Overloaded) as refused:
        kind(Server(full(said))).reason()
    assert (refused.value.retry_after, clock.slept) == (None, [])


@both
@pytest.mark.parametrize(
    ("settings", "deadline", "connect", "read"),
    [
        ({}, None, 75, 75),
        ({}, 2.5, 75, 75),
        ({}, 90, 75, 95),
        ({}, float("inf"), 75, None),
        ({"timeout": 10}, None, 10, 10),
        ({"timeout": 10}, 60, 10, 65),
        ({"timeout": float("inf")}, 3, None, None),
    ],
)
def test_the_server_is_waited_for_beyond_its_limit_and_the_deadline(
    kind: Kind,
    clock: Clock,
    settings: dict[str, Any],
    deadline: float | None,
    connect: float | None,
    read: float | None,
) -> None:
    """So that it can say why there is no answer. Who has had a turn has a connection, too."""
    server = Server(answer(), httpx.Response(200, stream=Bytes(DONE)), clock=clock)
    kind(server, **settings).reason(deadline)
    kind(server, **settings).streamed(deadline)
    assert server.timeouts() == [{"connect": connect, "read": read, "write": connect, "pool": None}] * 2


@both
def test_a_model_that_is_loading_is_asked_again_what_it_is(kind: Kind, clock: Clock) -> None:
    """As for any answer."""
    loading = httpx.Response(503, json={"error": LOADING}, headers={"retry-after": "1"})
    served = httpx.Response(200, json={"object": "list", "data": []})
    assert kind(Server(loading, served)).models() == []
    with pytest.raises(Unavailable):
        kind(Server(loading, loading, loading)).models()
    assert clock.slept == [1, 1, 1]


@both
def test_what_breaks_without_a_word_is_called_by_its_name(kind: Kind) -> None:
    """Timeouts and cut connections come without a text, before the answer and within it."""

    def broken(_: httpx.Request) -> httpx.Response:
        raise httpx.ReadTimeout("")

    within = Server(httpx.Response(200, stream=Bytes(b"{", httpx.ReadError(""))))
    refusal = Server(httpx.Response(500, stream=Bytes(b"{", httpx.ReadError(""))))
    stream = Server(httpx.Response(200, stream=Bytes(b"event", httpx.ReadError(""))))
    for handle, name in ((broken, "ReadTimeout"), (within, "ReadError"), (refusal, "ReadError")):
        with pytest.raises(ConnectionFailed, match=f"^/v1/reason: {name}$"):
            kind(handle).reason()
    with pytest.raises(StreamCut, match=r"^ReadError$"):
        kind(stream).streamed()


@both
def test_what_nobody_can_read_is_called_that(kind: Kind) -> None:
    """Neither a body that is not in its encoding, nor an event that is no text or no error."""
    coded = {"content-encoding": "gzip"}
    with pytest.raises(UnreadableAnswer, match="/v1/reason"):
        kind(Server(httpx.Response(200, stream=Bytes(b"no gzip"), headers=coded))).reason()
    with pytest.raises(UnreadableAnswer):
        kind(Server(httpx.Response(200, stream=Bytes(b"no gzip"), headers=coded))).streamed()
    for event in (b"event: token\ndata: \xff\xfe\n\n", b'event: error\ndata: {"message": "no"}\n\n'):
        with pytest.raises(UnreadableAnswer):
            kind(Server(httpx.Response(200, stream=Bytes(event)))).streamed()


@both
def test_an_error_within_a_stream_has_the_name_of_its_request(kind: Kind) -> None:
    """As one instead of an answer has: the server's log is searched for it."""
    event = b"event: error\ndata: " + json.dumps({"error": FULL}).encode() + b"\n\n"
    reply = httpx.Response(200, stream=Bytes(event), headers={"x-request-id": "r-7"})
    with pytest.raises(ApiError, match=r"\(request r-7\)$") as error:
        kind(Server(reply)).streamed()
    assert (error.value.request_id, error.value.status, error.value.code) == ("r-7", None, "queue_full")


@both
def test_nothing_is_lost_when_a_connection_breaks_behind_the_answer(kind: Kind) -> None:
    """Whatever comes there: an error, an end without its mark, further bytes."""
    broken = httpx.RemoteProtocolError("peer closed connection")
    for rest in ([broken], [], [b"event: error\ndata: {}\n\n"], [b"event: no", broken]):
        events = kind(Server(httpx.Response(200, stream=Bytes(DONE, *rest)))).streamed()
        assert [type(event) for event in events] == [Answer]
    events = kind(Server(httpx.Response(200, stream=Bytes(DONE + b"event: error\ndata: {}\n\n")))).streamed()
    assert len(events) == 1


def test_many_calls_at_once_are_a_hundred_and_others_that_wait() -> None:
    """All are answered."""
    asked, under_way, most, together = 0, 0, 0, asyncio.Event()

    async def handle(_: httpx.Request) -> httpx.Response:
        nonlocal asked, under_way, most
        asked, under_way = asked + 1, under_way + 1
        most = max(most, under_way)
        if asked == 100:
            # All that do not wait for a turn arrive before it.
            asyncio.get_running_loop().call_soon(together.set)
        await together.wait()
        under_way -= 1
        # A refused call gives its turn away while it waits.
        return answer() if asked > 150 else full()

    async def ask() -> list[Answer]:
        async with AsyncClient("http://test", transport=httpx.MockTransport(handle)) as client:
            return await asyncio.gather(*(client.reason("q") for _ in range(250)))

    assert len(asyncio.run(ask())) == 250
    assert most == 100


def test_a_turn_is_waited_for_until_the_deadline() -> None:
    """And no longer, by either client; the next call finds the turns where they were."""
    free, taken = threading.Event(), threading.Barrier(101)

    def handle(_: httpx.Request) -> httpx.Response:
        taken.wait(60)
        assert free.wait(60)
        return answer()

    with Client("http://test", transport=httpx.MockTransport(handle)) as client:
        threads = [threading.Thread(target=client.reason, args=["q"]) for _ in range(100)]
        for thread in threads:
            thread.start()
        taken.wait(60)
        with pytest.raises(DeadlinePassed, match="100 other calls"):
            client.reason("q", deadline=0.01)
        free.set()
        for thread in threads:
            thread.join(60)


def test_a_turn_is_waited_for_until_the_deadline_with_asyncio() -> None:
    """The same."""
    free, taken = asyncio.Event(), asyncio.Event()
    asked = 0

    async def handle(_: httpx.Request) -> httpx.Response:
        nonlocal asked
        asked += 1
        if asked == 100:
            taken.set()
        await free.wait()
        return answer()

    async def ask() -> list[Answer]:
        async with AsyncClient("http://test", transport=httpx.MockTransport(handle)) as client:
            calls = [asyncio.create_task(client.reason("q")) for _ in range(100)]
            await taken.wait()
            with pytest.raises(DeadlinePassed, match="100 other calls"):
                await client.reason("q", deadline=0.01)
            free.set()
            return [*await asyncio.gather(*calls), await client.reason("q", deadline=60)]

    assert len(asyncio.run(ask())) == 101
    assert asked == 101
