#!/usr/bin/env python3
"""huggingface_hub's InferenceClient, as it comes: huggingface_client.py http://127.0.0.1:8080 [--acting URL]."""

import acting
from common import MODEL, PROMPT, QUESTION, TEXT, arguments
from huggingface_hub import InferenceClient
from huggingface_hub.errors import HfHubHTTPError

ASKED = [{"role": "user", "content": QUESTION}]


def main() -> None:
    """Chats, whole and streamed; what it cannot do."""
    given = arguments(__doc__)
    url = given.url
    client = InferenceClient(base_url=f"{url}/v1", api_key="none")
    reply = client.chat_completion(ASKED, model=MODEL, logprobs=True, top_logprobs=2, extra_body={"latent_steps": 6})
    assert reply.choices[0].message.content == TEXT, reply
    assert reply.usage.completion_tokens_details["reasoning_tokens"] == 6, reply.usage
    pieces = client.chat.completions.create(model=MODEL, messages=ASKED, stream=True, max_tokens=64)
    assert "".join(piece.choices[0].delta.content or "" for piece in pieces if piece.choices) == TEXT

    try:
        client.chat_completion(ASKED, model=MODEL, temperature=9.0)
        raise AssertionError("refused")
    except HfHubHTTPError as error:
        assert error.response.status_code == 400, error
        assert "temperature" in str(error), error

    if given.acting:
        caller = InferenceClient(base_url=f"{given.acting}/v1", api_key="none")
        to = {"model": acting.MODEL, "tools": acting.TOOLS}
        acting.chat(lambda messages: caller.chat_completion(messages, **to).choices[0].message)
    else:
        print("  NOT RUN: tools, which need --acting")

    # `text_generation` speaks the protocol of text-generation-inference, which is another one: it fails, and says so.
    try:
        InferenceClient(base_url=url, api_key="none").text_generation(PROMPT)
        raise AssertionError("docs/clients.md says that text_generation is not served")
    except HfHubHTTPError as error:
        assert error.response.status_code in (404, 405), error


if __name__ == "__main__":
    main()
