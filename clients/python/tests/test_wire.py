"""What a real server seldom does: refusals, foreign answers, streams that are cut. No socket."""

import json
import pickle
from typing import Any

import httpx
import pytest
from replies import ANSWER, FULL, Bytes, full

from coconut_client import (
    ApiError,
    Client,
    ConnectionFailed,
    InvalidRequest,
    Overloaded,
    ServerFailed,
    StreamCut,
    Token,
    Unavailable,
    UnreadableAnswer,
    encoded,
    floats,
)


def answering(*replies: httpx.Response | httpx.TransportError, **settings: Any) -> Client:
    """A client whose requests are answered by these, in order."""
    waiting = list(replies)

    def handle(_: httpx.Request) -> httpx.Response:
        reply = waiting.pop(0)
        if isinstance(reply, httpx.TransportError):
            raise reply
        return reply

    return Client("http://test", transport=httpx.MockTransport(handle), **settings)


def test_a_refused_request_is_sent_again_when_the_server_said() -> None:
    """And not more often than asked for."""
    assert answering(full(), full(), httpx.Response(200, json=ANSWER)).reason("q").answer == "a"
    with pytest.raises(Overloaded) as refused:
        answering(full(), full("7"), retries=1).reason("q")
    assert (refused.value.retry_after, refused.value.code, refused.value.request_id) == (7, "queue_full", "r")
    with pytest.raises(Overloaded):
        answering(full(), retries=0).reason("q")


def test_health_is_not_asked_again() -> None:
    """Whoever asks wants to know now."""
    body = {"error": {**FULL, "type": "unavailable_error", "code": "loading"}}
    with pytest.raises(Unavailable):
        answering(httpx.Response(503, json=body, headers={"retry-after": "5"})).ready()


@pytest.mark.parametrize(
    ("status", "kind"), [(429, Overloaded), (503, Unavailable), (413, InvalidRequest), (502, ServerFailed)]
)
def test_what_stands_between_may_answer_in_words_of_its_own(status: int, kind: type[ApiError]) -> None:
    """A proxy's page is no reason to lose the status."""
    with pytest.raises(kind, match=str(status)) as error:
        answering(httpx.Response(status, text="<html>Bad</html>")).reason("q")
    assert error.value.status == status


def test_events_are_read_whatever_the_pieces_and_letters() -> None:
    """U+2028 and U+0085 end lines for Python's `splitlines`, but not for events."""
    text = "a\u2028b\u0085c"
    token = json.dumps({"index": 0, "id": 1, "text": text}, ensure_ascii=False)
    events = [("news", "{}"), ("token", token), ("done", json.dumps(ANSWER))]
    whole = ": ping\n\n" + "".join(f"event: {name}\ndata: {data}\n\n" for name, data in events)
    pieces = [bytes([byte]) for byte in whole.encode()]
    client = answering(httpx.Response(200, stream=Bytes(*pieces)))
    with client.reason_stream("q") as answered:
        first, last = answered
    assert first == Token(0, 1, text)
    assert last.id == "reason-1"  # type: ignore[union-attr]


def test_a_stream_that_ends_early_is_no_answer() -> None:
    """Neither where the connection ends nor where the server says why."""
    token = b'event: token\ndata: {"index": 0, "id": 1, "text": "a"}\n\n'
    with answering(httpx.Response(200, stream=Bytes(token))).reason_stream("q") as events:
        assert next(events) == Token(0, 1, "a")
        with pytest.raises(StreamCut):
            next(events)
    error = b"event: error\ndata: " + json.dumps({"error": FULL}).encode() + b"\n\n"
    with answering(httpx.Response(200, stream=Bytes(error))).reason_stream("q") as events, pytest.raises(Overloaded):
        next(events)


def test_no_connection_and_no_json() -> None:
    """Each has an error of its own."""
    with pytest.raises(ConnectionFailed):
        answering(httpx.ConnectError("refused")).reason("q")
    with pytest.raises(UnreadableAnswer):
        answering(httpx.Response(200, text="hello")).reason("q")
    with pytest.raises(UnreadableAnswer, match="usage"):
        answering(httpx.Response(200, json={**ANSWER, "usage": 3})).reason("q")


def test_errors_survive_pickle() -> None:
    """They cross processes where questions are asked by several."""
    with pytest.raises(Overloaded) as refused:
        answering(full("7"), retries=0).reason("q")
    again = pickle.loads(pickle.dumps(refused.value))
    assert (str(again), again.param, again.retry_after) == (str(refused.value), None, 7)


def test_vectors() -> None:
    """There and back."""
    assert floats(encoded([0.5, -2.0])) == [0.5, -2.0]
    assert encoded([1.0]) == "AACAPw=="
