"""Where in the model does a thought come to be? What the head reads at each layer where the k-th thought is fed (`lens`).

The mass is the probability that the reading gives to the nodes exactly k hops from the entity. The lens applies the final norm
to layers that were not trained to be read: a small mass at an early layer is no proof that nothing is there.
"""

import math

from asking import arguments, ask, children, each, model, questions, table

STEPS = 6


def frontiers(row):
    """The nodes that exactly 0, 1, ... hops lead to; a node may be in several."""
    links, layers = children(row), [{row["root"]}]
    for _ in range(STEPS):
        layers.append({child for node in layers[-1] for child in links[node]})
    return layers


def main():
    options = arguments(__doc__.splitlines()[0]).parse_args()
    rows = questions(options)

    def looked(row):
        names = row["idx_to_symbol"]
        words = [f" {name}" for name in names]
        reply = ask(options.url, "/v1/reason", question=row["question"], latent_steps=STEPS, max_tokens=1,
                    include=["lens"], inside={"places": ["latent"], "top_tokens": 1, "ranked": words})
        expected = frontiers(row)
        found = {}
        for place in reply["inside"]:
            for layer in place["lens"]:
                # The vector fed in place k came from thought k; what is read there is about the next frontier.
                nodes = expected[place["index"]] if place["index"] < len(expected) else set()
                mass = sum(math.exp(layer["ranked"][node]["logprob"]) for node in nodes)
                found[layer["layer"], place["index"]] = mass if nodes else None
        return found

    found = each(rows, looked)
    layers = sorted({layer for one in found for layer, _ in one})
    lines = []
    for layer in layers:
        cells = []
        for step in range(1, STEPS + 1):
            values = [one[layer, step] for one in found if one.get((layer, step)) is not None]
            cells.append(f"{sum(values) / len(values):.2f}" if values else "-")
        lines.append([layer, *cells])
    print(f"{model(options.url)['id']}, {len(rows)} questions: mass on the nodes k hops away, where thought k is fed")
    table(["layer", *(f"k={step}" for step in range(1, STEPS + 1))], lines)


if __name__ == "__main__":
    main()
