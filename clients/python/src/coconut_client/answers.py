"""What comes back, as dataclasses. Knows the JSON of answers, nothing of connections.

Field for field the same as the schemas of the server's document: a test compares them. A field that is absent from an
answer is `None`, or an empty list where the document has a list that cannot be null.
"""

from dataclasses import dataclass, field
from typing import Any

from .arrays import floats
from .questions import Feedback, Op, Place


@dataclass(frozen=True, slots=True)
class TopToken:
    """A token and its probability."""

    id: int
    token: str
    probability: float


@dataclass(frozen=True, slots=True)
class Thought:
    """A thought, as far as it was asked for; in a stream also the event that a latent step was computed."""

    step: int
    choice: int | None = None
    computed_norm: float | None = None
    cosine: float | None = None
    entropy: float | None = None
    norm: float | None = None
    top_tokens: list[TopToken] | None = None
    vector: str | None = None

    def floats(self) -> list[float]:
        """The vector that was fed back, with `thought_vectors` in `include`."""
        return floats(self.vector or "")


@dataclass(frozen=True, slots=True)
class Token:
    """An event of a stream: an answer token was chosen."""

    index: int
    id: int
    text: str
    choice: int | None = None
    entropy: float | None = None
    logprob: float | None = None


@dataclass(frozen=True, slots=True)
class Logprob:
    """An answer token's log-probability."""

    id: int
    entropy: float | None = None
    logprob: float | None = None


@dataclass(frozen=True, slots=True)
class ScoredToken:
    """A given token's place among all that could have come."""

    id: int
    token: str
    logprob: float
    rank: int


@dataclass(frozen=True, slots=True)
class Array:
    """Numbers with their shape."""

    shape: list[int]
    data: str

    def floats(self) -> list[float]:
        """All numbers, the last axis varying fastest."""
        return floats(self.data)


@dataclass(frozen=True, slots=True)
class Lens:
    """What the head makes of a hidden state."""

    layer: int
    top_tokens: list[TopToken]
    entropy: float
    ranked: list[ScoredToken] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class InsideRow:
    """A position that was looked into; in a stream also the event that it was computed."""

    place: Place
    index: int
    position: int
    attention: Array | None = None
    choice: int | None = None
    hidden_states: Array | None = None
    lens: list[Lens] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Choice:
    """One of several answers."""

    index: int
    latent_steps: int
    answer: str
    text: str
    finish_reason: str
    first_logits: str | None = None
    logprobs: list[Logprob] | None = None
    seed: int | None = None
    thoughts: list[Thought] | None = None


@dataclass(frozen=True, slots=True)
class Vote:
    """What most samples say."""

    answer: str
    count: int
    agreement: float


@dataclass(frozen=True, slots=True)
class CopiedFrom:
    """A thought of a question."""

    step: int
    question: str | None = None


@dataclass(frozen=True, slots=True)
class MadeIntervention:
    """An intervention as it was made."""

    step: int | list[int] | str
    op: Op
    alpha: float | None = None
    from_: CopiedFrom | None = None
    seed: int | None = None


@dataclass(frozen=True, slots=True)
class MadeNoise:
    """The noise that was added."""

    sigma: float


@dataclass(frozen=True, slots=True)
class Resolved:
    """What was done about thoughts, with everything that the request left open."""

    seed: int
    feedback: Feedback | None = None
    interventions: list[MadeIntervention] = field(default_factory=list)
    latent_noise: MadeNoise | None = None


@dataclass(frozen=True, slots=True)
class Usage:
    """How much was computed."""

    prompt_tokens: int
    latent_steps: int
    completion_tokens: int
    total_tokens: int
    cached_positions: int
    cached_thoughts: int
    unknown_tokens: int


@dataclass(frozen=True, slots=True)
class Timings:
    """Where the time went, in milliseconds; the first four add up to the last."""

    queue_ms: float
    prefill_ms: float
    latent_ms: float
    decode_ms: float
    total_ms: float


@dataclass(frozen=True, slots=True)
class Caution:
    """Something that the caller should know about an answer."""

    code: str
    message: str


@dataclass(frozen=True, slots=True)
class Action:
    """An event of a stream: the model wants something to be done."""

    round: int
    said: str
    argument: str | dict[str, Any] | None = None
    name: str | None = None
    thought: str = ""


@dataclass(frozen=True, slots=True)
class Observation:
    """An event of a stream: it was done, and this is what the model is told."""

    round: int
    text: str
    is_error: bool


@dataclass(frozen=True, slots=True)
class Turn:
    """A round on the way to an answer: an action, and what came of it."""

    round: int
    said: str
    is_error: bool
    tool_ms: float
    argument: str | dict[str, Any] | None = None
    name: str | None = None
    observation: str | None = None
    thought: str = ""


@dataclass(frozen=True, slots=True)
class Answer:
    """The complete answer to a question; in a stream also the last event."""

    id: str
    object: str
    created: int
    model: str
    answer: str
    text: str
    finish_reason: str
    usage: Usage
    timings: Timings
    answers: list[Choice] | None = None
    choices: list[Choice] | None = None
    first_logits: str | None = None
    inside: list[InsideRow] | None = None
    logprobs: list[Logprob] | None = None
    resolved: Resolved | None = None
    thoughts: list[Thought] | None = None
    trajectory: list[Turn] = field(default_factory=list)
    vote: Vote | None = None
    warnings: list[Caution] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Score:
    """How probable a continuation is; in a stream also the event that it is known."""

    continuation: int
    latent_steps: int
    logprob: float
    mean_logprob: float
    tokens: list[ScoredToken]


@dataclass(frozen=True, slots=True)
class Scores:
    """The scores of all continuations; in a stream also the last event."""

    id: str
    object: str
    created: int
    model: str
    scores: list[Score]
    usage: Usage
    timings: Timings
    inside: list[InsideRow] | None = None
    resolved: Resolved | None = None
    thoughts: list[Thought] | None = None
    warnings: list[Caution] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class ModelFacts:
    """What can be asked of a model."""

    fingerprint: str
    family: str
    architecture: str
    parameters: int
    max_positions: int
    default_latent_steps: int
    max_latent_steps: int
    calls_tools: bool
    description: str


@dataclass(frozen=True, slots=True)
class Model:
    """A served model."""

    id: str
    object: str
    created: int
    owned_by: str
    max_model_len: int
    coconut: ModelFacts


@dataclass(frozen=True, slots=True)
class ModelList:
    """The models that a server answers with: always one."""

    object: str
    data: list[Model]


@dataclass(frozen=True, slots=True)
class Health:
    """A good answer to a health check."""

    status: str


ReasonEvent = Thought | InsideRow | Token | Action | Observation | Answer
ScoreEvent = Thought | InsideRow | Score | Scores
