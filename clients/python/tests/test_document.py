"""Every type of the package against the server's document, field by field, in both directions."""

import dataclasses
import json
from types import NoneType, UnionType
from typing import Any, Literal, NotRequired, Required, Union, get_args, get_origin, get_type_hints

import pytest
from conftest import CHECKOUT

from coconut_client import answers, errors, questions
from coconut_client.decode import wire_name
from coconut_client.routes import REASON_EVENTS, SCORE_EVENTS

DOCUMENT = json.loads((CHECKOUT / "openapi/openapi.json").read_text())
SCHEMAS: dict[str, Any] = DOCUMENT["components"]["schemas"]
# The fields of an action and some of its own, said as one object.
ACTION, ROUND = SCHEMAS["ActionBody"], SCHEMAS["TurnBody"].pop("allOf")[1]
SCHEMAS["TurnBody"] |= {
    "type": "object",
    "properties": ACTION["properties"] | ROUND["properties"],
    "required": ACTION["required"] + ROUND["required"],
}

ANSWERS: dict[str, type] = {
    "ActionBody": answers.Action,
    "ArrayBody": answers.Array,
    "ChoiceBody": answers.Choice,
    "ErrorDetail": errors.ErrorDetail,
    "FromBody": answers.CopiedFrom,
    "HealthResponse": answers.Health,
    "InsideRowBody": answers.InsideRow,
    "Intervention": answers.MadeIntervention,
    "LensBody": answers.Lens,
    "Logprob": answers.Logprob,
    "Model": answers.Model,
    "ModelFacts": answers.ModelFacts,
    "ModelList": answers.ModelList,
    "NoiseBody": answers.MadeNoise,
    "ObservationBody": answers.Observation,
    "ReasonResponse": answers.Answer,
    "Resolved": answers.Resolved,
    "ScoreBody": answers.Score,
    "ScoreResponse": answers.Scores,
    "ScoredBody": answers.ScoredToken,
    "ThoughtBody": answers.Thought,
    "TimingsBody": answers.Timings,
    "TokenBody": answers.Token,
    "TopTokenBody": answers.TopToken,
    "TurnBody": answers.Turn,
    "UsageBody": answers.Usage,
    "VoteBody": answers.Vote,
    "WarningBody": answers.Caution,
}
REQUESTS: dict[str, Any] = {
    "FromBody": questions.From,
    "InsideBody": questions.Inside,
    "InterventionBody": questions.Intervention,
    "NoiseBody": questions.Noise,
    "ReasonRequest": questions.ReasonOptions,
    "ScoreRequest": questions.ScoreOptions,
}
# What the methods take by position or say by their names.
NOT_OPTIONS = {"ReasonRequest": {"question", "stream"}, "ScoreRequest": {"question", "continuations", "stream"}}
ROUTES = ["/health/live", "/health/ready", "/v1/models", "/v1/models/{id}", "/v1/reason", "/v1/score"]


def _reached(node: object) -> set[str]:
    """The schemas that a part of the document names, and those they name."""
    found: set[str] = set()
    waiting = [node]
    while waiting:
        part = waiting.pop()
        if isinstance(part, list):
            waiting.extend(part)
        elif isinstance(part, dict):
            waiting.extend(part.values())
            name = str(part.get("$ref", "")).rpartition("/")[2]
            if name and name not in found:
                found.add(name)
                waiting.append(SCHEMAS[name])
    return found


def _resolved(schema: Any) -> Any:
    while "$ref" in schema:
        schema = SCHEMAS[schema["$ref"].rpartition("/")[2]]
    return schema


def _kinds(schema: Any) -> set[object]:
    """What a schema allows, in words that types are put into as well."""
    if "$ref" in schema and schema["$ref"].rpartition("/")[2] in {**ANSWERS, **REQUESTS}:
        return {schema["$ref"].rpartition("/")[2]}
    schema = _resolved(schema)
    if "oneOf" in schema:
        return set().union(*(_kinds(one) for one in schema["oneOf"]))
    if "enum" in schema:
        return set(schema["enum"])
    types = [schema["type"]] if isinstance(schema["type"], str) else schema["type"]
    found: set[object] = set()
    for name in types:
        if name == "array":
            found.add(("array", frozenset(_kinds(schema["items"]))))
        elif name == "string" and "pattern" in schema and "integer" in types:
            found.add(schema["pattern"].strip("^$"))
        else:
            found.add(name)
    return found


