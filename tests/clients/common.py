"""What the scripts of all clients have in common: a question with its answer, and what the server counts."""

import argparse
import json
import time
import urllib.request

QUESTION = (
    "Every rempus is a jelpus. Sam is a chorpus. Every rorpus is a bompus. Every rorpus is a yimpus. "
    "Every rempus is a rorpus. Eva is a rempus. Every chorpus is a scrompus. Every chorpus is a yimpus. "
    "Is Eva a scrompus or bompus?"
)
ANSWER = "Eva is a bompus."
# As the model says it; the default checkpoint.
TEXT = f"### {ANSWER}"
PROMPT = f"{QUESTION}\n"
MARKER = "<|start-latent|>"
MODEL = "prosqa"


def arguments(description: str) -> argparse.Namespace:
    """Where servers are: one as it comes, one with room for a single request, one with keys, one with tools."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("url", help="such as http://127.0.0.1:8080")
    parser.add_argument("--small", help="address of a server with --max-running 1 --max-queued 1")
    parser.add_argument("--locked", help="address of a server with --api-keys")
    parser.add_argument("--key", help="one of its keys")
    parser.add_argument("--acting", help="address of a server with --model models/prosqa-react --tools graph")
    return parser.parse_args()


def tokens_of(url: str, text: str) -> list[int]:
    """The served model's token ids."""
    body = json.dumps({"prompt": text}).encode()
    asked = urllib.request.Request(f"{url}/tokenize", body, {"content-type": "application/json"})
    with urllib.request.urlopen(asked) as reply:
        return json.load(reply)["tokens"]


def metric(url: str, name: str) -> float:
    """The sum of a metric over its labels."""
    with urllib.request.urlopen(f"{url}/metrics") as reply:
        lines = reply.read().decode().splitlines()
    values = [line.rpartition(" ")[2] for line in lines if line.split("{")[0].split(" ")[0] == name]
    assert values, f"no metric {name}"
    return sum(float(value) for value in values)


def wait_until_idle(url: str) -> None:
    """Nothing is computed and nothing waits: within five seconds, for the server sees a hang-up at its next step."""
    names = ["coconut_running", "coconut_queue_depth", "coconut_kv_positions_reserved"]
    deadline = time.monotonic() + 5
    while any(metric(url, name) for name in names):
        assert time.monotonic() < deadline, {name: metric(url, name) for name in names}
        time.sleep(0.05)
