#!/usr/bin/env python3
"""Overloads a server and checks that it bears it: prints each check as ok or FAILED, exit code 1 if one failed.

    COCONUT=target/release/coconut python3 benches/overload.py --model FOLDER    # a server of its own
    python3 benches/overload.py --url http://127.0.0.1:8080 --queue 256          # a running one, which is not stopped

Standard library only; clients are bare sockets, so that they can hang up and be slow when they like.
"""

import argparse
import asyncio
import concurrent.futures
import contextlib
import http.client
import json
import os
import signal
import socket
import statistics
import time
import urllib.parse

import common

QUESTION = "Tom is a wumpus. Every wumpus is a zumpus. Every zumpus is a lempus. Is Tom a lempus or a gerpus?"
PATIENCE = 300
FLOODS = 5
GROWTH_MIB = 8
SLOW_SECONDS = 5
KEPT = 8


class Target:
    """The server under load: one of our own, or one that was there."""

    def __init__(self, args):
        self.own = None if args.url else common.Server(
            args.model, "--max-running", args.running, "--max-queued", args.queue, "--request-timeout", PATIENCE,
            "--max-connections", 40 * args.queue,
        )
        self.url = args.url or self.own.url
        address = urllib.parse.urlsplit(self.url)
        self.host, self.port = address.hostname, address.port or 80
        self.queue, self.running = args.queue, args.running
        model = json.loads(common.fetch(self.url + "/v1/models")[1])["data"][0]["coconut"]
        self.latent_steps = model["max_latent_steps"]

    def metric(self, name):
        return common.metric(self.url, name)

    async def idle(self):
        """Seconds until nothing waits, runs or holds memory; None if that does not come to pass."""
        start = time.monotonic()
        gauges = ("coconut_queue_depth", "coconut_running", "coconut_kv_positions_reserved")
        while time.monotonic() - start < PATIENCE:
            values = [await asyncio.to_thread(self.metric, gauge) for gauge in gauges]
            if not any(values):
                return time.monotonic() - start
            await asyncio.sleep(0.05)
        return None


