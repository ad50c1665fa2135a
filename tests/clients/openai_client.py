#!/usr/bin/env python3
"""openai-python, as it comes, against a running server with the default checkpoint.

openai_client.py http://127.0.0.1:8080 [--small URL] [--locked URL --key KEY] [--acting URL]
"""

import threading
import time

import httpx2 as httpx  # what openai-python is built on
import openai
import openai_tools
from common import (
    ANSWER,
    MARKER,
    MODEL,
    PROMPT,
    QUESTION,
    TEXT,
    arguments,
    metric,
    tokens_of,
    wait_until_idle,
)
from openai import OpenAI

ASKED = [{"role": "user", "content": QUESTION}]


def chat(client: OpenAI) -> None:
    """Whole, with what latent models have beyond."""
    reply = client.chat.completions.create(
        model=MODEL, messages=ASKED, extra_body={"latent_steps": 3, "include": ["thoughts"]}
    )
    choice = reply.choices[0]
    assert (choice.message.content, choice.finish_reason) == (TEXT, "stop"), reply
    assert reply.usage.completion_tokens_details.reasoning_tokens == 3, reply.usage
    assert [thought["step"] for thought in reply.coconut["thoughts"]] == [1, 2, 3], reply
    assert choice.coconut["answer"] == ANSWER, reply
    # A system message is no question where a checkpoint has no chat template; the last user message is.
    parts = [{"role": "user", "content": [{"type": "text", "text": QUESTION}]}]
    again = client.chat.completions.create(model=MODEL, messages=[{"role": "system", "content": "x"}, *parts])
    assert again.choices[0].message.content == TEXT, again


def chat_logprobs(client: OpenAI) -> None:
    """Of each token, with alternatives; samples."""
    reply = client.chat.completions.create(model=MODEL, messages=ASKED, logprobs=True, top_logprobs=3)
    tokens = reply.choices[0].logprobs.content
    assert "".join(token.token for token in tokens) == TEXT, tokens
    for token in tokens:
        first = token.top_logprobs[0]
        assert (first.token, first.logprob) == (token.token, token.logprob), "greedy takes the most likely one"
        assert len(token.top_logprobs) == 3, token
    samples = client.chat.completions.create(model=MODEL, messages=ASKED, n=3, temperature=1.0, seed=1)
    assert [choice.index for choice in samples.choices] == [0, 1, 2], samples


def chat_stream(client: OpenAI) -> None:
    """The same text piece by piece, then the usage where it was asked for."""
    chunks = list(
        client.chat.completions.create(model=MODEL, messages=ASKED, stream=True, stream_options={"include_usage": True})
    )
    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
    assert text == TEXT, text
    assert [choice.finish_reason for chunk in chunks for choice in chunk.choices][-1] == "stop"
    assert not chunks[-1].choices, chunks[-1]
    assert chunks[-1].usage.completion_tokens_details.reasoning_tokens == 6, chunks[-1]
    with client.chat.completions.stream(model=MODEL, messages=ASKED) as stream:
        assert stream.get_final_completion().choices[0].message.content == TEXT


def several_at_once(client: OpenAI) -> None:
    """Samples of a stream are told apart by their index, and are those of the whole answer."""
    settings = {"model": MODEL, "messages": ASKED, "n": 3, "temperature": 1.5, "seed": 5}
    texts = ["", "", ""]
    for chunk in client.chat.completions.create(**settings, stream=True):
        for choice in chunk.choices:
            texts[choice.index] += choice.delta.content or ""
    whole = client.chat.completions.create(**settings)
    assert texts == [choice.message.content for choice in whole.choices], (texts, whole)
    reply = client.completions.create(model=MODEL, prompt=[PROMPT, PROMPT], n=2, temperature=1.5, seed=5)
    assert [choice.index for choice in reply.choices] == [0, 1, 2, 3], reply
    assert [choice.text for choice in reply.choices[:2]] == [choice.text for choice in reply.choices[2:]], reply


