"""Where a chain of thought takes a wrong turn: asks a server every ProsQA question of a file, and follows what it writes
through the question's graph. A turn is a step at which some children of the node still lead to the target and some do not;
counted by the hops that are left, and by whether all wrong children lead nowhere or one of them further. And how many chains
invent a fact, or end where nobody asked.

    python3 benches/turns.py http://127.0.0.1:8080 data/table/valid.json
"""

import json
import sys
import urllib.request
from collections import Counter, defaultdict
from concurrent.futures import ThreadPoolExecutor

AT_ONCE = 8
MAX_TOKENS = 64


def text(server: str, question: str) -> str:
    body = json.dumps({"question": question, "max_tokens": MAX_TOKENS}).encode()
    request = urllib.request.Request(f"{server}/v1/reason", body, {"content-type": "application/json"})
    with urllib.request.urlopen(request, timeout=60) as answer:
        return json.load(answer)["text"]


def hops_left(children: dict[str, set[str]], start: str, target: str) -> int | None:
    seen, layer, hops = {start}, {start}, 0
    while layer:
        if target in layer:
            return hops
        layer = {child for node in layer for child in children[node]} - seen
        seen |= layer
        hops += 1
    return None


def edge(sentence: str) -> tuple[str, str] | None:
    words = sentence.strip().rstrip(".").removeprefix("Every ").split()
    return (words[0], words[-1]) if len(words) == 4 else None


def main() -> None:
    server, file = sys.argv[1:]
    with open(file) as opened:
        questions = json.load(opened)
    with ThreadPoolExecutor(AT_ONCE) as pool:
        texts = list(pool.map(lambda question: text(server, question["question"]), questions))
    turns, wrong, chance, invented, elsewhere = Counter(), Counter(), Counter(), 0, Counter()
    for question, said in zip(questions, texts):
        names = question["idx_to_symbol"]
        children = defaultdict(set)
        for start, end in question["edges"]:
            children[names[start]].add(names[end])
        node, target = names[question["root"]], names[question["target"]]
        for sentence in said.split("\n"):
            if sentence.startswith("#"):
                if node not in (target, names[question["neg_target"]]):
                    elsewhere["before the target" if hops_left(children, node, target) else "off the way"] += 1
                break
            step = edge(sentence)
            if step is None or step[0] != node or step[1] not in children[node]:
                invented += 1
                break
            left = hops_left(children, node, target)
            ahead = [child for child in children[node] if hops_left(children, child, target) is not None]
            if left is not None and 0 < len(ahead) < len(children[node]):
                inner = any(children[child] for child in children[node] if child not in ahead)
                kind = left, "further" if inner else "nowhere"
                turns[kind] += 1
                wrong[kind] += step[1] not in ahead
                chance[kind] += 1 - len(ahead) / len(children[node])
            node = step[1]
    print("| hops left | wrong children lead | turns | wrong, % | by chance, % |\n|---|---|---|---|---|")
    for kind in sorted(turns):
        share, luck = (100 * count[kind] / turns[kind] for count in (wrong, chance))
        print(f"| {kind[0]} | {kind[1]} | {turns[kind]} | {share:.1f} | {luck:.1f} |")
    print(f"{invented} of {len(questions)} chains go on with what the question does not say")
    for where, count in sorted(elsewhere.items()):
        print(f"{count} answer with neither of the two: they end {where}")


main()