class Client:
    """One request on a connection of its own; a context that hangs up at its end."""

    def __init__(self, target, receive_buffer=None, **fields):
        self.target, self.fields, self.receive_buffer = target, fields, receive_buffer

    async def __aenter__(self):
        plain = socket.socket()
        if self.receive_buffer:
            plain.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, self.receive_buffer)
        plain.setblocking(False)
        await asyncio.get_running_loop().sock_connect(plain, (self.target.host, self.target.port))
        limit = self.receive_buffer or 2**16
        self.reader, self.writer = await asyncio.open_connection(sock=plain, limit=limit)
        body = json.dumps({"question": QUESTION, **self.fields}).encode()
        head = f"POST /v1/reason HTTP/1.1\r\nhost: {self.target.host}\r\nconnection: close\r\n"
        head += f"content-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
        self.writer.write(head.encode() + body)
        await self.writer.drain()
        return self

    async def __aexit__(self, *_):
        self.writer.transport.abort()

    async def head(self):
        """(status, headers)"""
        lines = (await self.reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        pairs = (line.split(":", 1) for line in lines[1:] if ":" in line)
        return int(lines[0].split()[1]), {name.lower(): value.strip() for name, value in pairs}

    async def rest(self):
        return (await self.reader.read()).decode(errors="replace")

    async def until(self, words):
        """Reads until these words have come; False if the stream ends before."""
        seen = ""
        while words not in seen:
            part = await self.reader.read(1024)
            if not part:
                return False
            seen += part.decode(errors="replace")
        return True


async def ask(target, **fields):
    """(status, headers, body, seconds); status 0 where the connection broke."""
    start = time.monotonic()
    try:
        async with asyncio.timeout(PATIENCE), Client(target, **fields) as client:
            status, headers = await client.head()
            return status, headers, await client.rest(), time.monotonic() - start
    except (OSError, asyncio.IncompleteReadError, TimeoutError) as error:
        return 0, {}, repr(error), time.monotonic() - start


async def many(count, work):
    return await asyncio.gather(*(work(number) for number in range(count)))


# ===== checks: each gives (what it checks, whether it held, what was seen) =====


async def flood(target):
    """Ten times more clients than the queue holds."""
    count = 10 * target.queue
    fields = {"max_tokens": 8, "ignore_eos": True}
    replies = await many(count, lambda _: ask(target, **fields))
    statuses = [status for status, *_ in replies]
    seen = ", ".join(f"{status}: {statuses.count(status)}" for status in sorted(set(statuses)))
    yield f"{count} clients at once get 200 or 429", set(statuses) == {200, 429}, seen
    told = [headers.get("retry-after", "") for status, headers, *_ in replies if status == 429]
    whole = [wait for wait in told if wait.isdigit() and int(wait) >= 1]
    yield "each 429 says when to come back", len(whole) == len(told), f"{sorted(set(told))} s"
    idle = await target.idle()
    yield "queue, running and reserved memory are back at 0", idle is not None, f"after {idle or PATIENCE:.2f} s"
    if target.own:
        before = target.own.rss_mib()
        for _ in range(FLOODS):
            await many(count, lambda _: ask(target, **fields))
        after = target.own.rss_mib()
        flat = after - before <= GROWTH_MIB
        yield f"memory is flat over {FLOODS} more floods", flat, f"{before:.1f} MiB, then {after:.1f} MiB"


async def hang_ups(target):
    """Half of the clients leave after the first thought."""
    cancelled, count = target.metric("coconut_cancelled_total"), target.running + target.queue // 2
    fields = {"stream": True, "latent_steps": target.latent_steps, "max_tokens": 32, "ignore_eos": True}

    async def one(number):
        async with asyncio.timeout(PATIENCE), Client(target, **fields) as client:
            status, _ = await client.head()
            words = "event: thought" if number % 2 else "event: done"
            return status == 200 and await client.until(words)

    served = await many(count, one)
    stayed = served[::2]
    yield "who stays gets an answer though others hang up", all(stayed), f"{sum(stayed)} of {len(stayed)}"
    idle = await target.idle()
    yield "who hangs up mid-thought leaves nothing running", idle is not None, f"idle after {idle or PATIENCE:.2f} s"
    left, gone = len(served) - len(stayed), target.metric("coconut_cancelled_total") - cancelled
    yield "and is counted as cancelled", 0 < gone <= left, f"{gone:.0f} of {left}"


async def slow_readers(target):
    """As many as can run ask for all there is and do not read it."""
    quick = {"max_tokens": 4, "ignore_eos": True}
    alone = [(await ask(target, **quick))[3] for _ in range(5)]
    all_there_is = ["thoughts", "thought_vectors", "first_logits", "logprobs"]
    report = {"stream": True, "max_tokens": 64, "ignore_eos": True, "include": all_there_is}
    async with contextlib.AsyncExitStack() as stack:
        clients = [Client(target, receive_buffer=2048, **report) for _ in range(target.running)]
        slow = [await stack.enter_async_context(client) for client in clients]
        await asyncio.gather(*(client.head() for client in slow))
        start, beside = time.monotonic(), []
        while time.monotonic() - start < SLOW_SECONDS or len(beside) < 5:
            beside.append(await ask(target, **quick))
        finished = await asyncio.gather(*(client.until("event: done") for client in slow))
    statuses = [status for status, *_ in beside]
    took = statistics.median(seconds for *_, seconds in beside)
    # They take part in steps until their answers are computed; what they must not do is to make others wait for them.
    limit = 3 * statistics.median(alone) + 0.1
    seen = f"{1e3 * statistics.median(alone):.0f} ms alone, {1e3 * took:.0f} ms beside, {len(beside)} answers"
    yield f"{len(slow)} slow readers stall nobody", set(statuses) == {200} and took <= limit, seen
    yield "and get their own answers", all(finished), f"{sum(finished)} of {len(slow)}"


def keep(target, stream):
    """Asks again and again on a connection that is kept while the server keeps it, until there is no server."""
    body = json.dumps({"question": QUESTION, "stream": stream, "max_tokens": 8})
    answered, connection = 0, None
    while True:
        if connection is None:
            connection = http.client.HTTPConnection(target.host, target.port, timeout=PATIENCE)
            try:
                connection.connect()
            except ConnectionRefusedError:
                return answered, None
        try:
            connection.request("POST", "/v1/reason", body, {"content-type": "application/json"})
            response = connection.getresponse()
            text = response.read().decode(errors="replace")
        except (OSError, http.client.HTTPException) as error:
            return answered, repr(error)
        if response.status not in (200, 429) or (stream and response.status == 200 and "event: done" not in text):
            return answered, f"{response.status} {text[:80]}"
        answered += 1
        connection = None if response.will_close else connection


async def terminate(target):
    """SIGTERM while all places are taken."""
    count, accepted = target.running + target.queue // 2, asyncio.Semaphore(0)
    fields = {"stream": True, "latent_steps": target.latent_steps, "max_tokens": 32, "ignore_eos": True}

    async def one(_):
        async with asyncio.timeout(PATIENCE), Client(target, **fields) as client:
            status, _ = await client.head()
            accepted.release()
            return status == 200 and await client.until("event: done")

    clients = asyncio.gather(*(one(number) for number in range(count)))
    # The loop's own pool has fewer threads on few cores.
    threads, loop = concurrent.futures.ThreadPoolExecutor(KEPT), asyncio.get_running_loop()
    kept = asyncio.gather(*(loop.run_in_executor(threads, keep, target, number % 2 == 0) for number in range(KEPT)))
    for _ in range(count):
        await accepted.acquire()
    target.own.process.send_signal(signal.SIGTERM)
    done = await clients
    yield "SIGTERM loses no accepted request", all(done), f"{sum(done)} of {count} answered"
    answered, lost = zip(*await kept)
    whole = all(answered) and not any(lost)
    yield "nor one on a kept connection", whole, f"{sum(answered)} answered, {[why for why in lost if why]} lost"
    code = await asyncio.to_thread(target.own.process.wait, PATIENCE)
    yield "and the process ends well", code == 0, f"exit code {code}"


async def check(args):
    target, failed = Target(args), 0
    try:
        await ask(target)
        for checks in [flood, hang_ups, slow_readers] + ([terminate] if target.own else []):
            async for what, held, seen in checks(target):
                failed += not held
                print(f"{'ok    ' if held else 'FAILED'}  {what}" + (f" ({seen})" if seen else ""), flush=True)
    finally:
        if target.own:
            target.own.stop()
    return failed


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--url", help="a running server; its memory and its end are not checked")
    parser.add_argument("--model", default=os.environ.get("MODEL"), help="what a server of its own serves")
    parser.add_argument("--queue", type=int, default=16, help="its --max-queued")
    parser.add_argument("--running", type=int, default=8, help="its --max-running")
    args = parser.parse_args()
    if not (args.url or args.model):
        parser.error("--url or --model is needed")
    raise SystemExit(bool(asyncio.run(check(args))))


if __name__ == "__main__":
    main()
