#!/usr/bin/env python3
"""langchain-openai, as it comes: langchain_client.py http://127.0.0.1:8080 [--acting URL]."""

import asyncio
from functools import reduce
from operator import add

import acting
import openai
from common import MODEL, PROMPT, QUESTION, TEXT, arguments
from langchain_core.messages import AIMessage, AIMessageChunk, HumanMessage, SystemMessage, message_chunk_to_message
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI, OpenAI


def main() -> None:
    """Invoke, stream and batch, of chats and of texts; tools."""
    given = arguments(__doc__)
    url = f"{given.url}/v1"
    chat = ChatOpenAI(base_url=url, api_key="none", model=MODEL, stream_usage=True, extra_body={"latent_steps": 6})
    reply = chat.invoke(QUESTION)
    assert reply.content == TEXT, reply
    assert reply.usage_metadata["output_token_details"]["reasoning"] == 6, reply.usage_metadata
    assert chat.invoke([SystemMessage("Answer."), HumanMessage(QUESTION)]).content == TEXT

    whole = AIMessageChunk("")
    for chunk in chat.stream(QUESTION):
        whole += chunk
    assert whole.content == TEXT, whole
    assert whole.usage_metadata["output_token_details"]["reasoning"] == 6, whole.usage_metadata

    assert [one.content for one in chat.batch([QUESTION] * 8)] == [TEXT] * 8
    assert asyncio.run(chat.ainvoke(QUESTION)).content == TEXT

    scored = chat.bind(logprobs=True, top_logprobs=2).invoke(QUESTION)
    tokens = scored.response_metadata["logprobs"]["content"]
    assert "".join(token["token"] for token in tokens) == TEXT, tokens

    # A model that was not taught to call answers as ever. Structured output is refused by name.
    bound = chat.bind_tools([path]).invoke(QUESTION)
    assert (bound.content, bound.tool_calls) == (TEXT, []), bound
    try:
        chat.with_structured_output({"title": "a", "type": "object", "properties": {}}, method="json_schema").invoke(
            QUESTION
        )
        raise AssertionError("docs/clients.md says that structured output is refused")
    except openai.BadRequestError as error:
        assert error.param == "response_format.type", error

    newer = ChatOpenAI(base_url=url, api_key="none", model=MODEL, use_responses_api=True)
    assert newer.invoke(QUESTION).text == TEXT

    # What it sends where nothing is said: best_of and penalties that change nothing, temperature 0.7, several prompts.
    text = OpenAI(base_url=url, api_key="none", model=MODEL, temperature=0, max_tokens=64)
    assert text.invoke(PROMPT) == TEXT
    assert text.batch([PROMPT] * 3) == [TEXT] * 3
    assert "".join(text.stream(PROMPT)) == TEXT

    if given.acting:
        for newer in (False, True):
            tools(f"{given.acting}/v1", newer)
    else:
        print("  NOT RUN: tools, which need --acting")


@tool
def path(start: str, end: str) -> str:
    """The facts that lead from one name to another, or none."""
    return acting.path(start, end)


def tools(url: str, newer: bool) -> None:
    """Bound, called, run by the client and answered, in turns until nothing is called; whole and streamed."""
    chat = ChatOpenAI(base_url=url, api_key="none", model=acting.MODEL, use_responses_api=newer).bind_tools([path])

    def streamed(messages: list) -> AIMessage:
        return message_chunk_to_message(reduce(add, chat.stream(messages)))

    for ask in (chat.invoke, streamed):
        messages, calls = [HumanMessage(acting.QUESTION)], []
        while len(messages) < 15 and (reply := ask(messages)).tool_calls:
            assert not reply.invalid_tool_calls, reply
            calls += [call["args"] for call in reply.tool_calls]
            messages += [reply, *(path.invoke(call) for call in reply.tool_calls)]
        assert calls == acting.CALLS, (newer, ask, calls)
        assert reply.text == acting.ANSWER, (newer, ask, reply)


if __name__ == "__main__":
    main()
