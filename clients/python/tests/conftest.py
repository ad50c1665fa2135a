"""The server that is asked: a real one, started for the tests or given by its address."""

import contextlib
import os
import re
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).parents[3]
QUESTION = "Every rempus is a jelpus. Sam is a chorpus. Every chorpus is a yimpus. Is Sam a yimpus or jelpus?"


@pytest.fixture(scope="session")
def url() -> Iterator[str]:
    """Where a server with the default checkpoint listens."""
    with served("COCONUT_URL") as at:
        yield at


@pytest.fixture(scope="session")
def acting_url() -> Iterator[str]:
    """Where a server listens whose model calls tools."""
    with served("COCONUT_ACTING_URL", "--model", str(CHECKOUT / "models/prosqa-react"), "--tools", "graph") as at:
        yield at


@contextlib.contextmanager
def served(variable: str, *words: str) -> Iterator[str]:
    """The server that is given by this variable of the environment, or else one started for the tests."""
    if given := os.environ.get(variable):
        yield given
        return
    binary = os.environ.get("COCONUT", str(CHECKOUT / "target/release/coconut"))
    command = [binary, "serve", "--listen", "127.0.0.1:0", "--drain-delay", "0", *words]
    server = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert server.stdout is not None
    address, log = None, []
    for line in server.stdout:
        log.append(line)
        address = address or re.search(r"127\.0\.0\.1:\d+", line)
        if " ready " in line:
            break
    assert address, "".join(log)
    # Somebody has to read on, or the server waits for room in the pipe.
    threading.Thread(target=server.stdout.read, daemon=True).start()
    yield f"http://{address[0]}"
    server.terminate()
    assert server.wait() == 0
