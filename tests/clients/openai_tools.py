"""openai-python calling tools: the client's own, in turns, and those of the server. Part of openai_client.py."""

import json
from collections.abc import Callable

import acting
import openai
from openai import OpenAI
from pydantic import BaseModel

ASKED = {"role": "user", "content": acting.QUESTION}
(TOOL,) = TOOLS = acting.TOOLS
FUNCTION = TOOL["function"]


class Path(BaseModel):
    """The facts that lead from one name to another, or none."""

    start: str
    end: str


def answered(turn: Callable[[list], tuple[list, list[tuple[str, str]], str]], output: Callable) -> list[str]:
    """Turns until nothing is called: the arguments of each call, and at last what was said.

    `turn` makes of a conversation what is to be added to it, its calls (id, arguments) and its text.
    """
    conversation, said = [ASKED], []
    for _ in range(7):
        added, calls, text = turn(conversation)
        conversation += added
        if not calls:
            return [*said, text]
        for name, arguments in calls:
            said.append(arguments)
            conversation.append(output(name, acting.path(**json.loads(arguments))))
    raise AssertionError(said)


def right(said: list[str]) -> None:
    """Both calls in their order, then the answer."""
    *calls, text = said
    assert [json.loads(call) for call in calls] == acting.CALLS, said
    assert text == acting.ANSWER, said


def of_chat(name: str, output: str) -> dict:
    """What a tool said, as chats take it."""
    return {"role": "tool", "tool_call_id": name, "content": output}


def chat_turn(message: object, finish_reason: str) -> tuple[list, list[tuple[str, str]], str]:
    """A turn of a chat; the client's own objects are sent back."""
    calls = message.tool_calls or []
    assert finish_reason == ("tool_calls" if calls else "stop"), (finish_reason, message)
    assert all((call.type, call.function.name) == ("function", "path") for call in calls), calls
    return [message], [(call.id, call.function.arguments) for call in calls], message.content


def chat(client: OpenAI) -> None:
    """Whole."""

    def turn(conversation: list, **settings: object) -> tuple:
        reply = client.chat.completions.create(
            model=acting.MODEL, messages=conversation, tools=TOOLS, parallel_tool_calls=False, **settings
        )
        return chat_turn(reply.choices[0].message, reply.choices[0].finish_reason)

    right(answered(turn, of_chat))
    right(answered(lambda conversation: turn(conversation, tool_choice="required"), of_chat))
    ids = [name for _ in range(2) for name, _ in turn([ASKED])[1]]
    assert ids[0] != ids[1], "each call has a name of its own"


def chat_stream(client: OpenAI) -> None:
    """By the client's helper, which puts pieces of arguments together and reads them."""

    def turn(conversation: list) -> tuple:
        tools = [openai.pydantic_function_tool(Path, name="path")]
        pieces, done = [], []
        with client.chat.completions.stream(model=acting.MODEL, messages=conversation, tools=tools) as stream:
            for event in stream:
                if event.type == "tool_calls.function.arguments.delta":
                    pieces.append(event.arguments_delta)
                elif event.type == "tool_calls.function.arguments.done":
                    done.append(event)
            (choice,) = stream.get_final_completion().choices
        calls = choice.message.tool_calls or []
        assert [call.function.arguments for call in calls] == [event.arguments for event in done], done
        assert "".join(pieces) == "".join(event.arguments for event in done), pieces
        for call in calls:
            assert call.function.parsed_arguments == Path(**json.loads(call.function.arguments)), call
        return chat_turn(choice.message, choice.finish_reason)

    right(answered(turn, of_chat))


def of_responses(name: str, output: str) -> dict:
    """What a tool said, as responses take it."""
    return {"type": "function_call_output", "call_id": name, "output": output}


