"""What the scripts beside this one share: questions from a file, requests to a server, small tables. Standard library only.

Every script takes the server's address and a file of questions with answers, as `coconut generate-data prosqa` writes it.
"""

import argparse
import json
import math
import urllib.error
import urllib.request
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor

PARALLEL = 8


def arguments(what):
    """The settings that all scripts have."""
    parser = argparse.ArgumentParser(description=what)
    parser.add_argument("--url", default="http://127.0.0.1:8080")
    parser.add_argument("--data", default="data/prosqa.json", help="a JSON list of questions with answers")
    parser.add_argument("--limit", type=int, default=100, help="only so many questions")
    parser.add_argument("--seed", type=int, default=1, help="what everything random follows from")
    return parser


def questions(options):
    with open(options.data) as file:
        return json.load(file)[: options.limit]


def ask(url, route, **fields):
    """The answer, or the server's own words about what is wrong."""
    body = json.dumps(fields).encode()
    request = urllib.request.Request(f"{url}{route}", body, {"content-type": "application/json"})
    try:
        with urllib.request.urlopen(request, timeout=120) as reply:
            return json.load(reply)
    except urllib.error.HTTPError as error:
        raise SystemExit(json.load(error)["error"]["message"]) from error
    except urllib.error.URLError as error:
        raise SystemExit(f"no server at {url}: {error.reason}") from error


def model(url):
    """What `/v1/models` tells of the served model."""
    with urllib.request.urlopen(f"{url}/v1/models", timeout=30) as reply:
        return json.load(reply)["data"][0]


def each(rows, work):
    """`work` for every row, several at a time, in the order of the rows."""
    with ThreadPoolExecutor(PARALLEL) as pool:
        return list(pool.map(work, rows))


def interval(right, count):
    """Wilson's 95 % interval of a share."""
    z, share = 1.96, right / count
    middle = (share + z * z / (2 * count)) / (1 + z * z / count)
    half = z / (1 + z * z / count) * math.sqrt(share * (1 - share) / count + z * z / (4 * count * count))
    return middle - half, middle + half


def share(right):
    """A share with its interval, in per cent."""
    right = list(right)
    low, high = interval(sum(right), len(right))
    return f"{100 * sum(right) / len(right):5.1f} ({100 * low:.1f} to {100 * high:.1f})"


def children(row):
    """Nodes to those that one hop leads to."""
    links = defaultdict(set)
    for parent, child in row["edges"]:
        links[parent].add(child)
    return links


def hops(links, start):
    """Every node that is reached, itself included, to the fewest hops there."""
    found, layer = {start: 0}, [start]
    while layer:
        new = {child for node in layer for child in links[node]} - found.keys()
        found.update(dict.fromkeys(new, found[layer[0]] + 1))
        layer = list(new)
    return found


def sentence(row, node):
    """The answer that names this node of the row's graph, as the model says it."""
    names = row["idx_to_symbol"]
    return f"### {names[row['root']]} is a {names[row[node]]}."


def table(head, rows):
    """Columns as wide as they need to be."""
    rows = [[str(cell) for cell in row] for row in [head, *rows]]
    widths = [max(len(row[at]) for row in rows) for at in range(len(head))]
    for row in rows:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip())