def completions(client: OpenAI) -> None:
    """Prompts of every form, as they stand."""
    tokens = tokens_of(str(client.base_url).removesuffix("/v1/"), PROMPT)
    for prompt, count in [(PROMPT, 1), ([PROMPT, PROMPT], 2), (tokens, 1), ([tokens, tokens], 2), (PROMPT + MARKER, 1)]:
        reply = client.completions.create(model=MODEL, prompt=prompt)
        assert [choice.text for choice in reply.choices] == [TEXT] * count, (prompt, reply)
        assert [choice.index for choice in reply.choices] == list(range(count)), reply
        assert len(reply.coconut) == count, reply
        assert reply.usage.prompt_tokens_details.cached_tokens <= reply.usage.prompt_tokens, reply.usage
    pieces = client.completions.create(model=MODEL, prompt=PROMPT, stream=True)
    assert "".join(choice.text for piece in pieces for choice in piece.choices) == TEXT
    stopped = client.completions.create(model=MODEL, prompt=PROMPT, stop=" is")
    assert stopped.choices[0].text == "### Eva", stopped
    shown = client.completions.create(
        model=MODEL, prompt=PROMPT, stop=" is", extra_body={"include_stop_str_in_output": True}
    )
    assert shown.choices[0].text == "### Eva is", shown
    # A prompt that ends within a sentence is gone on with: the space before the next word is said.
    within = client.completions.create(model=MODEL, prompt=f"{PROMPT}{MARKER}### Eva is a", logprobs=1)
    assert within.choices[0].text == " bompus.", within
    assert within.choices[0].logprobs.tokens == [" bompus", "."], within
    short = client.completions.create(model=MODEL, prompt=PROMPT, max_tokens=2)
    assert short.choices[0].finish_reason == "length", short


def completions_logprobs(client: OpenAI) -> None:
    """Of what is said, and of a prompt that says where the thoughts go."""
    reply = client.completions.create(model=MODEL, prompt=PROMPT, logprobs=2)
    said = reply.choices[0].logprobs
    assert "".join(said.tokens) == reply.choices[0].text, said
    for token, logprob, top in zip(said.tokens, said.token_logprobs, said.top_logprobs, strict=True):
        assert len(top) == 2, said
        assert top[token] == logprob == max(top.values()), "greedy takes the most likely one, by the same name"
    assert said.text_offset == [len("".join(said.tokens[:at])) for at in range(len(said.tokens))], said

    def score(answer: str) -> float:
        """As lm-evaluation-harness does it."""
        echoed = client.completions.create(
            model=MODEL, prompt=PROMPT + MARKER + answer, echo=True, logprobs=1, max_tokens=1
        )
        found = echoed.choices[0].logprobs
        assert echoed.choices[0].text.startswith(PROMPT + MARKER + answer), echoed
        assert len(found.tokens) == len(found.token_logprobs) == len(found.top_logprobs) == len(found.text_offset)
        assert found.token_logprobs[0] is None, found
        (at,) = [at for at, token in enumerate(found.tokens) if token == MARKER]
        return sum(found.token_logprobs[at + 1 : -1])

    right, wrong = score(TEXT), score(TEXT.replace("bompus", "scrompus"))
    assert right > wrong + 1, (right, wrong)
    # The same number comes out where the answer is said and not given.
    assert abs(right - sum(said.token_logprobs)) < 1e-2, (right, said.token_logprobs)


