"""Which thought carries what? One thought at a time is replaced, those behind it are computed from there on.

Beside right answers it tells how far the probability of the right answer falls, which shows smaller effects.
"""

import math

from asking import arguments, ask, each, model, questions, sentence, table

OPS = ["zero", "random", "repeat", "skip"]


def main():
    options = arguments(__doc__.splitlines()[0]).parse_args()
    rows = questions(options)
    steps = model(options.url)["coconut"]["default_latent_steps"]

    def measured(row, interventions):
        both = [sentence(row, "target"), sentence(row, "neg_target")]
        reply = ask(options.url, "/v1/score", question=row["question"], continuations=both,
                    interventions=interventions, seed=options.seed)
        target, other = (score["logprob"] for score in reply["scores"])
        return target > other, math.exp(target)

    def over(interventions):
        found = each(rows, lambda row: measured(row, interventions))
        return [f"{100 * sum(right for right, _ in found) / len(found):.0f}",
                f"{sum(p for _, p in found) / len(found):.2f}"]

    print(f"{len(rows)} questions: the target before the other candidate in per cent, its mean probability")
    head = ["thought", *(name for op in OPS for name in (op, "p"))]
    lines = [["none changed", *over([]), *[""] * (2 * len(OPS) - 2)]]
    for step in range(1, steps + 1):
        cells = []
        for op in OPS:
            possible = op != "repeat" or step > 1
            cells += over([{"step": step, "op": op}]) if possible else ["-", "-"]
        lines.append([step, *cells])
    table(head, lines)


if __name__ == "__main__":
    main()
