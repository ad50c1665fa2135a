"""What is asked of which path, and which events come back. Opens no connection."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Self

from .answers import Action, Answer, InsideRow, Observation, ReasonEvent, Score, Scores, Thought, Token
from .questions import Continuation, ReasonOptions, ScoreOptions

REASON_EVENTS: Mapping[str, type[ReasonEvent]] = {
    "thought": Thought,
    "inside": InsideRow,
    "token": Token,
    "action": Action,
    "observation": Observation,
    "done": Answer,
}
SCORE_EVENTS: Mapping[str, type[Thought | InsideRow | Score | Scores]] = {
    "thought": Thought,
    "inside": InsideRow,
    "score": Score,
    "done": Scores,
}


@dataclass(frozen=True, slots=True)
class Ask:
    """One request."""

    method: str
    path: str
    body: dict[str, Any] | None = None
    deadline: float | None = None
    #: Whether it is sent again when the server says when.
    again: bool = False

    @classmethod
    def health(cls, path: str) -> Self:
        """How the server is. That it is not ready is an answer too: it is not asked again."""
        return cls("GET", path)

    @classmethod
    def model(cls, path: str) -> Self:
        """What is served."""
        return cls("GET", path, again=True)

    @classmethod
    def reason(cls, question: str, options: ReasonOptions, deadline: float | None) -> Self:
        """A question to answer."""
        return cls("POST", "/v1/reason", {"question": question, **options}, deadline, again=True)

    @classmethod
    def score(
        cls, question: str, continuations: Sequence[Continuation], options: ScoreOptions, deadline: float | None
    ) -> Self:
        """Continuations to score."""
        body = {"question": question, "continuations": continuations, **options}
        return cls("POST", "/v1/score", body, deadline, again=True)

    def streamed(self) -> Self:
        """The same, answered as events."""
        return replace(self, body={**(self.body or {}), "stream": True})

    def content(self) -> bytes | None:
        """The body. What is a sequence to Python, such as a range, is a list on the wire."""
        return None if self.body is None else json.dumps(self.body, default=list).encode()

    def headers(self) -> dict[str, str]:
        """What this request has beside the client's own."""
        found = {} if self.body is None else {"content-type": "application/json"}
        if self.deadline is not None:
            found["x-request-timeout"] = f"{self.deadline:.6f}".rstrip("0").rstrip(".")
        return found