def response_turn(response: object) -> tuple[list, list[tuple[str, str]], str]:
    """A turn; the client's own items are sent back."""
    assert response.status == "completed", response
    assert all(item.status == "completed" for item in response.output), response
    calls = [item for item in response.output if item.type == "function_call"]
    assert all(call.name == "path" for call in calls), calls
    return [*response.output], [(call.call_id, call.arguments) for call in calls], response.output_text


def responses(client: OpenAI) -> None:
    """Whole."""

    def turn(conversation: list) -> tuple:
        tools = [{"type": "function", **FUNCTION}]
        return response_turn(client.responses.create(model=acting.MODEL, input=conversation, tools=tools))

    right(answered(turn, of_responses))


def responses_stream(client: OpenAI) -> None:
    """By the client's helper."""

    def turn(conversation: list) -> tuple:
        tools = [openai.pydantic_function_tool(Path, name="path")]
        pieces = []
        with client.responses.stream(model=acting.MODEL, input=conversation, tools=tools) as stream:
            for event in stream:
                if event.type == "response.function_call_arguments.delta":
                    pieces.append(event.delta)
            response = stream.get_final_response()
        added, calls, text = response_turn(response)
        assert "".join(pieces) == "".join(arguments for _, arguments in calls), (pieces, calls)
        for item in response.output:
            if item.type == "function_call":
                assert item.parsed_arguments == Path(**json.loads(item.arguments)), item
        return added, calls, text

    right(answered(turn, of_responses))


def choices(client: OpenAI) -> None:
    """What may be called, and what is refused."""
    ask = {"model": acting.MODEL, "messages": [ASKED], "tools": TOOLS}
    none = client.chat.completions.create(**ask, tool_choice="none", extra_body={"facts": acting.FACTS})
    assert none.choices[0].message.tool_calls is None, none
    assert none.choices[0].coconut["answer"] == acting.ANSWER, "the server's tools"
    for choice in ({"type": "function", "function": {"name": "other"}}, {"type": "function", "function": FUNCTION}):
        try:
            client.chat.completions.create(**ask, tool_choice=choice)
            raise AssertionError("a model of rounds chooses what it calls, and what is not there is not called")
        except openai.BadRequestError as error:
            assert error.param == "tool_choice", error


def of_the_server(client: OpenAI) -> None:
    """The server's own tools: run there, with the facts that came with the question, told in `coconut.trajectory`."""

    def right(trajectory: list[dict], text: str) -> None:
        calls = [(turn["round"], turn["name"], turn.get("argument")) for turn in trajectory]
        assert calls == [(1, "path", "Tom, gorpus"), (2, "path", "Tom, lempus"), (3, None, None)], trajectory
        assert trajectory[1]["observation"] == acting.WAY, trajectory
        assert not any(turn["is_error"] for turn in trajectory), trajectory
        assert text.rstrip().endswith(f"Finish[{acting.ANSWER}]"), text

    extra = {"facts": acting.FACTS}
    ask = {"model": acting.MODEL, "messages": [ASKED]}
    reply = client.chat.completions.create(**ask, extra_body=extra)
    right(reply.coconut["trajectory"], reply.choices[0].message.content)
    assert (reply.choices[0].coconut["answer"], reply.choices[0].finish_reason) == (acting.ANSWER, "stop"), reply
    chunks = list(
        client.chat.completions.create(**ask, stream=True, stream_options={"include_usage": True}, extra_body=extra)
    )
    text = "".join(choice.delta.content or "" for chunk in chunks for choice in chunk.choices)
    right(chunks[-1].coconut["trajectory"], text)
    response = client.responses.create(model=acting.MODEL, input=acting.QUESTION, extra_body=extra)
    right(response.coconut["trajectory"], response.output_text)
    short = client.chat.completions.create(**ask, extra_body={**extra, "max_rounds": 1})
    assert (len(short.coconut["trajectory"]), short.choices[0].finish_reason) == (1, "length"), short
    assert client.models.retrieve(acting.MODEL).coconut["calls_tools"] is True


CHECKS = (chat, chat_stream, responses, responses_stream, choices, of_the_server)
