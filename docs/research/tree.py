"""The search tree (section 5 of the Coconut paper): what would the model write if it had to go on in words after k thoughts?

With `--feedback random` the same for vectors that say nothing: if the tree stays, it is not the thoughts that hold it.

A model of the paper's curriculum that has thought k times goes on with the fact that begins k hops from the start: `Every X
is a ...`. The probability of each X is what it thinks of that node. One whose thoughts were taught by themselves never wrote
its steps: with `--read head` it is asked what its head says where the k-th thought is fed.
"""

import math

from asking import arguments, ask, children, each, hops, questions, table

STEPS = list(range(1, 5))


def words(url, asked, names):
    """The probability of each name behind `Every`, after each number of thoughts."""
    reply = ask(url, "/v1/score", **asked, prefix="Every", sweep=STEPS, continuations=names)
    return {(score["latent_steps"], score["continuation"]): math.exp(score["logprob"]) for score in reply["scores"]}


def head(url, asked, names):
    """The probability of each name by the model's head where the k-th thought is fed: the last layer's, which is fed next."""
    inside = {"places": ["latent"], "top_tokens": 1, "ranked": names}
    reply = ask(url, "/v1/reason", **asked, latent_steps=max(STEPS), max_tokens=1, include=["lens"], inside=inside)
    return {(place["index"], node): math.exp(name["logprob"])
            for place in reply["inside"] for node, name in enumerate(place["lens"][-1]["ranked"])}


READINGS = {"words": words, "head": head}


def main():
    parser = arguments(__doc__.splitlines()[0])
    parser.add_argument("--feedback", default="hidden", help="what is fed in the places of thoughts: see controls.py")
    parser.add_argument("--read", choices=READINGS, default="words", help="`Every X` behind k thoughts, or the thoughts")
    options = parser.parse_args()
    rows = questions(options)

    def searched(row):
        names, links = row["idx_to_symbol"], children(row)
        nodes = list(range(len(names)))
        asked = {"question": row["question"], "feedback": options.feedback, "seed": options.seed}
        belief = READINGS[options.read](options.url, asked, [f" {name}" for name in names])
        away = hops(links, row["root"])
        leads = {node for node in nodes if row["target"] in hops(links, node)}
        found = {}
        for steps in range(1, min(away[row["target"]], max(STEPS) + 1)):
            here = [node for node in nodes if away.get(node) == steps]
            mass = lambda chosen: sum(belief[steps, node] for node in chosen)
            way, dead = [[node for node in here if (node in leads) == which] for which in (True, False)]
            others = [node for node in nodes if node not in here]
            found[steps] = mass(way), mass(dead), mass(others), len(way) / len(here) if way and dead else None
        return found

    found = each(rows, searched)
    lines = []
    for steps in STEPS:
        at = [one[steps] for one in found if steps in one]
        if at:
            mean = lambda column: f"{sum(one[column] for one in at) / len(at):.3f}"
            split = [(way / (way + dead), evenly) for way, dead, _, evenly in at if evenly and way + dead > 0]
            told = [f"{sum(one[column] for one in split) / len(split):.3f}" if split else "-" for column in (0, 1)]
            lines.append([steps, len(at), mean(0), mean(1), mean(2), *told])
    print(f"mean probability by {options.read}, over questions whose answer is farther away")
    shares = ["so many hops, on a way", "so many hops, dead end", "any other node", "on a way, of both", "if evenly"]
    table(["thoughts", "questions", *shares], lines)


if __name__ == "__main__":
    main()
