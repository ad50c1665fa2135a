"""The client against a real server with the default checkpoint."""

import asyncio
import socket
from collections.abc import Iterator

import pytest
from conftest import QUESTION

from coconut_client import (
    Action,
    Answer,
    AsyncClient,
    Client,
    ConnectionFailed,
    InsideRow,
    InvalidRequest,
    Observation,
    Score,
    Scores,
    Thought,
    Token,
    encoded,
)

CHOICES = ["### Sam is a yimpus.", "### Sam is a jelpus."]


@pytest.fixture
def client(url: str) -> Iterator[Client]:
    """One client, closed after each test."""
    with Client(url) as client:
        yield client


def test_an_answer(client: Client) -> None:
    """With what was asked for beside it, and nothing else."""
    answer = client.reason(QUESTION, include=["thoughts", "logprobs", "thought_vectors"], latent_steps=3)
    assert answer.answer == "Sam is a yimpus."
    assert answer.usage.latent_steps == 3
    assert answer.thoughts is not None
    assert [thought.step for thought in answer.thoughts] == [1, 2, 3]
    norm = sum(number * number for number in answer.thoughts[0].floats()) ** 0.5
    assert norm == pytest.approx(answer.thoughts[0].norm, rel=1e-4)
    assert answer.logprobs is not None
    assert len(answer.logprobs) == answer.usage.completion_tokens
    assert (answer.choices, answer.vote, answer.warnings) == (None, None, [])


def test_a_stream_is_the_answer_piece_by_piece(client: Client) -> None:
    """Thoughts, tokens, and at last the same as in one piece."""
    with client.reason_stream(QUESTION, latent_steps=3, include=["thoughts"]) as events:
        *parts, last = events
    assert isinstance(last, Answer)
    assert [part for part in parts if isinstance(part, Thought)] == last.thoughts
    assert "".join(part.text for part in parts if isinstance(part, Token)) == last.text
    whole = client.reason(QUESTION, latent_steps=3)
    assert (last.text, last.usage.completion_tokens) == (whole.text, whole.usage.completion_tokens)


def test_a_stream_can_be_left(client: Client) -> None:
    """The next question is answered as ever."""
    with client.reason_stream(QUESTION, max_tokens=400, ignore_eos=True) as events:
        assert isinstance(next(events), Thought)
    assert client.reason(QUESTION).answer == "Sam is a yimpus."


def test_all_that_can_be_done_to_thoughts(client: Client) -> None:
    """Every kind of option arrives: dicts, ranges, vectors."""
    zeros = encoded([0.0] * 256)
    answer = client.reason(
        QUESTION,
        latent_steps=4,
        interventions=[
            {"step": 1, "op": "copy", "from": {"step": 2, "question": "Is Sam a yimpus or jelpus?"}},
            {"step": [2, 3], "op": "set", "vector": zeros},
            {"step": "all", "op": "noise", "alpha": 0.1, "seed": 7},
        ],
        include=["thoughts"],
    )
    assert answer.resolved is not None
    copy, put, noise = answer.resolved.interventions
    assert copy.from_ is not None
    assert (copy.from_.step, put.step, noise.step, noise.seed) == (2, [2, 3], "all", 7)
    sweep = client.reason(QUESTION, sweep=range(3))
    assert sweep.answers is not None
    assert [one.latent_steps for one in sweep.answers] == [0, 1, 2]
    samples = client.reason(QUESTION, n=4, latent_noise={"sigma": 0.5}, seed=1)
    assert samples.choices is not None
    assert samples.vote is not None
    assert len(samples.choices) == 4


def test_insides(client: Client) -> None:
    """Arrays have the shape that they say."""
    answer = client.reason(
        QUESTION,
        include=["hidden_states", "lens", "attention"],
        inside={"layers": [0, 3], "places": ["latent"], "top_tokens": 2, "ranked": [" yimpus", 5]},
    )
    assert answer.inside is not None
    row = answer.inside[0]
    assert isinstance(row, InsideRow)
    assert row.hidden_states is not None
    assert row.hidden_states.shape == [2, 256]
    assert len(row.hidden_states.floats()) == 512
    assert [len(lens.ranked) for lens in row.lens] == [2, 2]