def responses(client: OpenAI) -> None:
    """OpenAI's newer form, whole and streamed."""
    reply = client.responses.create(model=MODEL, input=QUESTION, extra_body={"latent_steps": 4})
    assert (reply.output_text, reply.status) == (TEXT, "completed"), reply
    assert reply.usage.output_tokens_details.reasoning_tokens == 4, reply.usage
    assert (reply.temperature, reply.top_p) == (0, 1), reply
    sampled = client.responses.create(model=MODEL, input=QUESTION, temperature=0.5, top_p=0.9)
    assert (sampled.temperature, sampled.top_p) == (0.5, 0.9), sampled
    parts = [{"role": "user", "content": [{"type": "input_text", "text": QUESTION}]}]
    again = client.responses.create(model=MODEL, input=parts, instructions="Answer.", max_output_tokens=20)
    assert again.output_text == TEXT, again
    # Asked before, and so read from memory; of the positions there, tokens of the input alone are counted.
    again = client.responses.create(model=MODEL, input=QUESTION)
    assert 0 < again.usage.input_tokens_details.cached_tokens <= again.usage.input_tokens, again.usage
    turns = [*reply.output, {"role": "user", "content": QUESTION}]
    assert client.responses.create(model=MODEL, input=turns).output_text == TEXT
    events = list(client.responses.create(model=MODEL, input=QUESTION, stream=True))
    kinds = [event.type for event in events]
    assert (kinds[0], kinds[-1]) == ("response.created", "response.completed"), kinds
    assert "".join(event.delta for event in events if event.type == "response.output_text.delta") == TEXT, kinds
    assert [event.sequence_number for event in events] == list(range(len(events))), events
    assert events[-1].response.output_text == TEXT, events[-1]
    with client.responses.stream(model=MODEL, input=QUESTION) as stream:
        assert stream.get_final_response().output_text == TEXT
    short = client.responses.create(model=MODEL, input=QUESTION, max_output_tokens=1)
    incomplete(short)
    assert short.output_text == TEXT.split()[0], short
    *_, item, last = client.responses.create(model=MODEL, input=QUESTION, max_output_tokens=1, stream=True)
    assert (item.type, last.type) == ("response.output_item.done", "response.incomplete"), (item, last)
    assert item.item == last.response.output[0], (item, last)
    incomplete(last.response)


def incomplete(response: object) -> None:
    """Cut, with the reason, and so is its item."""
    assert (response.status, response.incomplete_details.reason) == ("incomplete", "max_output_tokens"), response
    assert [item.status for item in response.output] == ["incomplete"], response


def models(client: OpenAI) -> None:
    """Listed and by name."""
    assert [model.id for model in client.models.list()] == [MODEL]
    assert client.models.retrieve(MODEL).id == MODEL
    refused(openai.NotFoundError, lambda: client.models.retrieve("gpt-5"), code="model_not_found")


def refused(kind: type, ask: object, param: str | None = None, code: str | None = None) -> openai.APIStatusError:
    """Whoever asks gets this exception, with the field that is to blame."""
    try:
        ask()
    except kind as error:
        assert param is None or error.param == param, (error.param, error)
        assert code is None or error.code == code, (error.code, error)
        assert error.request_id, "x-request-id"
        return error
    raise AssertionError(f"{kind.__name__} expected")


def errors(client: OpenAI) -> None:
    """As their types; what is not there is not computed."""
    complete = client.completions.create
    for field, value in [
        ("max_tokens", -1),
        ("temperature", 9),
        ("best_of", 2),
        ("suffix", "x"),
        ("logit_bias", {"5": 1}),
        ("presence_penalty", 1.0),
        ("frequency_penalty", 1.0),
    ]:
        ask = lambda field=field, value=value: complete(model=MODEL, prompt=PROMPT, **{field: value})  # noqa: E731
        assert refused(openai.BadRequestError, ask, param=field).status_code == 400
    said = refused(openai.BadRequestError, lambda: complete(model=MODEL, prompt=PROMPT, echo=True, logprobs=1))
    assert MARKER in said.message, said.message
    refused(openai.NotFoundError, lambda: complete(model="gpt-5", prompt=PROMPT))
    # Errors come before a stream begins, too.
    refused(openai.BadRequestError, lambda: complete(model=MODEL, prompt=PROMPT, stream=True, max_tokens=-1))
    # What says nothing is taken, and what is unknown ignored.
    reply = complete(
        model=MODEL,
        prompt=PROMPT,
        best_of=1,
        presence_penalty=0.0,
        logit_bias={},
        user="somebody",
        extra_body={"no_such_field": 1},
    )
    assert reply.choices[0].text == TEXT, reply


def cancelling(client: OpenAI, url: str) -> None:
    """A stream that is closed ends the work."""
    before = metric(url, "coconut_cancelled_total")
    with client.completions.create(
        model=MODEL, prompt=PROMPT, stream=True, max_tokens=400, extra_body={"ignore_eos": True}
    ) as stream:
        next(iter(stream))
    wait_until_idle(url)
    assert metric(url, "coconut_cancelled_total") == before + 1


