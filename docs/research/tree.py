"""The search tree (section 5 of the Coconut paper): what would the model write if it had to go on in words after k thoughts?

With `--feedback random` the same for vectors that say nothing: if the tree stays, it is not the thoughts that hold it.

A model of the paper's curriculum that has thought k times goes on with the fact that begins k hops from the start: `Every X
is a ...`. The probability of each X is what it thinks of that node. For a model that ever wrote its steps; one whose
thoughts were taught by themselves never did.
"""

import math

from asking import arguments, ask, children, each, hops, questions, table

STEPS = list(range(1, 5))


def main():
    parser = arguments(__doc__.splitlines()[0])
    parser.add_argument("--feedback", default="hidden", help="what is fed in the places of thoughts: see controls.py")
    options = parser.parse_args()
    rows = questions(options)

    def searched(row):
        names, links = row["idx_to_symbol"], children(row)
        nodes = list(range(len(names)))
        reply = ask(options.url, "/v1/score", question=row["question"], prefix="Every", sweep=STEPS,
                    feedback=options.feedback, seed=options.seed, continuations=[f" {names[node]}" for node in nodes])
        belief = {(score["latent_steps"], score["continuation"]): math.exp(score["logprob"]) for score in reply["scores"]}
        away = hops(links, row["root"])
        leads = {node for node in nodes if row["target"] in hops(links, node)}
        found = {}
        for steps in range(1, min(away[row["target"]], max(STEPS) + 1)):
            here = [node for node in nodes if away.get(node) == steps]
            mass = lambda chosen: sum(belief[steps, node] for node in chosen)
            way, dead = [[node for node in here if (node in leads) == which] for which in (True, False)]
            others = [node for node in nodes if node not in here]
            found[steps] = mass(way), mass(dead), mass(others), bool(dead)
        return found

    found = each(rows, searched)
    lines = []
    for steps in STEPS:
        at = [one[steps] for one in found if steps in one]
        if at:
            mean = lambda column: f"{sum(one[column] for one in at) / len(at):.3f}"
            split = [way / (way + dead) for way, dead, _, both in at if both and way + dead > 0]
            told = f"{sum(split) / len(split):.3f}" if split else "-"
            lines.append([steps, len(at), mean(0), mean(1), mean(2), told])
    print("mean probability of what comes behind `Every`, over questions whose answer is farther away")
    table(["thoughts", "questions", "so many hops, on a way", "so many hops, dead end", "any other node", "on a way, of both"], lines)


if __name__ == "__main__":
    main()