def _hint_kinds(hint: Any, names: dict[Any, str]) -> set[object]:
    origin = get_origin(hint)
    if origin in (Required, NotRequired):
        return _hint_kinds(get_args(hint)[0], names)
    if origin in (Union, UnionType):
        return set().union(*(_hint_kinds(one, names) for one in get_args(hint)))
    if origin is Literal:
        return set(get_args(hint))
    if origin is dict:
        return {"object"}
    if origin is not None:
        return {("array", frozenset(_hint_kinds(get_args(hint)[0], names)))}
    plain: dict[Any, str] = {int: "integer", float: "number", str: "string", bool: "boolean", NoneType: "null"}
    return {plain.get(hint) or names[hint]}


def _event_data(name: str) -> dict[str, str]:
    """The schema of each event's data, which the document can only say in words: the data of an event is a text."""
    found = {}
    for event in SCHEMAS[name]["oneOf"]:
        (event_name,) = event["properties"]["event"]["enum"]
        found[event_name] = event["properties"]["data"]["description"].split("`")[1]
    return found


def test_no_schema_of_our_routes_is_without_a_type() -> None:
    """A schema that the document gains needs a type here."""
    data = {*_event_data("ReasonEvent").values(), *_event_data("ScoreEvent").values()}
    reached = data | _reached([*(DOCUMENT["paths"][route] for route in ROUTES), *(SCHEMAS[name] for name in data)])
    objects = {name for name in reached if SCHEMAS[name].get("type") == "object"}
    assert objects - {"ErrorBody"} == {*ANSWERS, *REQUESTS}


@pytest.mark.parametrize(("name", "kind"), ANSWERS.items())
def test_answers(name: str, kind: type) -> None:
    """The same fields, the same types; what is always there has no default here."""
    schema, hints = SCHEMAS[name], get_type_hints(kind)
    names: dict[Any, str] = {kind: name for name, kind in ANSWERS.items()}
    assert {wire_name(field) for field in hints} == set(schema["properties"])
    for field in dataclasses.fields(kind):
        wire, found = wire_name(field.name), _hint_kinds(hints[field.name], names)
        document = _kinds(schema["properties"][wire])
        # The names of steps within an intervention come back as they were sent; an argument is a text, too.
        said_in_words = {("Intervention", "step"), ("ActionBody", "argument"), ("TurnBody", "argument")}
        assert found == document or (name, wire) in said_in_words, f"{name}.{wire}: {found} {document}"
        has_default = field.default is not dataclasses.MISSING or field.default_factory is not dataclasses.MISSING
        required = wire in schema["required"] and "null" not in document
        assert required != has_default, f"{name}.{wire}: required {required}, has a default {has_default}"


@pytest.mark.parametrize(("name", "kind"), REQUESTS.items())
def test_requests(name: str, kind: Any) -> None:
    """The same fields, the same types, the same of them required."""
    schema, hints = SCHEMAS[name], get_type_hints(kind)
    names: dict[Any, str] = {kind: name for name, kind in REQUESTS.items()}
    given = NOT_OPTIONS.get(name, set())
    assert set(hints) == set(schema["properties"]) - given
    assert set(kind.__required_keys__) == set(schema.get("required", [])) - given
    for field, hint in hints.items():
        document = _kinds(schema["properties"][field])
        assert _hint_kinds(hint, names) == document, f"{name}.{field}: {document}"


@pytest.mark.parametrize(("name", "kinds"), [("ReasonEvent", REASON_EVENTS), ("ScoreEvent", SCORE_EVENTS)])
def test_events(name: str, kinds: dict[str, type]) -> None:
    """Every event by its name, with the data that the document names; `error` is raised instead."""
    described = _event_data(name)
    assert described.pop("error") == "ErrorBody"
    assert {event: ANSWERS[data] for event, data in described.items()} == dict(kinds)


def test_every_class_of_error_has_an_exception() -> None:
    """By the names in the document."""
    said = SCHEMAS["ErrorDetail"]["properties"]["type"]["description"]
    assert {part for part in said.split("`") if part.endswith("_error")} == set(errors.BY_TYPE)
