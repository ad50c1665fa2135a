#!/usr/bin/env python3
"""langchain-openai, as it comes: langchain_client.py http://127.0.0.1:8080."""

import asyncio

import openai
from common import MODEL, PROMPT, QUESTION, TEXT, arguments
from langchain_core.messages import AIMessageChunk, HumanMessage, SystemMessage
from langchain_openai import ChatOpenAI, OpenAI


def main() -> None:
    """Invoke, stream and batch, of chats and of texts."""
    url = f"{arguments(__doc__).url}/v1"
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

    # Tools reach the chat template; no call comes back. Structured output is refused by name.
    tool = {"name": "look_up", "description": "Looks up.", "parameters": {"type": "object", "properties": {}}}
    bound = chat.bind_tools([tool]).invoke(QUESTION)
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
    assert text.invoke(PROMPT).strip() == TEXT
    assert [one.strip() for one in text.batch([PROMPT] * 3)] == [TEXT] * 3
    assert "".join(text.stream(PROMPT)).strip() == TEXT


if __name__ == "__main__":
    main()