def test_scores(client: Client) -> None:
    """Whole and streamed."""
    scores = client.score(QUESTION, CHOICES, sweep=[0, 6])
    assert [(one.latent_steps, one.continuation) for one in scores.scores] == [(0, 0), (0, 1), (6, 0), (6, 1)]
    assert scores.scores[2].logprob > scores.scores[3].logprob
    ids = [token.id for token in scores.scores[0].tokens]
    with client.score_stream(QUESTION, [ids], latent_steps=6) as events:
        *parts, last = events
    assert isinstance(last, Scores)
    assert [part for part in parts if isinstance(part, Score)] == last.scores
    assert last.scores[0].logprob == pytest.approx(scores.scores[2].logprob, abs=1e-4)


def test_tools_on_the_way_to_an_answer(acting_url: str) -> None:
    """Actions and observations of a stream are the rounds of the whole answer."""
    question = "Is Tom a gorpus or lempus?"
    facts = "Tom is a terpus. Every terpus is a lempus. Every terpus is a gorpus."
    with Client(acting_url) as client:
        (model,) = client.models()
        assert model.coconut.calls_tools
        whole = client.reason(question, facts=facts, tools=["path"])
        with client.reason_stream(question, facts=facts) as events:
            *parts, last = events
        short = client.reason(question, facts=facts, max_rounds=1)
        failing = client.reason(question, facts=facts, tools=["neighbours"], max_rounds=1)
        with pytest.raises(InvalidRequest) as error:
            client.reason(question, tools=["calculator"])
    assert isinstance(last, Answer)
    assert (whole.answer, last.answer) == ("Tom is a gorpus.", "Tom is a gorpus.")
    way = "Tom is a terpus. Every terpus is a gorpus."
    (first, end) = whole.trajectory
    assert (first.round, first.name, first.argument, first.observation) == (1, "path", "Tom, gorpus", way)
    assert (end.round, end.name, end.observation) == (2, None, None)
    assert [part for part in parts if isinstance(part, Action)] == [
        Action(turn.round, turn.said, turn.argument, turn.name, turn.thought) for turn in last.trajectory[:-1]
    ]
    assert [part for part in parts if isinstance(part, Observation)] == [Observation(1, way, is_error=False)]
    assert (short.finish_reason, len(short.trajectory)) == ("length", 1)
    assert failing.trajectory[0].is_error
    assert error.value.param == "tools"


def test_a_wrong_field_is_named(client: Client) -> None:
    """Before a stream begins, too."""
    with pytest.raises(InvalidRequest) as error:
        client.reason(QUESTION, max_tokens=0)
    assert (error.value.param, error.value.status) == ("max_tokens", 422)
    assert error.value.request_id
    with pytest.raises(InvalidRequest), client.reason_stream(QUESTION, include=["lens"], inside={"layers": [99]}):
        pass


def test_models_and_health(client: Client) -> None:
    """What is served, and that it is."""
    (model,) = client.models()
    assert model.coconut.default_latent_steps == 6
    assert not model.coconut.calls_tools
    assert client.model(model.id) == model
    with pytest.raises(InvalidRequest) as error:
        client.model("owner/another")
    assert error.value.code == "model_not_found"
    assert client.ready().status == client.live().status == "ok"


def test_a_deadline_is_sent(client: Client) -> None:
    """One that is no number of seconds above 0 is refused by its header's name."""
    assert client.reason(QUESTION, deadline=2.5).answer
    with pytest.raises(InvalidRequest) as error:
        client.reason(QUESTION, deadline=-1)
    assert error.value.param == "x-request-timeout"


def test_nobody_listens() -> None:
    """No connection is an error of its own."""
    with socket.socket() as taken:
        # Nobody else gets the port, and whoever connects to it is turned away.
        taken.bind(("127.0.0.1", 0))
        with pytest.raises(ConnectionFailed), Client(f"http://127.0.0.1:{taken.getsockname()[1]}") as nobody:
            nobody.ready()


def test_many_at_once_with_asyncio(url: str) -> None:
    """Answers, a stream and scores over one client."""

    async def ask() -> tuple[list[Answer], list[object], Scores]:
        async with AsyncClient(url) as client:
            answers = asyncio.gather(*(client.reason(QUESTION, latent_steps=steps) for steps in range(7)))
            async with client.reason_stream(QUESTION) as events:
                streamed: list[object] = [event async for event in events]
            return await answers, streamed, await client.score(QUESTION, CHOICES)

    answers, streamed, scores = asyncio.run(ask())
    assert [answer.usage.latent_steps for answer in answers] == list(range(7))
    assert isinstance(streamed[-1], Answer)
    assert streamed[-1].text == answers[6].text
    assert scores.scores[0].logprob > scores.scores[1].logprob
