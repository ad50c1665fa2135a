"""A question that needs a tool, the tool, and what it is declared as: for clients that call. Asks no server."""

import json
from collections import deque
from collections.abc import Callable

MODEL = "prosqa-react"
FACTS = "Tom is a terpus. Every terpus is a brimpus. Every brimpus is a lempus. Every terpus is a scrompus."
# The first of its two candidates leads nowhere, so that two calls are needed.
QUESTION = "Is Tom a gorpus or lempus?"
ANSWER = "Tom is a lempus."
WAY = "Tom is a terpus. Every terpus is a brimpus. Every brimpus is a lempus."
# What the model calls for it, in order.
CALLS = [{"start": "Tom", "end": "gorpus"}, {"start": "Tom", "end": "lempus"}]
DESCRIPTION = "The facts that lead from one name to another, or none."
PARAMETERS = {
    "type": "object",
    "properties": {"start": {"type": "string"}, "end": {"type": "string"}},
    "required": ["start", "end"],
    "additionalProperties": False,
}
TOOLS = [{"type": "function", "function": {"name": "path", "description": DESCRIPTION, "parameters": PARAMETERS}}]


def chat(ask: Callable[[list], object]) -> None:
    """Turns of a chat until nothing is called; `ask` makes of messages the next one, as the client has it."""
    messages, calls = [{"role": "user", "content": QUESTION}], []
    while len(messages) < 15 and (message := ask(messages)).tool_calls:
        messages.append(message)
        for call in message.tool_calls:
            assert call.function.name == "path", call
            calls.append(json.loads(call.function.arguments))
            messages.append({"role": "tool", "tool_call_id": call.id, "content": path(**calls[-1])})
    assert calls == CALLS, calls
    assert message.content == ANSWER, message


def path(start: str, end: str) -> str:
    """The shortest way from one name to another by FACTS, as these say it."""
    facts = [f"{fact}." for fact in FACTS.removesuffix(".").split(". ")]
    ways = deque([(start, [])])
    seen = {start}
    while ways:
        name, way = ways.popleft()
        if name == end:
            return " ".join(way)
        for fact in facts:
            subject, _, found = fact.removeprefix("Every ").removesuffix(".").partition(" is a ")
            if subject == name and found not in seen:
                seen.add(found)
                ways.append((found, [*way, fact]))
    return "none"
