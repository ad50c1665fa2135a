"""What is sent: a question and how to answer it. Knows the JSON of requests, nothing of connections.

Every field may be left out; the server's document says what it then takes. Field for field the same as its schemas: a
test compares them.
"""

from collections.abc import Sequence
from typing import Literal, NotRequired, Required, TypedDict

Include = Literal[
    "thoughts",
    "thought_vectors",
    "first_logits",
    "logprobs",
    "entropy",
    "cosine",
    "hidden_states",
    "lens",
    "attention",
]
Op = Literal["set", "add", "scale", "zero", "mean", "noise", "random", "skip", "repeat", "copy"]
Feedback = Literal["hidden", "pause", "random", "shuffle", "mean", "none"]
Place = Literal["prompt", "latent", "marker", "answer"]
At = int | Sequence[int] | Literal["all"]


class From(TypedDict):
    """A thought of a question: of another one where it is named."""

    step: int
    question: NotRequired[str | None]


# `from` is a word of Python's own, so this one is written as a call.
Intervention = TypedDict(
    "Intervention",
    {
        "step": Required[At],
        "op": Required[Op],
        "alpha": NotRequired[float | None],
        "from": NotRequired[From | None],
        "seed": NotRequired[int | None],
        "vector": NotRequired[str | None],
    },
)
"""Something to do to thoughts before they are fed: `{"step": 2, "op": "zero"}`."""


class Noise(TypedDict):
    """Noise on what is fed."""

    sigma: float


class Inside(TypedDict, total=False):
    """Where to look, with `hidden_states`, `lens` or `attention` in `include`."""

    final_norm: bool | None
    heads: Sequence[int] | None
    layers: Sequence[int] | None
    places: Sequence[Place] | None
    ranked: Sequence[int | str] | None
    top_tokens: int | None


class ThinkingOptions(TypedDict, total=False):
    """What can be said about thoughts, to answer or to score."""

    feedback: Feedback | None
    include: Sequence[Include] | None
    inside: Inside | None
    interventions: Sequence[Intervention] | None
    latent_noise: Noise | None
    latent_steps: int | Literal["auto"] | None
    seed: int | None
    sweep: Sequence[int] | None
    tolerance: float | None
    top_thought_tokens: int | None


class ReasonOptions(ThinkingOptions, total=False):
    """How a question is answered."""

    facts: str | None
    ignore_eos: bool | None
    max_rounds: int | None
    max_tokens: int | None
    n: int | None
    stop: str | Sequence[str] | None
    temperature: float | None
    tools: Sequence[str] | None
    top_k: int | None
    top_p: float | None


class ScoreOptions(ThinkingOptions, total=False):
    """How continuations are scored."""

    prefix: str | None


Continuation = str | Sequence[int]
"""What could be said: a text or token ids."""