def failing_midway(client: OpenAI) -> None:
    """What fails after the first byte is an exception, not the end of the text: here the deadline passes."""
    pieces = client.completions.create(
        model=MODEL,
        prompt=[PROMPT] * 200,
        max_tokens=440,
        stream=True,
        extra_body={"ignore_eos": True},
        extra_headers={"x-request-timeout": "1"},
    )
    seen = 0
    try:
        for _ in pieces:
            seen += 1
        raise AssertionError("the deadline was to pass")
    except openai.APIError as error:
        assert seen, "it was to begin"
        assert error.code == "deadline_exceeded", (error.code, error)


def overload(url: str) -> None:
    """429 is retried, not before Retry-After has passed."""
    replies: list[tuple[float, int, float]] = []
    full, enough = threading.Event(), threading.Event()

    def seen(response: httpx.Response) -> None:
        wait = float(response.headers.get("retry-after", 0))
        replies.append((time.monotonic(), response.status_code, wait))
        if response.status_code == 429:
            assert wait >= 1, "429 without Retry-After"
            enough.set()

    sent: list[float] = []
    hooks = {"request": [lambda _: sent.append(time.monotonic())], "response": [seen]}
    patient = OpenAI(base_url=f"{url}/v1", api_key="none", max_retries=5, http_client=httpx.Client(event_hooks=hooks))
    hasty = OpenAI(base_url=f"{url}/v1", api_key="none", max_retries=0)

    def fill() -> None:
        """Keeps the only place and the only seat in the queue taken until somebody else was refused."""
        long = {"latent_steps": 32, "ignore_eos": True, "n": 64}
        while not enough.is_set():
            try:
                hasty.completions.create(model=MODEL, prompt=PROMPT, max_tokens=400, extra_body=long)
            except openai.RateLimitError as error:
                assert error.status_code == 429
                assert error.response.headers["retry-after"], error
                full.set()

    fillers = [threading.Thread(target=fill) for _ in range(4)]
    for filler in fillers:
        filler.start()
    assert full.wait(30), "never refused under load"
    while not enough.is_set():
        answer = patient.chat.completions.create(model=MODEL, messages=ASKED)
    for filler in fillers:
        filler.join()
    assert answer.choices[0].message.content == TEXT, answer
    refusals = [at for at, (_, status, _) in enumerate(replies) if status == 429]
    assert refusals, replies
    for at in refusals:
        came, _, wait = replies[at]
        # Header in whole seconds, client in random parts of them: it may round, it may not come earlier.
        assert sent[at + 1] - came >= wait * 0.99, (sent[at + 1] - came, wait)
    assert replies[-1][1] == 200, replies
    wait_until_idle(url)


def keys(url: str, key: str) -> None:
    """Wrong and missing keys are their own exception; `organization` and `project` are ignored."""
    refused(openai.AuthenticationError, OpenAI(base_url=f"{url}/v1", api_key="wrong").models.list)
    right = OpenAI(base_url=f"{url}/v1", api_key=key, organization="org", project="project")
    assert right.models.retrieve(MODEL).id == MODEL
    assert right.chat.completions.create(model=MODEL, messages=ASKED).choices[0].message.content == TEXT


def main() -> None:
    """All of it, in order."""
    given = arguments(__doc__)
    client = OpenAI(base_url=f"{given.url}/v1", api_key="none", max_retries=0)
    for check in (
        chat,
        chat_logprobs,
        chat_stream,
        several_at_once,
        completions,
        completions_logprobs,
        responses,
        models,
        errors,
    ):
        check(client)
        print(f"  {check.__name__}")
    failing_midway(client)
    print("  failing_midway")
    cancelling(client, given.url)
    print("  cancelling")
    if given.small:
        overload(given.small)
        print("  overload")
    else:
        print("  NOT RUN: overload, which needs --small")
    if given.locked:
        keys(given.locked, given.key)
        print("  keys")
    else:
        print("  NOT RUN: keys, which needs --locked and --key")
    if given.acting:
        acting = OpenAI(base_url=f"{given.acting}/v1", api_key="none", max_retries=0)
        for check in openai_tools.CHECKS:
            check(acting)
            print(f"  tools: {check.__name__}")
    else:
        print("  NOT RUN: tools, which need --acting")


if __name__ == "__main__":
    main()
