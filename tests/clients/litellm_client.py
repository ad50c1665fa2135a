#!/usr/bin/env python3
"""litellm, as it comes: litellm_client.py http://127.0.0.1:8080 [--locked URL --key KEY] [--acting URL].

LITELLM_LOCAL_MODEL_COST_MAP=True keeps it from asking the network for prices.
"""

import asyncio

import acting
import litellm
from common import MODEL, PROMPT, QUESTION, TEXT, arguments

ASKED = [{"role": "user", "content": QUESTION}]
litellm.suppress_debug_info = True


def main() -> None:
    """Chats, texts and responses; errors as its own exceptions."""
    given = arguments(__doc__)
    to = {"model": f"openai/{MODEL}", "api_base": f"{given.url}/v1", "api_key": "none", "max_retries": 0}
    reply = litellm.completion(messages=ASKED, extra_body={"latent_steps": 6}, **to)
    assert reply.choices[0].message.content == TEXT, reply
    assert reply.usage.completion_tokens_details.reasoning_tokens == 6, reply.usage

    pieces = list(litellm.completion(messages=ASKED, stream=True, stream_options={"include_usage": True}, **to))
    assert "".join(piece.choices[0].delta.content or "" for piece in pieces if piece.choices) == TEXT, pieces
    assert litellm.stream_chunk_builder(pieces).choices[0].message.content == TEXT

    assert asyncio.run(litellm.acompletion(messages=ASKED, **to)).choices[0].message.content == TEXT
    several = litellm.batch_completion(messages=[ASKED] * 4, **to)
    assert [one.choices[0].message.content for one in several] == [TEXT] * 4, several

    text = litellm.text_completion(prompt=PROMPT, **{**to, "model": f"text-completion-openai/{MODEL}"})
    assert text.choices[0].text == TEXT, text
    newer = litellm.responses(input=QUESTION, **{name: to[name] for name in ("model", "api_base", "api_key")})
    assert newer.output[0].content[0].text == TEXT, newer

    try:
        litellm.completion(messages=ASKED, temperature=9, **to)
        raise AssertionError("refused")
    except litellm.BadRequestError as error:
        assert "temperature" in str(error), error
    try:
        litellm.completion(messages=ASKED, **{**to, "model": "openai/gpt-5-none"})
        raise AssertionError("refused")
    except litellm.NotFoundError:
        pass
    if given.acting:
        tools({"model": f"openai/{acting.MODEL}", "api_base": f"{given.acting}/v1", "api_key": "none"})
    else:
        print("  NOT RUN: tools, which need --acting")
    if not given.locked:
        print("  NOT RUN: keys, which needs --locked and --key")
        return
    locked = {**to, "api_base": f"{given.locked}/v1"}
    try:
        litellm.completion(messages=ASKED, **locked)
        raise AssertionError("refused")
    except litellm.AuthenticationError:
        pass
    assert litellm.completion(messages=ASKED, **{**locked, "api_key": given.key}).choices[0].message.content == TEXT


def tools(to: dict[str, str]) -> None:
    """The client's own, whole and put together from pieces."""
    to = {**to, "tools": acting.TOOLS}
    acting.chat(lambda messages: litellm.completion(messages=messages, **to).choices[0].message)

    def streamed(messages: list) -> object:
        pieces = list(litellm.completion(messages=messages, stream=True, **to))
        return litellm.stream_chunk_builder(pieces).choices[0].message

    acting.chat(streamed)


if __name__ == "__main__":
    main()
